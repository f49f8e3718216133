"""Shards in a cache: whole and right or not there, within the bound, whoever asks, whatever the store does."""

import fcntl
import os
import pickle
import resource
import shutil
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from sensorloom.store.address import open_objects
from sensorloom.store.cache import ShardCache, default_cache
from sensorloom.store.errors import (
    MissingObjectError,
    StorageError,
    StoreReadError,
    StoreWriteError,
    UsageError,
)
from sensorloom.store.layout import shard_key, shard_marker
from sensorloom.store.repository import Repository
from sensorloom.store.zarr_metadata import ArraySpec, ShardRoot, root_file

LARGE = 1 << 40


def arrays_of(number: int, rows: int = 40):
    imu = np.random.default_rng(number).standard_normal((rows, 2, 6, 50), np.float32)
    return {"imu": imu, "imu_valid": imu[:, :, ::3] > 0, "near/vector": imu[:, 0, 0].astype(np.float16)}


def noise_of(rows: int):
    return np.random.default_rng(0).integers(0, 99, (rows, 256), np.int32)


def read(held):
    return {
        name: np.fromfile(held.file(name), spec.dtype).reshape(spec.shape) if held.file(name) else None
        for name, spec in held.root.arrays.items()
    }


def assert_same(held, arrays):
    found = read(held)
    assert set(found) == set(arrays)
    for name, array in arrays.items():
        if array.size:
            assert found[name].dtype == array.dtype
            np.testing.assert_array_equal(found[name], array)
        else:
            assert found[name] is None


def names(cache: ShardCache) -> set[str]:
    """Return the digests of the whole shards that lie in a cache."""
    return {path.name for path in cache.folder.iterdir() if path.is_dir()} - {"partial"}


def assert_tidy(cache: ShardCache) -> None:
    """Check that nothing lies in the cache but whole shards, each with its lock file."""
    assert list((cache.folder / "partial").iterdir()) == []
    locks = {path.name.removesuffix(".lock") for path in cache.folder.glob("*.lock")}
    assert locks == names(cache)


@pytest.fixture
def write(work):
    def write(repo, number, **options):
        return repo.write_arrays(
            f"{number:02d}",
            arrays_of(number),
            rows=40,
            attributes={"number": 100 + number},
            work=work,
            **options,
        )

    return write


@pytest.fixture
def remote(faulty, s3_url) -> Repository:
    """An empty store behind the server that spoils answers."""
    return Repository.open(s3_url, create=True)


@pytest.fixture
def cache(tmp_path) -> ShardCache:
    return ShardCache(tmp_path / "cache", LARGE)


@pytest.fixture
def bytes_in_cache(remote, write, tmp_path, cached_bytes) -> int:
    """What one shard of `write` takes in a cache."""
    probe = ShardCache(tmp_path / "probe", LARGE)
    remote.hold_arrays(write(remote, 99), probe).close()
    return cached_bytes(probe.folder)


@pytest.fixture(autouse=True)
def pauses(monkeypatch) -> list[float]:
    """Wait for nothing between tries; the pauses asked for."""
    asked: list[float] = []
    monkeypatch.setattr("sensorloom.store.remote.time.sleep", asked.append)
    return asked


