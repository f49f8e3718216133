"""One cache, many processes: fetched once, held against one another, and nothing stale after any death."""

import builtins
import fcntl
import io
import multiprocessing
import os
import pickle
import random
import signal
import subprocess
import sys
from itertools import count
from threading import Event, Thread

import numpy as np
import pytest

from sensorloom.store.cache import ShardCache
from sensorloom.store.errors import StorageError, StoreReadError
from sensorloom.store.repository import Repository

# Python 3.12 and later warn of a fork beside threads; that the cache survives one is what is tested here.
forks = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
LARGE = 1 << 40
WAIT_S = 60

# Holds what it is given, says so, and waits to be told to end.
HOLDS = """
import os, pickle, sys
repo, shard, cache = pickle.loads(bytes.fromhex(sys.argv[1]))
held = repo.hold_arrays(shard, cache)
print(held.file("x").stat().st_size, flush=True)
"""
WAITS = "sys.stdin.read()"
# Leaves a child behind that waits in its place, and dies with the lock in its hands.
FORKS = "os.fork() or sys.stdin.read(); os.kill(os.getpid(), 9)"


def write(repo, number, **options):
    arrays = {"x": np.full((1000, 3), number, np.int64)}
    return repo.write_arrays(f"{number:02d}", arrays, rows=1000, attributes={}, work="0" * 64, **options)


def check(held, number):
    assert np.fromfile(held.file("x"), np.int64).tolist() == [number] * 3000


def assert_tidy(cache):
    assert list((cache.folder / "partial").iterdir()) == []
    folders = {path.name for path in cache.folder.iterdir() if path.is_dir()} - {"partial"}
    assert folders == {path.name.removesuffix(".lock") for path in cache.folder.glob("*.lock")}


@pytest.fixture
def remote(faulty, s3_url) -> Repository:
    return Repository.open(s3_url, create=True)


@pytest.fixture
def size(local_repo, tmp_path, cached_bytes) -> int:
    """What one shard of `write` takes in a cache."""
    probe = ShardCache(tmp_path / "probe", LARGE)
    local_repo.hold_arrays(write(local_repo, 9, compress=("x",)), probe).close()
    return cached_bytes(probe.folder)


