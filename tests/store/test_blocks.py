"""Compressed arrays: the same values to us and to Zarr, the same bytes every time, and damage that is named."""

from __future__ import annotations

import struct
import threading
import tracemalloc

import google_crc32c
import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numcodecs import blosc

from sensorloom.store.arrays import encode_arrays
from sensorloom.store.blocks import compressed_spec, decode_array, decode_blocks, encode_array
from sensorloom.store.canonical import canonical_json
from sensorloom.store.errors import InvalidNameError, MalformedObjectError, UnsupportedDataError
from sensorloom.store.layout import shard_key
from sensorloom.store.repository import Repository
from sensorloom.store.transaction import Put
from sensorloom.store.zarr_metadata import DTYPES, ArraySpec, ShardRoot, read_root, root_file

WORK = "0" * 64
INDEX_BYTES = 3 * 16 + 4


def noise(rows, *row_shape, dtype=np.float32, seed=0):
    return (np.random.default_rng(seed).normal(0, 50, (rows, *row_shape))).astype(dtype)


VALUES = noise(600, 2, 9)
SPEC = compressed_spec(VALUES)
DATA = encode_array(SPEC, VALUES)
# As many blocks of fewer bytes, for damage that is tried byte by byte.
SMALL = noise(600, 2)
SMALL_SPEC = compressed_spec(SMALL)
SMALL_DATA = encode_array(SMALL_SPEC, SMALL)


def decoded(spec, data):
    flat = np.frombuffer(decode_array(spec, data), np.dtype(spec.dtype).newbyteorder("<"))
    return flat.reshape(spec.shape)


def of_blocks(blocks, lengths=None, offsets=None):
    """A file of blocks with an index that says what it is told to, and a checksum that fits it."""
    lengths = lengths or [len(block) for block in blocks]
    offsets = offsets or [sum(lengths[:place]) for place in range(len(lengths))]
    index = b"".join(struct.pack("<QQ", *entry) for entry in zip(offsets, lengths, strict=True))
    return b"".join(blocks) + index + google_crc32c.value(index).to_bytes(4, "little")


def blocks_of(data, count):
    index = struct.iter_unpack("<QQ", data[-4 - 16 * count : -4])
    return [data[offset : offset + length] for offset, length in index]


rows = st.sampled_from([0, 1, 2, 255, 256, 257, 513])
arrays = st.tuples(
    st.sampled_from(DTYPES), rows, hnp.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=4)
)


@settings(deadline=None, max_examples=60)
@given(arrays.flatmap(lambda drawn: hnp.arrays(drawn[0], (drawn[1], *drawn[2]))))
def test_any_array_survives_the_store_and_plain_zarr(tmp_path_factory, array):
    repo = Repository.open(str(tmp_path_factory.mktemp("store")), create=True)
    shard = repo.write_arrays(
        "k", {"a/b": array}, rows=len(array), attributes={}, work=WORK, compress=["a/b"]
    )
    group = zarr.open(f"{repo.url}/{shard_key(shard.digest, 'zarr')}", mode="r")
    for opened in (repo.open_arrays(shard)["a/b"], group["a/b"][...]):
        assert opened.dtype == array.dtype
        np.testing.assert_array_equal(opened, array)
    assert not repo.open_arrays(shard)["a/b"].flags.writeable


@pytest.mark.parametrize("array", [VALUES[::2], VALUES.astype(">f4"), np.asfortranarray(VALUES), VALUES > 0])
def test_strided_and_big_endian_arrays_are_held_in_c_order(array):
    spec = compressed_spec(array)
    np.testing.assert_array_equal(decoded(spec, encode_array(spec, array)), array)


def test_the_chunk_file_is_blocks_and_an_index_with_a_checksum():
    assert ArraySpec((600, 2, 9), "float32", 256) == SPEC
    assert (SPEC.num_blocks, SPEC.block_bytes, SPEC.num_bytes) == (3, 256 * 72, 600 * 72)
    assert of_blocks(blocks_of(DATA, 3)) == DATA
    rows = b"".join(blosc.decompress(block) for block in blocks_of(DATA, 3))
    assert rows == VALUES.tobytes() + bytes(168 * 72)


