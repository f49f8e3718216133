"""Texts at longer time scales: windows several times as long as a run's own, seen as pieces of its length.

A description tells of seconds, a comment of an attempt, a summary of minutes [methods §8.4]: the same encoder is asked
which text goes with ten or thirty seconds.

Axes: B examples of a batch · S sensor slots · C six channels · K two sensors of a slot · T samples · P pieces ·
D embedding.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from sensorloom.training.assemble import columns_for
from sensorloom.training.batch import Batch
from sensorloom.training.errors import RunError
from sensorloom.training.evaluate import describe_split
from sensorloom.training.evaluation.embeddings import embed_split
from sensorloom.training.evaluation.retrieval import RetrievalScores, retrieval_scores
from sensorloom.training.evaluation.slot_splits import slot_scores
from sensorloom.training.loaded import LoadedRun, open_longer, snapshots_of_views
from sensorloom.training.objective import embed
from sensorloom.training.streaming.shards import OpenView
from sensorloom.training.terms.modalities import imu_rows

__all__ = ["ScaleScores", "embed_pieces", "find_scales", "scale_scores"]

_IMU = "imu"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleScores:
    """Retrieval between sensors and texts where windows are `length_s` long, `pieces` times those of the run.

    `data` says in words what was scored: `windows` of `view`.
    """

    view: str
    snapshot_id: str
    length_s: float
    pieces: int
    data: str
    windows: int
    retrieval: tuple[RetrievalScores, ...]


def find_scales(loaded: LoadedRun) -> dict[str, str]:
    """Return the views with texts and windows several times as long as the run's, each with its snapshot."""
    snapshots = sorted(snapshots_of_views(loaded).items())
    return {view: snapshot for view, snapshot in snapshots if _is_longer(loaded, view, snapshot)}


def scale_scores(loaded: LoadedRun, split: str, scales: Mapping[str, str]) -> Iterator[ScaleScores]:
    """Yield the retrieval of `split` of each view of `scales`, the shortest windows first.

    Raises RunError where there is no such view, the run has no texts, or a view's windows or vectors do not fit it;
    StreamError for a split that is not there.
    """
    if "text" not in columns_for(loaded.record.config):
        raise RunError("the run embeds no texts, so none can be found by sensors")
    if not scales:
        raise RunError(
            f"no view here has texts for windows several times as long as those of {loaded.record.config.view!r}; "
            "build one with its rate and length_s 10 or 30, say"
        )
    opened = [(*open_longer(loaded, view, split, snapshot), snapshot) for view, snapshot in scales.items()]
    device = next(loaded.objective.parameters()).device
    for stream, pieces, snapshot in sorted(opened, key=lambda each: each[1]):
        found = embed_split(loaded.objective, stream, device, by=partial(embed_pieces, pieces=pieces))
        data = describe_split(loaded.repo, stream)
        yield ScaleScores(
            view=stream.view,
            snapshot_id=snapshot,
            length_s=stream.window_shape[2] / (loaded.rate_hz or 1),
            pieces=pieces,
            data=data.words,
            windows=data.windows,
            retrieval=(
                *retrieval_scores(found, device=device),
                *slot_scores(stream, found, device=device),
            ),
        )


def embed_pieces(objective: nn.Module, batch: Batch, *, pieces: int) -> dict[str, tuple[Tensor, Tensor]]:
    """Return what `objective` embeds of `batch`, its windows float32[B, S, 6, P·T] cut into `pieces` of T.

    "imu" is the mean of the unit vectors of a window's pieces, made length 1, of those in which a sensor is there. A
    sensor without a valid sample in a piece is missing from it.
    """
    embedded = [embed(objective, piece) for piece in _cut(batch, pieces)]
    rows_PBD = torch.stack([each[_IMU][0] for each in embedded])
    there_PB = torch.stack([each[_IMU][1] for each in embedded])
    mean_BD = normalize(rows_PBD.masked_fill(~there_PB[..., None], 0.0).mean(dim=0), dim=1)
    return {**embedded[0], _IMU: (mean_BD, there_PB.any(dim=0))}


def _cut(batch: Batch, pieces: int) -> Iterator[Batch]:
    """Yield each piece of the windows of a batch, with everything else of it."""
    imu_BSCT, present_BSK, _ = imu_rows(batch)
    valid_BSKT = batch.imu_valid_BSKT
    assert valid_BSKT is not None  # noqa: S101 - it comes with the sensors
    for piece_BSCT, there_BSKT in zip(
        imu_BSCT.chunk(pieces, dim=3), valid_BSKT.chunk(pieces, dim=3), strict=True
    ):
        is_there_BSK = present_BSK & there_BSKT.any(dim=3)
        yield replace(batch, imu_BSCT=piece_BSCT, imu_valid_BSKT=there_BSKT, imu_present_BSK=is_there_BSK)


def _is_longer(loaded: LoadedRun, view: str, snapshot: str) -> bool:
    opened = OpenView(loaded.repo, snapshot, view)
    if not opened.roots:
        return False
    recipe = opened.attribute("view", [0])
    own = loaded.record.window_shape[2]
    samples = round(recipe["length_s"] * recipe["rate_hz"])
    return (
        bool(recipe["texts"]) and recipe["rate_hz"] == loaded.rate_hz and samples > own and not samples % own
    )
