"""Global batches out of the shares of ranks, and what differs between two of them, to the bit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import torch
from torch import Tensor

from sensorloom.training.batch import Batch
from sensorloom.training.stream import TripletStream

__all__ = ["assert_same", "endless", "indices", "joined"]

Joined = Mapping[str, Tensor]


def joined(shares: Sequence[Batch]) -> dict[str, Tensor]:
    """Return the tensors of one global batch, those of all ranks behind each other."""
    names = {tuple(share.tensors()) for share in shares}
    assert len(names) == 1, f"ranks have different columns: {names}"
    tensors = {name: torch.cat([share.tensors()[name] for share in shares]) for name in names.pop()}
    if "text_row_N" in tensors:
        before = 0
        rows = []
        for share in shares:
            rows.append(share.tensors()["text_row_N"] + before)
            before += len(share)
        tensors["text_row_N"] = torch.cat(rows)
    return tensors


def assert_same(left: Sequence[Joined], right: Sequence[Joined]) -> None:
    """Compare batch by batch and bit by bit; says which batch and column differ first."""
    assert len(left) == len(right), f"{len(left)} batches against {len(right)}"
    for number, (a, b) in enumerate(zip(left, right, strict=True)):
        assert a.keys() == b.keys(), f"batch {number}: columns {sorted(a)} against {sorted(b)}"
        for name in a:
            assert a[name].dtype == b[name].dtype, f"batch {number}: types of {name}"
            assert torch.equal(a[name], b[name]), f"batch {number}: {name} differs"


def indices(batches: Iterable[Joined]) -> list[int]:
    return [index for batch in batches for index in batch["index_B"].tolist()]


def endless(stream: TripletStream) -> Iterator[Batch]:
    while True:
        yield from stream
