"""Numbers in delimited text to columns, through polars, a few MiB at a time, so that any source can stream.

polars pads a short line with nulls and may cut a long one without a word. Counting excludes both: the last
column is always parsed, no parsed cell may be null, and the separators must be exactly those of whole lines.
What fails is looked at a second time by `malformed`, slowly, to say where and why.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from sensorloom.ingest.errors import RawFileError
from sensorloom.ingest.malformed import MISSING_CELLS, describe_malformed

__all__ = ["Column", "Table", "TextFormat", "read_header", "read_table"]

# Fits the caches of a core: larger pieces parse no faster and hold more memory.
_PIECE_BYTES = 4 << 20
_SEPARATOR_BLOCK_BYTES = 128 << 10
_LONGEST_HEADER_BYTES = 64 << 10
_DTYPES = {"float32": pl.Float32, "float64": pl.Float64, "int64": pl.Int64}


@dataclass(frozen=True, slots=True)
class Column:
    """A column to parse, by its place in the line. Only `float32` cells may be NaN, the missing value.

    A float column that is `optional` may also have empty cells, and words for nothing such as NULL: all read as NaN.
    """

    index: int
    name: str
    dtype: Literal["float32", "float64", "int64"]
    optional: bool = False


@dataclass(frozen=True, slots=True)
class TextFormat:
    """How a line looks: `num_columns` cells between `separator`s, of which `columns` are parsed."""

    separator: str
    num_columns: int
    columns: tuple[Column, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """The parsed columns, piece by piece in file order."""

    pieces: tuple[pl.DataFrame, ...]

    @property
    def num_rows(self) -> int:
        """Number of rows."""
        return sum(piece.height for piece in self.pieces)

    def column(self, name: str) -> NDArray[Any]:
        """Return one column as a new array [N]."""
        return np.concatenate([piece.get_column(name).to_numpy() for piece in self.pieces])

    def block(self, names: tuple[str, ...]) -> NDArray[np.float32]:
        """Return float32 columns side by side as a new array float32[N, C]."""
        values = np.empty((self.num_rows, len(names)), np.float32)
        row = 0
        for piece in self.pieces:
            for place, name in enumerate(names):
                values[row : row + piece.height, place] = piece.get_column(name).to_numpy()
            row += piece.height
        return values


def read_table(stream: io.BufferedIOBase, layout: TextFormat, where: str, first_line: int = 1) -> Table:
    """Parse the rest of `stream`, whose next line is number `first_line` of the file `where`.

    Blank lines at the end hold nothing and are passed over. Raises `RawFileError` with file, line, what was found and
    what was expected; also when there is no row.
    """
    pieces: list[pl.DataFrame] = []
    line = first_line
    for text in _without_blank_end(_whole_lines(stream, where, line)):
        piece = _parse(text, layout)
        if piece is None:
            cells = {column.index: (column.name, column.dtype, column.optional) for column in layout.columns}
            raise RawFileError(
                f"{where}: {describe_malformed(text, layout.separator, layout.num_columns, cells, line)}"
            )
        pieces.append(piece)
        line += piece.height
    if not pieces:
        raise RawFileError(
            f"{where}: {'is empty' if first_line == 1 else 'has a header and no rows'}; download it again"
        )
    return Table(tuple(pieces))


def read_header(
    stream: io.BufferedIOBase, needed: tuple[str, ...], where: str, separator: str = ","
) -> tuple[str, ...]:
    """Read the header line, return all names; raise `RawFileError` unless each of `needed` is there once."""
    line = stream.readline(_LONGEST_HEADER_BYTES)
    if not line:
        raise RawFileError(f"{where}: is empty; download it again")
    try:
        text = line.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RawFileError(
            f"{where}: line 1 is not UTF-8 text: {error.reason} at byte {error.start}"
        ) from error
    names = tuple(name.strip().strip('"') for name in text.rstrip("\r\n").split(separator))
    for name in needed:
        if names.count(name) != 1:
            problem = "lacks" if name not in names else "repeats"
            raise RawFileError(
                f"{where}: the header {problem} column {name!r}; it has {', '.join(map(repr, names))}"
            )
    return names


def _whole_lines(stream: io.BufferedIOBase, where: str, first_line: int) -> Iterator[bytes]:
    """Yield the stream in pieces that end with a line; the last may lack its newline."""
    buffer = bytearray(_PIECE_BYTES)
    view = memoryview(buffer)
    kept = 0
    while got := stream.readinto(view[kept:]):
        end = kept + got
        cut = buffer.rfind(b"\n", 0, end) + 1
        if cut:
            yield bytes(view[:cut])
        elif end == len(buffer):
            raise RawFileError(
                f"{where}: no line ends within {end} bytes after line {first_line}; this is not a text table"
            )
        kept = end - cut
        view[:kept] = view[cut:end]
    if kept:
        yield bytes(view[:kept])


def _without_blank_end(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield pieces of whole lines without the blank lines that end the last: others stay, before what follows."""
    held = b""
    for piece in pieces:
        text = held + piece if held else piece
        stop = len(text)
        if not text[text.rfind(b"\n", 0, -1) + 1 :].strip():
            filled = len(text.rstrip(b" \t\r\n"))
            stop = text.find(b"\n", filled) + 1 if filled else 0
        if stop:
            yield text[:stop]
        held = text[stop:]


