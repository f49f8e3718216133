"""Encoders of sensor windows: one file per architecture, plus how several slots share one."""