def test_zarr_finds_standard_codecs_only(local_repo):
    shard = local_repo.write_arrays("k", {"a": VALUES}, rows=600, attributes={}, work=WORK, compress=["a"])
    array = zarr.open(f"{local_repo.url}/{shard_key(shard.digest, 'zarr')}/a", mode="r")
    assert (array.shape, array.chunks, array.shards) == ((600, 2, 9), (256, 2, 9), (768, 2, 9))
    (codec,) = array.metadata.to_dict()["codecs"]
    inner, index = codec["configuration"]["codecs"], codec["configuration"]["index_codecs"]
    assert codec["name"] == "sharding_indexed"
    assert [step["name"] for step in (*inner, *index)] == ["bytes", "blosc", "bytes", "crc32c"]
    assert inner[1]["configuration"]["typesize"] == 4
    np.testing.assert_array_equal(array[250:260], VALUES[250:260])


def test_equal_values_are_equal_bytes_whatever_threads_there_are(monkeypatch):
    """Blosc's own threads give other bytes now and then; numcodecs starts them in the main thread only."""
    compress, threads = blosc.compress, set()

    def watched(*args):
        threads.add(threading.current_thread())
        return compress(*args)

    monkeypatch.setattr(blosc, "compress", watched)
    array = noise(300, 6000)
    spec = compressed_spec(array)
    expected = encode_array(spec, array)
    found = []
    before = blosc.set_nthreads(8)
    try:
        found += [encode_array(spec, array) for _ in range(5)]
        thread = threading.Thread(target=lambda: found.append(encode_array(spec, array)))
        thread.start()
        thread.join()
    finally:
        blosc.set_nthreads(before)
    assert [data == expected for data in found] == [True] * 6
    assert threads
    assert threading.main_thread() not in threads


@pytest.mark.parametrize(
    ("shape", "dtype", "blocks"),
    [
        ((10, 3), "float32", 10),
        ((300, 3), "int8", 256),
        # 32 MiB a block, whatever the rows.
        ((10, 1 << 22), "int16", 4),
        ((10, 1 << 26), "int8", 1),
        ((0, 3), "float32", None),
        ((3, 0), "float32", None),
    ],
)
def test_a_block_is_256_rows_fewer_where_they_are_wide(shape, dtype, blocks):
    assert compressed_spec(np.broadcast_to(np.zeros((), dtype), shape)) == ArraySpec(shape, dtype, blocks)


class TestShard:
    @pytest.fixture
    def shard(self, repo, commit):
        arrays = {"imu": VALUES, "small": np.arange(600)}
        shard = repo.write_arrays("k", arrays, rows=600, attributes={}, work=WORK, compress=["imu"])
        commit(repo, Put("streams", shard))
        return shard

    def test_its_compressed_arrays_have_no_file_to_map(self, repo, shard):
        opened = repo.open_arrays(shard)
        np.testing.assert_array_equal(opened["imu"], VALUES)
        assert opened.path("imu") is None
        assert (opened.path("small") is not None) == ("://" not in repo.url)

    def test_it_is_whole_and_written_once(self, repo, shard):
        assert repo.verify().ok
        assert repo.verify().counts["bytes"] == shard.num_bytes
        arrays = {"imu": VALUES, "small": np.arange(600)}
        again = repo.write_arrays("k", arrays, rows=600, attributes={}, work=WORK, compress={"imu"})
        assert again == shard
        assert repo.write_arrays("k", arrays, rows=600, attributes={}, work=WORK).digest != shard.digest

    def test_verify_finds_a_flipped_bit_and_a_missing_file(self, repo, shard, objects):
        key = f"{shard_key(shard.digest, 'zarr')}/imu/c/0/0/0"
        data = bytearray(bytes(objects.get(key)))
        data[100] ^= 1
        objects.put(key, bytes(data))
        (problem,) = repo.verify().problems
        assert problem.reason.startswith("the digest of its files is ")
        objects.delete([key])
        assert "file imu/c/0/0/0 is missing" in [problem.reason for problem in repo.verify().problems]

    def test_a_truncated_file_is_named(self, repo, shard, objects):
        key = f"{shard_key(shard.digest, 'zarr')}/imu/c/0/0/0"
        objects.put(key, bytes(objects.get(key))[:-1])
        with pytest.raises(MalformedObjectError, match=r"imu/c/0/0/0 in store .*: the checksum of its index"):
            repo.open_arrays(shard)["imu"]


