"""Where a run stands, what its time went to, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sensorloom.training.configs import RunConfig, SupervisedConfig
from sensorloom.training.record import RunRecord
from sensorloom.training.terms.collapse import CollapseWatch

__all__ = ["RunResult", "RunState", "Timing", "merit_words"]

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
    """Seconds of the finished steps of this call, by what they went to."""

    waiting_s: float = 0.0
    working_s: float = 0.0
    examples: int = 0

    def finish(self, waited_s: float, worked_s: float, examples: int) -> None:
        """Count a step that is finished: how long it waited for its data and worked, and its examples on all ranks."""
        self.waiting_s += waited_s
        self.working_s += worked_s
        self.examples += examples

    def facts(self) -> dict[str, float]:
        """Return examples per second and the share of the time spent waiting, nothing before a step is finished."""
        if not self.examples:
            return {}
        total_s = max(self.waiting_s + self.working_s, 1e-9)
        return {"examples_per_s": self.examples / total_s, "data_wait_share": self.waiting_s / total_s}


@dataclass(frozen=True, slots=True)
class RunResult:
    """What became of a run. Speed is of this call, without validation; the rest is of the whole run.

    `scores` are those of `Validation` in the best epoch, None where not finite. `alarm` says which signs of collapse
    lasted, nothing if none did. `vectors_of` names the encoder of the view's texts and videos, None where it has none.
    `data` says in words what each split read is, by its name; `resumed_from` is the step that a resumed run went on
    from, None where it was not resumed; `notes` are sentences on what the settings did with these data.
    """

    run_dir: Path
    record: RunRecord
    steps: int
    train_loss: float
    best_epoch: int
    scores: Mapping[str, float | None]
    alarm: str
    vectors_of: str | None
    examples_per_s: float
    data_wait_share: float
    data: Mapping[str, str] = field(default_factory=dict)
    resumed_from: int | None = None
    notes: tuple[str, ...] = ()

    @property
    def was_finished(self) -> bool:
        """Whether this call found the run finished and took no step."""
        return self.resumed_from == self.steps

    def resumed_words(self) -> str:
        """Say where a resumed run went on, nothing of one that was not resumed."""
        if self.resumed_from is None:
            return ""
        if self.was_finished:
            return f"the run was finished already: all {self.steps} steps were there"
        start = f"from step {self.resumed_from} of {self.steps}" if self.resumed_from else _FROM_START
        return f"resumed {start}"


_FROM_START = "from the start: nothing was saved"


def merit_words(config: RunConfig, scores: Mapping[str, float | None]) -> str:
    """Name what the best epoch has most of (`merit_by`), by the `scores` of validation."""
    if config.best_by == "accuracy":
        return "accuracy"
    if config.best_by == "auto" and isinstance(config, SupervisedConfig):
        return "macro-F1"
    if config.best_by == "auto" and any(name.endswith("/mrr") for name in scores):
        return "mean reciprocal rank over pairs (higher is better)"
    return "minus the validation loss (higher is better)"
