"""What a run is worth on its validation split: a classifier by its labels, any other by its loss and by retrieval.

Axes: B examples · N windows of the split that have both modalities · D embedding.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import permutations

import torch
from torch import Tensor, nn

from sensorloom.training.chance import retrieval_chance
from sensorloom.training.evaluate import score
from sensorloom.training.facts import take_numbers
from sensorloom.training.metrics import accuracy, macro_f1
from sensorloom.training.objective import collapse_signs, embed
from sensorloom.training.objectives.supervised import Supervised
from sensorloom.training.stream import TripletStream

__all__ = ["MIN_LOOK", "Validation", "plain", "validate"]

MIN_LOOK = 8
"""Windows that signs of collapse take at least: of fewer every batch looks collapsed."""
_ROWS = 1024
_NEAR = 10


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
    each a, with what guessing would score beside them ("…_chance") and "a-b/candidates". A candidate that is as near
    as the right one counts as half before it: so a collapsed encoder scores as guessing does. Raises RunError if
    labels are needed and there are none.
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
    rows: dict[str, list[tuple[Tensor, Tensor]]] = defaultdict(list)
    signs: Mapping[str, float] = {}
    for number, waiting in enumerate(stream):
        batch = waiting.to(device)
        for name, term in objective(batch).items():
            totals[f"val_{name}"] += term.item() * len(batch)
        for name, embedded in embed(objective, batch).items():
            rows[name].append(embedded)
        if number == 0 and len(batch) >= MIN_LOOK:
            signs = collapse_signs(objective, batch)
    losses = {name: total / stream.num_examples for name, total in totals.items()}
    whole = {
        name: (torch.cat([each for each, _ in parts]), torch.cat([there for _, there in parts]))
        for name, parts in rows.items()
    }
    retrieved = _all_pairs(whole)
    ranks = [value for name, value in retrieved.items() if name.endswith("/mrr")]
    merit = sum(ranks) / len(ranks) if ranks else -losses["val_loss"]
    return Validation(merit, {**losses, **retrieved}, signs)


def _all_pairs(rows: Mapping[str, tuple[Tensor, Tensor]]) -> dict[str, float]:
    """Return the scores of retrieval of all pairs of modalities that some two windows have both of."""
    scores: dict[str, float] = {}
    for one, other in permutations(rows, 2):
        (query_ND, has_N), (key_ND, there_N) = rows[one], rows[other]
        both_N = has_N & there_N
        count = int(both_N.sum())
        if count < 2 or {one, other} <= {"text", "video"}:  # both frozen: nothing of ours to measure
            continue
        rank_N = _ranks(query_ND[both_N], key_ND[both_N])
        chance = retrieval_chance(count)
        pair = f"{one}-{other}"
        scores |= {
            f"{pair}/r10": (rank_N <= _NEAR).double().mean().item(),
            f"{pair}/r10_chance": chance["r10"],
            f"{pair}/mrr": rank_N.reciprocal().mean().item(),
            f"{pair}/mrr_chance": chance["mrr"],
            f"{pair}/candidates": float(count),
        }
    return scores


def _ranks(query_ND: Tensor, key_ND: Tensor) -> Tensor:
    """Return the rank of key i among all keys for query i, from 1, float64[N]; each tie counts one half."""
    found = []
    for first in range(0, len(query_ND), _ROWS):
        cosine = query_ND[first : first + _ROWS].float() @ key_ND.float().T
        own = cosine.diagonal(offset=first)[:, None]
        before = (cosine > own).sum(dim=1)
        ties = (cosine == own).sum(dim=1) - 1
        found.append(1 + before.double() + ties.double() / 2)
    return torch.cat(found)


@contextmanager
def _reading(objective: nn.Module, stream: TripletStream) -> Iterator[None]:
    """Let an objective that knows the takes of the examples of one split know those of another meanwhile."""
    known = getattr(objective, "take_of", None)
    if not isinstance(known, Tensor):
        yield
        return
    objective.take_of = take_numbers(stream).to(known.device)
    try:
        yield
    finally:
        objective.take_of = known


def plain(numbers: Mapping[str, float]) -> dict[str, float | None]:
    """Return numbers as JSON has them: None in the place of what is not finite."""
    return {name: value if math.isfinite(value) else None for name, value in numbers.items()}
