"""PAMAP2 rows as text: 54 columns, six significant digits, whole numbers without decimals, `NaN`. Pure."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from sensorloom.ingest.miniature.pamap2_rows import POSITIONS, Chunk

__all__ = ["COLUMNS", "format_rows"]

COLUMNS = 54
_DIGITS = 6
_TINY = 1e-4  # below it `%g` changes to exponents
_ORIENTATION, _NO_ORIENTATION = "1 0 0 0", "NaN NaN NaN NaN"


def format_rows(chunk: Chunk) -> bytes:
    """Return the lines of `chunk`, each ended by a newline."""
    columns = {"time": _text(chunk.centis / 100), "activity": _text(chunk.activity.astype(np.float64))}
    columns["heart_rate"] = _text(chunk.heart_rate)
    for position in POSITIONS:
        block = _round(chunk.blocks[position])
        columns |= {f"{position}{i}": _text(block[:, i]) for i in range(block.shape[1])}
        lost = pl.Series(np.isnan(block[:, 0]))
        columns[f"{position}_orientation"] = lost.replace_strict(
            {True: _NO_ORIENTATION, False: _ORIENTATION}, return_dtype=pl.String
        )
    lines = pl.DataFrame(columns).select(pl.concat_str(pl.all(), separator=" "))
    return lines.write_csv(include_header=False, quote_style="never").encode()


def _round(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Round to the float64 nearest a decimal of six significant digits, whose shortest form then has them."""
    with np.errstate(divide="ignore", invalid="ignore"):
        magnitude = np.floor(np.log10(np.abs(values)))
        scale = 10.0 ** (_DIGITS - 1 - magnitude)
        rounded = np.rint(values * scale) / scale
    return np.where(values == 0, 0.0, rounded)


def _text(values: NDArray[np.float64]) -> pl.Series:
    """Return each value as C's `%g` writes it: shortest decimal, no `.0`, two-digit exponents, `NaN`."""
    text = pl.Series(values, nan_to_null=False).cast(pl.String).str.strip_suffix(".0")
    tiny = np.flatnonzero((np.abs(values) < _TINY) & (values != 0))
    return text.scatter(tiny, [f"{value:.{_DIGITS}g}" for value in values[tiny]]) if len(tiny) else text
