"""The stream under a DataLoader, in other processes, after a fork, in a pickle; and what it leaves behind: nothing."""

from __future__ import annotations

import gc
import json
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils.data import DataLoader

from sensorloom.store.cache import ShardCache
from sensorloom.store.repository import Repository
from sensorloom.training.batch import Batch
from sensorloom.training.errors import StreamError
from sensorloom.training.rules import BatchRules
from sensorloom.training.stream import TripletStream
from tests.training.forked import forks, in_fork
from tests.training.generated_triplets import TRAIN, write_triplets
from tests.training.joined_batches import Joined, assert_same, endless, joined

slow = pytest.mark.slow
many = pytest.mark.filterwarnings(r"ignore:This DataLoader will create \d worker processes:UserWarning")
WAIT_S = 120
OPTIONS: dict[str, Any] = {
    "view": "tiny", "split": "train", "batch_size": 8, "columns": ("imu", "video", "text"), "text": "random",
    "rules": BatchRules(modality_dropout=0.3), "last": "keep",
}  # fmt: skip


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return write_triplets(str(tmp_path_factory.mktemp("triplets") / "store")).repo


def stream_of(repo: Repository, **options: Any) -> TripletStream:
    return TripletStream(repo, **{**OPTIONS, **options})


def each(batches: Any) -> list[Joined]:
    return [joined([batch]) for batch in batches]


def two_epochs(repo: Repository, **options: Any) -> list[Joined]:
    return each(islice(endless(stream_of(repo, **options)), 2 * len(stream_of(repo, **options))))


@forks
@many
@pytest.mark.parametrize(
    ("workers", "method"),
    [
        (0, None), (1, "fork"), (2, "fork"), (5, "fork"), pytest.param(2, "spawn", marks=slow),
        pytest.param(2, "forkserver", marks=slow),
    ],
)  # fmt: skip
def test_a_loader_hands_on_the_same_batches(repo: Repository, workers: int, method: str | None) -> None:
    """Also from a position in the middle, with more workers than batches, and in the epoch after."""
    stream = stream_of(repo)
    loader = DataLoader(stream, batch_size=None, num_workers=workers, multiprocessing_context=method)
    whole = two_epochs(repo)
    length = len(stream)
    assert len(loader) == length
    assert_same(each(loader), whole[:length])
    stream.load_state_dict({**stream.state_dict(), "epoch": 1, "batch": 3})
    assert_same(each(loader), whole[length + 3 :])


@forks
def test_workers_that_stay_go_on_to_the_next_epoch(repo: Repository) -> None:
    loader = DataLoader(
        stream_of(repo),
        batch_size=None,
        num_workers=2,
        multiprocessing_context="fork",
        persistent_workers=True,
    )
    assert_same([*each(loader), *each(loader)], two_epochs(repo))


@forks
@many
@pytest.mark.parametrize("workers", [1, 2, 3])
def test_a_pass_over_workers_that_stay_is_an_epoch_also_after_one_that_broke_off(
    repo: Repository, workers: int
) -> None:
    """However far workers went ahead of the loader, the next pass has the whole next epoch in order."""
    stream = stream_of(repo)
    stream.load_state_dict({**stream.state_dict(), "epoch": 4, "batch": 1})
    loader = DataLoader(
        stream,
        batch_size=None,
        num_workers=workers,
        multiprocessing_context="fork",
        persistent_workers=True,
    )
    undisturbed = {}
    for epoch in range(4, 8):
        other = stream_of(repo)
        other.set_epoch(epoch)
        undisturbed[epoch] = each(other)
    assert_same(each(islice(loader, 3)), undisturbed[4][1:4])
    assert_same(each(loader), undisturbed[5])
    assert_same(each(islice(loader, 1)), undisturbed[6][:1])
    assert_same(each(loader), undisturbed[7])


