"""Small raw files by hand, in the exact text of the downloads."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def pamap2_rows(
    activities: Iterable[tuple[int, int]], *, start_s: float = 8.38, seed: int = 0
) -> NDArray[np.float64]:
    """Rows float64[N, 54] with runs of (activity, samples), gravity on z, heart rate every 11th row."""
    ids = np.concatenate([np.full(samples, activity) for activity, samples in activities])
    rows = np.random.default_rng(seed).normal(0, 0.5, (len(ids), 54))
    rows[:, 0] = start_s + np.arange(len(ids)) / 100
    rows[:, 1] = ids
    rows[:, 2] = np.where(np.arange(len(ids)) % 11 == 0, 104, np.nan)
    rows[:, [6, 23, 40]] += 9.81
    for block in (3, 20, 37):
        rows[:, block + 13 : block + 17] = (1, 0, 0, 0)
    return rows


def pamap2_text(rows: NDArray[np.float64]) -> str:
    lines = [
        f"{row[0]:.2f} {int(row[1])} "
        + " ".join("NaN" if value != value else f"{value:g}" for value in row[2:])
        for row in rows
    ]
    return "\n".join(lines) + "\n"


def realworld_csv(
    num_rows: int = 500,
    *,
    start_ms: int = 1435993159412,
    step_ms: int = 20,
    gravity: float = 9.81,
    seed: int = 0,
) -> str:
    """A CSV as shipped: header, LF, no newline at the end."""
    values = np.random.default_rng(seed).normal(0, 0.5, (num_rows, 3))
    values[:, 2] += gravity
    lines = [
        f"{row + 1},{start_ms + row * step_ms},{x:.8g},{y:.8g},{z:.8g}"
        for row, (x, y, z) in enumerate(values.tolist())
    ]
    return "id,attr_time,attr_x,attr_y,attr_z\n" + "\n".join(lines)


def zip_bytes(members: Mapping[str, str | bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return packed.getvalue()


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def bomb_bytes(name: str, size: int = (100 << 20) + 1) -> bytes:
    """A zip whose one member unpacks from about 100 kB to `size` zeros."""
    packed = io.BytesIO()
    with (
        zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open(name, "w") as member,
    ):
        block = bytes(1 << 20)
        for start in range(0, size, len(block)):
            member.write(block[: size - start])
    return packed.getvalue()
