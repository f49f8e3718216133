"""A walk over epochs of batches that can be left and taken up again anywhere: position, state, threads, workers.

What the batches are is said by the class that walks: how many an epoch has, which example stands where, how a batch
is made. The position counts global batches, so it means the same on any number of ranks, threads and workers.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import AbstractContextManager, closing
from typing import Any

import torch
from torch.utils.data import IterableDataset, get_worker_info

from sensorloom.embed.cores import own_cores
from sensorloom.training.batch import Batch
from sensorloom.training.difference import first_difference
from sensorloom.training.errors import OrderError, StateError, StreamError
from sensorloom.training.streaming.order import BatchPlan
from sensorloom.training.streaming.prefetch import prefetched

__all__ = ["BatchWalk"]

_STATE_VERSION = 2


class BatchWalk(IterableDataset[Batch]):
    """Iterate over batches from the current position on, and move it.

    After the last batch of an epoch the position is the first of the next, so iterating twice is two epochs. One
    iterator at a time: a newer one, or a move, ends the older with an error. `threads` threads make batches ahead and
    end with the iterator. Where they are as many as the process has cores, the consumer's thread is one of them: it
    makes a batch where it would wait.

    In worker w of W of a `DataLoader(walk, batch_size=None, num_workers=W)` come the batches w, w + W, …, so the loader
    hands on the same sequence. Its workers work on copies: the walk in the loader's own process does not move, so count
    the batches that came to know the position. Say before each epoch which it is (`set_epoch`), as to a
    DistributedSampler; persistent workers cannot be told, and begin the next epoch with each new pass.
    """

    threads: int
    _plan: BatchPlan

    def __init__(self) -> None:
        super().__init__()
        self._epoch, self._next_batch, self._iteration = 0, 0, 0
        self._first_pass: tuple[int, int] | None = None

    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """Return what the sequence of batches depends on, as plain JSON values by name."""

    @abstractmethod
    def _making(
        self, epoch: int, batches: range
    ) -> AbstractContextManager[tuple[Callable[[int], Any], Callable[[Any], Batch]]]:
        """Give, while the `batches` of `epoch` are walked in this order, two functions.

        The first tells, in the consumer's thread, what a batch consists of; the second makes it of that, in any.
        """

    def __len__(self) -> int:
        """Global batches of one epoch."""
        return self._plan.num_batches

    @property
    def epoch(self) -> int:
        """The epoch that the next batch belongs to, from 0."""
        return self._epoch

    def set_epoch(self, epoch: int) -> None:
        """Move to the first batch of `epoch`; an iterator that is under way ends with an error."""
        if type(epoch) is not int or not 0 <= epoch < 2**64:
            raise OrderError(f"epoch must lie in [0, 2**64), got {epoch!r}")
        self._move(epoch, 0)

    def state_dict(self) -> dict[str, Any]:
        """Return the position, after the last batch handed out, and what it belongs to; plain JSON values."""
        position = {"epoch": self._epoch, "batch": self._next_batch}
        return {"version": _STATE_VERSION, **self.identity(), **position}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue at a saved position, on any number of ranks.

        Raises StateError if the state was saved by a stream of other examples or in another order, naming what
        differs with both values.
        """
        mine = self.state_dict()
        for name in (name for name in ("version", "kind", *mine) if name not in ("epoch", "batch")):
            if name in state and state[name] != mine.get(name):
                what, there, here = first_difference(name, state[name], mine.get(name))
                how = f"with snapshot={there!r}" if what == "snapshot" else "as it was when it was saved"
                raise StateError(
                    f"the saved position belongs to another stream: {what} is {there!r} there and {here!r} here; "
                    f"open the stream {how}"
                )
        if set(state) != set(mine):
            lacks, besides = sorted(set(mine) - set(state)), sorted(set(state) - set(mine))
            raise StateError(
                f"the saved position is not one of this stream: it lacks {', '.join(lacks) or 'nothing'} and has "
                f"{', '.join(besides) or 'nothing'} besides; hand in what its state_dict() returned"
            )
        epoch, batch = state["epoch"], state["batch"]
        if type(epoch) is not int or type(batch) is not int or epoch < 0 or not 0 <= batch < len(self):
            raise StateError(f"epoch {epoch!r}, batch {batch!r} lies outside epochs of {len(self)} batches")
        self._move(epoch, batch)

    def __iter__(self) -> Generator[Batch]:
        self._iteration += 1
        if get_worker_info() is not None:
            self._begin_pass()
        return self._batches(self._iteration)

    def _begin_pass(self) -> None:
        """In a loader's worker: begin where the loader stood, and each later pass with the next epoch.

        How far a worker came does not tell how far the loader did, which may have left it in the middle of an epoch.
        """
        if self._first_pass is None:
            self._first_pass = self._epoch, 0
        else:
            epoch, passes = self._first_pass
            self._first_pass = epoch, passes + 1
            self._epoch, self._next_batch = epoch + passes + 1, 0

    def _move(self, epoch: int, batch: int) -> None:
        self._epoch, self._next_batch = epoch, batch
        self._iteration += 1

    def _batches(self, iteration: int) -> Generator[Batch]:
        worker = get_worker_info()
        first, step = (worker.id, worker.num_workers) if worker else (0, 1)
        epoch, total = self._epoch, len(self)
        numbers = range(self._next_batch + first, total, step)
        with (
            self._making(epoch, numbers) as (tell, make),
            closing(self._ahead(make, map(tell, numbers))) as batches,
        ):
            for number in numbers:
                if iteration != self._iteration:
                    raise StreamError(
                        "the stream was moved or iterated anew; only its newest iterator can go on"
                    )
                batch = next(batches)
                self._epoch, self._next_batch = (epoch, number + 1) if number + 1 < total else (epoch + 1, 0)
                yield batch
                del batch  # its memory is wanted for the next

    def _ahead(self, make: Callable[[Any], Batch], keys: Iterable[Any]) -> Generator[Batch]:
        helping = 1 < self.threads >= own_cores()
        if not helping:
            return prefetched(make, keys, threads=self.threads)

        def make_as_a_thread(key: Any) -> Batch:
            # The mode of inference is the consumer's alone: threads make tensors that can be trained on.
            with torch.inference_mode(False):
                return make(key)

        return prefetched(make_as_a_thread, keys, threads=self.threads - 1, helping=True)
