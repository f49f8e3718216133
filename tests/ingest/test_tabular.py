from __future__ import annotations

import io
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorloom.ingest import tabular
from sensorloom.ingest.errors import RawFileError
from sensorloom.ingest.malformed import describe_malformed
from sensorloom.ingest.tabular import Column, Table, TextFormat, read_table

LAYOUT = TextFormat(
    " ", 4, (Column(0, "time", "float64"), Column(1, "id", "int64"), Column(2, "x", "float32"))
)


def read(text: str | bytes) -> Table:
    data = text.encode() if isinstance(text, str) else text
    return read_table(io.BytesIO(data), LAYOUT, "f.dat")  # type: ignore[arg-type]


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("is_closed", [True, False])
def test_lines_may_end_either_way_and_the_last_not_at_all(ending: str, is_closed: bool) -> None:
    table = read(ending.join(["8.38 1 NaN 0", "8.39 2 -1.5e-3 0"]) + ending * is_closed)
    np.testing.assert_array_equal(table.column("time"), [8.38, 8.39])
    np.testing.assert_array_equal(table.column("id"), [1, 2])
    np.testing.assert_array_equal(table.block(("x",)), np.float32([[np.nan], [-1.5e-3]]))


def test_columns_keep_their_types_and_can_be_written() -> None:
    table = read("1 2 3 4\n")
    arrays = table.column("time"), table.column("id"), table.column("x"), table.block(("x", "x"))
    assert [array.dtype for array in arrays] == [np.float64, np.int64, np.float32, np.float32]
    assert all(array.flags.writeable for array in arrays)


def test_what_is_not_asked_for_may_be_anything_but_nothing() -> None:
    assert read("1 2 3 text\n").num_rows == 1
    with pytest.raises(RawFileError, match="line 2: column 4 is empty"):
        read("1 2 3 4\n1 2 3 \n")


def test_a_long_line_does_not_make_up_for_a_short_one() -> None:
    with pytest.raises(RawFileError, match="line 2: found 5 columns, expected 4"):
        read("1 2 3 4\n1 2 3 4 5\n1 2 3\n1 2 3 4\n")


def test_lines_that_only_polars_refuses_are_told_by_their_range() -> None:
    told = describe_malformed(b"1 2\n3 4\n", " ", 2, {}, 7)
    assert told == "lines 7 to 8 do not parse as 2 columns of plain numbers"


NOISE = np.random.default_rng(7).integers(0, 256, 5000, np.uint8).tobytes()


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (NOISE, 1),
        (b"\n" + NOISE, 1),
        (b"1 2 3 4\n" + bytes(600), 2),
        (b"1 2 3 4\n1 2 3 4\n1 2 \0 4\n1 2 3 4\n", 3),
        ("1 2 3 4\n".encode("utf-16"), 1),
    ],
    ids=["noise", "noise after a newline", "a lost tail", "one NUL", "UTF-16"],
)
def test_binary_data_is_called_so_and_not_a_bad_table(content: bytes, line: int) -> None:
    with pytest.raises(
        RawFileError, match=rf"^f\.dat: line {line}: is not text but binary data; download it again$"
    ):
        read(content)


def test_a_blank_line_in_text_stays_a_blank_line() -> None:
    with pytest.raises(RawFileError, match="line 2: is blank, expected 4 columns"):
        read("1 2 3 4\n\n1 2 3 4\n")


BLANK = st.lists(st.sampled_from(["", " ", "\t", "\r", "    "]), max_size=5)


@given(st.integers(1, 4), BLANK, st.booleans(), st.integers(8, 40))
def test_blank_lines_at_the_end_hold_nothing(
    rows: int, blank: list[str], is_closed: bool, piece_bytes: int
) -> None:
    text = "\n".join(["1 2 3 4"] * rows + blank) + "\n" * is_closed
    with mock.patch.object(tabular, "_PIECE_BYTES", piece_bytes):
        assert read(text).num_rows == rows
        assert read(text).column("time").tolist() == [1.0] * rows