def _parse(text: bytes, layout: TextFormat) -> pl.DataFrame | None:
    """Parse whole lines, or return None when anything about them is off."""
    piece = _parse_cells(text, layout, ())
    if piece is None and any(column.optional for column in layout.columns):
        # Words for nothing are rare, and comparing every cell with them costs a sixth of the time.
        return _parse_cells(text, layout, MISSING_CELLS)
    return piece


def _parse_cells(text: bytes, layout: TextFormat, missing: tuple[str, ...]) -> pl.DataFrame | None:
    """Parse whole lines, in which an optional cell may be empty or one of the words `missing`."""
    asked = {column.index: (column.name, _DTYPES[column.dtype]) for column in layout.columns}
    schema: dict[str, Any] = dict(
        asked.get(place, (f"#{place}", pl.String)) for place in range(layout.num_columns)
    )
    places = sorted({*asked, layout.num_columns - 1})
    optional = [column.name for column in layout.columns if column.optional]
    try:
        piece = pl.read_csv(
            text,
            has_header=False,
            separator=layout.separator,
            quote_char=None,
            columns=places,
            schema=schema,
            null_values=list(missing) or None,
        )
    except pl.exceptions.PolarsError:
        return None
    lost = any(series.null_count() for series in piece if series.name not in optional)
    if lost or not _separators_fit(text, piece.height, layout):
        return None
    if layout.num_columns - 1 not in asked:
        piece.drop_in_place(f"#{layout.num_columns - 1}")
    if gappy := [series.name for series in piece if series.null_count()]:
        piece = piece.with_columns(pl.col(gappy).fill_null(float("nan")))
    sound = all(
        _is_sound(piece.get_column(column.name).to_numpy(), column.optional) for column in layout.columns
    )
    return piece if sound else None


def _separators_fit(text: bytes, rows: int, layout: TextFormat) -> bool:
    """Tell whether the separators in `text` are those of `rows` whole lines, none of which is short."""
    data = np.frombuffer(text, np.uint8)
    blocks = (
        data[start : start + _SEPARATOR_BLOCK_BYTES] for start in range(0, len(data), _SEPARATOR_BLOCK_BYTES)
    )
    found = sum(int(np.count_nonzero(block == ord(layout.separator))) for block in blocks)
    return found == rows * (layout.num_columns - 1)


def _is_sound(values: NDArray[Any], optional: bool) -> bool:
    """Tell whether no cell is infinite, and none NaN where NaN has no meaning."""
    if values.dtype == np.float64 and not optional:
        return bool(np.isfinite(values).all())
    return values.dtype == np.int64 or not np.isinf(values).any()
