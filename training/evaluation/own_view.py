"""Judge a run on its own view: retrieval, by windows a little earlier or later, and without each sensor."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from itertools import combinations
from typing import Any

from sensorloom.training.errors import RunError, StreamError
from sensorloom.training.evaluate import SplitData, describe_split
from sensorloom.training.evaluation.embeddings import EmbeddedSplit, embed_split
from sensorloom.training.evaluation.judging import Steps
from sensorloom.training.evaluation.offsets import OffsetScores, offset_scores
from sensorloom.training.evaluation.retrieval import RetrievalScores, retrieval_scores
from sensorloom.training.evaluation.robustness import MissingScores, missing_scores
from sensorloom.training.evaluation.slot_splits import slot_scores
from sensorloom.training.loaded import LoadedRun, open_split
from sensorloom.training.stream import TripletStream
from sensorloom.training.terms.modalities import FROZEN

__all__ = ["OwnView", "judge_own_view"]

_REACHES_S = (2.0, 5.0, 10.0)


class OwnView:
    """The windows of `split` of the view that a run was trained on, opened and embedded when they are first needed.

    All but the name raise StreamError where the split has none.
    """

    def __init__(self, loaded: LoadedRun, split: str) -> None:
        self.loaded, self.split, self.name = loaded, split, loaded.record.config.view
        self.device = next(loaded.objective.parameters()).device

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
        **_data(own),
        "retrieval": steps.take("retrieval", own.name, lambda _: _retrieval(own, left_out), left_out),
        "offsets": steps.take("offsets", own.name, lambda _: _offsets(own), left_out),
        "missing": steps.take("missing", own.name, lambda _: _missing(own), left_out),
    }


def _data(own: OwnView) -> dict[str, Any]:
    try:
        data = own.data
    except StreamError:
        return {"data": f"no window of {own.name}", "windows": 0, "shared_participants": 0}
    return {
        "data": data.words,
        "windows": data.windows,
        "shared_participants": data.shared_participants,
    }


def _retrieval(own: OwnView, left_out: dict[str, str]) -> Iterable[RetrievalScores]:
    """Score the modalities of a run, then each of several cameras and kinds of text by itself."""
    _check_pairs(own.embedded)
    left_out |= {f"retrieval, {pair}": why for pair, why in _lonely(own.embedded).items()}
    return (
        *retrieval_scores(own.embedded, device=own.device),
        *slot_scores(own.stream, own.embedded, device=own.device),
    )


def _offsets(own: OwnView) -> Iterable[OffsetScores]:
    _check_pairs(own.embedded)
    return offset_scores(own.embedded, _REACHES_S)


def _missing(own: OwnView) -> Iterable[MissingScores]:
    return missing_scores(own.loaded.objective, own.stream, own.device)


def _check_pairs(split: EmbeddedSplit) -> None:
    """Raise RunError unless two windows have both modalities of some pair."""
    if len(split.vectors) < 2:
        raise RunError("the run embeds sensors alone, so there is nothing to find by them")
    lonely = _lonely(split)
    if len(lonely) == len(_pairs(split)):
        told = "; ".join(f"{pair}: {why}" for pair, why in lonely.items())
        raise RunError(
            f"split {split.split!r} of view {split.view!r} has no two windows to tell apart: {told}"
        )


def _lonely(split: EmbeddedSplit) -> dict[str, str]:
    """Return the pairs of modalities that no two windows of the split have both of, and why they have no score."""
    both = {
        pair: int((split.vectors[pair[0]][1] & split.vectors[pair[1]][1]).sum()) for pair in _pairs(split)
    }
    return {
        f"{one} and {other}": f"{count} of {len(split):,} windows have both, and finding one among others needs 2"
        for (one, other), count in both.items()
        if count < 2
    }


def _pairs(split: EmbeddedSplit) -> list[tuple[str, str]]:
    return [pair for pair in combinations(split.vectors, 2) if not {*pair} <= {*FROZEN}]
