"""One array of many shards as one range of addresses: chunk files mapped behind each other.

A row of any shard is then a row of one C-contiguous array, so a shuffled batch is one `np.take`, which gives
up the interpreter lock, instead of a Python copy a row. Shards begin at multiples of both the row and the
page; what lies between them is reserved and cannot be read. The page is a large one where shards are of that
size: what Linux caches in large pages it then maps so, and rows that are read in any order cost fewer walks
through the page tables (a tenth more rows of 24 kB a second, measured on two cores, and few faults in a first epoch).
"""

from __future__ import annotations

import ctypes
import errno
import math
import mmap
import os
import resource
import sys
import weakref
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from sensorloom.store.errors import MalformedObjectError, MissingObjectError, StoreReadError

__all__ = ["LARGE_PAGE", "JoinedArray"]

# What the mmap module does not name; MAP_FIXED is the same on Linux and macOS.
_PROT_NONE = 0
_MAP_FIXED = 0x10
_MOST_BYTES = 1 << 47  # The addresses of a process on x86-64, https://docs.kernel.org/arch/x86/x86_64/mm.html

LARGE_PAGE = 1 << 21
"""Bytes of a large page of Linux where the usual ones have 4 KiB."""
_MOST_FOR_LARGE_PAGES = 1 << 40
"""Addresses that one array may take for the sake of them: a shard begins at the next common multiple with its row."""

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
_libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
_MAP_FAILED = ctypes.c_void_p(-1).value


class JoinedArray:
    """The rows of one array over all shards, `rows[s]` of them in shard s, each of `row_shape`.

    Row r of shard s is `array[base[s] + r]`. A shard can be read between `map` and `unmap`; reading one that
    is not mapped, or the holes behind shards (so: the array as a whole, with `sum` or `==`), ends the process.
    Mapping reads nothing yet: pages come as they are touched, from what all processes of a machine share.
    The range is given back when neither this nor any array that looks into it is left; a forked child
    inherits it.

    Raises StoreReadError for a negative number of rows, and where so many addresses are not to be had.
    """

    def __init__(self, dtype: DTypeLike, row_shape: Sequence[int], rows: Sequence[int]) -> None:
        little = np.dtype(dtype).newbyteorder("<")
        self._row_bytes = math.prod(row_shape) * little.itemsize
        self._rows = tuple(rows)
        # Large pages are a gain and no need: where they find no room the usual ones do.
        for page in (*_large_pages(self._row_bytes, rows), mmap.PAGESIZE):
            first = _first_rows(self._row_bytes, rows, page)
            shape = (first[-1], *row_shape)
            _check_size(shape, little.itemsize, rows)
            try:
                self._array = _reserved(shape, little, page)
                break
            except StoreReadError:
                if page == mmap.PAGESIZE:
                    raise
        self._base = np.array(first[:-1], np.int64)

    @property
    def base(self) -> NDArray[np.int64]:
        """First row of each shard in `array`, int64[num_shards]."""
        return self._base

    @property
    def array(self) -> NDArray[Any]:
        """The whole column [R, *row_shape], read-only; R counts the holes too."""
        return self._array

    def __repr__(self) -> str:
        return f"JoinedArray({self._array.dtype}{list(self._array.shape[1:])}, {len(self._rows)} shards)"

    def map(self, place: int, path: Path | None) -> None:
        """Map the plain chunk file of shard `place`; a shard without bytes has none and needs none.

        Raises MissingObjectError for a file that is gone, MalformedObjectError for one of another size than
        the rows of the shard ask for, StoreReadError for one that the system refuses to open or to map.
        """
        address, size = self._span(place)
        if not size:
            return
        if path is None:
            raise MalformedObjectError(
                f"shard {place} of {self!r} must have a file of {size} bytes, has none"
            )
        try:
            _map_file(address, size, path)
        except FileNotFoundError as error:
            raise MissingObjectError(
                f"{path} is missing although it is named; `sensorloom verify` lists all such"
            ) from error
        except OSError as error:
            raise StoreReadError(f"cannot map {path}: {_reason(error)}") from error

    def unmap(self, place: int) -> None:
        """Let go of the file of shard `place`; its addresses stay reserved, `map` fills them again."""
        address, size = self._span(place)
        if size:
            _reserve(address, size)

    def _span(self, place: int) -> tuple[int, int]:
        start = int(self._base[place]) * self._row_bytes
        return self._array.ctypes.data + start, self._rows[place] * self._row_bytes


