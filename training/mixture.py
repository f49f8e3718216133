"""A mixture of streams: batches of examples of several sources, by exact weights.

Axes as in `batch.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from fractions import Fraction
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from sensorloom.ingest.take import counted
from sensorloom.training.batch import Batch
from sensorloom.training.errors import StreamError
from sensorloom.training.stream import TripletStream
from sensorloom.training.streaming.apportion import SourceSchedule, exact_weights
from sensorloom.training.streaming.batch_shape import BatchShape, unite
from sensorloom.training.streaming.interleave import Interleave, Piece
from sensorloom.training.streaming.merge import Merger, Part
from sensorloom.training.streaming.order import BatchPlan, LastBatch
from sensorloom.training.streaming.ranks import agree, find_ranks
from sensorloom.training.streaming.sources import (
    check_sources,
    check_whole_numbers,
    shape_of,
    weights_in_order,
)
from sensorloom.training.streaming.walk import BatchWalk

__all__ = ["MixtureStream"]

# What of a source's identity matters to batches of its own alone.
_OF_OWN_BATCHES = {"batch_size", "last"}
# What a rank's share of a batch is made of, and bool[B], False for padding.
_Share = tuple[list[Piece], NDArray[np.bool_]]


class MixtureStream(BatchWalk):
    """Iterate over examples of several streams, mixed by exact weights, one epoch of `epoch_length` at a time.

    `sources` are open streams, by name or in order. Each has the columns it was opened with, its own snapshot, seed,
    order and rules; its batch size, rank and threads count for nothing here. A batch has every column and slot of one
    of them: slots go by name (`slots`, `video_slots`, `text_sources`, `latents`), what a source lacks is masked.
    `columns` are those that a batch must have. Labels are class indices of their own source (`classes`).

    `weights` are numbers by name or in the order of the sources, or "examples": the sizes of their splits, flattened
    by a temperature τ to sizes ** (1 / τ). Of the first so many examples of the mixture each source has given its
    weight times their number, within one. It goes through its own epochs one after the other, each whole and in an
    order of its own, whatever the epochs of the mixture: those have `epoch_length` examples, the sum of the sizes by
    default, and what `last="drop"` leaves out of one begins the next. Sources of one seed and one size have one order:
    give others to those that show the same moments.

    Batches, ranks, positions, threads and workers are as those of `TripletStream`. Raises StreamError, naming the
    sources, for what cannot share a batch and for a column that none has, and (as OrderError) for weights, batch sizes
    and ranks that no mixture has.
    """

    def __init__(
        self,
        sources: Mapping[str, TripletStream] | Sequence[TripletStream],
        *,
        batch_size: int,
        weights: Mapping[str, float] | Sequence[float] | Literal["examples"] = "examples",
        temperature: float = 1.0,
        epoch_length: int | None = None,
        last: LastBatch = "drop",
        columns: Sequence[str] = (),
        pin_memory: bool = False,
        rank: int | None = None,
        num_ranks: int | None = None,
        threads: int = 2,
    ) -> None:
        super().__init__()
        if not isinstance(sources, Mapping):
            sources = {str(number): source for number, source in enumerate(sources)}
        self.sources: dict[str, TripletStream] = dict(sources)
        self.batch_size, self.last, self.pin_memory, self.threads = batch_size, last, pin_memory, threads
        try:
            check_sources(self.sources, columns)
            self._mix(weights_in_order(weights, [*self.sources]), temperature)
            self._plan_epochs(epoch_length, rank, num_ranks)
        except Exception as error:
            if rank is None or num_ranks is None:
                agree(None, error)  # the other ranks need not wait for this one
            raise
        if rank is None or num_ranks is None:
            agree(self.identity())

    def _mix(self, weights: Sequence[float] | str, temperature: float) -> None:
        sizes = [source.num_examples for source in self.sources.values()]
        self._schedule = SourceSchedule(exact_weights(weights, sizes, temperature))
        self._interleave = Interleave(self._schedule, sizes, [each.order for each in self.sources.values()])
        united = self._merger.united
        self.slots, self.video_slots = united.slots, united.video_slots
        self.text_sources, self.latents = united.text_sources, united.latents
        self.classes = tuple(source.classes for source in self.sources.values())

    def _plan_epochs(self, epoch_length: int | None, rank: int | None, num_ranks: int | None) -> None:
        if epoch_length is None:
            epoch_length = sum(source.num_examples for source in self.sources.values())
        check_whole_numbers(batch_size=self.batch_size, epoch_length=epoch_length, threads=self.threads)
        self.num_examples = epoch_length
        self.rank, self.num_ranks = find_ranks(rank, num_ranks)
        self._plan = BatchPlan(epoch_length, self.batch_size, self.num_ranks, self.last)
        if not self._plan.num_batches:
            raise StreamError(
                f"an epoch of {counted(epoch_length, 'example')} is less than one batch of {self.batch_size}; make the "
                "epoch longer (epoch_length) or keep the last, partial batch (last='keep')"
            )
        self._plan.share(0, self.rank)

    @property
    def weights(self) -> tuple[Fraction, ...]:
        """The share of each source in the mixture, exactly; their sum is 1."""
        total = sum(self._schedule.weights)
        return tuple(Fraction(weight, total) for weight in self._schedule.weights)

    @property
    def window_shape(self) -> tuple[int, int, int]:
        """(S, C, T) of `imu`; raises StreamError if no source has the column."""
        imu = self._merger.united.empty.imu_BSCT
        if imu is None:
            raise StreamError(f"no source of the mixture has the column 'imu': {', '.join(self.sources)}")
        slots, channels, samples = imu.shape[1:]
        return slots, channels, samples

    def counts(self, epoch: int) -> dict[str, int]:
        """Return how many examples of each source the batches of `epoch` have, but for padding."""
        before, after = (self._schedule.counts(at * self._num_used) for at in (epoch, epoch + 1))
        return dict(zip(self.sources, (after - before).tolist(), strict=True))

    def window_ids(self, batch: Batch) -> list[tuple[str, str]]:
        """Return where each example of a batch of this mixture comes from: the source's name and the window's id."""
        if batch.source_B is None:
            raise StreamError("the batch does not come from a mixture: it has no source_B")
        found: dict[int, tuple[str, str]] = {}
        source_B, index_B = batch.source_B.cpu(), batch.index_B.cpu()
        for number, (name, source) in enumerate(self.sources.items()):
            rows = (source_B == number).nonzero()[:, 0]
            ids = source.window_ids(index_B[rows])
            found |= {row: (name, window_id) for row, window_id in zip(rows.tolist(), ids, strict=True)}
        return [found[row] for row in range(len(batch))]

    @property
    def _num_used(self) -> int:
        """Examples of an epoch that come into its batches; the next epoch goes on after them."""
        return min(self.num_examples, self._plan.num_batches * self.batch_size)

    def identity(self) -> dict[str, Any]:
        """Return what the sequence of batches depends on, as plain JSON values by name."""
        of_sources = {
            f"sources.{name}.{key}": value
            for name, source in self.sources.items()
            for key, value in source.identity().items()
            if key not in _OF_OWN_BATCHES
        }
        return {
            "kind": "mixture",
            "sources": list(self.sources),
            **of_sources,
            "weights": list(self._schedule.weights),
            "epoch_length": self.num_examples,
            "batch_size": self.batch_size,
            "last": self.last,
        }

    def __getstate__(self) -> dict[str, Any]:
        # Memory and devices are each process's own: there batches are laid out anew.
        return {name: value for name, value in self.__dict__.items() if name not in ("_shapes", "_merger")}

    @cached_property
    def _shapes(self) -> list[BatchShape]:
        return [shape_of(name, source) for name, source in self.sources.items()]

    @cached_property
    def _merger(self) -> Merger:
        return Merger(unite(self._shapes))

    @contextmanager
    def _making(
        self, epoch: int, batches: range
    ) -> Generator[tuple[Callable[[int], tuple[int, _Share]], Callable[[tuple[int, _Share]], Batch]]]:
        with ExitStack() as stack:
            walks = [
                stack.enter_context(source.reaching(self._indices_of(number, epoch, batches)))
                for number, source in enumerate(self.sources.values())
            ]

            def tell(number: int) -> tuple[int, _Share]:
                for reach, _ in walks:
                    reach(batches.index(number))
                return number, self._share(epoch, number)

            def make(told: tuple[int, _Share]) -> Batch:
                number, share = told
                try:
                    return self._make(share)
                finally:
                    for _, finish in walks:
                        finish(batches.index(number))

            yield tell, make

    def _indices_of(self, source: int, epoch: int, batches: range) -> Iterator[NDArray[np.int64]]:
        """Yield the examples of a source in this rank's share of each batch."""
        for batch in batches:
            pieces, _ = self._share(epoch, batch)
            index = [piece.index for piece in pieces if piece.source == source]
            yield np.concatenate([np.empty(0, np.int64), *index])

    def _share(self, epoch: int, batch: int) -> _Share:
        share = self._plan.share(batch, self.rank)
        place = np.arange(share.start, share.stop)
        at = epoch * self._num_used + place % self._num_used
        return self._interleave.pieces(at), place < self._num_used

    def _make(self, share: _Share) -> Batch:
        (pieces, real), sources, parts = share, list(self.sources.values()), []
        for piece in pieces:
            batch = sources[piece.source].collate(piece.index, piece.epoch, piece.position)
            parts.append(Part(piece.source, self._shapes[piece.source], piece.rows, batch))
        batch = self._merger(parts, len(real))
        if self.last == "pad":
            batch = replace(batch, real_B=torch.from_numpy(real).to(batch.index_B.device))
        return batch.pin() if self.pin_memory else batch
