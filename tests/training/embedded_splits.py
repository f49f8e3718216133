"""Generated splits of windows with their embeddings: several takes, windows that overlap, texts said more than once."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from sensorloom.training.evaluation.embeddings import EmbeddedSplit

__all__ = ["SECOND_NS", "make_split", "unit_rows"]

SECOND_NS = 1_000_000_000


def unit_rows(count: int, seed: int, width: int = 8) -> Tensor:
    """Random unit vectors float32[count, width]."""
    return normalize(torch.randn(count, width, generator=torch.Generator().manual_seed(seed)), dim=1)


def make_split(
    count: int = 40, *, seed: int = 0, takes: int = 4, texts: int = 12, share: float = 0.8
) -> EmbeddedSplit:
    """Windows of 5 s that begin every 3 s, of so many takes in turn and so many texts; some lack a modality."""
    rng = torch.Generator().manual_seed(seed)
    names = ("imu", "text", "video", "mocap")
    there = {name: torch.rand(count, generator=rng) < share for name in names}
    text_N = torch.randint(0, texts, (count,), generator=rng)
    vectors = {name: (unit_rows(count, seed + 10 + place), there[name]) for place, name in enumerate(names)}
    vectors["text"] = (unit_rows(texts, seed + 50)[text_N], there["text"])
    take_N = torch.arange(count) % takes
    start_ns_N = torch.arange(count) // takes * 3 * SECOND_NS
    return EmbeddedSplit(
        split="test",
        view="generated",
        window_ids=tuple(
            f"generated/{take}@{start}+{5 * SECOND_NS}"
            for take, start in zip(take_N, start_ns_N, strict=True)
        ),
        take_N=take_N,
        start_ns_N=start_ns_N,
        label_N=text_N % 3,
        classes=("a", "b", "c"),
        text_id_N=torch.where(there["text"], text_N + 100, 0),
        vectors=vectors,
        length_ns=5 * SECOND_NS,
    )
