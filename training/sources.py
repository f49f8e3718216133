"""What open streams must be to be the sources of one mixture, and what their batches look like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from sensorloom.training.batch_shape import BatchShape
from sensorloom.training.errors import StreamError
from sensorloom.training.stream import TripletStream

__all__ = ["check_sources", "shape_of"]


def shape_of(name: str, source: TripletStream) -> BatchShape:
    """Describe the batches of a source, by one of no examples."""
    nothing = np.empty(0, np.int64)
    return BatchShape(
        name,
        source.collate(nothing, 0, nothing),
        slots=source.slots,
        video_slots=source.video_slots,
        text_sources=source.text_sources,
        latents=source.latents,
        rate_hz=source.rate_hz,
        encoder=source.encoder,
    )


def check_sources(sources: Mapping[str, TripletStream], columns: Sequence[str]) -> None:
    """Raise StreamError if no source has one of `columns`, or if one has a rule that a mixture cannot keep."""
    missing = sorted(set(columns).difference(*(source.columns for source in sources.values())))
    if missing:
        opened = "; ".join(f"{name!r} with {', '.join(source.columns)}" for name, source in sources.items())
        raise StreamError(
            f"no source of the mixture has the columns {', '.join(missing)}: {opened}. Open one with them whose view "
            "has them, or do not ask for them"
        )
    for name, source in sources.items():
        if source.rules.min_gap_s:
            raise StreamError(
                f"source {name!r} keeps windows of a take {source.rules.min_gap_s:g} s apart in batches of its own "
                "(rules.min_gap_s), which the batches of a mixture cut across; open it without"
            )