class _Range:
    """Addresses of its own for one array, given back when the last array that looks into it is gone."""

    def __init__(self, shape: tuple[int, ...], typestr: str, size: int, page: int) -> None:
        size += page - mmap.PAGESIZE  # to begin at a page within
        try:
            address = _reserve(None, size)
        except OSError as error:
            raise StoreReadError(
                f"cannot reserve {size} bytes of addresses for an array of shape {list(shape)}: "
                f"{_reason(error)}"
            ) from error
        self.__array_interface__ = {
            "version": 3,
            "shape": shape,
            "typestr": typestr,
            "data": (-(-address // page) * page, True),
        }
        # Not at exit: a thread may still be reading, and the system takes everything back anyway.
        weakref.finalize(self, _libc.munmap, address, size).atexit = False


def _reserved(shape: tuple[int, ...], dtype: np.dtype[Any], page: int) -> NDArray[Any]:
    """Return an array that begins at a page and cannot be read yet."""
    size = math.prod(shape) * dtype.itemsize
    if size:
        return np.asarray(_Range(shape, dtype.str, size, page))
    array = np.empty(shape, dtype)
    array.flags.writeable = False
    return array


def _first_rows(row_bytes: int, rows: Sequence[int], page: int) -> list[int]:
    """Return the first row of each shard, and the end of the last: multiples of the page."""
    # Without bytes there is nothing to align, and no addresses are needed.
    step = math.lcm(row_bytes, page) // row_bytes if row_bytes else 1
    return list(accumulate((-(-count // step) * step for count in rows), initial=0))


def _large_pages(row_bytes: int, rows: Sequence[int]) -> tuple[int, ...]:
    """Return the large page for shards that are mapped by it, nothing for others and where addresses are scarce."""
    is_known = sys.platform == "linux" and mmap.PAGESIZE == 4096
    if not is_known or max(rows, default=0) * row_bytes < LARGE_PAGE:
        return ()
    is_bounded = resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY
    needed = _first_rows(row_bytes, rows, LARGE_PAGE)[-1] * row_bytes
    return () if is_bounded or needed > _MOST_FOR_LARGE_PAGES else (LARGE_PAGE,)


def _check_size(shape: tuple[int, ...], item_bytes: int, rows: Sequence[int]) -> None:
    """Refuse what no process can address, in Python's integers: those of NumPy run over."""
    least = min(rows, default=0)
    if least < 0:
        raise StoreReadError(
            f"cannot join {least} rows of shard {rows.index(least)}: a shard has 0 or more; run `sensorloom verify`"
        )
    # Empty axes count as one: NumPy bounds the others all the same.
    size = math.prod(max(length, 1) for length in shape) * item_bytes
    if size > _MOST_BYTES:
        raise StoreReadError(
            f"cannot reserve {size} bytes of addresses for an array of shape {list(shape)}: a process has at most "
            f"{_MOST_BYTES}; run `sensorloom verify` if the shards should be smaller"
        )


def _reserve(address: int | None, size: int) -> int:
    """Reserve addresses that nothing can be read from, anywhere or over those from `address` on.

    What cannot be written counts towards no limit of memory, so there is no need of MAP_NORESERVE.
    """
    fixed = _MAP_FIXED if address else 0
    return _mmap(address, size, _PROT_NONE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | fixed, -1)


def _map_file(address: int, size: int, path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        found = os.fstat(descriptor).st_size
        if found != size:
            raise MalformedObjectError(
                f"{path} must hold {size} bytes, holds {found}; run `sensorloom verify`"
            )
        _mmap(address, size, mmap.PROT_READ, mmap.MAP_SHARED | _MAP_FIXED, descriptor)
    except OSError:
        # A mapping that fails may have cleared its addresses, and they must not become someone else's.
        _reserve(address, size)
        raise
    finally:
        os.close(descriptor)


def _mmap(address: int | None, size: int, protection: int, flags: int, descriptor: int) -> int:
    found = _libc.mmap(address, size, protection, flags, descriptor, 0)
    if found is None or found == _MAP_FAILED:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return int(found)


def _reason(error: OSError) -> str:
    reason = error.strerror or str(error)
    if error.errno == errno.ENOMEM:
        limits = "`ulimit -v`" + (" and `sysctl vm.max_map_count`" if sys.platform == "linux" else "")
        return f"{reason}; {limits} bound what one process may map, raise them or open fewer columns"
    return reason
