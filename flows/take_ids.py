"""What the id of a take tells: `<data set>/<its name there>`."""

from __future__ import annotations

__all__ = ["dataset_of"]


def dataset_of(take_id: str) -> str:
    """Return the data set that a take is of."""
    return take_id.partition("/")[0]
