"""Judge a run on its own view: retrieval, by windows a little earlier or later, and without each sensor."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any

from sensorloom.training.errors import StreamError
from sensorloom.training.evaluate import SplitData, describe_split
from sensorloom.training.evaluation.embeddings import EmbeddedSplit, embed_split
from sensorloom.training.evaluation.judging import Steps
from sensorloom.training.evaluation.offsets import OffsetScores, offset_scores
from sensorloom.training.evaluation.pairs import check_pairs, lonely_pairs
from sensorloom.training.evaluation.retrieval import RetrievalScores, retrieval_scores
from sensorloom.training.evaluation.robustness import MissingScores, missing_scores
from sensorloom.training.evaluation.slot_splits import slot_scores
from sensorloom.training.loaded import LoadedRun, open_split
from sensorloom.training.stream import TripletStream

__all__ = ["OwnView", "judge_own_view"]

_REACHES_S = (2.0, 5.0, 10.0)


class OwnView:
    """The windows of `split` of the view that a run was trained on, opened and embedded when they are first needed.

    All but the name raise StreamError where the split has none.
    """

    def __init__(self, loaded: LoadedRun, split: str) -> None:
        self.loaded, self.split, self.name = loaded, split, loaded.record.config.view
        self.device = loaded.device

    @cached_property
    def stream(self) -> TripletStream:
        """The windows, in storage order."""
        return open_split(self.loaded, self.name, self.split)

    @cached_property
    def data(self) -> SplitData:
        """What data they are, and what they share with the split that the run was trained on."""
        learned = open_split(self.loaded, self.name, self.loaded.record.config.train_split)
        return describe_split(self.loaded.repo, self.stream, learned)

    @cached_property
    def embedded(self) -> EmbeddedSplit:
        """What the run makes of them."""
        return embed_split(self.loaded.objective, self.stream, self.device)


def judge_own_view(own: OwnView, steps: Steps, left_out: dict[str, str]) -> dict[str, Any]:
    """Return what is measured on the view of the run itself, by the field of `Evaluation`.

    Nothing where the split has no windows there; `left_out` says so.
    """
    return {
        **_data(own, left_out),
        "retrieval": steps.take("retrieval", own.name, lambda _: _retrieval(own, left_out), left_out),
        "offsets": steps.take("offsets", own.name, lambda _: _offsets(own), left_out),
        "missing": steps.take("missing", own.name, lambda _: _missing(own), left_out),
    }


def _data(own: OwnView, left_out: dict[str, str]) -> dict[str, Any]:
    try:
        data = own.data
    except StreamError as error:
        left_out[own.name] = str(error)
        return {"data": f"no window of {own.name}", "windows": 0, "shared_participants": 0}
    return {
        "data": data.words,
        "windows": data.windows,
        "shared_participants": data.shared_participants,
    }


def _retrieval(own: OwnView, left_out: dict[str, str]) -> Iterable[RetrievalScores]:
    """Score the modalities of a run, then each of several cameras and kinds of text by itself."""
    check_pairs(own.embedded)
    left_out |= {f"retrieval, {pair}": why for pair, why in lonely_pairs(own.embedded).items()}
    return (
        *retrieval_scores(own.embedded, device=own.device),
        *slot_scores(own.stream, own.embedded, device=own.device),
    )


def _offsets(own: OwnView) -> Iterable[OffsetScores]:
    check_pairs(own.embedded)
    return offset_scores(own.embedded, _REACHES_S)


def _missing(own: OwnView) -> Iterable[MissingScores]:
    return missing_scores(own.loaded.objective, own.stream, own.embedded, own.device)
