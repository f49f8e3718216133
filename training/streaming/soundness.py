"""Whether the arrays of a triplet shard fit its windows and one another. Pure.

Batches are gathered from mapped files by row number, unchecked: a row that is not there would be another window's, or
end the process. So all that rows are counted by is checked before: shapes and types when a view is opened, offsets and
places of texts when a shard is mapped.

Axes: n windows · S slots · T samples · V video slots · D width · F mocap rows · J joints · K text sources · m texts of
the shard · r places among them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorloom.training.errors import StreamError

__all__ = ["check_root", "check_texts"]

# The type and the axes of each array: a length, or the name of one that arrays share.
_ARRAYS: Mapping[str, tuple[tuple[str, ...], tuple[str | int, ...]]] = {
    "imu": (("float32", "float16", "int16"), ("n", "S", 6, "T")),
    "imu_scale": (("float32",), ("n", "S", 6)),
    "imu_present": (("bool",), ("n", "S", 2)),
    "imu_valid": (("bool",), ("n", "S", 2, "T")),
    "video": (("float16",), ("n", "V", "D")),
    "video_present": (("bool",), ("n", "V")),
    "mocap": (("float32",), ("n", "F", "J", 3)),
    "mocap_valid": (("bool",), ("n", "F", "J")),
    "text_offsets": (("int64",), ("n", "K+1")),
    "text_rows": (("int32",), ("r",)),
    "text_ids": (("uint8",), ("m", 32)),
    "text_vectors": (("float16",), ("m", "D")),
}
_REMEDY = "`sensorloom verify` tells whether the store is damaged, `sensorloom build` writes the view anew"


def check_root(
    rows: int, shapes: Mapping[str, tuple[int, ...]], dtypes: Mapping[str, str], where: str
) -> None:
    """Check shapes and types, by name, of the arrays that are read of the shard `where`, of `rows` windows.

    Names that no stream reads are passed over. Raises StreamError naming the first array that does not fit, what it has
    and what it must have.
    """
    lengths = {"n": rows}
    for name in (name for name in _ARRAYS if name in shapes):
        known, axes = _ARRAYS[name]
        if dtypes[name] not in known:
            raise StreamError(f"{where}: {name} is {dtypes[name]}, must be {' or '.join(known)}; {_REMEDY}")
        shape = shapes[name]
        wanted = [lengths.get(axis, axis) if isinstance(axis, str) else axis for axis in axes]
        if len(shape) != len(axes) or any(
            isinstance(length, int) and found != length for found, length in zip(shape, wanted, strict=True)
        ):
            raise StreamError(
                f"{where}: {name} has shape {_listed(shape)}, must have {_listed(axes)}, here {_listed(wanted)}; "
                f"{_REMEDY}"
            )
        lengths |= {axis: length for axis, length in zip(axes, shape, strict=True) if isinstance(axis, str)}
    if lengths.get("K+1", 2) < 2:
        raise StreamError(
            f"{where}: text_offsets has shape {_listed(shapes['text_offsets'])}, which is no text source; {_REMEDY}"
        )
    if "imu" in shapes and (dtypes["imu"] == "int16") != ("imu_scale" in shapes):
        has, must = ("no", "must have one") if dtypes["imu"] == "int16" else ("an", "only int16 may have one")
        raise StreamError(
            f"{where}: imu is {dtypes['imu']} and has {has} imu_scale, {must} of float32{_listed(shapes['imu'][:3])}; "
            f"{_REMEDY}"
        )


def check_texts(offsets: NDArray[np.int64], text_rows: NDArray[np.int32], num_texts: int, where: str) -> None:
    """Check that `offsets` int64[n, K+1] are places in `text_rows` int32[r], and those are rows of `num_texts` texts.

    The texts of slot k of window i are `text_rows[offsets[i, k] : offsets[i, k + 1]]`: offsets lie in 0…r and rise from
    slot to slot, or stay; text rows lie in 0…num_texts-1. Raises StreamError naming the first value that does not fit.
    """
    _check_range("text_offsets", offsets, len(text_rows) + 1, where)
    falls = offsets[:, 1:] < offsets[:, :-1]
    if falls.any():
        row, slot = np.argwhere(falls)[0].tolist()
        raise StreamError(
            f"{where}: row {row} of text_offsets falls from {offsets[row, slot]} to {offsets[row, slot + 1]} in slot "
            f"{slot}, must rise or stay; {_REMEDY}"
        )
    _check_range("text_rows", text_rows, num_texts, where)


def _check_range(name: str, values: NDArray[Any], stop: int, where: str) -> None:
    if not values.size or (values.min() >= 0 and values.max() < stop):
        return
    first = np.argwhere((values < 0) | (values >= stop))[0]
    raise StreamError(
        f"{where}: row {first[0]} of {name} has {values[tuple(first)]}, must lie in [0, {stop}); {_REMEDY}"
    )


def _listed(lengths: tuple[str | int, ...] | list[str | int]) -> str:
    return f"[{', '.join(map(str, lengths))}]"