@pytest.fixture
def start():
    """Return a function that starts a process to run `code` on (repo, shard, cache)."""
    started: list[subprocess.Popen] = []

    def start(code, *values):
        process = subprocess.Popen(
            [sys.executable, "-c", code, pickle.dumps(values).hex()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate(timeout=WAIT_S)


@pytest.fixture
def in_fork():
    """Return a function that calls another in a forked child and returns what that returns or raises."""

    def run(call):
        context = multiprocessing.get_context("fork")
        queue = context.SimpleQueue()

        def work():
            try:
                queue.put(call())
            except Exception as error:
                queue.put(error)

        child = context.Process(target=work)
        child.start()
        child.join(WAIT_S)
        assert child.exitcode == 0
        return queue.get()

    return run


def test_processes_that_want_one_shard_fetch_it_once(remote, faulty, tmp_path, start):
    cache, shard = ShardCache(tmp_path / "cache", LARGE), write(remote, 1)
    processes = [start(HOLDS, remote, shard, cache) for _ in range(3)]
    assert [process.communicate(timeout=WAIT_S)[0] for process in processes] == ["24000\n"] * 3
    assert faulty.count(shard.digest) == 2
    with remote.hold_arrays(shard, cache) as held:
        check(held, 1)
    assert faulty.count(shard.digest) == 2


def test_a_process_that_dies_in_a_fetch_leaves_nothing(remote, faulty, tmp_path, start, size):
    cache, shard, other = ShardCache(tmp_path / "cache", size + size // 2), write(remote, 1), write(remote, 2)
    arrived, killed = Event(), Event()

    def wait_for_death(path):
        arrived.set()
        killed.wait(WAIT_S)

    faulty.halfway = lambda path: wait_for_death(path) if f"{shard.digest}.zarr/x" in path else None
    process = start(HOLDS, remote, shard, cache)
    assert arrived.wait(WAIT_S)
    assert (cache.folder / "partial" / shard.digest).is_dir()
    # As much as this one takes is what that fetch has stated.
    with pytest.raises(
        StoreReadError,
        match=r"no room for the (\d+) bytes of shard 02 .* fetches 0 \(0 shards\), others \1 \(1 shards\)",
    ):
        remote.hold_arrays(other, cache)
    process.kill()
    process.wait(WAIT_S)
    killed.set()
    assert not (cache.folder / shard.digest).exists()
    with remote.hold_arrays(other, cache) as held:
        check(held, 2)
        assert_tidy(cache)
    with remote.hold_arrays(shard, cache) as held:
        check(held, 1)
    assert_tidy(cache)


@pytest.mark.parametrize("end", ["told", "killed"])
def test_what_another_process_holds_stays_until_its_end(remote, tmp_path, start, size, end):
    cache, shard, other = ShardCache(tmp_path / "cache", size + size // 2), write(remote, 1), write(remote, 2)
    process = start(HOLDS + WAITS, remote, shard, cache)
    assert process.stdout.readline() == "24000\n"
    with pytest.raises(
        StoreReadError, match=r"no room for .* shard 02 .* 0 \(0 shards\), others 2\d{4} \(1 shards\)"
    ):
        remote.hold_arrays(other, cache)
    process.kill() if end == "killed" else process.communicate(timeout=WAIT_S)
    process.wait(WAIT_S)
    with remote.hold_arrays(other, cache) as held:
        check(held, 2)
    assert_tidy(cache)


def test_a_child_does_not_keep_the_lock_of_a_parent_that_died(local_repo, tmp_path, start, size):
    cache = ShardCache(tmp_path / "cache", size + size // 2)
    process = start(HOLDS + FORKS, local_repo, write(local_repo, 1, compress=("x",)), cache)
    assert process.stdout.readline() == "24000\n"
    assert process.wait(WAIT_S) == -signal.SIGKILL
    # Its child still waits at the end of the pipe.
    local_repo.hold_arrays(write(local_repo, 2, compress=("x",)), cache).close()
    assert_tidy(cache)


@forks
def test_a_child_does_not_end_the_lock_of_its_parent(local_repo, tmp_path, in_fork, size):
    cache = ShardCache(tmp_path / "cache", size + size // 2)
    other = write(local_repo, 2, compress=("x",))
    held = local_repo.hold_arrays(write(local_repo, 1, compress=("x",)), cache)
    assert in_fork(held.close) is None
    with pytest.raises(StoreReadError, match=r"no room for .* shard 02"):
        local_repo.hold_arrays(other, cache)
    held.close()
    local_repo.hold_arrays(other, cache).close()


@forks
def test_a_fork_of_a_process_with_a_bucket_is_told_so_and_does_not_hang(remote, tmp_path, in_fork):
    cache, shard = ShardCache(tmp_path / "cache", LARGE), write(remote, 1)
    error = in_fork(lambda: remote.hold_arrays(shard, cache))
    assert isinstance(error, StorageError)
    assert f"was opened in process {os.getpid()} and cannot be used in its fork" in str(error)
    remote.hold_arrays(shard, cache).close()
    assert in_fork(lambda: check(remote.hold_arrays(shard, cache), 1)) is None


@forks
def test_a_fork_in_the_middle_of_a_fetch_does_not_hang(remote, faulty, tmp_path, in_fork):
    cache, shard, other = ShardCache(tmp_path / "cache", LARGE), write(remote, 1), write(remote, 2)
    arrived, forked = Event(), Event()
    remote.hold_arrays(other, cache).close()
    faulty.halfway = lambda path: (arrived.set(), forked.wait(WAIT_S))
    fetching = Thread(target=lambda: remote.hold_arrays(shard, cache).close())
    fetching.start()
    assert arrived.wait(WAIT_S)
    assert in_fork(lambda: check(remote.hold_arrays(other, cache), 2)) is None
    forked.set()
    fetching.join(WAIT_S)
    with remote.hold_arrays(shard, cache) as held:
        check(held, 1)


@forks
def test_many_processes_in_a_tight_cache_read_only_what_is_right(local_repo, tmp_path, size, cached_bytes):
    shards = [write(local_repo, number, compress=("x",)) for number in range(6)]
    cache = ShardCache(tmp_path / "cache", 4 * size)

    def work(seed):
        for number in random.Random(seed).choices(range(6), k=40):
            with local_repo.hold_arrays(shards[number], cache) as held:
                check(held, number)

    context = multiprocessing.get_context("fork")
    children = [context.Process(target=work, args=(seed,)) for seed in range(3)]
    for child in children:
        child.start()
    largest = 0
    while any(child.is_alive() for child in children):
        largest = max(largest, cached_bytes(cache.folder))
        children[0].join(0.001)
    assert [child.exitcode for child in children] == [0, 0, 0]
    assert size < largest <= cache.max_bytes
    assert_tidy(cache)


CALLS = [(os, name) for name in ("open", "mkdir", "rename", "rmdir", "unlink", "pwrite", "utime")]
CALLS += [(fcntl, "flock"), (io, "open"), (builtins, "open")]


def die_at(limit: int) -> None:
    """Let this process die at its `limit`-th call that a cache is changed by."""
    made = count(1)

    def counted(real):
        def call(*args, **kwargs):
            if next(made) == limit:
                os._exit(77)
            return real(*args, **kwargs)

        return call

    for module, name in CALLS:
        setattr(module, name, counted(getattr(module, name)))


@forks
def test_a_process_may_die_at_every_step(local_repo, tmp_path, size, cached_bytes):
    first, second = (write(local_repo, number, compress=("x",)) for number in range(2))
    # Each comes in by pushing the other out.
    for step in count(1):
        cache = ShardCache(tmp_path / f"cache{step}", size + size // 2)
        local_repo.hold_arrays(first, cache).close()
        child = os.fork()
        if child == 0:
            die_at(step)
            local_repo.hold_arrays(second, cache).close()
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert status in (0, 77)
        # Under its own name a shard lies whole or not at all.
        for folder in {cache.folder / first.digest, cache.folder / second.digest} & {*cache.folder.iterdir()}:
            assert (folder / "x" / "c" / "0" / "0").stat().st_size == 24000
            assert (folder / "zarr.json").stat().st_size > 100
        assert cached_bytes(cache.folder) <= cache.max_bytes
        for number, shard in ((1, second), (0, first)):
            with local_repo.hold_arrays(shard, cache) as held:
                check(held, number)
                assert_tidy(cache)
        if status == 0:
            break
    assert step > 30


@forks
def test_what_a_dead_process_left_is_swept_although_there_is_room(local_repo, tmp_path):
    first, second = (write(local_repo, number, compress=("x",)) for number in range(2))
    for step in count(1, 3):
        cache = ShardCache(tmp_path / f"cache{step}", LARGE)
        child = os.fork()
        if child == 0:
            die_at(step)
            local_repo.hold_arrays(first, cache).close()
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        local_repo.hold_arrays(second, cache).close()
        assert_tidy(cache)
        if status == 0:
            break
    assert (cache.folder / first.digest).is_dir()
    assert step > 15