@forks
def test_workers_take_the_share_of_their_rank(repo: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    stream = stream_of(repo)
    monkeypatch.delenv("RANK")
    monkeypatch.delenv("WORLD_SIZE")
    loader = DataLoader(stream, batch_size=None, num_workers=2, multiprocessing_context="fork")
    assert_same(each(loader), each(stream_of(repo, rank=1, num_ranks=2)))


def test_a_pickle_goes_on_where_the_stream_stood(repo: Repository) -> None:
    stream = stream_of(repo, rank=1, num_ranks=2, seed=3)
    iterator = iter(stream)
    list(islice(iterator, 2))
    copy = pickle.loads(pickle.dumps(stream))
    assert copy.state_dict() == stream.state_dict()
    assert (copy.rank, copy.num_ranks) == (1, 2)
    assert_same(each(copy), each(iterator))


def test_a_pickle_reads_the_snapshot_that_was_opened(tmp_path: Path) -> None:
    url = str(tmp_path / "store")
    repo = write_triplets(url).repo
    stream = stream_of(repo)
    kept = pickle.dumps(stream)
    expected = each(stream)
    write_triplets(url, seed=1)
    assert repo.resolve("main").id != stream.snapshot_id
    copy = pickle.loads(kept)
    assert copy.snapshot_id == stream.snapshot_id
    assert_same(each(copy), expected)


SPAWNED = """
import json, pickle, sys
stream = pickle.load(sys.stdin.buffer)
print(json.dumps([batch.index_B.tolist() for batch in stream]))
"""


@slow
def test_a_pickle_opens_in_a_fresh_interpreter(repo: Repository) -> None:
    stream = stream_of(repo, rank=1, num_ranks=2)
    ran = subprocess.run(
        [sys.executable, "-c", SPAWNED], input=pickle.dumps(stream), capture_output=True, timeout=WAIT_S
    )
    assert ran.returncode == 0, ran.stderr.decode()
    assert json.loads(ran.stdout) == [batch.index_B.tolist() for batch in stream]


def numbers(stream: TripletStream, length: int) -> list[list[int]]:
    return [batch.index_B.tolist() for batch in islice(endless(stream), length)]


@forks
@pytest.mark.parametrize("used", [0, 1, 3, 6])
def test_a_stream_in_use_can_be_read_on_in_a_fork(repo: Repository, used: int) -> None:
    """Its threads are not there in the child; both go on from where it stood, each with its own."""
    stream = stream_of(repo)
    iterator = iter(stream)
    list(islice(iterator, used))
    expected = [batch["index_B"].tolist() for batch in two_epochs(repo)[used:]]
    assert in_fork(lambda: numbers(stream, len(expected))) == expected
    rest = [batch.index_B.tolist() for batch in iterator]
    assert [*rest, *numbers(stream, len(stream))] == expected


BLOCKS: dict[str, Any] = {"shuffle": "block", "rules": BatchRules(block_shards=1), "batch_size": 4}


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """The same view, of which shards can only be read from copies."""
    folder = tmp_path_factory.mktemp("packed")
    return write_triplets(str(folder / "store"), compress=("imu", "imu_valid", "video", "mocap")).repo


@pytest.fixture
def cached(packed: Repository, tmp_path: Path) -> Callable[[], TripletStream]:
    """Return a function that opens a stream which maps and lets go shard after shard of a cache."""
    cache = ShardCache(tmp_path / "cache", 1 << 30)
    return lambda: stream_of(packed, cache=cache, **BLOCKS)


@pytest.fixture(scope="module")
def three_epochs(packed: Repository, tmp_path_factory: pytest.TempPathFactory) -> list[Joined]:
    """The batches of an undisturbed run, twelve an epoch."""
    cache = ShardCache(tmp_path_factory.mktemp("undisturbed") / "cache", 1 << 30)
    return each(islice(endless(stream_of(packed, cache=cache, **BLOCKS)), 36))


@forks
@pytest.mark.parametrize("used", [0, 1, 5, 12])
def test_a_stream_over_a_cache_can_be_read_on_in_a_fork_and_beside_it(
    cached: Callable[[], TripletStream], three_epochs: list[Joined], used: int
) -> None:
    """What the child lets go of, the parent still has, and the other way round."""
    expected = three_epochs[used:24]
    stream = cached()
    iterator = endless(stream)
    list(islice(iterator, used))
    for _ in range(2):
        in_fork(partial(same_again, stream, expected))
    found = each(islice(iterator, 3))
    in_fork(partial(same_again, stream, expected[3:]))
    assert_same([*found, *each(islice(iterator, len(expected) - 3))], expected)


@forks
def test_forks_take_turns_with_a_cache_that_is_smaller_than_the_split(
    packed: Repository, three_epochs: list[Joined], tmp_path: Path
) -> None:
    """After each epoch nothing is held, so the next process may throw out what it likes."""
    roots = packed.array_roots(packed.manifest(packed.resolve("main"), "tensors:tiny").shards)
    sizes = [sum(spec.num_bytes for spec in roots[bucket].arrays.values()) for bucket in (0, 3, 4, 5)]
    stream = stream_of(packed, cache=ShardCache(tmp_path / "cache", sum(sizes) - 1), **BLOCKS)
    iterator = endless(stream)
    for first in (0, 12, 24):
        epoch = three_epochs[first : first + 12]
        in_fork(partial(same_again, stream, epoch))
        assert_same(each(islice(iterator, 12)), epoch)


def same_again(stream: TripletStream, expected: list[Joined]) -> None:
    assert_same(each(islice(endless(stream), len(expected))), expected)


def close(older: list[Generator[Batch]]) -> None:
    older[0].close()


def forget(older: list[Generator[Batch]]) -> None:
    older.clear()
    gc.collect()


def ask(older: list[Generator[Batch]]) -> None:
    with pytest.raises(StreamError, match="only its newest iterator can go on"):
        next(older[0])


@forks
@pytest.mark.parametrize("end", [close, forget, ask])
@pytest.mark.parametrize(("used", "ahead"), [(1, 0), (1, 1), (4, 5), (8, 1)])
def test_an_older_iterator_that_ends_takes_nothing_from_a_newer_one(
    cached: Callable[[], TripletStream],
    three_epochs: list[Joined],
    end: Callable[..., None],
    used: int,
    ahead: int,
) -> None:
    """Both map shards and let them go again; batches that come after are those of an undisturbed run."""

    def work() -> None:
        stream = cached()
        older = [iter(stream)]
        list(islice(older[0], used))
        stream.set_epoch(1)
        newer = iter(stream)
        found = each(islice(newer, ahead))
        end(older)
        assert_same([*found, *each(newer), *each(stream)], three_epochs[12:])

    in_fork(work)


@forks
def test_batches_can_be_made_in_a_thread_beside_an_iteration(
    cached: Callable[[], TripletStream], three_epochs: list[Joined]
) -> None:
    """As an evaluation does beside training: whichever needs a shard last lets it go."""
    one_epoch = {name: torch.cat([batch[name] for batch in three_epochs[:12]]) for name in three_epochs[0]}
    place = one_epoch["index_B"].argsort()
    imu = one_epoch["imu_BSCT"][place].numpy()

    def work() -> None:
        stream, done = cached(), threading.Event()

        def evaluate(seed: int) -> int:
            rng, count = np.random.default_rng(seed), 0
            while not done.is_set():
                index = rng.integers(0, TRAIN, 4)
                batch = stream.collate(index, 0, np.arange(4))
                assert np.array_equal(batch.tensors()["imu_BSCT"].numpy(), imu[index])
                count += 1
            return count

        with ThreadPoolExecutor(2) as pool:
            beside = [pool.submit(evaluate, seed) for seed in range(2)]
            try:
                for _ in range(6):
                    stream.set_epoch(0)
                    assert_same(each(islice(endless(stream), 36)), three_epochs)
            finally:
                done.set()
            assert all(future.result() for future in beside)

    in_fork(work)


@forks
def test_forks_at_any_moment_hang_nowhere(repo: Repository) -> None:
    """The parent's threads gather all the while; a lock that one of them held would stay shut in the child."""
    stream, busy = stream_of(repo, batch_size=4), stream_of(repo, batch_size=4)
    expected = numbers(stream_of(repo, batch_size=4), 3)
    batches = endless(busy)
    for _ in range(10):
        next(batches)
        assert in_fork(lambda: numbers(stream, 3)) == expected


@forks
def test_a_generator_left_over_from_before_a_fork_ends_in_the_child(repo: Repository) -> None:
    stream = stream_of(repo)
    iterator = iter(stream)
    next(iterator)

    def close() -> list[str]:
        iterator.close()
        return threads()

    assert in_fork(close) == []
    assert len(list(iterator)) == len(stream) - 1


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("sensorloom")]


