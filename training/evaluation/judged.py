"""What is known of a run once it has been judged, as values and as JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

import numpy as np

from sensorloom.training.evaluation.classification import ProtocolScore
from sensorloom.training.evaluation.few_shot import FewShotCurve
from sensorloom.training.evaluation.offsets import OffsetScores
from sensorloom.training.evaluation.retrieval import RetrievalScores
from sensorloom.training.evaluation.robustness import MissingScores, PositionScores
from sensorloom.training.evaluation.scales import ScaleScores

__all__ = ["ClassifiedView", "Evaluation", "plain_facts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifiedView:
    """How well windows of one labelled view are told apart by what a run learned.

    `data` says in words what was scored: `windows` of `split`. `shared_participants` of it are also in the split that
    heads were fitted on; `pretrained_takes` are recordings that the encoder itself was pretrained on, or its best epoch
    chosen by, and `pretrained_participants` are people of such recordings. `without_sensors` tells of each split how
    many windows with a label were left out since they lack every sensor, where any was.
    `left_out` says why a protocol that was asked for has no score.
    """

    view: str
    snapshot_id: str
    split: str
    data: str
    windows: int
    classes: tuple[str, ...]
    shared_participants: int
    pretrained_takes: int
    scores: tuple[ProtocolScore, ...]
    few_shot: tuple[FewShotCurve, ...]
    positions: tuple[PositionScores, ...]
    left_out: Mapping[str, str]
    without_sensors: Mapping[str, int] = field(default_factory=dict)
    pretrained_participants: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What a run without labels is worth: retrieval on its own view, classes on views with labels.

    `data` says in words what retrieval was measured on; `vectors_of` names the encoder of texts and videos, None where
    the view has none. `scales` is retrieval on views of longer windows. `left_out` says why a protocol that needs no
    labels has no score, `not_judged` the same of views with labels. `unfinished` says how far a run was trained that
    was stopped before its end, "" of one that was not.
    """

    run: str
    recipe: str
    objective: str
    encoder: str
    view: str
    snapshot_id: str
    split: str
    data: str
    windows: int
    shared_participants: int
    vectors_of: str | None
    retrieval: tuple[RetrievalScores, ...]
    offsets: tuple[OffsetScores, ...]
    scales: tuple[ScaleScores, ...]
    missing: tuple[MissingScores, ...]
    views: tuple[ClassifiedView, ...]
    left_out: Mapping[str, str]
    not_judged: Mapping[str, str]
    unfinished: str = ""

    @property
    def name(self) -> str:
        """The run in a line of a table."""
        return f"{self.recipe} ({self.encoder})"

    @property
    def is_generated(self) -> bool:
        """Whether any of the data was generated, or its texts and videos are of the model for generated data."""
        words = (
            self.data,
            self.vectors_of or "",
            *(view.data for view in self.views),
            *(each.data for each in self.scales),
        )
        return any("generated" in each for each in words)

    def facts(self) -> dict[str, Any]:
        """Return the evaluation as plain JSON values; numbers that are not finite become None."""
        found: dict[str, Any] = plain_facts(self)
        return found


def plain_facts(value: Any) -> Any:
    """Return dataclasses, mappings, tuples and arrays of any depth as JSON has them."""
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: plain_facts(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain_facts(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain_facts(each) for each in value]
    if isinstance(value, np.ndarray | np.generic):
        return plain_facts(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
