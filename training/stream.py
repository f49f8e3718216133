"""The stream of batches: a split of a view, shuffled globally, at memory speed, resumable to the batch.

Axes as in `batch.py`: B examples · S slots · C channels · K sensors · T samples.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sensorloom.store.manifest import Shard
from sensorloom.store.repository import Repository
from sensorloom.training.batch import Batch
from sensorloom.training.errors import StateError, StreamError
from sensorloom.training.gather import Column
from sensorloom.training.order import BatchPlan, epoch_order
from sensorloom.training.prefetch import prefetched
from sensorloom.training.rows import select_split

__all__ = ["COLUMNS", "TripletStream"]

# What can be asked for → the arrays of a tensor shard, by the field of `Batch` that takes them.
COLUMNS: Mapping[str, Mapping[str, str]] = {
    "imu": {"imu": "imu_BSCT", "imu_present": "imu_present_BSK"},
    "imu_valid": {"imu_valid": "imu_valid_BSKT"},
}
_STATE_VERSION = 1
_IDENTITY = ("snapshot", "view", "split", "batch_size", "seed", "shuffle", "drop_last")


@dataclass(eq=False)
class TripletStream:
    """Iterate over the windows of `split` of `view`, one epoch at a time, as `Batch`es.

    `store` is a URL or an open repository, `snapshot` a ref or an id. `batch_size` is global: each of
    `num_ranks` ranks yields its share, and which examples make up global batch b of epoch e depends on (seed,
    e, b) alone. `shuffle` permutes the whole split; without it windows come in storage order. `drop_last`
    leaves out the partial batch at the end of an epoch (keep it to evaluate). Labels always come along where
    the view has them.

    Iterating goes on from the current position and moves it; after the last batch it stands at the start of
    the next epoch, so `for batch in stream` twice is two epochs. One iterator at a time. Two threads gather
    ahead and end with the iterator. Raises StreamError for a view, split or column that is not there, for
    tensors that do not match their windows, for a split smaller than one batch that `drop_last` would leave
    without any, and (as OrderError) for a batch size, rank, seed or epoch that no order has.
    """

    store: str | Repository
    _: KW_ONLY
    view: str
    split: str
    batch_size: int
    snapshot: str = "main"
    seed: int = 0
    columns: tuple[str, ...] = ("imu",)
    shuffle: bool = True
    drop_last: bool = True
    rank: int = 0
    num_ranks: int = 1

    def __post_init__(self) -> None:
        opened = _OpenView(self.store, self.snapshot, self.view)
        self.snapshot_id: str = opened.snapshot_id
        self.classes: tuple[str, ...] = opened.classes()
        self._rows = select_split(opened.tables, self.split, self.view)
        self._columns = opened.columns(self.columns, np.unique(self._rows.shard))
        self._resident = {
            field: torch.from_numpy(column.gather(self._rows.shard, self._rows.row))
            for field, column in self._columns.items()
            if column.is_small
        }
        self._plan = BatchPlan(
            len(self._rows), self.batch_size, self.num_ranks, "drop" if self.drop_last else "keep"
        )
        if not self._plan.num_batches:
            raise StreamError(
                f"split {self.split!r} of view {self.view!r} has {len(self._rows)} windows, less than "
                f"one batch of {self.batch_size}; lower the batch size or keep the last, partial batch "
                "(drop_last=False)"
            )
        self._plan.share(0, self.rank)
        self._epoch, self._next_batch, self._iteration = 0, 0, 0

    def __len__(self) -> int:
        """Global batches of one epoch."""
        return self._plan.num_batches

    @property
    def num_examples(self) -> int:
        """Windows of the split."""
        return len(self._rows)

    @property
    def epoch(self) -> int:
        """The epoch that the next batch belongs to, from 0."""
        return self._epoch

    @property
    def labels(self) -> NDArray[np.int64] | None:
        """Class indices int64[n] by `Batch.index_B`, -1 for none; None if no window has one."""
        return self._rows.label

    @property
    def window_shape(self) -> tuple[int, int, int]:
        """(S, C, T) of `imu`; raises StreamError if the column was not asked for."""
        if "imu_BSCT" not in self._columns:
            raise StreamError(f"the column 'imu' was not asked for, only {list(self.columns)}")
        slots, channels, samples = self._columns["imu_BSCT"].row_shape
        return slots, channels, samples

    def window_ids(self, index_B: Tensor) -> list[str]:
        """Return the window ids of the examples with these `Batch.index_B`."""
        picked: list[str] = self._rows.window_id.take(index_B.cpu().numpy()).to_pylist()
        return picked

    def set_epoch(self, epoch: int) -> None:
        """Move to the first batch of `epoch`; an iterator that is under way ends with an error."""
        self._move(epoch, 0)

    def state_dict(self) -> dict[str, Any]:
        """Return the position, after the last batch handed out, and what it belongs to; plain JSON values."""
        identity = {name: getattr(self, name) for name in _IDENTITY if name != "snapshot"}
        position = {"epoch": self._epoch, "batch": self._next_batch}
        return {"version": _STATE_VERSION, "snapshot": self.snapshot_id, **identity, **position}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue at a saved position, on any number of ranks.

        Raises StateError if the state was saved by a stream of another snapshot, view, split, batch size,
        seed or order.
        """
        mine = self.state_dict()
        if set(state) != set(mine):
            raise StateError(f"a stream state has the keys {sorted(mine)}, got {sorted(state)}")
        for name in ("version", *_IDENTITY):
            if state[name] != mine[name]:
                raise StateError(
                    f"the saved position belongs to another stream: {name} is {state[name]!r} there and "
                    f"{mine[name]!r} here; open the stream as it was when it was saved"
                )
        epoch, batch = state["epoch"], state["batch"]
        if type(epoch) is not int or type(batch) is not int or epoch < 0 or not 0 <= batch < len(self):
            raise StateError(f"epoch {epoch!r}, batch {batch!r} lies outside epochs of {len(self)} batches")
        self._move(epoch, batch)

    def __iter__(self) -> Generator[Batch]:
        self._iteration += 1
        return self._batches(self._iteration)

    def _move(self, epoch: int, batch: int) -> None:
        self._epoch, self._next_batch = epoch, batch
        self._iteration += 1

    def _batches(self, iteration: int) -> Generator[Batch]:
        epoch, first, total = self._epoch, self._next_batch, len(self)
        order = epoch_order(len(self._rows), self.seed, epoch) if self.shuffle else np.arange(len(self._rows))
        shares = (order[self._plan.share(number, self.rank)] for number in range(first, total))
        with closing(prefetched(self._collate, shares)) as batches:
            for done, batch in enumerate(batches, start=first + 1):
                if iteration != self._iteration:
                    raise StreamError(
                        "the stream was moved or iterated anew; only its newest iterator can go on"
                    )
                self._epoch, self._next_batch = (epoch, done) if done < total else (epoch + 1, 0)
                yield batch

    def _collate(self, index: NDArray[np.int64]) -> Batch:
        index_B = torch.from_numpy(index)
        label_B = None if self._rows.label is None else torch.from_numpy(self._rows.label[index])
        shard, row = self._rows.shard[index], self._rows.row[index]
        tensors = {
            field: self._resident[field][index_B]
            if field in self._resident
            else torch.from_numpy(column.gather(shard, row))
            for field, column in self._columns.items()
        }
        return Batch(index_B=index_B, label_B=label_B, **tensors)


