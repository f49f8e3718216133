"""What can go wrong between a take and its windows.

SensorloomError
└── AlignError
    ├── SettingsError    a setting, view or split policy makes no sense: fix the configuration
    ├── TakeError        a take contradicts itself; it fails, the others go on
    └── SplitError       a policy cannot place these windows: choose another or name other users

All are `ValueError` too, so that a configuration model reports them as its own.
"""

from __future__ import annotations

from sensorloom import SensorloomError

__all__ = ["AlignError", "SettingsError", "SplitError", "TakeError"]


class AlignError(SensorloomError, ValueError):
    """A take cannot be aligned, cut or split as asked."""


class SettingsError(AlignError):
    """A setting lies outside what it may be; the message names setting, value and limit."""


class TakeError(AlignError):
    """A take as read contradicts itself."""


class SplitError(AlignError):
    """A split policy does not fit the windows it is given."""
