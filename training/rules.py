"""Rules of what shares a batch and what an example shows, beside the plain shuffle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from sensorloom.training.errors import StreamError
from sensorloom.training.order import LastBatch

__all__ = ["PLAIN", "BatchRules", "Shuffle", "TextChoice", "check_choices"]

Shuffle = Literal["global", "block", "none"]
TextChoice = Literal["first", "random", "mean", "all"]


@dataclass(frozen=True, slots=True)
class BatchRules:
    """Rules of a stream; each depends on the seed, the epoch and an example's position in it alone.

    `min_gap_s`: no two windows of one take in a batch start less than so many seconds apart, as far as the split
    allows [methods §6]; 0 for no such rule. `imu_only`: the share of windows that keep their sensors alone, the same
    in every epoch, those of a smaller share among those of a larger [methods §8.5]. `modality_dropout`: the probability
    that a latent of an example is dropped in `Batch.latent_kept_BM` [methods §3]. `curriculum_epochs`: over so many
    epochs the order goes from the windows with the most soundly measured samples first to a plain shuffle.
    `block_shards`: shards that are shuffled together where `shuffle` is `block`.

    Raises StreamError for a number outside its range.
    """

    min_gap_s: float = 0.0
    imu_only: float = 0.0
    modality_dropout: float = 0.0
    curriculum_epochs: int = 0
    block_shards: int = 8

    def __post_init__(self) -> None:
        for name, value, least, most in (
            ("min_gap_s", self.min_gap_s, 0, 1e6),
            ("imu_only", self.imu_only, 0, 1),
            ("modality_dropout", self.modality_dropout, 0, 1),
            ("curriculum_epochs", self.curriculum_epochs, 0, 1e6),
            ("block_shards", self.block_shards, 1, 1e9),
        ):
            if not least <= value <= most:
                raise StreamError(f"rule {name} must lie in {least:g} … {most:g}, got {value!r}")


PLAIN = BatchRules()
"""No rule beside the shuffle."""


def check_choices(shuffle: Shuffle, last: LastBatch, text: TextChoice, rules: BatchRules) -> None:
    """Raise StreamError for a choice that there is not, naming those that there are."""
    for name, chosen, known in (
        ("shuffle", shuffle, get_args(Shuffle)),
        ("last", last, get_args(LastBatch)),
        ("text", text, get_args(TextChoice)),
    ):
        if chosen not in known:
            raise StreamError(f"{name} must be one of {', '.join(known)}, got {chosen!r}")
    if rules.curriculum_epochs and shuffle != "global":
        raise StreamError(f"a curriculum needs shuffle='global', got {shuffle!r}")
