"""The stream of batches: a split of a view, shuffled globally, at memory speed, resumable to the batch.

Axes as in `batch.py`: B examples · S slots · C channels · K sensors or text sources · T samples · V video slots ·
D width · F mocap rows · J joints · M latents · N texts.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import KW_ONLY, asdict, dataclass, fields, replace
from functools import cached_property, partial
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from sensorloom.store.cache import ShardCache
from sensorloom.store.repository import Repository
from sensorloom.training.batch import Batch
from sensorloom.training.errors import StreamError
from sensorloom.training.rules import (
    PLAIN,
    BatchRules,
    Shuffle,
    TextChoice,
    check_choices,
    check_numbers,
    resident_device,
)
from sensorloom.training.streaming.collate import Collator, upload
from sensorloom.training.streaming.gather import ResidentRows, Rows
from sensorloom.training.streaming.lookahead import Lookahead
from sensorloom.training.streaming.masks import choose_imu_only
from sensorloom.training.streaming.order import BatchPlan, LastBatch
from sensorloom.training.streaming.ordering import Ordering
from sensorloom.training.streaming.ranks import agree, find_ranks
from sensorloom.training.streaming.rows import SPLIT_COLUMNS, select_split
from sensorloom.training.streaming.shards import OpenView, map_columns
from sensorloom.training.streaming.walk import BatchWalk

__all__ = ["TripletStream"]

Reach: TypeAlias = Callable[[int], None]


@dataclass(eq=False)
class TripletStream(BatchWalk):
    """Iterate over the windows of `split` of `view`, one epoch at a time, as `Batch`es.

    `store` is a URL or an open repository, `snapshot` a ref or an id. `columns` are among imu, imu_valid, video, mocap
    and text; labels always come along where the view has them. `batch_size` is global: each rank yields its share,
    and which examples make up global batch b of epoch e depends on the seed, e and b alone.

    `shuffle` `global` permutes the whole split; `block` permutes shards and shuffles `rules.block_shards` of them
    together, for a split that is larger than the cache; `none` is storage order. `last` says what becomes of the
    examples that fill no batch: `drop` leaves them out, `keep` makes a smaller batch, `pad` fills it up with others,
    which `Batch.real_B` marks. `text` chooses of several texts of a slot the `first`, a `random` one, their `mean`, or
    hands on `all`. See `BatchRules` for the rest.

    Shards of a local store are mapped where they lie. Others, and compressed ones, come through `cache`
    (`default_cache()` unless given). `resident` names a device to which the columns are uploaded once, and batches are
    gathered there; else `pin_memory` makes batches that a GPU can fetch while it works.

    `rank` and `num_ranks` are those of torch.distributed or torchrun unless given (both, or neither). Where a process
    group gives them, opening is a collective in which the ranks compare what they opened; a stream that only one rank
    opens is given `rank=0, num_ranks=1`.

    An open stream tells the names of the view: `classes` by label index, `slots` S, `video_slots` V, `text_sources` K;
    its `rate_hz`, the fingerprint of the `encoder` of its vectors, and its name. What the view lacks is empty or None.

    Iterating, threads and workers: see `BatchWalk`. Raises StreamError for a view, split or column that is not there,
    for tensors that do not match their windows, for a split smaller than one batch that would leave none, for a cache
    that is too small, and (as OrderError) for a batch size, rank, seed or epoch that no order has.
    """

    store: str | Repository
    _: KW_ONLY
    view: str
    split: str
    batch_size: int
    snapshot: str = "main"
    seed: int = 0
    columns: Sequence[str] = ("imu",)
    shuffle: Shuffle = "global"
    last: LastBatch = "drop"
    text: TextChoice = "first"
    rules: BatchRules = PLAIN
    resident: str | None = None
    cache: ShardCache | None = None
    pin_memory: bool = False
    rank: int | None = None
    num_ranks: int | None = None
    threads: int = 2

    def __post_init__(self) -> None:
        super().__init__()
        is_grouped = self.rank is None or self.num_ranks is None
        try:
            self._open()
        except Exception as error:
            if is_grouped:
                agree(None, error)  # the other ranks need not wait for this one
            raise
        if is_grouped:
            agree(self.identity())

    def _open(self) -> None:
        if not isinstance(self.rules, BatchRules):
            raise StreamError(f"rules must be BatchRules(…), got {self.rules!r}")
        if self.cache is not None and not isinstance(self.cache, ShardCache):
            raise StreamError(f"cache must be ShardCache(folder, max_bytes), got {self.cache!r}")
        check_choices(self.shuffle, self.last, self.text, self.rules)
        check_numbers(self.seed, self.threads)
        self._device = resident_device(self.resident)
        self._view = OpenView(self.store, self.snapshot, self.view)
        self.snapshot_id: str = self._view.snapshot_id
        self._split = select_split(self._view.tables(SPLIT_COLUMNS), self.split, self.view)
        self._places: list[int] = np.unique(self._split.shard).tolist()
        self._arrays = map_columns(self._view, self.columns, self._places, self.cache)
        self._name_slots()
        self.rank, self.num_ranks = rank, num_ranks = find_ranks(self.rank, self.num_ranks)
        self._plan = BatchPlan(len(self._split), self.batch_size, num_ranks, self.last)
        if not self._plan.num_batches:
            raise StreamError(
                f"split {self.split!r} of view {self.view!r} has {len(self._split)} windows, less than "
                f"one batch of {self.batch_size}; lower the batch size, or keep or pad the last, partial batch "
                "(last='keep')"
            )
        self._share = partial(self._plan.share, rank=rank)
        self._share(0)
        if self.rules.modality_dropout and not self.latents:
            raise StreamError(
                f"modality_dropout is {self.rules.modality_dropout:g}, but none of the columns "
                f"{', '.join(self.columns)} has a latent to drop; ask for imu, video, mocap or text"
            )
        if self.shuffle == "global" or self.resident:
            self._arrays.check_room()
        elif self.shuffle == "block":
            self._arrays.check_room(2 * self.rules.block_shards)
        if not self._arrays.is_bounded:
            self._arrays.acquire_all()
        self._ordering = Ordering(
            self._split,
            self._read,
            seed=self.seed,
            shuffle=self.shuffle,
            rules=self.rules,
            batch_size=self.batch_size,
        )

    def _name_slots(self) -> None:
        attributes = self._view.roots[self._places[0]].attributes  # which all shards share
        recipe: Any = attributes.get("view") or {}
        self.classes: tuple[str, ...] = tuple(recipe.get("classes", ()))
        self.slots: tuple[str, ...] = tuple(recipe.get("positions", ()))
        self.video_slots: tuple[str, ...] = tuple(attributes.get("video_slots", ()))  # type: ignore[arg-type]
        self.text_sources: tuple[str, ...] = tuple(attributes.get("text_sources", ()))  # type: ignore[arg-type]
        self.rate_hz: int | None = recipe.get("rate_hz")
        self.encoder: Any = attributes.get("fingerprint")
        self.encoder_name: Any = attributes.get("encoder")

    @property
    def num_examples(self) -> int:
        """Windows of the split."""
        return len(self._split)

    @property
    def labels(self) -> NDArray[np.int64] | None:
        """Class indices int64[n] by `Batch.index_B`, -1 for none; None if no window has one."""
        return self._split.label

    @property
    def latents(self) -> tuple[str, ...]:
        """The latents M of `Batch.latent_kept_BM`: sensors of each slot, video slots, poses, text sources."""
        names: list[str] = []
        if "imu" in self.columns:
            names += [f"{slot}.{sensor}" for slot in self.slots for sensor in ("accelerometer", "gyroscope")]
        names += self.video_slots if "video" in self.columns else ()
        names += ("mocap",) if "mocap" in self.columns else ()
        return (*names, *(self.text_sources if "text" in self.columns else ()))

    @property
    def window_shape(self) -> tuple[int, int, int]:
        """(S, C, T) of `imu`; raises StreamError if the column was not asked for."""
        if "imu" not in self.columns:
            raise StreamError(f"the column 'imu' was not asked for, only {list(self.columns)}")
        slots, channels, samples = self._arrays.rows["imu"].row_shape
        return slots, channels, samples

    def window_ids(self, index_B: Tensor) -> list[str]:
        """Return the window ids of the examples with these `Batch.index_B`."""
        picked: list[str] = self._window_id.take(index_B.cpu().numpy()).to_pylist()
        return picked

    def identity(self) -> dict[str, Any]:
        """Return what the sequence of batches depends on, as plain JSON values by name."""
        names = ("view", "split", "batch_size", "seed", "shuffle", "last", "text")
        named = {name: getattr(self, name) for name in names}
        return {"snapshot": self.snapshot_id, **named, "rules": asdict(self.rules)}

    def order(self, epoch: int) -> NDArray[np.int64]:
        """Return the order of the examples in `epoch`, a permutation int64[n] of `Batch.index_B`."""
        return self._ordering(epoch)[0]

    def close_pairs(self, epoch: int) -> int:
        """Return how many pairs of windows nearer than `rules.min_gap_s` share a batch of `epoch` after all."""
        return self._ordering(epoch)[1]

    def collate(self, index_B: NDArray[np.int64], epoch: int, position_B: NDArray[np.int64]) -> Batch:
        """Make a batch of the examples `index_B` as they would look at `position_B` of the order of `epoch`."""
        with self._arrays.using(np.unique(self._split.shard[index_B]).tolist()):
            return self._made(index_B, epoch, position_B)

    def __getstate__(self) -> dict[str, Any]:
        options = {item.name: getattr(self, item.name) for item in fields(self) if item.name != "_"}
        return {"options": {**options, "snapshot": self.snapshot_id}, "position": self.state_dict()}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        for name, value in state["options"].items():
            setattr(self, name, value)
        self.__post_init__()
        self.load_state_dict(state["position"])

    @contextmanager
    def reaching(self, indices: Iterable[NDArray[np.int64]]) -> Generator[tuple[Reach, Reach]]:
        """Give two functions for steps in order that have the examples `indices`, while they are walked.

        The first has the shards of a step there when it returns; the second is told that a step is finished.
        """
        if not self._arrays.is_bounded or self.shuffle == "global" or self.resident:
            self._arrays.acquire_all()
            self._collator.keep_texts()
            yield _do_nothing, _do_nothing
            return
        needs = [np.unique(self._split.shard[index]) for index in indices]
        arrays, ahead = self._arrays, self.rules.block_shards
        with closing(Lookahead(needs, arrays.acquire, arrays.release, ahead=ahead)) as lookahead:
            yield lookahead.reach, lookahead.finish

    @contextmanager
    def _making(
        self, epoch: int, batches: range
    ) -> Generator[tuple[Callable[[int], int], Callable[[int], Batch]]]:
        order = self.order(epoch)

        def positions(number: int) -> NDArray[np.int64]:
            share = self._share(number)
            return np.arange(share.start, share.stop)

        with self.reaching(order[positions(number) % len(order)] for number in batches) as (reach, finish):
            _ = self._collator  # made now, before threads ask for it together

            def tell(number: int) -> int:
                reach(batches.index(number))
                return number

            def make(number: int) -> Batch:
                position = positions(number)
                try:
                    batch = self._made(order[position % len(order)], epoch, position)
                finally:
                    finish(batches.index(number))
                if self.last == "pad":
                    real = torch.from_numpy(position < len(order))
                    batch = replace(batch, real_B=real.to(batch.index_B.device))
                return batch.pin() if self.pin_memory and not self.resident else batch

            yield tell, make

    def _made(self, index_B: NDArray[np.int64], epoch: int, position_B: NDArray[np.int64]) -> Batch:
        batch = self._collator(index_B, epoch, position_B)
        return batch if self._device is None else batch.to(self._device)

    @cached_property
    def _collator(self) -> Collator:
        arrays = self._arrays.rows if self._device is None else self._uploaded(self._device)
        share = self.rules.imu_only
        alone = choose_imu_only(self._window_id.to_pylist(), self.seed, share) if share else None
        return Collator(self._split, arrays, seed=self.seed, text=self.text, rules=self.rules, imu_only=alone)

    def _uploaded(self, device: torch.device) -> Mapping[str, Rows | ResidentRows]:
        self._arrays.acquire_all()
        texts = ((place, self._view.roots[place].arrays["text_ids"].shape[0]) for place in self._places)
        return upload(self._arrays.rows, self._split, texts, device)

    @cached_property
    def _window_id(self) -> pa.Array:
        return self._read("window_id")["window_id"]

    def _read(self, *columns: str) -> dict[str, pa.Array]:
        tables = self._view.tables(columns)
        return {column: self._split.pick(tables, column) for column in columns}


def _do_nothing(_: int) -> None:
    pass
