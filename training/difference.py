"""Where two descriptions of a stream or a view differ, for messages that name it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["first_difference"]


def first_difference(name: str, one: Any, other: Any) -> tuple[str, Any, Any]:
    """Return what differs between two values of `name`, and both: the first key of mappings, else the whole."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        key = next(key for key in (*one, *other) if one.get(key) != other.get(key))
        return f"{name}.{key}", one.get(key), other.get(key)
    return name, one, other
