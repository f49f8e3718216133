"""What guessing scores, so that every number can be held against it: retrieval among candidates, and classes. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sensorloom.training.metrics import chance_levels

__all__ = ["RANKS", "SplitChance", "class_chance", "retrieval_chance", "split_chance"]

RANKS = (1, 10, 50)
"""R@k is told for these k [PRIMUS and AURA-MFM, table 2 of the latter]."""


@dataclass(frozen=True, slots=True)
class SplitChance:
    """Guessing on one split of a view: `retrieval` is for one right answer among `candidates`, one for each window.

    `retrieval` is empty where nothing is to be retrieved, `classes` where no window has a label.
    """

    split: str
    windows: int
    candidates: int
    retrieval: Mapping[str, float]
    classes: Mapping[str, float]


def retrieval_chance(candidates: int, positives: int = 1) -> Mapping[str, float]:
    """Return `r1`, `r10`, `r50` and `mrr` of a random order of n candidates of which `positives` are right.

    R@k is the chance that at least one of the right ones is among the first k, 1 - C(n-p, k) / C(n, k); the reciprocal
    rank is of the first that is right. For one right of n they are k / n and H(n) / n. Raises `ValueError` where there
    is no candidate, or not 1 … n right ones.
    """
    if not 1 <= positives <= candidates:
        raise ValueError(
            f"of {candidates} candidates 1 … {candidates} can be right, not {positives}; chance needs one at least"
        )
    # missed[r]: that none of the first r is right. The next of the n - r left is wrong but for p of them.
    places = np.arange(candidates - positives + 1)
    wrong = (candidates - positives - places) / (candidates - places)
    missed = np.concatenate(([1.0], np.cumprod(wrong)))
    reciprocal = float(((missed[:-1] - missed[1:]) / (places + 1)).sum())
    recalls = {f"r{rank}": 1.0 - float(missed[min(rank, len(missed) - 1)]) for rank in RANKS}
    return {**recalls, "mrr": reciprocal}


def class_chance(counts: Sequence[int]) -> Mapping[str, float]:
    """Return what two guesses score on windows of which `counts[c]` are of class c.

    `uniform` and `macro_f1_uniform`: each class equally often, F1 of the expected confusion; `majority` and
    `macro_f1_majority`: always the class that is most frequent in the very split. F1 is over the classes that occur,
    and for the uniform guess over all, since it names them all. Raises `ValueError` where no window is counted.
    """
    if not sum(counts) or min(counts) < 0:
        raise ValueError(f"counts of classes must be 0 or more, and one above 0, got {list(counts)}")
    found = chance_levels(np.diag(np.asarray(counts, np.int64)))
    return {
        "uniform": found.uniform_accuracy,
        "majority": found.majority_accuracy,
        "macro_f1_majority": found.majority_macro_f1,
        "macro_f1_uniform": found.uniform_macro_f1,
    }


def split_chance(
    rows: Iterable[Mapping[str, Any]], *, num_classes: int, retrieves: bool
) -> tuple[SplitChance, ...]:
    """Return the chance levels of each split of a view, in order of names; `rows` are those of its window table.

    Classes are counted by `label_index`, of `num_classes`, those that never occur too; `retrieves` says whether the
    windows have a counterpart, a video or text vector.
    """
    windows: dict[str, int] = defaultdict(int)
    classes: dict[str, list[int]] = defaultdict(lambda: [0] * num_classes)
    for row in rows:
        windows[row["split"]] += 1
        label = row["label_index"]
        if label is not None and 0 <= label < num_classes:
            classes[row["split"]][label] += 1
    return tuple(
        SplitChance(
            split,
            count,
            count if retrieves else 0,
            retrieval_chance(count) if retrieves else {},
            class_chance(classes[split]) if sum(classes[split]) else {},
        )
        for split, count in sorted(windows.items())
    )
