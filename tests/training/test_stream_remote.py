"""A stream over object storage that fails: the batches of the local store, bit for bit, within the cache's bound."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch

from sensorloom.store.address import open_objects
from sensorloom.store.cache import ShardCache
from sensorloom.store.errors import MissingObjectError, StoreReadError
from sensorloom.store.layout import shard_key
from sensorloom.store.repository import Repository
from sensorloom.training.batch import Batch
from sensorloom.training.rules import BatchRules
from sensorloom.training.stream import TripletStream
from tests.training.generated_triplets import write_triplets

ALL = ("imu", "imu_valid", "video", "mocap", "text")
LARGE = 1 << 40
# Two thirds of them are to train on.
ROWS = (12,) * 12
TRAIN_SHARDS = 8
BLOCK = {"shuffle": "block", "rules": BatchRules(block_shards=1), "batch_size": 6}


def stream_of(store: Repository | str, **options: Any) -> TripletStream:
    return TripletStream(
        store, **{"view": "tiny", "split": "train", "batch_size": 8, "last": "keep", **options}
    )


def assert_same(found: list[Batch], expected: list[Batch]) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one.tensors().keys() == other.tensors().keys()
        for name, tensor in other.tensors().items():
            assert torch.equal(one.tensors()[name], tensor), name


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sensorloom.store.remote.time.sleep", lambda seconds: None)


@pytest.fixture
def pair(make_store: Callable[..., Repository], faulty: Any, s3_url: str) -> tuple[Repository, Repository]:
    """One view in a local store, and in a bucket behind the server that spoils answers."""
    return make_store(rows=ROWS), make_store(rows=ROWS, url=s3_url)


@pytest.fixture
def part(tmp_path: Path, pair: tuple[Repository, Repository]) -> ShardCache:
    """A cache for five of the eight shards to train on."""
    repo = pair[0]
    largest = max(shard.num_bytes for shard in repo.manifest(repo.resolve("main"), "tensors:tiny").shards)
    return ShardCache(tmp_path / "part", 5 * largest)


def spoil_some(faulty: Any) -> None:
    """Have some of the next answers fail or break off."""
    faulty.spoil("/c/0", "failing", 3)
    faulty.spoil("/c/0", "truncated", 3)
    faulty.spoil("zarr.json", "busy", 2)


@pytest.mark.parametrize("compress", [(), ("imu", "imu_valid", "mocap", "video", "text_vectors")])
def test_an_epoch_with_a_cache_that_holds_the_split(
    tmp_path: Path, faulty: Any, s3_url: str, compress: tuple[str, ...]
) -> None:
    here = stream_of(write_triplets(str(tmp_path / "store")).repo, columns=ALL)
    write_triplets(s3_url, compress=compress)
    there = stream_of(s3_url, columns=ALL, cache=ShardCache(tmp_path / "cache", LARGE))
    spoil_some(faulty)
    faulty.spoil("imu/c/0", "wrong")
    assert_same(list(there), list(here))
    assert faulty.left() == 0
    # From the second epoch on nothing is asked for again, nor by another stream with this cache.
    asked = faulty.count("/c/0")
    assert_same(list(there), list(here))
    again = stream_of(s3_url, columns=ALL, cache=ShardCache(tmp_path / "cache", LARGE))
    again.set_epoch(2)
    assert_same(list(again), list(here))
    assert faulty.count("/c/0") == asked


def test_epochs_with_a_cache_that_holds_a_part(
    pair: tuple[Repository, Repository],
    part: ShardCache,
    faulty: Any,
    cached_bytes: Callable[[Path], int],
) -> None:
    sizes: list[int] = []
    faulty.before_answer = faulty.halfway = lambda path: sizes.append(cached_bytes(part.folder))
    here, there = (
        stream_of(repo, cache=cache, columns=("imu", "imu_valid"), **BLOCK)
        for repo, cache in zip(pair, (None, part), strict=True)
    )
    spoil_some(faulty)
    faulty.spoil("imu/c/0", "wrong")
    for _ in range(3):
        for one, other in zip(there, here, strict=True):
            assert_same([one], [other])
            sizes.append(cached_bytes(part.folder))
    assert faulty.left() == 0
    assert part.max_bytes / 2 < max(sizes) <= part.max_bytes
    # What made room for others came again.
    assert faulty.count("imu/c/0") > TRAIN_SHARDS + 8


@pytest.mark.parametrize("shuffle", ["global", "block"])
def test_it_goes_on_in_the_middle_of_an_epoch_with_an_empty_cache(
    pair: tuple[Repository, Repository], tmp_path: Path, faulty: Any, part: ShardCache, shuffle: str
) -> None:
    options = BLOCK if shuffle == "block" else {}
    max_bytes = part.max_bytes if shuffle == "block" else LARGE
    here, before, after = (
        stream_of(repo, cache=ShardCache(tmp_path / name, max_bytes), **options)
        for name, repo in (("none", pair[0]), ("before", pair[1]), ("after", pair[1]))
    )
    expected = list(here)
    cut = len(expected) // 2
    spoil_some(faulty)
    assert_same(list(islice(before, cut)), expected[:cut])
    spoil_some(faulty)
    after.load_state_dict(before.state_dict())
    assert_same(list(after), expected[cut:])
    assert_same(list(after), list(here))


def test_a_shard_that_vanishes_within_an_epoch_is_named(
    pair: tuple[Repository, Repository], part: ShardCache
) -> None:
    repo = pair[1]
    stream = stream_of(repo, cache=part, **BLOCK)
    shards = repo.manifest(repo.resolve("main"), "tensors:tiny").shards
    last = shards[
        int(stream.window_ids(torch.tensor(stream.order(0)[-1:]))[0].split("subject")[1].split("@")[0])
    ]
    open_objects(repo.url).delete([f"{shard_key(last.digest, 'zarr')}/imu/c/0/0/0/0"])
    batches = iter(stream)
    next(batches)
    with pytest.raises(
        MissingObjectError, match=rf"shard {last.key} .*{last.digest}.zarr/imu/c/0/0/0/0 in store s3:"
    ):
        list(batches)


def test_a_shard_whose_bytes_stay_wrong_is_named(
    pair: tuple[Repository, Repository], tmp_path: Path, faulty: Any
) -> None:
    repo = pair[1]
    shard = repo.manifest(repo.resolve("main"), "tensors:tiny").get("03")
    faulty.spoil(f"{shard.digest}.zarr/imu/c", "wrong", 2)
    stream = stream_of(repo, cache=ShardCache(tmp_path / "new", LARGE))
    with pytest.raises(StoreReadError, match=rf"shard 03 \({shard.digest}\) .* came with wrong bytes twice"):
        next(iter(stream))
    # Once the store is mended the same stream goes on.
    assert len(list(stream)) == len(stream)
