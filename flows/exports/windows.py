"""The windows of an export, piece by piece: rows, arrays and the vectors of their texts, in storage order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sensorloom.flows.tables import WINDOWS
from sensorloom.store.errors import MalformedObjectError
from sensorloom.store.manifest import Shard
from sensorloom.store.repository import Repository

__all__ = ["NO_SPLIT", "ROW_SCHEMA", "Windows", "read_windows"]

NO_SPLIT = "unassigned"
"""What windows without a split are filed under."""

ROW_SCHEMA = pa.schema([field for field in WINDOWS if field.name != "video_present"])
"""What a row tells of its window; `video_present` is an array of its own."""

# A piece is copied once or twice on its way into a file.
_PIECE_BYTES = 32 << 20

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Windows:
    """n consecutive windows of one split.

    `rows` are dictionaries by `ROW_SCHEMA`, a missing label is None; `arrays` have n rows each. With texts,
    `text_vectors` float16[r, D] are those of all texts, in the order of the rows and of their `texts`, and those of
    row i are `text_vectors[text_offsets[i]:text_offsets[i + 1]]`.
    """

    rows: Sequence[dict[str, Any]]
    arrays: Arrays
    text_vectors: NDArray[np.float16] | None = None
    text_offsets: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def num_bytes(self) -> int:
        """Bytes of the arrays and vectors."""
        texts = 0 if self.text_vectors is None else self.text_vectors.nbytes
        return texts + sum(array.nbytes for array in self.arrays.values())


def read_windows(
    repo: Repository, shards: tuple[Shard, Shard], names: Sequence[str], splits: Sequence[str]
) -> Iterator[tuple[str, Windows]]:
    """Yield the windows of `splits` in one shard of a view, as (split, `Windows`) of about 32 MB at most.

    `shards` are those of its window table and of its tensors. Of the tensors the arrays `names` are read,
    `text_vectors` standing for all that tells of texts. Raises `StoreError` where the shards cannot be read,
    `MalformedObjectError` where they do not fit each other.
    """
    table = repo.read_table(shards[0])
    of_rows = pc.fill_null(table["split"], NO_SPLIT)
    places = {split: np.flatnonzero(pc.equal(of_rows, split).to_numpy()) for split in splits}
    if not any(map(len, places.values())):
        return
    tensors = repo.open_arrays(shards[1])
    plain = [name for name in names if name != "text_vectors"]
    row_bytes = sum(tensors[name].nbytes for name in plain) // len(table)
    step = max(1, _PIECE_BYTES // max(1, row_bytes))
    for split, found in places.items():
        for first in range(0, len(found), step):
            picked = found[first : first + step]
            rows = [_row(row) for row in table.take(picked).to_pylist()]
            arrays = {name: _values(tensors, name, picked) for name in plain}
            if "text_vectors" in names:
                yield split, Windows(rows, arrays, *_vectors(tensors, picked, rows, shards[1]))
            else:
                yield split, Windows(rows, arrays)


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a row of the window table tells, its texts slot by slot as their vectors stand."""
    kept = {name: row.get(name) for name in ROW_SCHEMA.names}
    return {
        **kept,
        "label": row["label"] or None,
        "texts": sorted(row["texts"] or (), key=lambda text: text["slot"]),
    }


def _values(tensors: Arrays, name: str, picked: NDArray[np.int64]) -> NDArray[Any]:
    """Return the picked rows of an array; `imu` as float32, however the view stores it."""
    values = tensors[name][picked]
    if name != "imu":
        return values
    if values.dtype == np.int16:
        return values * tensors["imu_scale"][picked][..., np.newaxis]
    return values.astype(np.float32, copy=False)


def _vectors(
    tensors: Arrays, picked: NDArray[np.int64], rows: Sequence[Mapping[str, Any]], shard: Shard
) -> tuple[NDArray[np.float16], NDArray[np.int64]]:
    """Return the vectors of the texts of the picked windows, and where those of each begin and end."""
    ends = tensors["text_offsets"]
    spans = [tensors["text_rows"][ends[place, 0] : ends[place, -1]] for place in picked.tolist()]
    for row, span in zip(rows, spans, strict=True):
        stored = [tensors["text_ids"][place].tobytes().hex() for place in span.tolist()]
        if stored != [text["text_id"] for text in row["texts"]]:
            raise MalformedObjectError(
                f"shard {shard.key} ({shard.digest[:12]}) pairs window {row['window_id']} with"
                f" {len(stored)} vectors of texts that are not the {len(row['texts'])} texts of its row"
            )
    offsets = np.cumsum([0, *map(len, spans)], dtype=np.int64)
    return tensors["text_vectors"][np.concatenate(spans)], offsets
