"""Rows of a window table as mappings, held by column: a quarter of a million windows with their texts stay small."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, overload

import polars as pl

__all__ = ["COLUMNS", "WindowRows"]

COLUMNS = (
    "window_id",
    "take_id",
    "dataset",
    "participant_id",
    "capture_id",
    "split",
    "start_ns",
    "stop_ns",
    "label",
    "label_index",
)
"""What checks ask of a window, beside its `texts`."""

_BLOCK_ROWS = 4096


class WindowRows(Sequence[Mapping[str, Any]]):
    """Rows of `frame` in its order. Texts are decoded some thousand rows at a time, when one is asked for.

    A table without texts, as older versions wrote it, has none in any row.
    """

    def __init__(self, frame: pl.DataFrame) -> None:
        self._columns = {name: _pooled(frame[name]) for name in COLUMNS}
        self._texts = frame["texts"] if "texts" in frame.columns else None
        self._length, self._block, self._decoded = len(frame), -1, [()]

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, place: int) -> Mapping[str, Any]: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Mapping[str, Any]]: ...
    def __getitem__(self, place: int | slice) -> Mapping[str, Any] | Sequence[Mapping[str, Any]]:
        if isinstance(place, slice):
            return [_Row(self, one) for one in range(*place.indices(self._length))]
        if not -self._length <= place < self._length:
            raise IndexError(f"row {place} of {self._length}")
        return _Row(self, place % self._length)

    def value(self, place: int, name: str) -> Any:
        """Return one value of one row; raises `KeyError` for a column that there is not."""
        if name != "texts":
            return self._columns[name][place]
        if self._texts is None:
            return ()
        block, inside = divmod(place, _BLOCK_ROWS)
        if block != self._block:
            self._block, self._decoded = block, self._texts.slice(block * _BLOCK_ROWS, _BLOCK_ROWS).to_list()
        return self._decoded[inside] or ()


class _Row(Mapping[str, Any]):
    """One row, by its place."""

    __slots__ = ("_place", "_rows")

    def __init__(self, rows: WindowRows, place: int) -> None:
        self._rows, self._place = rows, place

    def __getitem__(self, name: str) -> Any:
        return self._rows.value(self._place, name)

    def __iter__(self) -> Iterator[str]:
        return iter((*COLUMNS, "texts"))

    def __len__(self) -> int:
        return len(COLUMNS) + 1


def _pooled(column: pl.Series) -> list[Any]:
    """Return the values, each equal text once in memory."""
    values = column.to_list()
    if column.dtype != pl.String or column.name == "window_id":
        return values
    pool: dict[Any, Any] = {}
    return [pool.setdefault(value, value) for value in values]