def begun(stream: TripletStream) -> Iterator[Batch]:
    iterator = iter(stream)
    next(iterator)
    assert threads(), "without a thread there is nothing to close"
    return iterator


def test_no_thread_outlives_a_loop_that_breaks_off(repo: Repository) -> None:
    for _ in stream_of(repo):
        assert threads()
        break
    assert not threads()


def test_no_thread_outlives_a_loop_that_ends(repo: Repository) -> None:
    assert list(stream_of(repo))
    assert not threads()


def test_no_thread_outlives_an_error_of_the_consumer(repo: Repository) -> None:
    def consume() -> None:
        for _ in stream_of(repo):
            raise KeyError("the consumer's own")

    with pytest.raises(KeyError):
        consume()
    assert not threads()


def test_no_thread_outlives_a_forgotten_iterator(repo: Repository) -> None:
    iterator = begun(stream_of(repo))
    circle: list[Any] = [iterator]
    circle.append(circle)
    del iterator, circle
    gc.collect()
    assert not threads()


def test_no_thread_outlives_a_stream_that_was_moved(repo: Repository) -> None:
    stream = stream_of(repo)
    iterator = begun(stream)
    stream.set_epoch(2)
    with pytest.raises(StreamError, match="moved"):
        next(iterator)
    assert not threads()


