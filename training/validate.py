"""What a run is worth on its validation split: a classifier by its labels, any other by its loss and by retrieval.

Axes: N windows of the split · D embedding.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from sensorloom.training.evaluate import score
from sensorloom.training.evaluation.embeddings import Collected
from sensorloom.training.evaluation.retrieval import one_right_scores
from sensorloom.training.facts import take_numbers
from sensorloom.training.metrics import accuracy, macro_f1
from sensorloom.training.objective import collapse_signs, embed
from sensorloom.training.objectives.supervised import Supervised
from sensorloom.training.stream import TripletStream

__all__ = ["MIN_LOOK", "Validation", "plain", "validate"]

MIN_LOOK = 8
"""Windows that signs of collapse take at least: of fewer every batch looks collapsed."""
_TAKES: WeakKeyDictionary[TripletStream, Tensor] = WeakKeyDictionary()
"""The takes of the windows of open streams: a run asks for those of its validation split in every epoch."""


@dataclass(frozen=True, slots=True)
class Validation:
    """`scores` by name; `merit`, by which the best epoch is chosen, more is better; `signs` of collapse.

    The merit is macro-F1 of a classifier. Else it is the mean reciprocal rank over both directions of all pairs, as
    AURA chooses [methods §2, table], and of an objective without pairs minus its loss. The loss itself would be no
    measure of PRIMUS, whose terms of neighbours begin when its queue is warm, nor of a JEPA, whose λ rises.
    """

    merit: float
    scores: Mapping[str, float]
    signs: Mapping[str, float] = field(default_factory=dict)


def validate(objective: nn.Module, stream: TripletStream, device: torch.device) -> Validation:
    """Score `objective` on one whole epoch of `stream`.

    "val_loss" is the mean over examples of its loss in evaluation mode, on the same draws at every call, and
    "val_<term>" that of each term. For two modalities a and b there are "a-b/r10" and "a-b/mrr" of finding the b of
    each a, with what guessing would score beside them ("…_chance") and "a-b/candidates"; see `one_right_scores`. Raises
    RunError if labels are needed and there are none.
    """
    if isinstance(objective, Supervised):
        confusion = score(objective, stream, device)
        f1 = macro_f1(confusion)
        return Validation(f1, {"val_macro_f1": f1, "val_accuracy": accuracy(confusion)})
    was_training = objective.training
    objective.eval()
    with torch.no_grad(), _reading(objective, stream):
        found = _look(objective, stream, device)
    objective.train(was_training)
    return found


def _look(objective: nn.Module, stream: TripletStream, device: torch.device) -> Validation:
    stream.set_epoch(0)
    totals: dict[str, float] = defaultdict(float)
    rows = Collected()
    signs: Mapping[str, float] = {}
    for number, waiting in enumerate(stream):
        batch = waiting.to(device)
        for name, term in objective(batch).items():
            totals[f"val_{name}"] += term.item() * len(batch)
        rows.add(embed(objective, batch))
        if number == 0 and len(batch) >= MIN_LOOK:
            signs = collapse_signs(objective, batch)
    losses = {name: total / stream.num_examples for name, total in totals.items()}
    retrieved = _retrieved(rows.whole())
    ranks = [value for name, value in retrieved.items() if name.endswith("/mrr")]
    merit = sum(ranks) / len(ranks) if ranks else -losses["val_loss"]
    return Validation(merit, {**losses, **retrieved}, signs)


def _retrieved(vectors: Mapping[str, tuple[Tensor, Tensor]]) -> dict[str, float]:
    """Return the scores of retrieval by name, of all pairs of modalities that some two windows have both of."""
    scores: dict[str, float] = {}
    for found in one_right_scores(vectors):
        pair = f"{found.query}-{found.key}"
        scores |= {
            f"{pair}/r10": found.r10,
            f"{pair}/r10_chance": found.chance["r10"],
            f"{pair}/mrr": found.mrr,
            f"{pair}/mrr_chance": found.chance["mrr"],
            f"{pair}/candidates": float(found.candidates),
        }
    return scores


@contextmanager
def _reading(objective: nn.Module, stream: TripletStream) -> Iterator[None]:
    """Let an objective that knows the takes of the examples of one split know those of another meanwhile."""
    known = getattr(objective, "take_of", None)
    if not isinstance(known, Tensor):
        yield
        return
    if stream not in _TAKES:
        _TAKES[stream] = take_numbers(stream)
    objective.take_of = _TAKES[stream].to(known.device)
    try:
        yield
    finally:
        objective.take_of = known


def plain(numbers: Mapping[str, float]) -> dict[str, float | None]:
    """Return numbers as JSON has them: None in the place of what is not finite."""
    return {name: value if math.isfinite(value) else None for name, value in numbers.items()}
