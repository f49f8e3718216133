"""Whether the shards of a view fit together, so that what one of them tells holds for all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sensorloom.flows.errors import ConfigError
from sensorloom.store.manifest import Shard
from sensorloom.store.zarr_metadata import ShardRoot

__all__ = ["check_alike"]

_SHARED = ("view", "encoder", "fingerprint", "video_slots", "text_sources")
"""Attributes of the build that mean the same for every window, or nothing could be said of all."""


def check_alike(view: str, shards: Sequence[Shard], roots: Sequence[ShardRoot]) -> None:
    """Raise `ConfigError` unless all `shards` of tensors, with their `roots`, were built alike.

    They must have the same arrays of the same dtype and row shape, from one recipe and by one encoder, as the stream
    asks of them too. The message names two shards that differ.
    """
    first, *others = (dict(_facts(root)) for root in roots)
    for shard, facts in zip(shards[1:], others, strict=True):
        for name in dict.fromkeys((*first, *facts)):
            one, other = first.get(name), facts.get(name)
            if one != other:
                what, one, other = _difference(name, one, other)
                raise ConfigError(
                    f"the shards of view {view!r} do not fit together: {what} is {_told(one)} in {shards[0].key}"
                    f" and {_told(other)} in {shard.key}; build the view again: `sensorloom build {view}`"
                )


def _facts(root: ShardRoot) -> Iterator[tuple[str, Any]]:
    """Yield what shards must agree on, by the name that messages give it."""
    for name in _SHARED:
        yield f"attribute {name}", root.attributes.get(name)
    for name, spec in sorted(root.arrays.items()):
        yield f"a row of {name}", f"{spec.dtype}{list(spec.shape[1:])}"


def _difference(name: str, one: Any, other: Any) -> tuple[str, Any, Any]:
    """Return what differs: the first key of mappings, else the whole."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        key = next(key for key in (*one, *other) if one.get(key) != other.get(key))
        return f"{name}.{key}", one.get(key), other.get(key)
    return name, one, other


def _told(value: Any) -> str:
    return "missing" if value is None else str(value)