def held_open() -> tuple[int, int]:
    """How many files this process has open, and how many pieces of shards mapped."""
    maps = Path("/proc/self/maps").read_text()
    return len(list(Path("/proc/self/fd").iterdir())), maps.count("/store/shards/")


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="only Linux tells what a process has mapped")
def test_forgotten_streams_give_back_their_maps_and_files(repo: Repository) -> None:
    stream = stream_of(repo)
    list(stream)
    assert held_open()[1] > 0
    del stream
    gc.collect()
    before = held_open()
    for _ in range(5):
        list(stream_of(repo))
    gc.collect()
    assert held_open() == before


WAYS_TO_HOLD = {
    "whole": lambda tensor: tensor,
    "slice": lambda tensor: tensor[1:],
    "one row": lambda tensor: tensor[-1],
    "array": lambda tensor: tensor.numpy(),
    "slice of array": lambda tensor: tensor.numpy()[1:],
    "array of slice": lambda tensor: np.asarray(tensor[1:]),
    "buffer": lambda tensor: memoryview(tensor.numpy()),
    "flattened": lambda tensor: tensor.detach().flatten(),
    "other type": lambda tensor: tensor.view(torch.uint8),
}


@settings(max_examples=12, deadline=None)
@given(
    ways=st.lists(st.sampled_from(sorted(WAYS_TO_HOLD)), min_size=1, max_size=6),
    held=st.sets(st.integers(0, 17), max_size=10),
    resident=st.sampled_from([None, "cpu"]),
)
def test_what_a_consumer_holds_of_a_batch_is_never_overwritten(
    repo: Repository, ways: list[str], held: set[int], resident: str | None
) -> None:
    """Some batches are kept, whole or a part in some guise, while others go and give their memory back."""
    columns = ("imu", "imu_valid", "video", "mocap", "text")
    stream = stream_of(repo, columns=columns, resident=resident)
    kept: list[tuple[Any, Any, str]] = []
    for number, batch in enumerate(islice(endless(stream), 18)):
        if number in held:
            way = ways[number % len(ways)]
            tensors = [tensor for tensor in batch.tensors().values() if tensor.ndim > 1]
            kept += [(hold(tensor, way), hold(tensor.clone(), way), way) for tensor in tensors]
        del batch
    for mine, copy, way in kept:
        assert np.array_equal(np.asarray(mine), np.asarray(copy)), way


def hold(tensor: Tensor, way: str) -> Any:
    return WAYS_TO_HOLD[way](tensor)


def test_batches_of_an_epoch_held_together_are_those_seen_one_by_one(repo: Repository) -> None:
    one_by_one = [{name: tensor.clone() for name, tensor in batch.items()} for batch in two_epochs(repo)]
    together = list(islice(endless(stream_of(repo)), len(one_by_one)))
    assert_same(each(together), one_by_one)
    addresses = [batch.tensors()["imu_BSCT"].data_ptr() for batch in together]
    assert len(set(addresses)) == len(addresses)


def test_a_trainer_that_only_knows_iterables_gets_an_epoch_each_time(repo: Repository) -> None:
    """As Lightning reads: `len`, then `iter` anew for every epoch, one batch asked for ahead of the one in hand."""
    loader = DataLoader(stream_of(repo), batch_size=None)
    seen = []
    for _ in range(2):
        fetched = list(pairwise([*iter(loader), None]))
        assert len(fetched) == len(loader) == -(-TRAIN // 8)
        seen += [now for now, _ in fetched]
    assert_same(each(seen), two_epochs(repo))


def test_pinned_batches_are_the_same(repo: Repository) -> None:
    """Where no device is at hand, pinning changes nothing and warns of nothing."""
    assert_same(each(stream_of(repo, pin_memory=True)), each(stream_of(repo)))
