"""The ring of earlier examples' features among which nearest neighbours are looked for.

Axes: K places of the ring · B examples of a batch · D width of a feature.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from sensorloom.training.terms.contrast import unit

__all__ = ["QUEUE_LENGTH", "FeatureQueue"]

QUEUE_LENGTH = 8192
"""Examples that PRIMUS's queue holds [methods.md §1.4]."""
_NO_TAKE = -1


class FeatureQueue(nn.Module):
    """Hold the unit vectors of the last K examples in each of several spaces, and find the nearest in one of them.

    `widths` gives the spaces and the width D of each. All state is in persistent buffers, so it goes into a checkpoint:
    for each space rows [K, D], zeros at first, and which of them hold something bool[K]; the takes int64[K] of
    the examples; the next place. On several ranks, feed it the gathered batch: then every rank holds the same, in the
    order that one rank alone would have.
    """

    take_K: Tensor
    next_place: Tensor

    def __init__(self, widths: Mapping[str, int], length: int = QUEUE_LENGTH) -> None:
        super().__init__()
        if length < 1:
            raise ValueError(f"a queue holds at least 1 example, got {length}")
        self.spaces, self.length = tuple(widths), length
        for space, width in widths.items():
            self.register_buffer(f"{space}_KD", torch.zeros(length, width))
            self.register_buffer(f"{space}_held_K", torch.zeros(length, dtype=torch.bool))
        self.register_buffer("take_K", torch.full((length,), _NO_TAKE))
        self.register_buffer("next_place", torch.zeros((), dtype=torch.int64))

    def filled(self) -> Tensor:
        """Return how many places hold something in any space, int64 scalar."""
        held_K = torch.stack([self.held(space) for space in self.spaces]).any(dim=0)
        return held_K.sum()

    def held(self, space: str) -> Tensor:
        """Return which places hold a vector in `space`, bool[K]."""
        return self.get_buffer(f"{space}_held_K")

    def vectors(self, space: str, place_B: Tensor) -> Tensor:
        """Return the unit vectors at places int64[B], zeros at places that hold none; a copy [B, D]."""
        return self.get_buffer(f"{space}_KD")[place_B]

    @torch.no_grad()
    def nearest(
        self, space: str, query_BD: Tensor, *, take_B: Tensor | None = None, with_empty: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Return the place int64[B] of the largest cosine to each query in `space`, and bool[B] where there is one.

        Candidates are the places that hold a vector, less those of the query's own take where `take_B` int64 is
        given (a negative take is nobody's). `with_empty` makes every place a candidate, those that hold nothing with
        cosine 0, as in the published code [methods.md §1.4]. Of equal cosines the first place wins.
        """
        rows_KD = self.get_buffer(f"{space}_KD")
        with torch.autocast(rows_KD.device.type, enabled=False):
            cosine_BK = unit(query_BD).to(rows_KD.dtype) @ rows_KD.T
        candidate_BK = self.held(space)[None, :].expand_as(cosine_BK)
        if with_empty:
            candidate_BK = torch.ones_like(candidate_BK)
        if take_B is not None:
            same_BK = (take_B[:, None] == self.take_K[None, :]) & (take_B >= 0)[:, None]
            candidate_BK = candidate_BK & ~same_BK
        place_B = cosine_BK.masked_fill(~candidate_BK, -torch.inf).argmax(dim=1)
        return place_B, candidate_BK.any(dim=1)

    @torch.no_grad()
    def enqueue(self, features: Mapping[str, tuple[Tensor, Tensor]], take_B: Tensor | None = None) -> None:
        """Put examples in place of the oldest, in their order; of more than K only the last K stay.

        `features` gives for each space the vectors [B, D], of any length, and whether they are there bool[B].
        Raises ValueError unless they are given for exactly the spaces of the queue.
        """
        if set(features) != set(self.spaces):
            raise ValueError(
                f"a queue of {', '.join(self.spaces)} takes features of each, got {', '.join(features)}"
            )
        count = len(next(iter(features.values()))[1])
        kept = min(count, self.length)
        step_B = torch.arange(count - kept, count, device=self.next_place.device)
        place_B = (self.next_place + step_B) % self.length
        for space, (rows_BD, held_B) in features.items():
            buffer_KD = self.get_buffer(f"{space}_KD")
            stored_BD = unit(rows_BD.masked_fill(~held_B[:, None], 0.0))[count - kept :]
            buffer_KD.index_copy_(0, place_B, stored_BD.to(buffer_KD.dtype))
            self.held(space).index_copy_(0, place_B, held_B[count - kept :])
        takes_B = torch.full_like(place_B, _NO_TAKE) if take_B is None else take_B[count - kept :]
        self.take_K.index_copy_(0, place_B, takes_B)
        self.next_place.copy_((self.next_place + count) % self.length)