BLOCKS = blocks_of(DATA, 3)
LENGTHS = [len(block) for block in BLOCKS]


def saying(block, num_bytes=None, compressed=None):
    """A block whose own header says other sizes."""
    changed = bytearray(block)
    if num_bytes is not None:
        changed[4:8] = struct.pack("<I", num_bytes)
    if compressed is not None:
        changed[12:16] = struct.pack("<I", compressed)
    return bytes(changed)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            b"",
            r"^f must end with an index of 3 blocks, 52 bytes, and holds 0 bytes; run `sensorloom verify`$",
        ),
        (DATA[-51:], "must end with an index of 3 blocks, 52 bytes, and holds 51 bytes"),
        (DATA[:-1], "f: the checksum of its index does not fit its index; run"),
        (DATA[:-1] + bytes([DATA[-1] ^ 1]), "f: the checksum of its index does not fit its index; run"),
        (DATA[1:], rf"f: block 2 must lie in bytes {sum(LENGTHS[:2])} to {sum(LENGTHS) - 1}, its index says"),
        (
            DATA[:5] + DATA[4:],
            rf"f: its blocks must fill {sum(LENGTHS) + 1} bytes, and end at {sum(LENGTHS)}",
        ),
        (
            of_blocks(BLOCKS, offsets=[0, LENGTHS[0], 1 << 40]),
            rf"f: block 2 must lie in bytes \d+ to \d+, its index says {LENGTHS[2]} bytes at {1 << 40}",
        ),
        (of_blocks(BLOCKS, [1 << 62, *LENGTHS[1:]], [0, 5, 9]), "f: block 0 must lie in bytes 0 to"),
        # What Zarr writes for a block that is all fill values; here every block is written.
        (
            of_blocks(BLOCKS, [*LENGTHS[:2], 2**64 - 1], [0, LENGTHS[0], 2**64 - 1]),
            "f: block 2 must lie in bytes",
        ),
        (of_blocks([BLOCKS[0], b"", BLOCKS[2]]), "f: block 1 must hold at least 16 bytes, holds 0"),
        (
            of_blocks([saying(BLOCKS[0], num_bytes=2**32 - 1), *BLOCKS[1:]]),
            rf"f: block 0 must be {LENGTHS[0]} bytes for 18432, and says {LENGTHS[0]} for {2**32 - 1}",
        ),
        (
            of_blocks([BLOCKS[0], saying(BLOCKS[1], compressed=2**31), BLOCKS[2]]),
            rf"f: block 1 must be {LENGTHS[1]} bytes for 18432, and says {2**31} for 18432",
        ),
        (
            of_blocks([saying(BLOCKS[0][:20], compressed=20), *BLOCKS[1:]]),
            "f: block 0 cannot hold 18432 bytes in 20; run",
        ),
        (
            of_blocks([BLOCKS[0][:16] + bytes(LENGTHS[0] - 16), *BLOCKS[1:]]),
            "f: block 0 cannot be decompressed: .*; run `sensorloom verify`",
        ),
    ],
)
def test_a_damaged_file_is_named_with_what_is_wrong(data, message):
    with pytest.raises(MalformedObjectError, match=message):
        decode_array(SPEC, data, "f")


def in_pieces(data, size):
    return (data[start : start + size] for start in range(0, len(data), size))


@pytest.mark.parametrize("size", [1, 15, 17, 1000, len(DATA)])
def test_blocks_are_decoded_while_their_file_comes(size):
    blocks = [bytes(block) for block in decode_blocks(SPEC, in_pieces(DATA, size), "f")]
    assert [len(block) for block in blocks] == [256 * 72, 256 * 72, 88 * 72]
    assert b"".join(blocks) == VALUES.tobytes()


