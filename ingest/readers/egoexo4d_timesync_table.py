"""The rows of a capture's `timesync.csv` that a take may use: one row an instant, 30 a second, all cameras' own stamps.

Aria cells are nanoseconds of the device's clock, the GoPros' a presentation stamp and a frame number. A camera's cells
are empty until it starts and now and then inside; stamps repeat (formats.md §4.5). Cells are whole numbers and are read
as such, whatever their size, also where a table program wrote `284324000000.0`.
"""

from __future__ import annotations

import csv
import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sensorloom.ingest.errors import RawFileError
from sensorloom.ingest.frames import frame_times_ns
from sensorloom.ingest.take import NS_PER_S

__all__ = ["Stamps", "Timesync", "read_timesync", "sound_stamps"]

_WHOLE = re.compile(r"([+-]?\d{1,19})(?:\.0*)?")
_NOTHING = ("", "nan", "NaN", "NULL", "null", "None", "<NA>")
_LARGEST = 2**63 - 1
# A device's clock drifts by less than 1e-4: 5 s in fourteen hours.
_FARTHEST_NS = 5 * NS_PER_S


@dataclass(frozen=True, slots=True)
class Timesync:
    """Rows `first_row` (0 is the first below the header) and following, as far as the file goes, as text cells."""

    uri: str
    first_row: int
    names: tuple[str, ...]
    rows: tuple[Sequence[str], ...]

    @property
    def stop_row(self) -> int:
        """The row behind the last that was read."""
        return self.first_row + len(self.rows)

    def has(self, name: str) -> bool:
        """Tell whether there is a column `name`."""
        return name in self.names

    def since(self, row: int) -> Timesync:
        """Return what was read from `row` on."""
        return replace(self, first_row=row, rows=self.rows[row - self.first_row :])

    def has_cell_before(self, row: int, name: str) -> bool:
        """Tell whether any row that was read before `row` has something in the column `name`."""
        place = self.names.index(name)
        return any(cells[place].strip() not in _NOTHING for cells in self.rows[: row - self.first_row])

    def column(self, name: str) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return one column: values int64[R], 0 where the cell is empty, and present bool[R].

        Raises `RawFileError` for a column that is not there, and naming line and value for a cell that is no whole
        number.
        """
        if name not in self.names:
            stamps = ", ".join(other for other in self.names if other.endswith("_ns")) or "none"
            raise RawFileError(
                f"{self.uri}: the header lacks column {name!r}; its columns of stamps: {stamps}"
            )
        place = self.names.index(name)
        cells = [row[place].strip() for row in self.rows]
        numbers = [self._number(cell, name, number) for number, cell in enumerate(cells)]
        present = np.array([number is not None for number in numbers], np.bool_)
        return np.array([number or 0 for number in numbers], np.int64), present

    def _number(self, cell: str, name: str, number: int) -> int | None:
        if cell in _NOTHING:
            return None
        whole = _WHOLE.fullmatch(cell)
        if whole is None or abs(int(whole[1])) > _LARGEST:
            line = self.first_row + number + 2
            raise RawFileError(
                f"{self.uri}: line {line}: {name}: found {cell[:40]!r}, expected a whole number"
            )
        return int(whole[1])


@dataclass(frozen=True, slots=True)
class Stamps:
    """Rows with a stamp of their own: `rows` int64[K], `stamps_ns` int64[K] strictly increasing; what was not kept."""

    rows: NDArray[np.int64]
    stamps_ns: NDArray[np.int64]
    num_empty: int
    num_repeated: int
    num_disordered: int


def read_timesync(path: Path, uri: str, rows: tuple[int, int]) -> Timesync:
    """Read the rows `[start, stop)` that the file has. Raises `RawFileError` naming the line of what is malformed."""
    start, stop = rows
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(_text_lines(file, uri))
            names = tuple(name.strip() for name in next(lines, ()))
            if not names:
                raise RawFileError(f"{uri}: is empty; download it again")
            found = tuple(islice(lines, start, stop))
    except OSError as error:
        raise RawFileError(f"{uri}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise RawFileError(
            f"{uri}: is not UTF-8 text: byte {error.start} of a block; download it again"
        ) from error
    except csv.Error as error:
        raise RawFileError(f"{uri}: is no comma-separated table: {error}") from error
    for number, row in enumerate(found):
        if len(row) != len(names):
            raise RawFileError(
                f"{uri}: line {start + number + 2}: found {len(row)} columns, expected {len(names)}"
            )
    return Timesync(uri, start, names, found)


def sound_stamps(timesync: Timesync, name: str, rows: tuple[int, int]) -> Stamps:
    """Return the stamps of the column `name` in rows `[start, stop)` that strictly increase.

    Empty cells tell nothing. Of a repeated stamp the first row has it. Stamps over 5 s from where 30 rows a second put
    them are left out, and of what is still out of order the fewest rows. Raises what `Timesync.column` raises.
    """
    values, present = timesync.column(name)
    first = timesync.first_row
    start = max(0, rows[0] - first)
    inside = slice(start, max(start, min(rows[1], timesync.stop_row) - first))
    kept = np.flatnonzero(present[inside]) + inside.start
    is_new = np.diff(values[kept], prepend=values[kept][:1] - 1) != 0
    fresh = kept[is_new]
    likely = fresh[_is_likely(fresh, values[fresh])]
    chosen = likely[_longest_increasing(values[likely].tolist())]
    return Stamps(
        rows=chosen + first,
        stamps_ns=values[chosen],
        num_empty=inside.stop - inside.start - len(kept),
        num_repeated=len(kept) - len(fresh),
        num_disordered=len(fresh) - len(chosen),
    )


def _is_likely(rows: NDArray[np.int64], stamps_ns: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell which stamps lie near the line of 30 rows a second through most of them."""
    off_ns = stamps_ns.astype(np.float64) - frame_times_ns(rows)
    likely: NDArray[np.bool_] = np.abs(off_ns - np.median(off_ns)) <= _FARTHEST_NS if len(rows) else rows > 0
    return likely


def _longest_increasing(values: list[int]) -> NDArray[np.int64]:
    """Return the places of a longest strictly increasing subsequence, in order (patience sorting)."""
    ends: list[int] = []  # the least value with which an increasing run of each length ends
    places: list[int] = []
    before = [-1] * len(values)
    for place, value in enumerate(values):
        length = bisect_left(ends, value)
        before[place] = places[length - 1] if length else -1
        ends[length : length + 1] = [value]
        places[length : length + 1] = [place]
    chain = []
    place = places[-1] if places else -1
    while place >= 0:
        chain.append(place)
        place = before[place]
    return np.array(chain[::-1], np.int64)


def _text_lines(file: Iterator[str], uri: str) -> Iterator[str]:
    """Yield lines; a NUL, which the csv reader may pass on, is refused."""
    for line in file:
        if "\0" in line:
            raise RawFileError(f"{uri}: is not text but binary data; download it again")
        yield line
