"""Compressed arrays: one chunk file of blocks, each holding some rows and compressed on its own.

The file is a chunk of Zarr's `sharding_indexed`: the blocks one behind the other, then where each begins and how long
it is (two little-endian uint64 a block), then the crc32c of that. The last block is filled up with zero rows. Codecs
are bytes and blosc (lz4, bit-shuffled by the array's item size), so any Zarr v3 reader opens it:
https://zarr-specs.readthedocs.io/en/latest/v3/codecs/sharding-indexed/index.html

numcodecs is imported where it is used: a process that only plans or lists starts a fifth of a second sooner.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from sensorloom.store.errors import MalformedObjectError, UnsupportedDataError
from sensorloom.store.objects import Buffer
from sensorloom.store.zarr_metadata import BLOSC_LEVEL, ArraySpec

__all__ = ["compressed_spec", "decode_array", "decode_blocks", "encode_array"]

ROWS_PER_BLOCK = 256
# A block is what a reader must hold beside the rows it asked for; wide rows stand in smaller blocks.
MAX_BLOCK_BYTES = 1 << 25
# Blosc counts in int32 and adds a header of 16 bytes.
MAX_ROW_BYTES = (1 << 31) - 1 - 16
# version, version of lz4, flags, item size, bytes, bytes of an inner block, bytes compressed
_BLOSC_HEADER = struct.Struct("<4B3I")
# A byte of LZ4 stands for at most 255: what says more than that lies, and is not given the memory it asks for.
MAX_RATIO = 255
_ENTRY_BYTES = 16
_CHECKSUM_BYTES = 4
_MAX_THREADS = 4


def compressed_spec(array: NDArray[Any]) -> ArraySpec:
    """Return the spec under which `array` is compressed; one without elements stays plain.

    Raises `UnsupportedDataError` for a scalar, and for rows of 2 GiB or more, which blosc cannot take.
    """
    shape, dtype = array.shape, array.dtype.name
    if not shape:
        raise UnsupportedDataError("a scalar has no rows to compress; leave it out of `compress`")
    if not array.size:
        return ArraySpec(shape, dtype)
    row_bytes = array.nbytes // len(array)
    if row_bytes > MAX_ROW_BYTES:
        raise UnsupportedDataError(
            f"rows of {row_bytes} bytes cannot be compressed, at most {MAX_ROW_BYTES} bytes; store them plain"
        )
    rows = min(ROWS_PER_BLOCK, MAX_BLOCK_BYTES // row_bytes, len(array))
    return ArraySpec(shape, dtype, max(1, rows))


def encode_array(spec: ArraySpec, array: NDArray[Any]) -> bytes:
    """Return the chunk file of a compressed array; equal values give equal bytes on any number of cores.

    Blosc with several threads orders its inner blocks as they come to be done. In threads of ours numcodecs has it
    use none of its own, so several blocks are compressed at once, each by one thread.
    """
    from numcodecs import blosc

    def compress(block: NDArray[Any]) -> bytes:
        # The item size is the buffer's own.
        return bytes(blosc.compress(block, b"lz4", BLOSC_LEVEL, blosc.BITSHUFFLE))

    with ThreadPoolExecutor(_threads(spec)) as pool:
        blocks = list(pool.map(compress, _blocks(spec, array)))
    return b"".join((*blocks, _index([len(block) for block in blocks])))


def decode_array(spec: ArraySpec, data: Buffer, where: str = "a compressed array") -> memoryview:
    """Return the elements of a compressed array, C-order and little-endian: exactly `spec.num_bytes`, read-only.

    `data` is the content of its chunk file, which messages call `where`. Raises `MalformedObjectError` for anything
    that `encode_array` does not write: before memory is taken or a block touched where index and headers show it.
    """
    from numcodecs import blosc

    source = memoryview(data).cast("B")
    pieces = [source[place] for place in _places(spec, source, where)]
    for number, piece in enumerate(pieces):
        _check_header(spec, piece, f"{where}: block {number}")
    out = np.empty((spec.num_blocks, spec.block_bytes), np.uint8)

    def decompress(number: int) -> None:
        try:
            blosc.decompress(pieces[number], out[number])
        except (RuntimeError, ValueError) as error:
            raise _malformed(f"{where}: block {number} cannot be decompressed: {error}") from error

    with ThreadPoolExecutor(_threads(spec)) as pool:
        for _ in pool.map(decompress, range(spec.num_blocks)):
            pass
    return out.reshape(-1).data[: spec.num_bytes].toreadonly()


def decode_blocks(spec: ArraySpec, pieces: Iterable[Buffer], where: str) -> Iterator[memoryview]:
    """Yield the elements of one block after the other while the pieces of a chunk file come, in all `spec.num_bytes`.

    One block is in memory at a time, and valid until the next is asked for. Raises `MalformedObjectError` as
    `decode_array` does; that the index fits the blocks shows only behind the last.
    """
    from numcodecs import blosc

    source = _Pieces(pieces)
    lengths = []
    out = None
    left = spec.num_bytes
    for number in range(spec.num_blocks):
        piece = _next_block(spec, source, f"{where}: block {number}")
        out = np.empty(spec.block_bytes, np.uint8) if out is None else out
        try:
            blosc.decompress(piece, out)
        except (RuntimeError, ValueError) as error:
            raise _malformed(f"{where}: block {number} cannot be decompressed: {error}") from error
        lengths.append(len(piece))
        yield out.data[:left]
        left -= len(out)
    index = _index(lengths)
    if source.take(len(index) + 1) != index:
        raise _malformed(f"{where}: its index does not fit its {spec.num_blocks} blocks")


class _Pieces:
    """The bytes of a file that comes in pieces, taken from its beginning."""

    def __init__(self, pieces: Iterable[Buffer]) -> None:
        self._pieces = iter(pieces)
        self._next = memoryview(b"")

    def take(self, count: int) -> bytes:
        """Return the next bytes, fewer at the end."""
        taken = []
        while count > 0:
            if not self._next:
                # Let the last piece go before the next one comes.
                self._next = memoryview(b"")
                self._next = memoryview(next(self._pieces, b""))
                if not self._next:
                    break
            taken.append(self._next[:count])
            self._next = self._next[count:]
            count -= len(taken[-1])
        return b"".join(taken)


def _next_block(spec: ArraySpec, source: _Pieces, block: str) -> bytes:
    header = source.take(_BLOSC_HEADER.size)
    length = _BLOSC_HEADER.unpack(header)[-1] if len(header) == _BLOSC_HEADER.size else 0
    # Blosc adds its header to what it cannot compress: no block is longer, whatever it says of itself.
    piece = header + source.take(min(length - len(header), spec.block_bytes))
    _check_header(spec, memoryview(piece), block)
    return piece


def _index(lengths: Sequence[int]) -> bytes:
    """Return the index of blocks that lie one behind the other, and its checksum."""
    offsets = np.concatenate([[0], np.cumsum(lengths[:-1])])
    index = np.stack([offsets, lengths], axis=1).astype("<u8").tobytes()
    return index + _checksum(index)


def _blocks(spec: ArraySpec, array: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Yield the rows of each block, contiguous and little-endian; the last filled up with zeros."""
    little = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<"), copy=False))
    rows = spec.blocks or len(array)
    for start in range(0, len(array), rows):
        block = little[start : start + rows]
        if len(block) < rows:
            filled = np.zeros((rows, *block.shape[1:]), block.dtype)
            filled[: len(block)] = block
            block = filled
        yield block.reshape(-1)