class TestWhatIsHeld:
    def test_plain_arrays_of_a_local_store_are_its_own_files(self, local_repo, write, cache):
        shard = write(local_repo, 1)
        with local_repo.hold_arrays(shard, None) as held:
            assert_same(held, arrays_of(1))
            assert held.root.attributes == {"number": 101}
            assert Path(local_repo.url) in held.file("imu").parents
        with local_repo.hold_arrays(shard, cache):
            assert not cache.folder.exists()

    @pytest.mark.parametrize("compress", [(), ("imu",)])
    def test_a_root_that_was_read_before_is_not_read_again(self, local_repo, write, cache, compress):
        shard = write(local_repo, 1, compress=compress)
        (root,) = local_repo.array_roots([shard])
        # A compressed one lies in the cache already.
        local_repo.hold_arrays(shard, cache).close()
        open_objects(local_repo.url).delete([shard_marker(shard.digest, "zarr")])
        with local_repo.hold_arrays(shard, cache, root=root) as held:
            assert_same(held, arrays_of(1))
            assert (held.root is root) == (not compress)

    def test_arrays_of_elsewhere_come_once(self, remote, faulty, write, cache):
        shard = write(remote, 1)
        for _ in range(3):
            with remote.hold_arrays(shard, cache) as held:
                assert_same(held, arrays_of(1))
                assert held.root.attributes == {"number": 101}
                assert cache.folder in held.file("near/vector").parents
        # The root and one request an array, nothing for the small metadata files.
        assert faulty.count(shard.digest) == 4
        assert_tidy(cache)

    def test_compressed_arrays_become_plain_files(self, repo, write, cache):
        shard = write(repo, 1, compress=("imu", "imu_valid"))
        with repo.hold_arrays(shard, cache) as held:
            assert_same(held, arrays_of(1))
            assert held.root.arrays["imu"].blocks
            assert cache.folder in held.file("imu").parents
        assert_tidy(cache)

    def test_compressed_arrays_pass_through_memory_a_block_at_a_time(
        self, local_repo, work, cache, monkeypatch
    ):
        # 48 blocks of 256 kB an array; of them a piece of the file is in memory, a block, a block compressed, and the
        # 2 MiB that are written at once.
        monkeypatch.setattr("sensorloom.store.local._READ_BYTES", 1 << 18)
        arrays = {name: noise_of(48 * 256) for name in "abc"}
        shard = local_repo.write_arrays("k", arrays, rows=48 * 256, attributes={}, work=work, compress="abc")
        tracemalloc.start()
        try:
            held = local_repo.hold_arrays(shard, cache)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert_same(held, arrays)
        assert 1 << 18 < peak < 4 << 20

    def test_arrays_without_elements_have_no_file(self, repo, work, cache):
        arrays = {
            "none": np.zeros((0, 6), np.float32),
            "flat": np.zeros((3, 0)),
            "one": np.array(7, np.int32),
        }
        shard = repo.write_arrays("e", arrays, rows=0, attributes={}, work=work)
        with repo.hold_arrays(shard, cache) as held:
            assert held.file("none") is None
            assert held.file("flat") is None
            assert np.fromfile(held.file("one"), np.int32).tolist() == [7]

    def test_a_shard_of_no_rows_at_all(self, remote, work, cache):
        shard = remote.write_arrays("e", {"x": np.zeros((0, 6))}, rows=0, attributes={}, work=work)
        with remote.hold_arrays(shard, cache) as held:
            assert held.root.rows == 0
            assert held.file("x") is None

    def test_an_array_that_is_not_there_is_named_with_those_that_are(self, local_repo, write):
        with (
            local_repo.hold_arrays(write(local_repo, 1), None) as held,
            pytest.raises(KeyError, match=r"no array 'nope' in .*; there are imu, imu_valid, near/vector"),
        ):
            held.file("nope")
        assert "40 rows" in repr(held)

    def test_without_a_cache_the_error_says_how_to_give_one(self, memory_repo, write):
        with pytest.raises(
            StorageError, match=r"shard 01 .* can only be read from a copy .*cache=default_cache"
        ):
            memory_repo.hold_arrays(write(memory_repo, 1), None)

    def test_one_folder_serves_several_stores(self, remote, memory_repo, local_repo, write, cache, faulty):
        shard = write(remote, 1)
        memory_repo.hold_arrays(write(memory_repo, 1), cache).close()
        with remote.hold_arrays(shard, cache) as held:
            assert_same(held, arrays_of(1))
        assert faulty.count(shard.digest) == 0

    def test_it_pickles_as_folder_and_bound(self, cache):
        again = pickle.loads(pickle.dumps(cache))
        assert (again.folder, again.max_bytes) == (cache.folder, cache.max_bytes)
        assert repr(again) == f"ShardCache({str(cache.folder)!r}, {LARGE})"


