import contextlib
import gc
import mmap
import os
import re
import resource
import subprocess
import sys
import tempfile
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorloom.store.errors import MalformedObjectError, MissingObjectError, StoreReadError
from sensorloom.store.joined import JoinedArray

PROC = Path("/proc/self")
LARGE_PAGE = 1 << 21
UNMAPPABLE = Path("/sys/kernel/mm/transparent_hugepage/enabled")
linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def shards(rows, row_shape, dtype="float32"):
    """Arrays of random bytes, NaN patterns among them."""
    rng = np.random.default_rng(len(rows))
    size = np.dtype(dtype).itemsize
    raw = [rng.integers(0, 2 if dtype == "bool" else 256, (n, *row_shape, size), np.uint8) for n in rows]
    return [part.reshape(-1).view(dtype).reshape(len(part), *row_shape) for part in raw]


def write(folder, parts):
    """Write the chunk file of each part that has bytes; return the paths."""
    paths = [folder / f"{place}" if part.size else None for place, part in enumerate(parts)]
    for part, path in zip(parts, paths, strict=True):
        if path:
            part.tofile(path)
    return paths


def join(parts, paths):
    joined = JoinedArray(parts[0].dtype, parts[0].shape[1:], [len(part) for part in parts])
    for place, path in enumerate(paths):
        joined.map(place, path)
    return joined


def assert_holds(joined, parts):
    for base, part in zip(joined.base, parts, strict=True):
        # As bytes: NaN equals itself there.
        assert joined.array[base : base + len(part)].tobytes() == part.tobytes()


def is_reserved(address):
    """Tell whether some mapping of this process covers `address`."""
    spans = (line.split()[0].split("-") for line in (PROC / "maps").read_text().splitlines())
    return any(int(start, 16) <= address < int(stop, 16) for start, stop in spans)


def bytes_in_large_pages(array):
    """Read an array of one mapping through, and return how much of that is then mapped in large pages."""
    array.sum()
    lines = iter((PROC / "smaps").read_text().splitlines())
    for line in lines:
        if line.split()[0].startswith(f"{array.ctypes.data:x}-"):
            break
    return next(int(line.split()[1]) for line in lines if line.startswith("FilePmdMapped"))


