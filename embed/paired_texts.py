"""Which texts windows are paired with, as the text arrays of a triplet shard tell it, and their cached vectors."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from sensorloom.align.window import Window
from sensorloom.embed.errors import EmbedError, VectorError
from sensorloom.ingest.take import counted

__all__ = ["TextIndex", "index_texts", "refuse_texts", "vectors_of"]

_DIGEST_BYTES = 32
_NAMED = 5
"""At most so many takes are named in a message."""


@dataclass(frozen=True, slots=True)
class TextIndex:
    """The texts of n windows in K slots: `ids` are the m distinct ones, in hex, sorted.

    Slot k of window i has the texts `rows[offsets[i, k]:offsets[i, k + 1]]`, places in `ids`, each a positive:
    `rows` int32[r], `offsets` int64[n, K + 1].
    """

    ids: tuple[str, ...]
    rows: NDArray[np.int32]
    offsets: NDArray[np.int64]

    @property
    def digests(self) -> NDArray[np.uint8]:
        """The ids as bytes, uint8[m, 32]."""
        whole = np.frombuffer(bytes.fromhex("".join(self.ids)), np.uint8)
        return whole.reshape(len(self.ids), _DIGEST_BYTES)


def index_texts(windows: Sequence[Window], num_slots: int) -> TextIndex:
    """Return which texts each window has, slot by slot and in the window's own order, every distinct text once."""
    ids = sorted({text.text_id for window in windows for text in window.texts})
    place = {text_id: number for number, text_id in enumerate(ids)}
    counts = np.zeros((len(windows), num_slots), np.int64)
    rows: list[int] = []
    for number, window in enumerate(windows):
        for slot in range(num_slots):
            of_slot = [place[text.text_id] for text in window.texts if text.slot == slot]
            counts[number, slot] = len(of_slot)
            rows += of_slot
    ends = counts.cumsum().reshape(counts.shape)
    offsets = np.concatenate((ends[:, :1] - counts[:, :1], ends), axis=1)
    return TextIndex(tuple(ids), np.array(rows, np.int32), offsets)


def vectors_of(
    arrays: Mapping[str, NDArray[Any]], wanted: Iterable[str], dim: int
) -> Mapping[str, NDArray[np.float16]]:
    """Return by id the vectors float16[dim] of those `wanted` texts that stored `arrays` have.

    `arrays` are `ids` uint8[m, 32], sorted, and `vectors` float16[m, D]. Raises `VectorError` where D is not `dim`.
    """
    digests, vectors = arrays["ids"], arrays["vectors"]
    if vectors.shape[1] != dim:
        raise VectorError(
            f"vectors of texts are {vectors.shape[1]} wide in the store, {dim} by their encoder;"
            " run `sensorloom embed` again"
        )
    found = {}
    for text_id in wanted:
        digest = bytes.fromhex(text_id)
        row = bisect_left(range(len(digests)), digest, key=lambda at: digests[at].tobytes())
        if row < len(digests) and digests[row].tobytes() == digest:
            found[text_id] = vectors[row]
    return found


def refuse_texts(lacking: Collection[str], windows: Iterable[Window], encoder: str) -> NoReturn:
    """Raise `EmbedError` for texts of `windows` that have no vector."""
    of = {window.take_id for window in windows if any(text.text_id in lacking for text in window.texts)}
    takes = sorted(of)
    more = f" and {len(takes) - _NAMED} more" if len(takes) > _NAMED else ""
    raise EmbedError(
        f"{', '.join(takes[:_NAMED])}{more}: {counted(len(lacking), 'text')} without a vector by encoder {encoder},"
        f" the first {min(lacking)}; run `sensorloom embed`"
    )
