"""The stored form of what is embedded: arrays by camera, the attributes beside them, rows, and vectors of texts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorloom.align.timeline import AlignedTake
from sensorloom.align.wording import all_wordings, text_digest
from sensorloom.embed.errors import EmbedError
from sensorloom.embed.frames import CameraFrames
from sensorloom.embed.works import CameraVectors
from sensorloom.ingest.take import Finding, Severity, counted

__all__ = [
    "camera_records",
    "facts_arrays",
    "frame_records",
    "merge_rows",
    "text_arrays",
    "text_rows",
    "undecodable",
    "vector_arrays",
]

Arrays = dict[str, NDArray[Any]]


def vector_arrays(cameras: Iterable[CameraVectors]) -> Arrays:
    """Return by camera `video.<name>/pts` int64[N], `/vectors` float16[N,D], `/norms` float32[N], `/valid` bool[N]."""
    arrays: Arrays = {}
    for camera in cameras:
        prefix = f"video.{camera.frames.name}"
        arrays[f"{prefix}/pts"] = camera.frames.pts
        arrays[f"{prefix}/vectors"] = camera.vectors
        arrays[f"{prefix}/norms"] = camera.norms
        arrays[f"{prefix}/valid"] = camera.valid
    return arrays


def facts_arrays(cameras: Iterable[CameraVectors]) -> Arrays:
    """Return by camera `video.<name>/pts` int64[N] and the facts of its frames."""
    arrays: Arrays = {}
    for camera in cameras:
        if camera.facts is not None:
            prefix = f"video.{camera.frames.name}"
            arrays[f"{prefix}/pts"] = camera.frames.pts
            arrays |= {f"{prefix}/{name}": array for name, array in camera.facts.named.items()}
    return arrays


def undecodable(take_id: str, camera: CameraVectors) -> Finding | None:
    """Tell of the frames of a camera that have no sound picture; None where all have one."""
    masked, total = int((~camera.valid).sum()), len(camera.valid)
    if not masked:
        return None
    first_s = camera.frames.seconds(int(np.argmin(camera.valid)))
    # Nothing of the file's name: the same bytes elsewhere are the same finding.
    reason = "" if camera.error is None else f" ({camera.error.removeprefix(f'{camera.frames.uri}: ')})"
    sentence = (
        f"{counted(masked, 'frame')} of {total} without a sound picture, the first at {first_s:.3f} s of the file;"
        f" masked{reason}"
    )
    numbers = {"frames": masked, "share": masked / total, "first_s": first_s}
    severity: Severity = "error" if masked == total else "warning"
    return Finding(f"{take_id}#{camera.frames.name}", "video-undecodable", severity, sentence, numbers)


def camera_records(cameras: Sequence[CameraFrames], digests: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return where the frames of each camera came from; `digests` are the sha256 of files by URI, "" where unknown."""
    return [
        {
            "name": camera.name,
            "view": camera.view,
            "rendition": camera.rendition,
            "sha256": digests.get(camera.uri, ""),
        }
        for camera in cameras
    ]


def frame_records(cameras: Sequence[CameraFrames], digests: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return all that what is made of the cameras depends on: the frames chosen, and the bytes of their files."""
    return [
        {
            **record,
            "time_base": list(camera.time_base),
            "pts_sha256": hashlib.sha256(camera.pts.astype("<i8").tobytes()).hexdigest(),
        }
        for record, camera in zip(camera_records(cameras, digests), cameras, strict=True)
    ]


def text_rows(take: AlignedTake) -> tuple[dict[str, str], ...]:
    """Return every distinct wording of every text of a take, with its id, in the order of the ids."""
    texts = {text_digest(text): text for event in take.events for text in all_wordings(event)}
    return tuple(
        {"take_id": take.take_id, "text_id": text_id, "text": texts[text_id]} for text_id in sorted(texts)
    )


def text_arrays(
    ids: Sequence[str], vectors: NDArray[np.float16], norms: NDArray[np.float32]
) -> dict[str, NDArray[Any]]:
    """Return the vectors of texts as they are stored, `ids` uint8[m, 32] rising."""
    digests = np.frombuffer(bytes.fromhex("".join(ids)), np.uint8).reshape(len(ids), 32)
    return {"ids": digests, "vectors": vectors, "norms": norms}


def merge_rows(parts: Sequence[Mapping[str, NDArray[Any]]], wanted: Iterable[str]) -> Arrays:
    """Return the rows of the `wanted` text ids, rising, each from the first of `parts` that has it.

    Raises `EmbedError` for an id that none has.
    """
    where: dict[str, tuple[int, int]] = {}
    for number, part in enumerate(parts):
        for row, digest in enumerate(np.asarray(part["ids"])):
            where.setdefault(digest.tobytes().hex(), (number, row))
    ids = sorted(set(wanted))
    lacking = [text_id for text_id in ids if text_id not in where]
    if lacking:
        raise EmbedError(
            f"{counted(len(lacking), 'text')} of {len(ids)} without a vector, the first of id {lacking[0][:12]}; run"
            " `sensorloom embed` again"
        )
    dim = parts[0]["vectors"].shape[1] if parts else 0
    vectors = np.zeros((len(ids), dim), np.float16)
    norms = np.zeros(len(ids), np.float32)
    for row, text_id in enumerate(ids):
        number, at = where[text_id]
        vectors[row], norms[row] = parts[number]["vectors"][at], parts[number]["norms"][at]
    return text_arrays(ids, vectors, norms)
