"""Where a run stands, and what its time went to."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["RunState", "Timing"]


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
    val_macro_f1: float = -1.0
    val_accuracy: float = -1.0


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