def _places(spec: ArraySpec, source: memoryview, where: str) -> Iterator[slice]:
    """Yield where each block lies: one behind the other, from byte 0 to the index."""
    index_bytes = spec.num_blocks * _ENTRY_BYTES
    end = len(source) - index_bytes - _CHECKSUM_BYTES
    if end < 0:
        raise _malformed(
            f"{where} must end with an index of {spec.num_blocks} blocks, {index_bytes + _CHECKSUM_BYTES} bytes, "
            f"and holds {len(source)} bytes"
        )
    index = source[end : end + index_bytes]
    if _checksum(index) != bytes(source[end + index_bytes :]):
        raise _malformed(f"{where}: the checksum of its index does not fit its index")
    start = 0
    for number, (offset, length) in enumerate(struct.iter_unpack("<QQ", index)):
        if offset != start or start + length > end:
            raise _malformed(
                f"{where}: block {number} must lie in bytes {start} to {end}, its index says {length} bytes at {offset}"
            )
        yield slice(start, start + length)
        start += length
    if start != end:
        raise _malformed(f"{where}: its blocks must fill {end} bytes, and end at {start}")


def _check_header(spec: ArraySpec, piece: memoryview, block: str) -> None:
    """Refuse a block that does not say of itself what the spec and the index say of it."""
    if len(piece) < _BLOSC_HEADER.size:
        raise _malformed(f"{block} must hold at least {_BLOSC_HEADER.size} bytes, holds {len(piece)}")
    *_, num_bytes, _, compressed = _BLOSC_HEADER.unpack_from(piece)
    if num_bytes != spec.block_bytes or compressed != len(piece):
        raise _malformed(
            f"{block} must be {len(piece)} bytes for {spec.block_bytes}, and says {compressed} for {num_bytes}"
        )
    if num_bytes > MAX_RATIO * compressed:
        raise _malformed(f"{block} cannot hold {num_bytes} bytes in {compressed}")


def _malformed(reason: str) -> MalformedObjectError:
    return MalformedObjectError(f"{reason}; run `sensorloom verify`")


def _checksum(index: Buffer) -> bytes:
    return int(google_crc32c.value(bytes(index))).to_bytes(_CHECKSUM_BYTES, "little")


def _threads(spec: ArraySpec) -> int:
    return max(1, min(_MAX_THREADS, os.cpu_count() or 1, spec.num_blocks))