class TestReading:
    @pytest.mark.parametrize(
        ("rows", "row_shape", "dtype"),
        [
            ([5, 1000, 3], (7, 3), "float32"),
            ([2, 1, 700], (1, 6, 1000), "float32"),
            ([1, 4096, 4097], (), "uint8"),
            ([4095, 1, 2], (1,), "bool"),
            ([3, 0, 2, 0], (4099,), "uint8"),
            ([0, 0], (3,), "int64"),
            ([3, 2], (0, 4), "float16"),
            ([9], (33, 5), "int16"),
        ],
    )
    def test_rows_of_every_shard_come_back(self, tmp_path, rows, row_shape, dtype):
        parts = shards(rows, row_shape, dtype)
        joined = join(parts, write(tmp_path, parts))
        assert_holds(joined, parts)
        assert (joined.array.dtype, joined.array.shape[1:]) == (np.dtype(dtype), row_shape)
        assert (joined.base.dtype, joined.base.shape) == (np.int64, (len(rows),))
        assert joined.array.flags.c_contiguous

    @settings(deadline=None, max_examples=60)
    @given(
        st.lists(st.integers(0, 300), min_size=1, max_size=6),
        st.lists(st.integers(0, 17), max_size=3),
        st.sampled_from(["bool", "int8", "float16", "float32", "int64"]),
    )
    def test_any_rows_of_any_shape_come_back(self, rows, row_shape, dtype):
        parts = shards(rows, tuple(row_shape), dtype)
        with tempfile.TemporaryDirectory() as folder:
            joined = join(parts, write(Path(folder), parts))
            assert_holds(joined, parts)
        # A file that is removed stays readable as long as it is mapped.
        assert_holds(joined, parts)

    def test_files_are_little_endian_whatever_the_machine(self, tmp_path):
        (tmp_path / "0").write_bytes(b"\x01\x00\x02\x00")
        joined = JoinedArray(">i2", (), [2])
        joined.map(0, tmp_path / "0")
        assert joined.array[:2].tolist() == [1, 2]

    def test_no_shard_at_all_is_legal(self):
        joined = JoinedArray("float32", (6, 10), [])
        assert (joined.array.shape, joined.base.shape) == ((0, 6, 10), (0,))

    def test_shards_begin_at_pages_and_rows_and_do_not_overlap(self):
        joined = JoinedArray("float32", (6, 1000), [1, 65, 64, 2])
        assert joined.base.tolist() == [0, *np.cumsum([64, 128, 64]).tolist()] or mmap.PAGESIZE != 4096
        starts = joined.base * joined.array.strides[0]
        assert not (starts % mmap.PAGESIZE).any()
        assert (np.diff(joined.base) >= [1, 65, 64]).all()

    @linux
    @pytest.mark.skipif(mmap.PAGESIZE != 4096, reason="large pages are of another size")
    @pytest.mark.parametrize("rows", [[88, 1, 90], [3, 400], [1, 88]])
    def test_large_shards_begin_at_large_pages(self, rows, tmp_path):
        parts = shards(rows, (6, 1000))
        joined = join(parts, write(tmp_path, parts))
        assert_holds(joined, parts)
        assert joined.array.ctypes.data % LARGE_PAGE == 0
        assert not (joined.base * joined.array.strides[0] % LARGE_PAGE).any()

    def test_where_addresses_are_bounded_the_usual_pages_do(self, monkeypatch, tmp_path):
        monkeypatch.setattr(resource, "getrlimit", lambda _: (1 << 40, resource.RLIM_INFINITY))
        parts = shards([88, 90], (6, 1000))
        joined = join(parts, write(tmp_path, parts))
        assert_holds(joined, parts)
        assert joined.base[1] * joined.array.strides[0] < LARGE_PAGE * 2

    def test_where_large_pages_find_no_room_the_usual_ones_do(self, tmp_path):
        parts = shards([88, 90], (6, 1000))
        paths = write(tmp_path, parts)
        taken = []
        for power in range(
            46, 29, -1
        ):  # what is left has less than 1 GiB in one piece, and these need 1.6 GB
            with contextlib.suppress(StoreReadError):
                while True:
                    taken.append(JoinedArray("uint8", (), [1 << power]))
        joined = join(parts, paths)
        del taken
        assert_holds(joined, parts)
        assert joined.base[1] * joined.array.strides[0] < LARGE_PAGE * 2

    def test_addresses_are_not_wasted_on_rows_that_have_few_multiples_in_common_with_large_pages(self):
        joined = JoinedArray("uint8", ((1 << 21) - 1,), [2] * 100)
        assert joined.base[1] * joined.array.strides[0] < LARGE_PAGE * mmap.PAGESIZE

    @linux
    def test_what_is_cached_in_large_pages_is_mapped_in_them(self, tmp_path):
        part = np.zeros(5 << 21, "uint8")
        path = tmp_path / "chunk"
        path.write_bytes(part)  # at once, so that a system that can caches it in large pages
        plain = bytes_in_large_pages(np.memmap(path, mode="r"))  # none on systems that cannot
        assert bytes_in_large_pages(join([part], [path]).array) >= plain

    def test_the_array_is_read_only(self, tmp_path):
        parts = shards([3], (2,))
        joined = join(parts, write(tmp_path, parts))
        for array in (joined.array, JoinedArray("float32", (0,), [3]).array):
            with pytest.raises(ValueError, match="read-only"):
                array[:1] = 0
        with pytest.raises(ValueError, match="WRITEABLE"):
            joined.array.flags.writeable = True

    def test_two_threads_gather_at_the_same_time(self, tmp_path):
        parts = shards([300, 7, 500], (6, 50))
        joined = join(parts, write(tmp_path, parts))
        at = np.concatenate(
            [base + np.arange(len(part)) for base, part in zip(joined.base, parts, strict=True)]
        )
        orders = [np.random.default_rng(seed).permutation(len(at)) for seed in range(2)]
        buffers = [np.empty((len(at), 6, 50), np.float32) for _ in orders]
        start = threading.Barrier(2)

        def gather(order, out):
            start.wait()
            np.take(joined.array, at[order], axis=0, out=out, mode="clip")

        threads = [threading.Thread(target=gather, args=pair) for pair in zip(orders, buffers, strict=True)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for order, out in zip(orders, buffers, strict=True):
            assert out.tobytes() == np.concatenate(parts)[order].tobytes()

    def test_a_forked_child_reads_and_lets_go_of_its_own_copy_only(self, tmp_path):
        parts = shards([300, 7], (11,))
        held = [join(parts, write(tmp_path, parts))]
        with warnings.catch_warnings():
            # From Python 3.12 on a fork beside any thread warns; that child only reads and ends.
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if not child:
            status = 1
            try:
                assert_holds(held[0], parts)
                held.clear()
                gc.collect()
                status = 0
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert_holds(held[0], parts)

    def test_its_form_names_rows_and_shards(self):
        assert repr(JoinedArray("float32", (6, 10), [1, 2])) == "JoinedArray(float32[6, 10], 2 shards)"


class TestMapping:
    def test_a_shard_is_unmapped_and_another_file_mapped(self, tmp_path):
        old, new = shards([40, 7], (13,)), shards([40, 7, 1], (13,))[:2]
        joined = join(old, write(tmp_path, old))
        (tmp_path / "new").mkdir()
        joined.unmap(0)
        joined.map(0, write(tmp_path / "new", new)[0])
        assert_holds(joined, [new[0], old[1]])

    def test_a_mapped_shard_is_mapped_over(self, tmp_path):
        old, new = shards([40], (13,)), shards([40, 1], (13,))[:1]
        joined = join(old, write(tmp_path, old))
        joined.map(0, write(tmp_path, new)[0])
        assert_holds(joined, new)

    def test_nothing_is_done_for_a_shard_without_bytes(self, tmp_path):
        joined = JoinedArray("float32", (6,), [0, 2])
        joined.map(0, None)
        joined.map(0, tmp_path / "not there")
        joined.unmap(0)
        assert joined.base.tolist()[0] == joined.base.tolist()[1] == 0

    @linux
    @pytest.mark.parametrize("before", ["joined", "joined.map(0, path); joined.unmap(0)"])
    def test_a_shard_that_is_not_mapped_ends_the_process_instead_of_giving_zeros(self, tmp_path, before):
        path = write(tmp_path, shards([5], (3,)))[0]
        code = (
            "from pathlib import Path; from sensorloom.store.joined import JoinedArray; "
            f"path = Path({str(path)!r}); joined = JoinedArray('float32', (3,), [5]); {before}; joined.array[0, 0]"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], check=False, timeout=60, stderr=subprocess.DEVNULL
        )
        assert done.returncode == -11


