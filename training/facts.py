"""What a model must know of the data it is built for."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sensorloom.training.stream import TripletStream

__all__ = ["StreamFacts", "facts_of", "take_numbers"]


@dataclass(frozen=True, slots=True)
class StreamFacts:
    """Shapes and names of a view.

    `window_shape` is (S, C, T). `vector_size` is the width of the vectors of texts and videos, None where the stream
    has neither column; `mocap_rows` those of a window; `text_slots` and `video_slots` how many there are.
    """

    window_shape: tuple[int, int, int]
    classes: tuple[str, ...] = ()
    vector_size: int | None = None
    mocap_rows: int | None = None
    text_slots: int = 0
    video_slots: int = 0


def facts_of(stream: TripletStream) -> StreamFacts:
    """Return the facts of an open stream, by a look at its first example."""
    first = np.zeros(1, np.int64)
    batch = stream.collate(first, 0, first)
    vectors = batch.text_BKD if batch.text_BKD is not None else batch.video_BVD
    return StreamFacts(
        window_shape=stream.window_shape,
        classes=stream.classes,
        vector_size=None if vectors is None else vectors.shape[2],
        mocap_rows=None if batch.mocap_BFJX is None else batch.mocap_BFJX.shape[1],
        text_slots=0 if batch.text_BKD is None else batch.text_BKD.shape[1],
        video_slots=0 if batch.video_BVD is None else batch.video_BVD.shape[1],
    )


def take_numbers(stream: TripletStream) -> Tensor:
    """Return the number of each example's take, int64[n] of 0 and above; the same in every split and snapshot."""
    ids = stream.window_ids(torch.arange(stream.num_examples))
    takes = [window.rpartition("@")[0] for window in ids]  # a window's id is `<take_id>@…`
    number = {take: int.from_bytes(hashlib.sha256(take.encode()).digest()[:7], "little") for take in {*takes}}
    return torch.tensor([number[take] for take in takes])
