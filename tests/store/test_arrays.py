import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sensorloom.store.arrays import encode_arrays
from sensorloom.store.errors import (
    InvalidNameError,
    MalformedObjectError,
    StoreReadError,
    UnsupportedDataError,
)
from sensorloom.store.layout import shard_key
from sensorloom.store.zarr_metadata import DTYPES

ARRAYS = {
    "imu": np.arange(2 * 3 * 4, dtype=np.float32).reshape(2, 3, 4),
    "valid": np.array([[True, False], [False, False]]),
    "chest/values": np.full((5, 6), np.nan, np.float32),
    "chest/quality": np.zeros((5, 2), np.uint8),
    "chest/deep/er": np.arange(3, dtype=np.int16),
    "vectors": np.ones((2, 8), np.float16),
    "chest.heart_rate/times_ns": np.array([-1, 2**60], np.int64),
    "empty": np.zeros((0, 6), np.float32),
    "empty_too": np.zeros((3, 0), np.int64),
    "scalar": np.array(7, np.int32),
}
ATTRIBUTES = {"take_id": "x", "nested": {"share": 0.5, "none": None}}


@pytest.fixture
def shard(repo, work):
    return repo.write_arrays("t/1", ARRAYS, rows=2, attributes=ATTRIBUTES, work=work)


def assert_same(opened, arrays):
    assert set(opened) == set(arrays)
    for name, array in arrays.items():
        assert opened[name].dtype == array.dtype
        np.testing.assert_array_equal(opened[name], array)


class TestEveryBackend:
    def test_arrays_and_attributes_survive(self, repo, shard):
        opened = repo.open_arrays(shard)
        assert_same(opened, ARRAYS)
        assert opened.attributes == ATTRIBUTES
        assert (opened.rows, shard.rows, len(opened)) == (2, 2, len(ARRAYS))
        assert "imu" in opened
        assert "nope" not in opened

    def test_arrays_are_read_only(self, repo, shard):
        for array in repo.open_arrays(shard).values():
            assert not array.flags.writeable

    def test_digest_and_size_are_those_of_the_files(self, repo, shard, objects):
        prefix = shard_key(shard.digest, "zarr")
        files = {
            info.key.removeprefix(prefix + "/"): bytes(objects.get(info.key)) for info in objects.walk(prefix)
        }
        lines = [
            f"{path} {len(data)} {hashlib.sha256(data).hexdigest()}\n" for path, data in sorted(files.items())
        ]
        assert hashlib.sha256("".join(lines).encode()).hexdigest() == shard.digest
        assert sum(map(len, files.values())) == shard.num_bytes

    def test_writing_again_writes_the_same_shard(self, repo, shard, work):
        assert repo.write_arrays("t/1", ARRAYS, rows=2, attributes=ATTRIBUTES, work=work) == shard

    def test_an_unfinished_shard_is_completed(self, repo, shard, objects, work):
        prefix = shard_key(shard.digest, "zarr")
        objects.delete([f"{prefix}/zarr.json", f"{prefix}/imu/c/0/0/0"])
        repo.write_arrays("t/1", ARRAYS, rows=2, attributes=ATTRIBUTES, work=work)
        assert_same(repo.open_arrays(shard), ARRAYS)

    def test_the_root_is_written_last(self, repo, work, hooked):
        written = []
        watched = hooked(repo, before=lambda operation, key: written.append(key))
        shard = watched.write_arrays("t/1", ARRAYS, rows=2, attributes={}, work=work)
        assert written[-1] == f"{shard_key(shard.digest, 'zarr')}/zarr.json"
        assert len(written) == len(set(written)) == 1 + 2 * len(ARRAYS) - 2 + 3

    def test_a_truncated_array_is_refused(self, repo, shard, objects):
        objects.put(f"{shard_key(shard.digest, 'zarr')}/imu/c/0/0/0", b"short")
        with pytest.raises(
            MalformedObjectError, match=r"imu/c/0/0/0 in store .* must hold 96 bytes, holds 5"
        ):
            repo.open_arrays(shard)["imu"]

    def test_only_the_exact_root_is_accepted(self, repo, shard, objects):
        key = f"{shard_key(shard.digest, 'zarr')}/zarr.json"
        root = json.loads(bytes(objects.get(key)))

        def refused(change, message):
            altered = json.loads(json.dumps(root))
            change(altered)
            data = json.dumps(altered, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
            objects.put(key, data)
            with pytest.raises(MalformedObjectError, match=message):
                repo.open_arrays(shard)

        members = ("consolidated_metadata", "metadata")

        def nodes(value):
            return value[members[0]][members[1]]

        refused(
            lambda r: nodes(r).update({"../../x": nodes(r)["imu"]}), "array name '../../x' must be segments"
        )
        refused(
            lambda r: nodes(r)["imu"].update(shape=[-1]),
            "imu: shape must be an array of integers of at least 0",
        )
        refused(lambda r: nodes(r)["imu"].update(data_type="object"), "dtype object cannot be stored")
        refused(
            lambda r: nodes(r)["imu"].update(codecs=[]), "is not the root of a shard as sensorloom writes it"
        )
        refused(
            lambda r: r["attributes"].update(sensorloom_rows=-1),
            "sensorloom_rows must be an integer of at least 0",
        )
        refused(lambda r: r["attributes"].pop("sensorloom_rows"), "lacks key 'sensorloom_rows'")
        refused(lambda r: r.update(extra=1), "has unknown key 'extra'")

    def test_an_unknown_array_lists_the_known(self, repo, shard):
        with pytest.raises(KeyError, match=r"no array 'nope' in .*; there are .*imu"):
            repo.open_arrays(shard)["nope"]
        assert repo.open_arrays(shard).get("nope") is None


class TestLocal:
    @pytest.fixture
    def root(self, local_repo, work):
        shard = local_repo.write_arrays("t/1", ARRAYS, rows=2, attributes=ATTRIBUTES, work=work)
        return local_repo, shard, f"{local_repo.url}/{shard_key(shard.digest, 'zarr')}"

    def test_plain_zarr_reads_it(self, root):
        group = zarr.open(root[2], mode="r")
        found = {name: node for name, node in group.members(max_depth=None) if isinstance(node, zarr.Array)}
        assert set(found) == set(ARRAYS)
        for name, array in ARRAYS.items():
            assert found[name].dtype == array.dtype
            np.testing.assert_array_equal(found[name][...], array)
        assert group.attrs["take_id"] == "x"
        np.testing.assert_array_equal(
            zarr.open(f"{root[2]}/chest/values", mode="r")[:], ARRAYS["chest/values"]
        )
        assert list(zarr.open_group(f"{root[2]}/chest", mode="r").array_keys())

    def test_zarr_reads_it_without_the_consolidated_metadata_too(self, root):
        group = zarr.open_group(root[2], mode="r", use_consolidated=False)
        np.testing.assert_array_equal(group["chest/deep/er"][:], ARRAYS["chest/deep/er"])

    def test_there_is_one_file_per_array_with_its_bytes(self, root):
        repo, shard, _ = root
        opened = repo.open_arrays(shard)
        assert opened.path("imu").read_bytes() == ARRAYS["imu"].tobytes()
        assert opened.path("chest/quality").read_bytes() == bytes(10)
        assert opened.path("imu").as_posix().endswith("/imu/c/0/0/0")
        assert opened.path("empty") is None

    def test_arrays_are_maps_of_their_files(self, root):
        opened = root[0].open_arrays(root[1])
        array = opened["imu"]
        assert not array.flags.owndata
        assert str(opened.path("imu")) in Path("/proc/self/maps").read_text()
        assert opened["imu"] is array

    def test_only_arrays_that_are_used_are_opened(self, root):
        opened = root[0].open_arrays(root[1])
        opened.path("imu").unlink()
        np.testing.assert_array_equal(opened["vectors"], ARRAYS["vectors"])
        with pytest.raises(Exception, match=r"imu/c/0/0/0 in store .* is missing although it is named"):
            opened["imu"]

    def test_an_unmappable_file_is_a_read_error(self, root):
        opened = root[0].open_arrays(root[1])
        opened.path("imu").write_bytes(b"")
        with pytest.raises(StoreReadError, match=r"cannot map .*imu/c/0/0/0 in store"):
            opened["imu"]

    def test_its_repr_shows_shapes(self, root):
        text = repr(root[0].open_arrays(root[1]))
        assert "2 rows" in text
        assert "imu: float32[2, 3, 4]" in text


arrays = st.sampled_from(DTYPES).flatmap(
    lambda dtype: hnp.arrays(
        np.dtype(dtype), hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=4)
    )
)


