"""Shards whose arrays do not fit are told apart from those that do, before a row of them is read."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorloom.training.errors import StreamError
from sensorloom.training.soundness import check_root, check_texts

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