class TestErrors:
    @pytest.mark.parametrize("found", [0, 59, 61])
    def test_a_file_of_another_size_is_refused(self, tmp_path, found):
        path = tmp_path / "0"
        path.write_bytes(bytes(found))
        with pytest.raises(
            MalformedObjectError, match=rf"/0 must hold 60 bytes, holds {found}; run `sensorloom verify`"
        ):
            JoinedArray("float32", (3,), [5]).map(0, path)

    def test_a_file_that_is_gone_is_named(self, tmp_path):
        with pytest.raises(
            MissingObjectError, match=r"/gone is missing although it is named; `sensorloom ver"
        ):
            JoinedArray("float32", (3,), [5]).map(0, tmp_path / "gone")

    def test_a_shard_with_bytes_must_have_a_file(self):
        with pytest.raises(
            MalformedObjectError, match=r"shard 1 of JoinedArray\(.*\) must have a file of 24 bytes, has none"
        ):
            JoinedArray("float32", (3,), [5, 2]).map(1, None)

    def test_a_file_that_cannot_be_opened_says_why(self, tmp_path):
        path = tmp_path / "loop"
        path.symlink_to(path)
        with pytest.raises(StoreReadError, match=r"cannot map .*/loop: .*symbolic links"):
            JoinedArray("float32", (3,), [5]).map(0, path)

    @pytest.mark.skipif(not UNMAPPABLE.exists(), reason="needs a file of Linux that cannot be mapped")
    def test_a_file_that_cannot_be_mapped_says_why_and_leaves_its_addresses_reserved(self):
        joined = JoinedArray("uint8", (), [UNMAPPABLE.stat().st_size, 1])
        with pytest.raises(StoreReadError, match=f"cannot map {UNMAPPABLE}: No such device"):
            joined.map(0, UNMAPPABLE)
        assert is_reserved(joined.array.ctypes.data)

    def test_more_addresses_than_there_are_left_say_what_bounds_them(self):
        with pytest.raises(
            StoreReadError,
            match=r"cannot reserve \d+ bytes of addresses for an array of shape \[\d+, 8\]: .*`ulimit -v`",
        ):
            [JoinedArray("uint8", (8,), [1 << 43]) for _ in range(8)]

    @pytest.mark.parametrize(
        ("row_shape", "rows", "shape", "size"),
        [
            ((8,), [1 << 44, 1], f"[{(1 << 44) + 512}, 8]", (1 << 47) + 4096),
            ((8,), [1 << 61], f"[{1 << 61}, 8]", 1 << 64),
            ((8,), [1 << 62, 1 << 62], f"[{1 << 63}, 8]", 1 << 66),
            ((8,), [1 << 63], f"[{1 << 63}, 8]", 1 << 66),
            ((0, 4), [1 << 63], f"[{1 << 63}, 0, 4]", 1 << 65),
            ((1 << 40, 1 << 40), [0], f"[0, {1 << 40}, {1 << 40}]", 1 << 80),
        ],
    )
    def test_more_addresses_than_a_process_can_have_are_refused_with_shape_and_size(
        self, row_shape, rows, shape, size
    ):
        message = (
            f"cannot reserve {size} bytes of addresses for an array of shape {shape}: a process has at most {1 << 47}; "
            "run `sensorloom verify`"
        )
        with pytest.raises(StoreReadError, match=re.escape(message)):
            JoinedArray("uint8", row_shape, rows)

    @pytest.mark.parametrize("rows", [[5, -3, 4], [-(1 << 63) - 1]])
    def test_fewer_rows_than_none_are_refused(self, rows):
        message = (
            f"cannot join {min(rows)} rows of shard {rows.index(min(rows))}: a shard has 0 or more; run `sens"
        )
        with pytest.raises(StoreReadError, match=re.escape(message)):
            JoinedArray("float32", (3,), rows)


