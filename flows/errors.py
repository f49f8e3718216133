"""What can go wrong above the stages.

SensorloomError
├── ConfigError      a value in the TOML or on the command line is wrong: correct it (exit code 2)
├── GateError        what was built is not fit to be published, by the gate that was set (exit code 1)
└── RunError         a run could not finish; what earlier runs committed stands (exit code 1)
"""

from __future__ import annotations

from sensorloom import SensorloomError

__all__ = ["ConfigError", "GateError", "RunError"]


class ConfigError(SensorloomError):
    """A setting is unknown, of the wrong type or out of range; the message names file and key."""


class GateError(SensorloomError):
    """The audit of what was about to be published found what the gate stops; nothing was published."""


class RunError(SensorloomError):
    """A run stopped before its commit; nothing of it is visible."""
