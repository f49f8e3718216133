"""What can be exported, and as what: the words of the command line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

__all__ = ["COLUMNS", "SUFFIXES", "Format", "told"]

Format = Literal["webdataset", "hf-parquet"]

SUFFIXES: Mapping[Format, str] = {"webdataset": "tar", "hf-parquet": "parquet"}
"""What the names of its files end in."""

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "imu": ("imu", "imu_valid", "imu_present"),
    "video": ("video", "video_present"),
    "mocap": ("mocap", "mocap_valid"),
    "text": ("text_vectors",),
}
"""What can be asked for, with the arrays that it stands for; masks always come along."""


def told(columns: Iterable[str]) -> str:
    """Return how messages list columns: each with the arrays that come along."""
    return ", ".join(f"{column}{_beside(column)}" for column in columns)


def _beside(column: str) -> str:
    others = [name for name in COLUMNS[column] if name != column]
    return f" (with {', '.join(others)})" if others else ""