@linux
class TestGivingBack:
    def test_the_range_is_given_back_with_the_last_view_into_it(self, tmp_path):
        parts = shards([300, 7], (11,))
        joined = join(parts, write(tmp_path, parts))
        address = joined.array.ctypes.data
        view = joined.array[joined.base[1] :][:7]
        raw = memoryview(view[3])
        del joined
        gc.collect()
        assert view.tobytes() == parts[1].tobytes()
        del view
        gc.collect()
        assert bytes(raw) == parts[1][3].tobytes()
        assert is_reserved(address)
        del raw
        gc.collect()
        assert not is_reserved(address)

    def test_opening_and_dropping_leaves_no_mapping(self, tmp_path):
        parts = shards([300, 0, 7], (11,))
        paths = write(tmp_path, parts)

        def mapped():
            gc.collect()
            return sum(str(tmp_path) in line for line in (PROC / "maps").read_text().splitlines())

        held = [join(parts, paths) for _ in range(10)]
        assert mapped() == 20
        held.pop()
        assert mapped() == 18
        held.clear()
        assert mapped() == 0

    def test_files_are_closed(self, tmp_path):
        parts = shards([300, 7], (11,))
        paths = write(tmp_path, parts)
        before = len(list((PROC / "fd").iterdir()))
        joined = join(parts, paths)
        (tmp_path / "short").write_bytes(b"x")
        with pytest.raises(MalformedObjectError, match="short must hold"):
            joined.map(0, tmp_path / "short")
        assert len(list((PROC / "fd").iterdir())) == before

    def test_arrays_can_be_read_until_the_process_ends(self, tmp_path):
        path = write(tmp_path, [np.arange(6, dtype="float32").reshape(2, 3)])[0]
        code = (
            "import atexit; atexit.register(lambda: print(joined.array[1].tolist())); "
            "from pathlib import Path; from sensorloom.store.joined import JoinedArray; "
            f"joined = JoinedArray('float32', (3,), [2]); joined.map(0, Path({str(path)!r}))"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, timeout=60)
        assert (done.returncode, done.stdout.strip()) == (0, b"[3.0, 4.0, 5.0]")
