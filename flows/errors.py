"""What can go wrong above the stages.

SensorloomError
├── ConfigError      a value in the TOML or on the command line is wrong: correct it (exit code 2)
├── GateError        what was built is not fit to be published, by the gate that was set (exit code 1)
└── RunError         a run could not finish; what earlier runs committed stands (exit code 1)
"""

from __future__ import annotations

from dataclasses import dataclass

from sensorloom import SensorloomError

__all__ = ["ConfigError", "GateError", "GateFacts", "RunError"]


class ConfigError(SensorloomError):
    """A setting is unknown, of the wrong type or out of range; the message names file and key."""


@dataclass(frozen=True, slots=True)
class GateFacts:
    """What a gate at `level` held back: these `views`, for these `reasons`; `report` is the page that tells more."""

    level: str
    views: tuple[str, ...]
    reasons: tuple[str, ...]
    report: str


class GateError(SensorloomError):
    """The audit of what was about to be published found what the gate stops; nothing was published."""

    def __init__(self, gate: GateFacts) -> None:
        self.gate = gate
        super().__init__(
            f'audit.gate_build = "{gate.level}" keeps {", ".join(gate.views)} from being published; nothing was.'
            f" {'; '.join(gate.reasons)}. The report of what was held back: {gate.report}; other views can be built by"
            ' name, and `[audit.rules.<id>] severity = "note"` waives a rule'
        )


class RunError(SensorloomError):
    """A run stopped before its commit; nothing of it is visible."""