class TestBound:
    def test_the_least_recently_used_goes_first(self, remote, write, tmp_path, bytes_in_cache):
        cache = ShardCache(tmp_path / "cache", 3 * bytes_in_cache)
        shards = [write(remote, number) for number in range(5)]
        for number in (0, 1, 2, 0, 3):
            remote.hold_arrays(shards[number], cache).close()
        assert names(cache) == {shards[number].digest for number in (2, 0, 3)}
        remote.hold_arrays(shards[4], cache).close()
        assert names(cache) == {shards[number].digest for number in (0, 3, 4)}
        assert_tidy(cache)

    def test_the_end_of_a_use_counts_as_use(self, remote, write, tmp_path, bytes_in_cache):
        cache = ShardCache(tmp_path / "cache", 2 * bytes_in_cache)
        shards = [write(remote, number) for number in range(3)]
        first = remote.hold_arrays(shards[0], cache)
        remote.hold_arrays(shards[1], cache).close()
        first.close()
        remote.hold_arrays(shards[2], cache).close()
        assert names(cache) == {shards[0].digest, shards[2].digest}

    def test_a_use_that_never_ended_counts_from_its_beginning(self, remote, write, tmp_path, bytes_in_cache):
        cache = ShardCache(tmp_path / "cache", 2 * bytes_in_cache)
        shards = [write(remote, number) for number in range(3)]
        for number in (0, 1):
            remote.hold_arrays(shards[number], cache).close()
        lost = remote.hold_arrays(shards[0], cache)
        del lost
        remote.hold_arrays(shards[2], cache).close()
        assert names(cache) == {shards[0].digest, shards[2].digest}

    def test_what_is_held_stays(self, remote, write, tmp_path, bytes_in_cache):
        cache = ShardCache(tmp_path / "cache", 2 * bytes_in_cache)
        with remote.hold_arrays(write(remote, 0), cache) as held:
            again = remote.hold_arrays(write(remote, 0), cache)
            again.close()
            again.close()
            for number in range(1, 4):
                remote.hold_arrays(write(remote, number), cache).close()
            assert_same(held, arrays_of(0))
        remote.hold_arrays(write(remote, 4), cache).close()
        remote.hold_arrays(write(remote, 5), cache).close()
        assert not held.file("imu").exists()

    def test_no_room_is_an_error_with_both_sizes_and_the_remedy(
        self, remote, write, tmp_path, bytes_in_cache
    ):
        size = bytes_in_cache
        cache = ShardCache(tmp_path / "cache", 2 * size - 1)
        message = (
            rf"no room for the {size} bytes of shard 01 \(\w{{12}}\) in cache .*: of at most {2 * size - 1} bytes this "
            rf"process reads or fetches {size} \(1 shards\), others 0 \(0 shards\); raise max_bytes "
            rf"\(SENSORLOOM_CACHE_BYTES for the default cache\) to {2 * size} or more, or hold fewer shards at once: "
            r"shuffle='block', or where that is so already a smaller rules.block_shards$"
        )
        with remote.hold_arrays(write(remote, 0), cache):
            with pytest.raises(StoreReadError, match=message):
                remote.hold_arrays(write(remote, 1), cache)
            assert_tidy(cache)
        remote.hold_arrays(write(remote, 1), cache).close()

    def test_a_shard_too_large_for_the_cache_moves_no_other_out(
        self, remote, write, work, tmp_path, bytes_in_cache
    ):
        cache = ShardCache(tmp_path / "cache", 2 * bytes_in_cache)
        for number in (0, 1):
            remote.hold_arrays(write(remote, number), cache).close()
        before = names(cache)
        large = {"x": np.zeros(2 * bytes_in_cache, np.uint8)}
        shard = remote.write_arrays("large", large, rows=1, attributes={}, work=work)
        message = (
            rf"no room for the (\d+) bytes of shard large .*, which holds at most {cache.max_bytes} bytes; "
            r"raise max_bytes \(SENSORLOOM_CACHE_BYTES for the default cache\) to \1 or more$"
        )
        with pytest.raises(StoreReadError, match=message):
            remote.hold_arrays(shard, cache)
        assert names(cache) == before
        assert len(before) == 2
        assert_tidy(cache)

    def test_what_is_idle_stays_where_it_would_not_be_room_enough(
        self, remote, write, tmp_path, bytes_in_cache
    ):
        cache = ShardCache(tmp_path / "cache", 3 * bytes_in_cache)
        shards = [write(remote, number) for number in range(4)]
        remote.hold_arrays(shards[0], cache).close()
        with remote.hold_arrays(shards[1], cache), remote.hold_arrays(shards[2], cache):
            tight = ShardCache(cache.folder, cache.max_bytes - 1)
            with pytest.raises(StoreReadError, match=r"no room for .* shard 03"):
                remote.hold_arrays(shards[3], tight)
            assert names(cache) == {shard.digest for shard in shards[:3]}
            remote.hold_arrays(shards[3], cache).close()
        assert names(cache) == {shard.digest for shard in shards[1:]}
        assert_tidy(cache)

    def test_what_others_keep_in_its_folder_is_left_alone(self, remote, write, tmp_path, bytes_in_cache):
        cache = ShardCache(tmp_path / "cache", bytes_in_cache)
        shards = [write(remote, number) for number in range(3)]
        # Names as others give them, and some that miss those of a shard by a little.
        for name in ("poetry", "uv", "a" * 63, "a" * 65, "A" * 64, "g" * 64):
            (cache.folder / name).mkdir(parents=True)
            (cache.folder / name / "work").write_text("x" * bytes_in_cache)
            (cache.folder / f"{name}.lock").write_text("9" * 19)
        foreign = {path: path.is_file() and path.read_text() for path in cache.folder.rglob("*")}
        for shard in shards:
            remote.hold_arrays(shard, cache).close()
        assert (
            foreign.items()
            <= {path: path.is_file() and path.read_text() for path in foreign if path.exists()}.items()
        )
        assert [shard.digest in names(cache) for shard in shards] == [False, False, True]

    def test_it_holds_while_many_fetch_at_once(
        self, remote, faulty, write, tmp_path, bytes_in_cache, cached_bytes
    ):
        cache = ShardCache(tmp_path / "cache", 4 * bytes_in_cache)
        shards = [write(remote, number) for number in range(12)]
        sizes: list[int] = []
        faulty.before_answer = faulty.halfway = lambda path: sizes.append(cached_bytes(cache.folder))
        faulty.spoil(".zarr", "failing", 3)
        faulty.spoil("imu/c", "truncated", 3)

        def use(number):
            with remote.hold_arrays(shards[number], cache) as held:
                assert_same(held, arrays_of(number))

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(use, [*range(12), *range(12)]))
        assert len(sizes) > 12 * 4
        assert bytes_in_cache < max(sizes) <= cache.max_bytes
        assert_tidy(cache)

    def test_threads_that_want_one_shard_fetch_it_once(self, remote, faulty, write, cache):
        shard = write(remote, 1)
        with ThreadPoolExecutor(8) as pool:
            helds = list(pool.map(lambda _: remote.hold_arrays(shard, cache), range(8)))
        for held in helds:
            assert_same(held, arrays_of(1))
            held.close()
        assert faulty.count(shard.digest) == 4

    def test_of_two_that_look_at_the_same_moment_none_waits_for_the_other(
        self, local_repo, write, cache, monkeypatch
    ):
        shard = write(local_repo, 1, compress=("imu",))
        both, real, seen = threading.Barrier(2, timeout=60), fcntl.flock, set()

        def flock(*args):
            is_first = threading.get_ident() not in seen and len(seen) < 2
            seen.add(threading.get_ident())
            try:
                return real(*args)
            finally:
                if is_first:
                    both.wait()

        monkeypatch.setattr("sensorloom.store.locks.fcntl.flock", flock)
        helds = []
        hold = partial(threading.Thread, target=lambda: helds.append(local_repo.hold_arrays(shard, cache)))
        threads = [hold(daemon=True), hold(daemon=True)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert len(helds) == 2
        for held in helds:
            assert_same(held, arrays_of(1))

    @pytest.mark.parametrize("max_bytes", [0, -5])
    def test_a_bound_below_one_byte_is_refused(self, tmp_path, max_bytes):
        with pytest.raises(UsageError, match=rf"max_bytes of cache .* must be at least 1, got {max_bytes}"):
            ShardCache(tmp_path, max_bytes)


class TestFaults:
    @pytest.mark.parametrize("kind", ["failing", "busy", "truncated"])
    def test_passing_faults_are_not_seen(self, remote, faulty, write, cache, kind):
        shard = write(remote, 1)
        faulty.spoil("imu/c", kind, 2)
        faulty.spoil("zarr.json", kind, 1)
        with remote.hold_arrays(shard, cache) as held:
            assert_same(held, arrays_of(1))
        assert faulty.left() == 0

    def test_what_lasts_is_tried_again_ever_later_and_then_told(self, remote, faulty, write, cache, pauses):
        shard = write(remote, 1)
        faulty.spoil("imu/c", "forbidden", 100)
        with pytest.raises(
            StoreReadError, match=rf"cannot read .*{shard.digest}.zarr/imu/c/0/0/0/0 in store s3://"
        ):
            remote.hold_arrays(shard, cache)
        assert pauses == sorted(pauses)
        assert len(pauses) == 4
        assert faulty.count("imu/c") == 5
        assert names(cache) == set()
        assert_tidy(cache)

    @pytest.mark.parametrize("kind", ["wrong", "shorter", "longer"])
    @pytest.mark.parametrize("part", ["imu/c", "zarr.json"])
    def test_wrong_bytes_are_fetched_again(self, remote, faulty, write, cache, kind, part):
        shard = write(remote, 1)
        faulty.spoil(part, kind)
        with remote.hold_arrays(shard, cache) as held:
            assert_same(held, arrays_of(1))
        assert faulty.count(part) == 2
        assert_tidy(cache)

    @pytest.mark.parametrize("compress", [(), ("imu",)])
    @pytest.mark.parametrize("kind", ["wrong", "shorter", "longer"])
    def test_wrong_bytes_twice_are_refused(self, remote, faulty, write, cache, kind, compress):
        shard = write(remote, 1, compress=compress)
        faulty.spoil("imu/c", kind, 2)
        message = (
            rf"shard 01 \({shard.digest}\) of store s3://.* came with wrong bytes twice: .*sensorloom verify"
        )
        with pytest.raises(StoreReadError, match=message):
            remote.hold_arrays(shard, cache)
        assert faulty.count("imu/c") == 2
        assert names(cache) == set()
        assert_tidy(cache)
        remote.hold_arrays(shard, cache).close()

    def test_a_file_never_grows_beyond_what_the_root_says(self, remote, faulty, write, cache):
        faulty.spoil("imu/c", "longer", 2)
        with pytest.raises(StoreReadError, match=r"twice: imu/c/0/0/0/0 holds more than 96000 bytes; run"):
            remote.hold_arrays(write(remote, 1), cache)

    @pytest.mark.parametrize(
        ("rows", "blocks"), [(0, None), (3999, None), (4001, None), (10**9, None), (10**9, 256)]
    )
    def test_a_root_of_other_sizes_than_its_manifest_moves_nothing_out(
        self, remote, write, work, tmp_path, bytes_in_cache, rows, blocks
    ):
        cache = ShardCache(tmp_path / "cache", bytes_in_cache)
        remote.hold_arrays(write(remote, 0), cache).close()
        shard = remote.write_arrays("a", {"x": np.ones(4000)}, rows=4000, attributes={}, work=work)
        root = ShardRoot(4000, {}, {"x": ArraySpec((rows,), "float64", blocks)})
        open_objects(remote.url).put(f"{shard_key(shard.digest, 'zarr')}/zarr.json", root_file(root))
        message = (
            rf"shard a \({shard.digest}\) .* came with wrong bytes twice: zarr.json speaks of "
            rf"{0 if blocks else 8 * rows} bytes of plain and {8 * rows if blocks else 0} bytes of compressed arrays, "
            rf"and its manifest of {shard.num_bytes} bytes with \d+ bytes of metadata; run"
        )
        with pytest.raises(StoreReadError, match=message):
            remote.hold_arrays(shard, cache)
        assert len(names(cache)) == 1
        assert_tidy(cache)

    @pytest.mark.parametrize("part", ["zarr.json", "imu/c/0/0/0/0"])
    def test_a_shard_that_has_vanished_is_named(self, repo, write, cache, part):
        shard = write(repo, 7, compress=("imu",))
        open_objects(repo.url).delete([f"{shard_key(shard.digest, 'zarr')}/{part}"])
        with pytest.raises(
            MissingObjectError, match=rf"shard 07 .*{shard.digest}.zarr/{part} in store .* is missing"
        ):
            repo.hold_arrays(shard, cache)

    def test_a_copy_that_a_power_cut_emptied_is_fetched_again(self, remote, write, cache):
        shard = write(remote, 1)
        for name in ("imu/c/0/0/0/0", "zarr.json"):
            remote.hold_arrays(shard, cache).close()
            (cache.folder / shard.digest / name).write_bytes(b"")
            with remote.hold_arrays(shard, cache) as held:
                assert_same(held, arrays_of(1))

    @pytest.mark.parametrize("place", [".", "partial"])
    @pytest.mark.parametrize("kind", ["file", "link to a folder", "link to a file", "link to nothing"])
    def test_what_is_no_folder_in_the_place_of_a_shard_goes(
        self, remote, write, cache, tmp_path, kind, place
    ):
        shards = [write(remote, number) for number in range(2)]
        (tmp_path / "work").mkdir()
        (tmp_path / "work" / "a").write_text("x")
        (cache.folder / place).mkdir(parents=True)
        target = {"link to a folder": "work", "link to a file": "work/a", "link to nothing": "nothing"}
        for shard in shards:
            path = cache.folder / place / shard.digest
            path.write_text("junk") if kind == "file" else path.symlink_to(tmp_path / target[kind])
        # The second lies about like what a dead process left.
        (cache.folder / f"{shards[1].digest}.lock").touch()
        with remote.hold_arrays(shards[0], cache) as held:
            assert_same(held, arrays_of(0))
        assert names(cache) == {shards[0].digest}
        assert_tidy(cache)
        assert not (cache.folder / place / shards[1].digest).is_symlink()
        assert (tmp_path / "work" / "a").read_text() == "x"

    def test_a_linked_copy_is_not_read(self, remote, faulty, write, cache, tmp_path):
        """What lies behind a link may change under the one who maps it."""
        shard = write(remote, 1)
        remote.hold_arrays(shard, cache).close()
        (cache.folder / shard.digest).rename(tmp_path / "moved")
        (cache.folder / shard.digest).symlink_to(tmp_path / "moved")
        with remote.hold_arrays(shard, cache) as held:
            assert_same(held, arrays_of(1))
        assert not (cache.folder / shard.digest).is_symlink()
        assert (tmp_path / "moved" / "zarr.json").exists()

    def test_threads_that_find_a_damaged_copy_mend_it_once(self, remote, faulty, write, cache):
        shard = write(remote, 1)
        remote.hold_arrays(shard, cache).close()
        (cache.folder / shard.digest / "zarr.json").unlink()
        with ThreadPoolExecutor(8) as pool:
            helds = list(pool.map(lambda _: remote.hold_arrays(shard, cache), range(8)))
        assert len({held.file("imu") for held in helds}) == 1
        assert_same(helds[0], arrays_of(1))
        assert faulty.count(shard.digest) == 2 * 4

    def test_a_damaged_copy_that_is_held_is_named_with_the_remedy(self, remote, write, cache):
        shard = write(remote, 1)
        held = remote.hold_arrays(shard, cache)
        held.file("imu").unlink()
        message = (
            rf"copy of shard 01 in {cache.folder}/{shard.digest} is not whole, and cannot be fetched again while this "
            rf"process holds it: end what reads it, or remove that folder and {shard.digest}.lock beside it, and run"
        )
        with pytest.raises(StoreReadError, match=message):
            remote.hold_arrays(shard, cache)
        # Either remedy helps.
        shutil.rmtree(cache.folder / shard.digest)
        (cache.folder / f"{shard.digest}.lock").unlink()
        remote.hold_arrays(shard, cache).close()
        (cache.folder / shard.digest / "zarr.json").unlink()
        held.close()
        with remote.hold_arrays(shard, cache) as again:
            assert_same(again, arrays_of(1))
        assert_tidy(cache)

    def test_a_cache_that_someone_empties_is_filled_again(self, remote, write, cache):
        shard = write(remote, 1)
        with remote.hold_arrays(shard, cache):
            shutil.rmtree(cache.folder)
        with remote.hold_arrays(shard, cache) as held:
            assert_same(held, arrays_of(1))

    def test_a_folder_that_cannot_be_is_named(self, remote, write, tmp_path):
        (tmp_path / "file").write_text("x")
        cache = ShardCache(tmp_path / "file", LARGE)
        with pytest.raises(StoreWriteError, match=r"cannot use cache .*file: .*; give it room and rights"):
            remote.hold_arrays(write(remote, 1), cache)

    def test_a_process_with_too_many_files_open_is_told_why(self, remote, write, cache):
        shards = [write(remote, number) for number in range(3)]
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        for shard in shards:
            remote.hold_arrays(shard, cache).close()
        first_free = os.open(os.devnull, os.O_RDONLY)
        os.close(first_free)
        helds = []
        try:
            # Room to read one more file, not to lock it as well.
            resource.setrlimit(resource.RLIMIT_NOFILE, (first_free + 2, hard))
            with pytest.raises(
                StoreWriteError, match=r"Too many open files.*each shard held keeps .*\(ulimit -n\)"
            ):
                helds += [remote.hold_arrays(shard, cache) for shard in shards]
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class TestDefault:
    def test_it_lies_in_the_cache_of_the_user(self, monkeypatch, tmp_path):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        monkeypatch.delenv("SENSORLOOM_CACHE_BYTES", raising=False)
        cache = default_cache()
        assert (cache.folder, cache.max_bytes) == (tmp_path / "sensorloom" / "shards", 50_000_000_000)
        monkeypatch.setenv("SENSORLOOM_CACHE_BYTES", "12345")
        assert default_cache().max_bytes == 12345
        monkeypatch.delenv("XDG_CACHE_HOME")
        assert default_cache().folder == Path.home() / ".cache" / "sensorloom" / "shards"

    @pytest.mark.parametrize("text", ["50 GB", "-1", "1.5"])
    def test_a_bound_that_is_no_number_is_refused(self, monkeypatch, text):
        monkeypatch.setenv("SENSORLOOM_CACHE_BYTES", text)
        with pytest.raises(UsageError, match=f"SENSORLOOM_CACHE_BYTES must be a number of bytes.*'{text}'"):
            default_cache()
