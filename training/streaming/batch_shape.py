"""What the batches of a source look like, and what those of several sources look like together.

Axes as in `batch.py`. Slots S, video slots V, text sources K and latents M differ from source to source and are united
by name; whatever else the rows of a field are made of must be equal.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from torch import Tensor

from sensorloom.training.batch import Batch
from sensorloom.training.errors import StreamError

__all__ = ["BatchShape", "unite"]

_NAMED = ("slots", "video_slots", "text_sources", "latents")
_AXES: Mapping[str, tuple[str, ...]] = {
    "seed_B": (),
    "label_B": (),
    "imu_BSCT": ("slots", "channels", "samples"),
    "imu_valid_BSKT": ("slots", "sensors", "samples"),
    "imu_present_BSK": ("slots", "sensors"),
    "video_BVD": ("video_slots", "numbers"),
    "video_present_BV": ("video_slots",),
    "mocap_BFJX": ("rows", "joints", "coordinates"),
    "mocap_valid_BFJ": ("rows", "joints"),
    "text_BKD": ("text_sources", "numbers"),
    "text_present_BK": ("text_sources",),
    "text_id_BK": ("text_sources",),
    "text_ND": ("numbers",),
    "text_id_N": (),
    "text_row_N": (),
    "text_slot_N": (),
    "latent_kept_BM": ("latents",),
}
_COLUMNS = {"imu_BSCT": "imu", "imu_valid_BSKT": "imu_valid"}
_VECTORS = {"video_present_BV", "text_present_BK"}
_SAME_VIEW = "build the views with the same length_s and rate_hz"
_REMEDIES = {
    "samples": _SAME_VIEW,
    "rows": _SAME_VIEW,
    "numbers": "embed both stores with one encoder and build the views again",
}


@dataclass(frozen=True, slots=True)
class BatchShape:
    """The shape of a source's batches.

    `empty` is a batch of no examples with the fields, row shapes and device of all of them; the other fields name the
    places along its axes S, V, K and M. `rate_hz` is the rate of its IMU samples, `encoder` all that its vectors depend
    on; None where it has no such column.
    """

    name: str
    empty: Batch
    slots: tuple[str, ...] = ()
    video_slots: tuple[str, ...] = ()
    text_sources: tuple[str, ...] = ()
    latents: tuple[str, ...] = ()
    rate_hz: float | None = None
    encoder: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        for field, tensor in self.fields().items():
            names = self.places(field)
            if names is not None and len(names) != tensor.shape[1]:
                raise StreamError(
                    f"source {self.name!r}: {field} has {tensor.shape[1]} {_AXES[field][0]} and its view names "
                    f"{len(names)}, so they cannot go by name; build the view again"
                )

    def fields(self) -> dict[str, Tensor]:
        """Return the fields whose rows are shaped by the source, each with no rows."""
        return {name: tensor for name, tensor in self.empty.tensors().items() if name in _AXES}

    def places(self, field: str) -> tuple[str, ...] | None:
        """Return the names along the second axis of `field`, None where that axis is not named."""
        axis = next(iter(_AXES[field]), None)
        names: tuple[str, ...] | None = getattr(self, axis) if axis in _NAMED else None
        return names


def unite(shapes: Sequence[BatchShape]) -> BatchShape:
    """Return the shape of batches that have every field and slot of one of `shapes`, slots in the order of naming.

    Raises StreamError naming two sources and what differs: devices, rates, row shapes, encoders, IMU with masks beside
    IMU without, one text a slot beside all of its texts, latents that are dropped beside some that are not.
    """
    for one, other in combinations(shapes, 2):
        for complaint in (*_clashes(one, other), *_shape_clashes(one, other)):
            raise StreamError(f"sources {one.name!r} and {other.name!r} do not mix: {complaint}")
    names = {axis: _in_order(_named(shape, axis) for shape in shapes) for axis in _NAMED}
    fields: dict[str, Tensor] = {}
    for shape in shapes:
        for field, tensor in shape.fields().items():
            named = shape.places(field) is not None
            inner = (len(names[_AXES[field][0]]), *tensor.shape[2:]) if named else tensor.shape[1:]
            fields.setdefault(field, tensor.new_zeros((0, *inner)))
    empty = Batch(index_B=shapes[0].empty.index_B, **fields)
    rate_hz = next((shape.rate_hz for shape in shapes if shape.rate_hz is not None), None)
    encoder = next((shape.encoder for shape in shapes if shape.encoder is not None), None)
    return BatchShape("mixture", empty, **names, rate_hz=rate_hz, encoder=encoder)


def _named(shape: BatchShape, axis: str) -> tuple[str, ...]:
    """Return the names along an axis, none where the source has no field with that axis."""
    names: tuple[str, ...] = getattr(shape, axis)
    return names if axis == "latents" or any(axis in _AXES[field] for field in shape.fields()) else ()


def _in_order(names: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for some in names for name in some))


def _clashes(one: BatchShape, other: BatchShape) -> Iterator[str]:
    """Say what two sources cannot share, but for the shapes of their rows."""
    mine, theirs = one.fields(), other.fields()
    devices = _devices(one), _devices(other)
    if devices[0] != devices[1]:
        yield f"batches come on {devices[0]} and on {devices[1]}; give both the same `resident`"
    imu = [{_COLUMNS[field] for field in _COLUMNS if field in fields} for fields in (mine, theirs)]
    if all(imu) and imu[0] != imu[1]:
        yield (
            f"of the IMU one has the columns {', '.join(sorted(imu[0]))} and the other {', '.join(sorted(imu[1]))}, so "
            "a mask would lie; open both with the same"
        )
    if all(imu) and one.rate_hz != other.rate_hz:
        yield f"IMU of {one.rate_hz} Hz and of {other.rate_hz} Hz; {_SAME_VIEW}"
    if {"text_BKD", "text_ND"} <= mine.keys() | theirs.keys():
        yield "one has a text a slot and the other all of them; open both with text='all', or neither"
    if ("latent_kept_BM" in mine) != ("latent_kept_BM" in theirs):
        yield "one drops latents (rules.modality_dropout) and the other does not; give both a share, however small"
    if _VECTORS & mine.keys() and _VECTORS & theirs.keys():
        yield from _encoder_clashes(one.encoder or {}, other.encoder or {})


def _devices(shape: BatchShape) -> str:
    return " and ".join(sorted({str(tensor.device) for tensor in shape.empty.tensors().values()}))


def _encoder_clashes(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[str]:
    for key in dict.fromkeys((*one, *other)):
        if one.get(key) != other.get(key):
            yield (
                f"vectors of different encoders, whose {key} is {one.get(key)!r} and {other.get(key)!r}; "
                f"{_REMEDIES['numbers']}"
            )


def _shape_clashes(one: BatchShape, other: BatchShape) -> Iterator[str]:
    mine, theirs = one.fields(), other.fields()
    for field in mine.keys() & theirs.keys():
        sizes = zip(_AXES[field], mine[field].shape[1:], theirs[field].shape[1:], strict=True)
        for axis, left, right in sizes:
            if left != right and axis not in _NAMED:
                remedy = _REMEDIES.get(axis, "build both with one version of sensorloom")
                yield f"{field} of {left} {axis} and of {right} {axis}; {remedy}"
