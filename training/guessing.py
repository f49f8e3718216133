"""Whether scores are told from guessing: a plain sentence of verdict. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt

from sensorloom.ingest.take import counted

__all__ = ["class_verdict", "pair_verdicts"]

_ERRORS = 2.0
"""Standard errors above chance from which on a score counts as told from guessing."""
_TOO_EASY = 0.5
"""Where guessing has an R@10 of this or more, the mean reciprocal rank is held against chance instead."""


def pair_verdicts(scores: Mapping[str, float | None]) -> tuple[str, ...]:
    """Return a sentence for each pair of modalities whose retrieval is not above guessing, by `Validation.scores`.

    Held against chance is R@10, or the mean reciprocal rank where guessing has an R@10 of 0.5 or more; the standard
    error of a guess is that of the binomial, for a reciprocal rank that of the mean of 1 / r, r uniform in 1 … n.
    """
    pairs = [name.removesuffix("/mrr") for name in scores if name.endswith("/mrr")]
    return tuple(said for pair in pairs if (said := _pair_verdict(pair, scores)))


def class_verdict(accuracy: float, majority: float, windows: int, on: str) -> str:
    """Say that `accuracy` on split `on` is not above that of naming the most frequent class, nothing if it is."""
    if accuracy > majority + _ERRORS * sqrt(majority * (1 - majority) / max(windows, 1)):
        return ""
    return (
        f"The classifier is not told from naming the most frequent class on split {on!r} (accuracy {accuracy:.3f}, "
        f"the most frequent class {majority:.3f}, {counted(windows, 'window')})"
    )


def _pair_verdict(pair: str, scores: Mapping[str, float | None]) -> str:
    candidates = int(scores.get(f"{pair}/candidates") or 0)
    recall_chance = scores.get(f"{pair}/r10_chance")
    is_easy = recall_chance is None or recall_chance >= _TOO_EASY
    key, name = ("mrr", "MRR") if is_easy else ("r10", "R@10")
    found, chance = scores.get(f"{pair}/{key}"), scores.get(f"{pair}/{key}_chance")
    if found is None or chance is None or not candidates:
        return ""
    if found > chance + _ERRORS * sqrt(_guess_variance(key, chance, candidates) / candidates):
        return ""
    numbers = f"{name} {found:.3f}, chance {chance:.3f}, {candidates} candidates"
    return f"{_words(pair)} is not told from guessing ({numbers})"


def _guess_variance(key: str, chance: float, candidates: int) -> float:
    square = chance if key == "r10" else sum(place**-2 for place in range(1, candidates + 1)) / candidates
    return max(square - chance**2, 0.0)


def _words(pair: str) -> str:
    query, _, found = pair.partition("-")
    return " → ".join(name.replace("imu", "IMU") for name in (query, found))
