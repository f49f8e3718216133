"""Encoders, one architecture for each module."""
