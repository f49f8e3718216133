"""What open streams must be to be the sources of one mixture, and what their batches look like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from sensorloom.training.errors import StreamError
from sensorloom.training.stream import TripletStream
from sensorloom.training.streaming.batch_shape import BatchShape

__all__ = ["check_sources", "check_whole_numbers", "shape_of", "weights_in_order"]


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


def weights_in_order(
    weights: Mapping[str, float] | Sequence[float] | str, names: Sequence[str]
) -> Sequence[float] | str:
    """Return weights by name in the order of `names`, others as they are; StreamError where names differ."""
    if not isinstance(weights, Mapping):
        return weights
    lacks, besides = set(names) - set(weights), set(weights) - set(names)
    if lacks or besides:
        raise StreamError(
            f"weights lack the sources {', '.join(sorted(lacks)) or 'nothing'} and have "
            f"{', '.join(sorted(map(str, besides))) or 'nothing'} besides; give one weight for each of "
            f"{', '.join(names)}"
        )
    return [weights[name] for name in names]


def check_whole_numbers(**values: int) -> None:
    """Raise StreamError for a value that is not a whole number of at least 1, by its name."""
    for name, value in values.items():
        if type(value) is not int or value < 1:
            raise StreamError(f"{name} must be a whole number of at least 1, got {value!r}")


def check_sources(sources: Mapping[str, TripletStream], columns: Sequence[str]) -> None:
    """Raise StreamError for sources that make no mixture.

    That is one that is no TripletStream or has a rule that a mixture cannot keep, two that show the same moments at
    once, and `columns` that none of them has.
    """
    for name, source in sources.items():
        if not isinstance(source, TripletStream):
            raise StreamError(
                f"source {name!r} is a {type(source).__name__}, not a TripletStream; give the streams that it mixes"
            )
        if source.rules.min_gap_s:
            raise StreamError(
                f"source {name!r} keeps windows of a take {source.rules.min_gap_s:g} s apart in batches of its own "
                "(rules.min_gap_s), which the batches of a mixture cut across; open it without"
            )
    _check_moments(sources)
    if isinstance(columns, str):
        raise StreamError(f"columns must be a sequence of names, got {columns!r}; write ({columns!r},)")
    missing = sorted(set(columns).difference(*(source.columns for source in sources.values())))
    if missing:
        opened = "; ".join(f"{name!r} with {', '.join(source.columns)}" for name, source in sources.items())
        raise StreamError(
            f"no source of the mixture has the columns {', '.join(missing)}: {opened}. Open one with them whose view "
            "has them, or do not ask for them"
        )


def _check_moments(sources: Mapping[str, TripletStream]) -> None:
    first: dict[tuple[str, str, str, int], str] = {}
    for name, source in sources.items():
        other = first.setdefault((source.snapshot_id, source.view, source.split, source.seed), name)
        if other != name:
            raise StreamError(
                f"sources {other!r} and {name!r} both read split {source.split!r} of view {source.view!r} of snapshot "
                f"{source.snapshot_id} with seed {source.seed}, so a batch would show the same moments twice; open "
                "one with another seed, or leave it out and give the other a larger weight"
            )
