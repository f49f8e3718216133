"""Whether an encoder of texts gives the vectors that a store has: those of the golden texts are kept beside them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorloom.embed.errors import EncoderError
from sensorloom.embed.vectors import TOLERANCE_COSINE, agree

__all__ = ["GOLDEN_ARRAY", "check_golden_texts"]

GOLDEN_ARRAY = "golden/text_vectors"
"""Where a row of the table `encoders` keeps them."""


def check_golden_texts(
    name: str,
    kept: Mapping[str, NDArray[Any]] | None,
    encode: Callable[[list[str]], NDArray[np.float32]],
) -> None:
    """Raise EncoderError where `encode` gives other vectors of the golden texts than encoder `name` gave the store.

    `kept` are the arrays of its row. A store that keeps none, or those of other texts, has nothing to hold it against.
    """
    # Here, since its other half needs a package for pictures.
    from sensorloom.embed.golden import GOLDEN_TEXTS

    if kept is None or len(kept[GOLDEN_ARRAY]) != len(GOLDEN_TEXTS):
        return
    cosine = agree(encode(list(GOLDEN_TEXTS)), kept[GOLDEN_ARRAY])
    if not cosine >= TOLERANCE_COSINE:
        raise EncoderError(
            f"encoder {name} gives other vectors of texts than those in the store: cosine {cosine:.6f} of golden texts,"
            f" where at least {TOLERANCE_COSINE} is promised; its weights are the same, so look at the versions of"
            " torch and open_clip, and at the device"
        )