@settings(deadline=None, max_examples=60)
@given(st.dictionaries(st.sampled_from(["a", "b", "c/d", "c/e", "f/g/h"]), arrays))
def test_any_arrays_survive_zarr_and_the_store(tmp_path_factory, contents):
    from sensorloom.store.repository import Repository

    repo = Repository.open(str(tmp_path_factory.mktemp("store")), create=True)
    shard = repo.write_arrays("k", contents, rows=0, attributes={}, work="0" * 64)
    assert_same(repo.open_arrays(shard), contents)
    group = zarr.open(f"{repo.url}/{shard_key(shard.digest, 'zarr')}", mode="r")
    for name, array in contents.items():
        np.testing.assert_array_equal(group[name][...], array)


def test_layout_in_memory_does_not_change_the_digest():
    array = np.arange(24, dtype=np.float32).reshape(4, 6)
    images = [
        encode_arrays({"x": variant}, rows=4, attributes={})
        for variant in (
            array,
            np.asfortranarray(array),
            array.astype(">f4"),
            np.repeat(array, 2, axis=0)[::2],
        )
    ]
    assert len({image.digest for image in images}) == 1


def test_contiguous_arrays_are_not_copied():
    array = np.zeros((1000, 6), np.float32)
    image = encode_arrays({"x": array}, rows=1000, attributes={})
    assert np.shares_memory(np.frombuffer(image.files["x/c/0/0"], np.uint8), array)


@pytest.mark.parametrize(
    ("names", "attributes", "rows", "error", "message"),
    [
        (["../x"], {}, 1, InvalidNameError, "array name '../x' must be segments"),
        (["a", "a/b"], {}, 1, InvalidNameError, "array name 'a' is also the group of another array"),
        (["a"], {"sensorloom_rows": 1}, 1, InvalidNameError, "attribute 'sensorloom_rows' is reserved"),
        (["a"], {}, -1, UnsupportedDataError, "rows must be at least 0, got -1"),
        (["a"], {"x": np.float32(1)}, 1, UnsupportedDataError, "is a float32, which JSON cannot hold"),
    ],
)
def test_what_a_shard_cannot_hold_is_refused(names, attributes, rows, error, message):
    with pytest.raises(error, match=message):
        encode_arrays({name: np.zeros(1) for name in names}, rows=rows, attributes=attributes)


@pytest.mark.parametrize(
    "array", [np.array(["x"]), np.array([object()]), np.zeros(1, "M8[ns]"), np.zeros(1, complex)]
)
def test_other_dtypes_are_refused_with_the_known(array):
    with pytest.raises(UnsupportedDataError, match="cannot be stored; known are bool, int8"):
        encode_arrays({"x": array}, rows=1, attributes={})