class _OpenView:
    """A view of one snapshot, its window tables read and its tensor shards matched to them."""

    def __init__(self, store: str | Repository, ref: str, view: str) -> None:
        self._repo = Repository.open(store) if isinstance(store, str) else store
        self._view = view
        snapshot = self._repo.resolve(ref)
        self.snapshot_id = snapshot.id
        if f"windows:{view}" not in snapshot.tables:
            views = sorted(
                name.removeprefix("windows:") for name in snapshot.tables if name.startswith("windows:")
            )
            raise StreamError(
                f"snapshot {snapshot.id[:12]} has no view {view!r}; it has {', '.join(views) or 'none'}. "
                f"`sensorloom build {view}` makes one"
            )
        windows = self._repo.manifest(snapshot, f"windows:{view}").shards
        manifest = self._repo.manifest(snapshot, f"tensors:{view}")
        self._tensors: list[Shard] = []
        for shard in windows:
            tensors = manifest.get(shard.key)
            if tensors is None or tensors.rows != shard.rows:
                found = "none" if tensors is None else f"{tensors.rows} rows"
                raise StreamError(
                    f"view {view!r}, shard {shard.key}: {shard.rows} windows but tensors of {found}; "
                    f"`sensorloom build {view}` writes both"
                )
            self._tensors.append(tensors)
        self.tables = [self._repo.read_table(shard) for shard in windows]

    def columns(self, names: tuple[str, ...], touched: NDArray[np.int64]) -> dict[str, Column]:
        """Map the arrays behind `names` for the shards that the split touches, by field of `Batch`."""
        unknown = sorted(set(names) - set(COLUMNS))
        if unknown or not names:
            raise StreamError(f"unknown columns {unknown}; a stream has {', '.join(COLUMNS)}")
        wanted = {array: field for name in names for array, field in COLUMNS[name].items()}
        parts: dict[str, list[NDArray[Any] | None]] = {array: [None] * len(self._tensors) for array in wanted}
        for at in touched.tolist():
            shard = self._repo.open_arrays(self._tensors[at])
            for array in wanted:
                if array not in shard:
                    raise StreamError(
                        f"view {self._view!r}, shard {self._tensors[at].key} lacks the array {array!r}; "
                        f"it has {', '.join(shard)}"
                    )
                parts[array][at] = shard[array]
        return {field: Column(array, parts[array]) for array, field in wanted.items()}

    def classes(self) -> tuple[str, ...]:
        """Return the class names of the view by label index, empty for a view without classes."""
        if not self._tensors:
            return ()
        recipe = self._repo.open_arrays(self._tensors[0]).attributes.get("view")
        names = recipe.get("classes") if isinstance(recipe, Mapping) else None
        return tuple(str(name) for name in names) if isinstance(names, Sequence) else ()
