"""What can be asked of a stream, and the arrays of a triplet shard that it is made of."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from sensorloom.training.errors import StreamError

__all__ = ["ARRAYS", "OPTIONAL", "TEXT_ARRAYS", "arrays_of"]

TEXT_ARRAYS = ("text_offsets", "text_rows", "text_vectors", "text_ids")
ARRAYS: Mapping[str, tuple[str, ...]] = {
    "imu": ("imu", "imu_present"),
    "imu_valid": ("imu_valid",),
    "video": ("video", "video_present"),
    "mocap": ("mocap", "mocap_valid"),
    "text": TEXT_ARRAYS,
}
"""Columns, and the arrays that each needs."""
OPTIONAL: Mapping[str, tuple[str, ...]] = {"imu": ("imu_scale",)}
"""Arrays that a column has where the view stores it in fewer bytes."""
_REMEDY = {
    "video": "the view must have cameras, and `sensorloom embed` must run before `sensorloom build`",
    "mocap": "the view must have mocap",
    "text": "the view must have texts, and `sensorloom embed` must run before `sensorloom build`",
}


def arrays_of(columns: Sequence[str], there: Collection[str], where: str) -> tuple[str, ...]:
    """Return the arrays behind `columns` in a shard that has the arrays `there`.

    Raises StreamError for a column that no stream has, and for one whose arrays are not there.
    """
    if isinstance(columns, str) or not columns:
        raise StreamError(f"columns must be some of {', '.join(ARRAYS)}, as in ('imu',), got {columns!r}")
    unknown = sorted(set(columns) - set(ARRAYS))
    if unknown:
        raise StreamError(f"unknown columns {unknown}; a stream has {', '.join(ARRAYS)}")
    arrays: list[str] = []
    for column in columns:
        lacking = [name for name in ARRAYS[column] if name not in there]
        if lacking:
            remedy = f": {_REMEDY[column]}" if column in _REMEDY else ""
            raise StreamError(
                f"{where} lacks {', '.join(lacking)} of the column {column!r}{remedy}; "
                f"it has {', '.join(sorted(there))}"
            )
        arrays += [*ARRAYS[column], *(name for name in OPTIONAL.get(column, ()) if name in there)]
    return tuple(dict.fromkeys(arrays))
