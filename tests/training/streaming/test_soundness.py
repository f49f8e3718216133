"""Shards whose arrays do not fit are told apart from those that do, before a row of them is read."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorloom.store.cache import ShardCache
from sensorloom.store.changes import Put
from sensorloom.store.repository import Repository
from sensorloom.training.errors import StreamError
from sensorloom.training.stream import TripletStream
from sensorloom.training.streaming.soundness import check_root, check_texts
from tests.training.forked import forks, in_fork
from tests.training.generated_triplets import write_triplets

SHAPES: dict[str, tuple[int, ...]] = {
    "imu": (20, 2, 6, 150), "imu_present": (20, 2, 2), "imu_valid": (20, 2, 2, 150), "imu_scale": (20, 2, 6),
    "video": (20, 3, 8), "video_present": (20, 3), "mocap": (20, 11, 17, 3), "mocap_valid": (20, 11, 17),
    "text_offsets": (20, 3), "text_rows": (70,), "text_ids": (9, 32), "text_vectors": (9, 8), "frames": (7, 7),
}  # fmt: skip
DTYPES = {
    "imu": "int16", "imu_present": "bool", "imu_valid": "bool", "imu_scale": "float32",
    "video": "float16", "video_present": "bool", "mocap": "float32", "mocap_valid": "bool",
    "text_offsets": "int64", "text_rows": "int32", "text_ids": "uint8", "text_vectors": "float16", "frames": "int32",
}  # fmt: skip
REMEDY = "; `sensorloom verify` tells whether the store is damaged, `sensorloom build` writes the view anew"
WHERE = "view 'tiny', shard 03"


def refused(message: str) -> Any:
    return pytest.raises(StreamError, match=f"^{re.escape(f'{WHERE}: {message}{REMEDY}')}$")


def check(shapes: dict[str, tuple[int, ...]] | None = None, **dtypes: str) -> None:
    check_root(20, {**SHAPES, **(shapes or {})}, {**DTYPES, **dtypes}, WHERE)


class TestRoots:
    @pytest.mark.parametrize("name", sorted(SHAPES))
    def test_what_a_view_is_built_of_fits_whole_or_in_part(self, name: str) -> None:
        check()
        lacking = {name, "imu"} if name == "imu_scale" else {name}
        check_root(
            20,
            {key: shape for key, shape in SHAPES.items() if key not in lacking},
            {key: dtype for key, dtype in DTYPES.items() if key not in lacking},
            WHERE,
        )

    def test_a_shard_without_windows_or_texts_fits(self) -> None:
        shapes = {name: (0, *shape[1:]) for name, shape in SHAPES.items()}
        check_root(0, shapes, DTYPES, WHERE)

    @pytest.mark.parametrize("dtype", ["float32", "float16"])
    def test_values_as_they_are_need_no_scale(self, dtype: str) -> None:
        check_root(20, {"imu": SHAPES["imu"]}, {"imu": dtype}, WHERE)

    @pytest.mark.parametrize(
        ("name", "shape", "axes", "here"),
        [
            ("imu", (16, 2, 6, 150), "[n, S, 6, T]", "[20, S, 6, T]"),
            ("imu", (20, 2, 9, 150), "[n, S, 6, T]", "[20, S, 6, T]"),
            ("imu", (20, 12, 150), "[n, S, 6, T]", "[20, S, 6, T]"),
            ("imu_scale", (20, 2, 6, 150), "[n, S, 6]", "[20, 2, 6]"),
            ("imu_scale", (20, 3, 6), "[n, S, 6]", "[20, 2, 6]"),
            ("imu_present", (21, 2, 2), "[n, S, 2]", "[20, 2, 2]"),
            ("imu_present", (20, 1, 2), "[n, S, 2]", "[20, 2, 2]"),
            ("imu_valid", (20, 2, 2, 100), "[n, S, 2, T]", "[20, 2, 2, 150]"),
            ("imu_valid", (20, 2, 1, 150), "[n, S, 2, T]", "[20, 2, 2, 150]"),
            ("video", (19, 3, 8), "[n, V, D]", "[20, V, D]"),
            ("video_present", (20, 2), "[n, V]", "[20, 3]"),
            ("mocap", (20, 11, 17, 4), "[n, F, J, 3]", "[20, F, J, 3]"),
            ("mocap_valid", (20, 11, 16), "[n, F, J]", "[20, 11, 17]"),
            ("mocap_valid", (20, 10, 17), "[n, F, J]", "[20, 11, 17]"),
            ("text_offsets", (5, 3), "[n, K+1]", "[20, K+1]"),
            ("text_rows", (), "[r]", "[r]"),
            ("text_ids", (9, 16), "[m, 32]", "[m, 32]"),
            ("text_vectors", (8, 8), "[m, D]", "[9, 8]"),
            ("text_vectors", (9, 4), "[m, D]", "[9, 8]"),
        ],
    )
    def test_a_shape_that_does_not_fit_is_named_with_the_one_that_would(
        self, name: str, shape: tuple[int, ...], axes: str, here: str
    ) -> None:
        with refused(f"{name} has shape {list(shape)}, must have {axes}, here {here}"):
            check({name: shape})

    @pytest.mark.parametrize("name", sorted(set(SHAPES) - {"frames"}))
    def test_a_type_that_does_not_fit_is_named_with_those_that_would(self, name: str) -> None:
        known = "float32 or float16 or int16" if name == "imu" else DTYPES[name]
        with refused(f"{name} is float64, must be {known}"):
            check(**{name: "float64"})

    @pytest.mark.parametrize("columns", [0, 1])
    def test_texts_belong_to_a_source(self, columns: int) -> None:
        with refused(f"text_offsets has shape [20, {columns}], which is no text source"):
            check({"text_offsets": (20, columns)})

    @pytest.mark.parametrize("dtype", ["float32", "float16"])
    def test_only_integers_have_a_scale(self, dtype: str) -> None:
        with refused(f"imu is {dtype} and has an imu_scale, only int16 may have one of float32[20, 2, 6]"):
            check(imu=dtype)

    def test_integers_need_their_scale(self) -> None:
        with refused("imu is int16 and has no imu_scale, must have one of float32[20, 2, 6]"):
            check_root(20, {"imu": SHAPES["imu"]}, {"imu": "int16"}, WHERE)


def texts(offsets: Any, rows: Any, num_texts: int) -> None:
    check_texts(np.array(offsets, np.int64).reshape(-1, 3), np.array(rows, np.int32), num_texts, WHERE)


class TestTexts:
    @pytest.mark.parametrize(
        ("offsets", "rows", "num_texts"),
        [
            ([[0, 1, 1], [1, 3, 4]], [2, 0, 1, 2], 3), ([[2, 2, 4], [0, 0, 2]], [0] * 4, 1),
            ([[0, 0, 0]], [], 0), ([], [], 0),
        ],
    )  # fmt: skip
    def test_places_that_are_there_fit(self, offsets: Any, rows: Any, num_texts: int) -> None:
        texts(offsets, rows, num_texts)

    @pytest.mark.parametrize("value", [-1, 5, 2**62, -(2**63)])
    @pytest.mark.parametrize("slot", [0, 1, 2])
    def test_an_offset_outside_the_places_is_named(self, value: int, slot: int) -> None:
        offsets = [[0, 2, 3], [3, 3, 4], [3, 3, 4]]
        offsets[1][slot] = value
        with refused(f"row 1 of text_offsets has {value}, must lie in [0, 5)"):
            texts(offsets, [0, 1, 2, 0], 3)

    def test_an_offset_that_falls_is_named(self) -> None:
        with refused("row 1 of text_offsets falls from 4 to 3 in slot 1, must rise or stay"):
            texts([[0, 2, 3], [3, 4, 3], [4, 0, 0]], [0, 1, 2, 0], 3)

    @pytest.mark.parametrize("value", [-1, 3, 2**31 - 1, -(2**31)])
    def test_a_text_row_outside_the_texts_is_named(self, value: int) -> None:
        with refused(f"row 2 of text_rows has {value}, must lie in [0, 3)"):
            texts([[0, 2, 3]], [0, 2, value, 7], 3)

    def test_where_there_are_no_texts_none_can_be_meant(self) -> None:
        with refused("row 0 of text_rows has 0, must lie in [0, 0)"):
            texts([[0, 0, 0]], [0], 0)

    @given(
        offsets=st.lists(st.lists(st.integers(-2, 6), min_size=3, max_size=3), max_size=3),
        rows=st.lists(st.integers(-2, 6), max_size=4),
        num_texts=st.integers(0, 5),
    )
    def test_what_passes_is_what_can_be_looked_up_one_by_one(
        self, offsets: list[list[int]], rows: list[int], num_texts: int
    ) -> None:
        sound = all(0 <= at <= len(rows) for row in offsets for at in row)
        sound &= all(row == sorted(row) for row in offsets)
        sound &= all(0 <= text < num_texts for text in rows)
        if sound:
            texts(offsets, rows, num_texts)
        else:
            with pytest.raises(StreamError, match="must"):
                texts(offsets, rows, num_texts)


Arrays = dict[str, np.ndarray]


def shorten(name: str) -> Callable[[Arrays], None]:
    def edit(arrays: Arrays) -> None:
        arrays[name] = arrays[name][:-4]

    return edit


def put(name: str, at: Any, value: Any) -> Callable[[Arrays], None]:
    def edit(arrays: Arrays) -> None:
        arrays[name] = arrays[name].copy()
        arrays[name][at] = value

    return edit


def drop_all_but(count: int) -> Callable[[Arrays], None]:
    def edit(arrays: Arrays) -> None:
        arrays["text_ids"], arrays["text_vectors"] = (
            arrays["text_ids"][:count],
            arrays["text_vectors"][:count],
        )

    return edit


def as_integers(arrays: Arrays) -> None:
    arrays["imu"] = (arrays["imu"] * 100).astype(np.int16)


def spoil(repo: Repository, key: str, edit: Callable[[Arrays], None], compress: tuple[str, ...] = ()) -> None:
    """Write the tensors of a shard anew as `edit` leaves them, with the count of rows that they had."""
    shard = repo.manifest(repo.resolve("main"), "tensors:tiny").get(key)
    assert shard is not None
    opened = repo.open_arrays(shard)
    arrays = dict(opened)
    edit(arrays)
    spoilt = repo.write_arrays(
        key, arrays, rows=shard.rows, attributes=opened.attributes, work=shard.work, compress=compress
    )
    repo.commit(lambda base: [Put("tensors:tiny", spoilt)], message="spoilt", provenance={})


def read_all(repo: Repository, cache: ShardCache) -> int:
    """Read every column of every window, as a trainer does."""
    columns = ("imu", "imu_valid", "video", "mocap", "text")
    stream = TripletStream(
        repo, view="tiny", split="train", batch_size=8, columns=columns, text="all", last="keep", cache=cache
    )
    return sum(len(batch) for batch in stream)


SPOILT = {
    "fewer rows of imu": (shorten("imu"), r"shard 03: imu has shape \[19, .*, here \[23, S, 6, T\]"),
    "fewer masks": (shorten("imu_valid"), r"shard 03: imu_valid has shape \[19, .*, here \[23, 2, 2, 10\]"),
    "fewer poses": (shorten("mocap"), r"shard 03: mocap has shape \[19, .*, here \[23, F, J, 3\]"),
    "fewer offsets": (
        shorten("text_offsets"),
        r"shard 03: text_offsets has shape \[19, 3\], .*, here \[23, K\+1\]",
    ),
    "fewer ids than vectors": (shorten("text_ids"), r"shard 03: text_vectors has shape \[.*, here \[5, 8\]"),
    "integers without scale": (as_integers, r"shard 03: imu is int16 and has no imu_scale"),
    "offset far out": (
        put("text_offsets", (7, 2), 1 << 40),
        r"shard 03: row 7 of text_offsets has 1099511627776",
    ),
    "offset just out": (
        put("text_offsets", (22, 2), 10_000),
        r"shard 03: row 22 of text_offsets has 10000, must lie",
    ),
    "offset below": (put("text_offsets", (2, 1), -9), r"shard 03: row 2 of text_offsets has -9, must lie"),
    "offset that falls": (
        put("text_offsets", (5, 1), 0),
        r"shard 03: row 5 of text_offsets falls from \d+ to 0 in",
    ),
    "text far out": (
        put("text_rows", 3, 2**31 - 1),
        r"shard 03: row 3 of text_rows has 2147483647, must lie in \[0, 9",
    ),
    "text below": (
        put("text_rows", 0, -(2**31)),
        r"shard 03: row 0 of text_rows has -2147483648, must lie in \[0, 9",
    ),
    "fewer texts": (drop_all_but(2), r"shard 03: row \d+ of text_rows has [2-8], must lie in \[0, 2\)"),
}


PACKED = ("imu_valid", "text_vectors")


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a sound store of plain arrays, and one whose arrays are partly compressed."""
    folder = tmp_path_factory.mktemp("sound")
    for name, compress in (("plain", ()), ("packed", PACKED)):
        repo = write_triplets(str(folder / name), compress=compress).repo
        assert in_fork(lambda repo=repo: read_all(repo, ShardCache(folder / "cache", 1 << 30))) == 48
    return folder


