"""What can go wrong above the stages.

SensorloomError
├── ConfigError      a value in the TOML or on the command line is wrong: correct it (exit code 2)
└── RunError         a run could not finish; what earlier runs committed stands (exit code 1)
"""

from __future__ import annotations

from sensorloom import SensorloomError

__all__ = ["ConfigError", "RunError"]


class ConfigError(SensorloomError):
    """A setting is unknown, of the wrong type or out of range; the message names file and key."""


class RunError(SensorloomError):
    """A run stopped before its commit; nothing of it is visible."""
