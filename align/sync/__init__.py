"""Offset and drift of two motion signals, measured from the signals alone."""
