"""Where a run stands, and what its time went to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sensorloom.training.collapse import CollapseWatch

__all__ = ["RunState", "Timing"]

_LOOKS = CollapseWatch(patience=3, grace=1)


@dataclass(frozen=True, slots=True)
class RunState:
    """Where a run stands, beside its tensors: all that a checkpoint must hold, in plain numbers."""

    step: int = 0
    loss_sum: float = 0.0
    """Of the current epoch's examples."""
    examples: int = 0
    train_loss: float = 0.0
    """Mean over the last finished epoch, 0 before there is one."""
    best_epoch: int = -1
    merit: float | None = None
    """Of the best epoch, None before there is one."""
    scores: Mapping[str, float | None] = field(default_factory=dict)
    """Validation at the best epoch."""
    watch: CollapseWatch = _LOOKS

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> RunState:
        """Take a state back from its JSON object; before there was pretraining, it told macro-F1 and accuracy alone."""
        if "val_macro_f1" in record:
            scores = {name: record[name] for name in ("val_macro_f1", "val_accuracy")}
            kept = {name: value for name, value in record.items() if name not in scores}
            if kept["best_epoch"] < 0:
                return cls(**kept)
            return cls(**kept, merit=scores["val_macro_f1"], scores=scores)
        return cls(**{**record, "watch": CollapseWatch(**record["watch"])})


@dataclass(slots=True)
class Timing:
    """Seconds of this call, by what they went to."""

    waiting_s: float = 0.0
    working_s: float = 0.0
    examples: int = 0

    def facts(self) -> dict[str, float]:
        """Return examples per second and the share of the time spent waiting for data."""
        total_s = max(self.waiting_s + self.working_s, 1e-9)
        return {"examples_per_s": self.examples / total_s, "data_wait_share": self.waiting_s / total_s}