@given(st.integers(1, 4), BLANK, st.integers(8, 40))
def test_blank_lines_before_a_row_are_refused_wherever_a_piece_ends(
    rows: int, blank: list[str], piece_bytes: int
) -> None:
    text = "\n".join(["1 2 3 4"] * rows + ["", *blank, "1 2 3 4", "", ""])
    with (
        mock.patch.object(tabular, "_PIECE_BYTES", piece_bytes),
        pytest.raises(RawFileError, match=f"^f.dat: line {rows + 1}: is blank, expected 4 columns$"),
    ):
        read(text)


@pytest.mark.parametrize("text", ["\n", "\n \n\r\n"])
def test_a_file_of_blank_lines_is_empty(text: str) -> None:
    with pytest.raises(RawFileError, match=r"^f\.dat: is empty; download it again$"):
        read(text)


def test_one_blank_line_is_not_binary_data() -> None:
    assert describe_malformed(b"\n", " ", 4, {}, 3) == "line 3: is blank, expected 4 columns"


CELL = st.sampled_from(["1", "-2.5", "NaN", "", "x", "1e5", "7"])


@given(st.lists(st.lists(CELL, min_size=1, max_size=6), min_size=1, max_size=8))
def test_no_row_is_padded_cut_or_lost(rows: list[list[str]]) -> None:
    text = "\n".join(" ".join(row) for row in rows) + "\n"
    try:
        table = read(text)
    except RawFileError as error:
        nothing = not any("".join(row) for row in rows)
        told = "f.dat: is empty" if nothing else "f.dat: line"
        assert str(error).startswith(told)  # noqa: PT017 - it need not raise
        return
    while not "".join(rows[-1]):  # blank lines at the end
        rows.pop()
    assert all(len(row) == 4 for row in rows)
    np.testing.assert_array_equal(table.column("x"), np.float32([row[2] for row in rows]))


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=50))
def test_decimal_seconds_survive_to_the_microsecond(stamps_us: list[int]) -> None:
    text = "".join(f"{stamp // 10**6}.{stamp % 10**6:06d} 0 0 0\n" for stamp in stamps_us)
    assert np.rint(read(text).column("time") * 1e6).astype(np.int64).tolist() == stamps_us


OPTIONAL = TextFormat(
    ",", 3, (Column(0, "id", "int64"), Column(1, "time", "float64", True), Column(2, "x", "float32", True))
)


def read_optional(text: str) -> Table:
    return read_table(io.BytesIO(text.encode()), OPTIONAL, "f.csv")  # type: ignore[arg-type]


@pytest.mark.parametrize("cell", ["", "NULL", "null", "None", "nan", "NaN"])
def test_an_optional_cell_may_be_empty_or_say_that_it_is(cell: str) -> None:
    table = read_optional(f"1,0.5,{cell}\n2,{cell},-3\n3,{cell},{cell}\n")
    np.testing.assert_array_equal(table.column("time"), [0.5, np.nan, np.nan])
    np.testing.assert_array_equal(table.column("x"), np.float32([np.nan, -3, np.nan]))
    assert table.column("id").dtype == np.int64


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,2,3\n,2,3\n", r"line 2: column 1 \(id\): found '', expected an integer"),
        ("1,2,3\nNULL,2,3\n", r"line 2: column 1 \(id\): found 'NULL', expected an integer"),
        ("1,2,3\n1,2\n", "line 2: found 2 columns, expected 3"),
        ("1,2,3\n1,,,\n", "line 2: found 4 columns, expected 3"),
        ("1,2,3\n\n1,2,3\n", "line 2: is blank"),
        ("1,2,3\n1,void,3\n", r"line 2: column 2 \(time\): found 'void', expected a number"),
        ("1,2,3\n1,inf,3\n", r"line 2: column 2 \(time\): found 'inf', expected a number"),
        ("1,2,3\n1,2,inf\n", r"line 2: column 3 \(x\): found 'inf', expected a number or NaN"),
    ],
)
def test_optional_cells_excuse_nothing_else(text: str, message: str) -> None:
    with pytest.raises(RawFileError, match=message):
        read_optional(text)