@forks
@pytest.mark.parametrize(
    ("store", "name"),
    [*(("plain", name) for name in SPOILT), ("packed", "offset far out"), ("packed", "fewer texts")],
)
def test_a_spoilt_shard_is_refused_instead_of_read(
    tmp_path: Path, stores: Path, store: str, name: str
) -> None:
    """In a child: rows that are not there end the process, or are those of another window."""
    edit, message = SPOILT[name]
    shutil.copytree(stores / store, tmp_path / "store")
    repo = Repository.open(str(tmp_path / "store"))
    spoil(repo, "03", edit, PACKED if store == "packed" else ())
    with pytest.raises(StreamError, match=message):
        in_fork(lambda: read_all(repo, ShardCache(tmp_path / "cache", 1 << 30)))


@forks
def test_a_scale_that_only_one_shard_has_is_refused(tmp_path: Path, stores: Path) -> None:
    def scale(arrays: Arrays) -> None:
        arrays["imu_scale"] = np.ones(arrays["imu"].shape[:3], np.float32)

    shutil.copytree(stores / "plain", tmp_path / "store")
    repo = Repository.open(str(tmp_path / "store"))
    spoil(repo, "03", scale)
    with pytest.raises(StreamError, match=r"shard 03: imu is float32 and has an imu_scale, only int16"):
        in_fork(lambda: read_all(repo, ShardCache(tmp_path / "cache", 1 << 30)))
