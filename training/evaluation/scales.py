"""Texts at longer time scales: windows a whole number of times as long as a run's own, seen as pieces of its length.

A description tells of seconds, a comment of an attempt, a summary of minutes [methods §8.4]: the same encoder is asked
which text goes with ten or thirty seconds.

Axes: B examples of a batch · S sensor slots · C six channels · K two sensors of a slot · T samples · P pieces ·
D embedding.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from sensorloom.training.assemble import columns_for
from sensorloom.training.batch import Batch
from sensorloom.training.errors import RunError, StreamError, UnfitError
from sensorloom.training.evaluate import describe_split
from sensorloom.training.evaluation.embeddings import embed_split
from sensorloom.training.evaluation.pairs import check_pairs
from sensorloom.training.evaluation.retrieval import RetrievalScores, retrieval_scores
from sensorloom.training.evaluation.slot_splits import slot_scores
from sensorloom.training.loaded import LoadedRun, open_longer, open_split, snapshots_of_views
from sensorloom.training.objective import embed
from sensorloom.training.stream import TripletStream
from sensorloom.training.streaming.shards import OpenView
from sensorloom.training.terms.modalities import imu_rows

__all__ = ["Scale", "ScaleScores", "embed_pieces", "find_scales", "scale_scores"]

_IMU, _TEXT = "imu", "text"


@dataclass(frozen=True, slots=True)
class Scale:
    """A split of a view whose windows of `length_s` are `pieces` times as long as those of a run.

    A sensor is there in a piece where the share `min_coverage` of its samples is valid, as the view asks of a window.
    """

    stream: TripletStream
    length_s: float
    pieces: int
    min_coverage: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleScores:
    """Retrieval between sensors and texts where windows are `length_s` long, `pieces` times those of the run.

    `data` says in words what was scored: `windows` of `view`. `pretrained_takes` are recordings among them that the
    encoder was pretrained on, or its best epoch chosen by, and `pretrained_participants` people of such recordings.
    """

    view: str
    snapshot_id: str
    length_s: float
    pieces: int
    data: str
    windows: int
    pretrained_takes: int
    pretrained_participants: int
    retrieval: tuple[RetrievalScores, ...]


def find_scales(
    loaded: LoadedRun, split: str, chosen: Sequence[str]
) -> tuple[tuple[Scale, ...], dict[str, str]]:
    """Open the views with texts and windows a whole number of times as long, shortest first; say why others do not fit.

    All of them, or those that were `chosen` where any is. Raises UnfitError for a chosen one whose vectors or positions
    do not fit the run, StreamError for one without windows of the split.
    """
    if _TEXT not in columns_for(loaded.record.config):
        return (), {}
    snapshots = snapshots_of_views(loaded)
    recipes = {view: _recipe(loaded, view, snapshot) for view, snapshot in sorted(snapshots.items())}
    longer = {view: recipe for view, recipe in recipes.items() if _is_longer(loaded, recipe)}
    named = [view for view in chosen if view in longer]
    scales, refused = [], {}
    for view in named or longer:
        try:
            _check_scale(loaded, view, longer[view])
            stream, pieces = open_longer(loaded, view, split, snapshots[view])
        except (UnfitError, StreamError) as error:
            if named:
                raise
            refused[view] = str(error)
        else:
            recipe = longer[view]
            scales.append(Scale(stream, recipe["length_s"], pieces, recipe["min_coverage"]))
    return tuple(sorted(scales, key=lambda scale: scale.pieces)), refused


def scale_scores(
    loaded: LoadedRun, scales: Sequence[Scale], left_out: dict[str, str]
) -> Iterator[ScaleScores]:
    """Yield the retrieval of each scale that has two windows to tell apart; `left_out` says why another has not.

    Raises RunError where there is no scale.
    """
    if not scales:
        raise RunError(
            "no view here has texts for windows a whole number of times as long as those of "
            f"{loaded.record.config.view!r}; build one with its rate and length_s 10 or 30, say"
        )
    device = loaded.device
    config = loaded.record.config
    own = [open_split(loaded, config.view, each) for each in (config.train_split, config.val_split)]
    for scale in scales:
        stream = scale.stream
        by = partial(embed_pieces, pieces=scale.pieces, min_coverage=scale.min_coverage)
        found = embed_split(loaded.objective, stream, device, by=by)
        try:
            check_pairs(found)
        except RunError as error:
            left_out[f"scales, {stream.view}"] = str(error)
            continue
        data = describe_split(loaded.repo, stream, *own)
        yield ScaleScores(
            view=stream.view,
            snapshot_id=stream.snapshot_id,
            length_s=scale.length_s,
            pieces=scale.pieces,
            data=data.words,
            windows=data.windows,
            pretrained_takes=data.shared_takes,
            pretrained_participants=data.shared_participants,
            retrieval=(
                *retrieval_scores(found, device=device),
                *slot_scores(stream, found, device=device),
            ),
        )


def embed_pieces(
    objective: nn.Module, batch: Batch, *, pieces: int, min_coverage: float
) -> dict[str, tuple[Tensor, Tensor]]:
    """Return what `objective` embeds of `batch`, its windows float32[B, S, 6, P·T] cut into `pieces` of T.

    "imu" is the mean of the unit vectors of a window's pieces, made length 1, of those in which a sensor is there: one
    of which the share `min_coverage` of the samples is valid.
    """
    embedded = [embed(objective, piece) for piece in _cut(batch, pieces, min_coverage)]
    rows_PBD = torch.stack([each[_IMU][0] for each in embedded])
    there_PB = torch.stack([each[_IMU][1] for each in embedded])
    mean_BD = normalize(rows_PBD.masked_fill(~there_PB[..., None], 0.0).mean(dim=0), dim=1)
    return {**embedded[0], _IMU: (mean_BD, there_PB.any(dim=0))}


def _cut(batch: Batch, pieces: int, min_coverage: float) -> Iterator[Batch]:
    """Yield each piece of the windows of a batch, with everything else of it."""
    imu_BSCT, present_BSK, _ = imu_rows(batch)
    valid_BSKT = batch.imu_valid_BSKT
    assert valid_BSKT is not None  # noqa: S101 - it comes with the sensors
    for piece_BSCT, there_BSKT in zip(
        imu_BSCT.chunk(pieces, dim=3), valid_BSKT.chunk(pieces, dim=3), strict=True
    ):
        is_there_BSK = present_BSK & (there_BSKT.float().mean(dim=3) >= min_coverage)
        yield replace(batch, imu_BSCT=piece_BSCT, imu_valid_BSKT=there_BSKT, imu_present_BSK=is_there_BSK)


def _recipe(loaded: LoadedRun, view: str, snapshot: str) -> Mapping[str, Any]:
    """Return how a view was built, nothing where it has no windows."""
    opened = OpenView(loaded.repo, snapshot, view)
    return (opened.attribute("view", [0]) if opened.roots else None) or {}


def _is_longer(loaded: LoadedRun, recipe: Mapping[str, Any]) -> bool:
    if not recipe.get("texts") or loaded.rate_hz is None:
        return False
    longer: bool = recipe["length_s"] > loaded.record.window_shape[2] / loaded.rate_hz
    return longer


def _check_scale(loaded: LoadedRun, view: str, recipe: Mapping[str, Any]) -> None:
    """Raise UnfitError unless the windows of a view can be cut into pieces of the run's."""
    own, rate_hz = loaded.record.window_shape[2], recipe["rate_hz"]
    if rate_hz != loaded.rate_hz or round(recipe["length_s"] * rate_hz) % own:
        raise UnfitError(
            f"view {view!r} has windows of {recipe['length_s']:g} s at {rate_hz} Hz, which are no whole number of "
            f"those of {loaded.record.config.view!r}: {own} samples at {loaded.rate_hz} Hz; build one with that rate "
            "and a multiple of that length"
        )