@settings(deadline=None, max_examples=200)
@given(
    st.integers(0, len(SMALL_DATA) - 1),
    st.integers(1, 255),
    st.integers(0, len(SMALL_DATA) - 1),
    st.integers(1, 9999),
)
def test_a_file_that_comes_in_pieces_is_refused_for_the_same_damage(place, flip, cut, size):
    damaged = bytearray(SMALL_DATA)
    damaged[place] ^= flip
    try:
        expected = bytes(decode_array(SMALL_SPEC, bytes(damaged)))
    except MalformedObjectError:
        expected = None
    try:
        found = b"".join(
            bytes(block) for block in decode_blocks(SMALL_SPEC, in_pieces(bytes(damaged), size), "f")
        )
    except MalformedObjectError:
        found = None
    assert found == expected
    for wrong in (SMALL_DATA[:cut], SMALL_DATA + b"\0"):
        with pytest.raises(MalformedObjectError, match=r"^f: (block \d|its index does not fit its 3 blocks)"):
            list(decode_blocks(SMALL_SPEC, in_pieces(wrong, size), "f"))


@settings(deadline=None, max_examples=300)
@given(st.integers(0, len(DATA) - 1), st.integers(1, 255), st.integers(0, len(DATA) - 1))
def test_no_damage_gives_other_than_the_right_number_of_bytes(place, flip, cut):
    damaged = bytearray(DATA)
    damaged[place] ^= flip
    try:
        assert len(decode_array(SPEC, bytes(damaged))) == SPEC.num_bytes
        assert place < len(DATA) - INDEX_BYTES
    except MalformedObjectError:
        pass
    with pytest.raises(MalformedObjectError):
        decode_array(SPEC, DATA[:cut])


@pytest.mark.parametrize(
    "spec", [ArraySpec((1 << 50, 9), "float32", 256), ArraySpec((256, 1 << 50), "float64", 256)]
)
def test_sizes_that_a_file_cannot_hold_take_no_memory(spec):
    tracemalloc.start()
    try:
        with pytest.raises(MalformedObjectError, match=r"must end with an index|must be .* bytes for"):
            decode_array(spec, of_blocks(BLOCKS[:1]))
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_zeros_of_the_highest_ratio_are_no_damage():
    zeros = np.zeros((256, 1 << 15), np.float32)
    spec = compressed_spec(zeros)
    data = encode_array(spec, zeros)
    assert spec.num_bytes / len(data) > 200
    assert not np.frombuffer(decode_array(spec, data), np.uint8).any()


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.float32(1)[()] + np.zeros(()), r"a scalar has no rows to compress; leave it out of `compress`"),
        (
            np.broadcast_to(np.int8(0), (1, 1 << 31)),
            r"rows of 2147483648 bytes cannot be compressed, at most 2147483631 bytes; store them plain",
        ),
    ],
)
def test_what_cannot_be_compressed_is_refused(array, message):
    with pytest.raises(UnsupportedDataError, match=message):
        encode_arrays({"a": array}, rows=1, attributes={}, compress=["a"])


def test_only_arrays_that_are_there_can_be_compressed():
    with pytest.raises(InvalidNameError, match=r"compress names x, y, the arrays are a$"):
        encode_arrays({"a": VALUES}, rows=600, attributes={}, compress=["y", "a", "x"])


@pytest.mark.parametrize("change", [0, 601, -1, None, 2.5])
def test_a_root_with_blocks_that_no_array_has_is_refused(change):
    data = root_file(ShardRoot(600, {}, {"a": SPEC}))
    changed = data.replace(b'"chunk_shape":[256,', b'"chunk_shape":[%s,' % canonical_json(change))
    assert changed != data
    assert read_root(data, "r").arrays["a"] == SPEC
    with pytest.raises(
        MalformedObjectError, match=r"^r: (a: sharding_indexed: chunk_shape must|an array of shape)"
    ):
        read_root(changed, "r")


def test_a_root_with_other_codecs_is_refused():
    data = root_file(ShardRoot(600, {}, {"a": SPEC}))
    for change in (
        (b'"lz4"', b'"zstd"'),
        (b'"index_location":"end"', b'"index_location":"start"'),
        (b"256,", b"255,"),
    ):
        with pytest.raises(
            MalformedObjectError, match="r is not the root of a shard as sensorloom writes it"
        ):
            read_root(data.replace(*change), "r")
