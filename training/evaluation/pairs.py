"""Which pairs of modalities of a split one can be found by the other in, and why the others are not."""

from __future__ import annotations

from itertools import combinations

from sensorloom.training.errors import RunError
from sensorloom.training.evaluation.embeddings import EmbeddedSplit
from sensorloom.training.terms.modalities import FROZEN

__all__ = ["check_pairs", "lonely_pairs"]


def check_pairs(split: EmbeddedSplit) -> None:
    """Raise RunError unless two windows have both modalities of some pair."""
    if len(split.vectors) < 2:
        raise RunError("the run embeds sensors alone, so there is nothing to find by them")
    lonely = lonely_pairs(split)
    if len(lonely) == len(_pairs(split)):
        told = "; ".join(f"{pair}: {why}" for pair, why in lonely.items())
        raise RunError(
            f"split {split.split!r} of view {split.view!r} has no two windows to tell apart: {told}"
        )


def lonely_pairs(split: EmbeddedSplit) -> dict[str, str]:
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
