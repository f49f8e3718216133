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
    return {"ids": _digests(ids), "vectors": vectors, "norms": norms}


def merge_rows(parts: Sequence[Mapping[str, NDArray[Any]]], wanted: Iterable[str]) -> Arrays:
    """Return the rows of the `wanted` text ids, rising, each from the first of `parts` that has it.

    The ids of each part rise. Raises `EmbedError` for an id that none has.
    """
    ids = sorted(set(wanted))
    digests = _digests(ids)
    dim = parts[0]["vectors"].shape[1] if parts else 0
    vectors = np.zeros((len(ids), dim), np.float16)
    norms = np.zeros(len(ids), np.float32)
    lacking = np.ones(len(ids), np.bool_)
    for part in parts:
        rows = _places(np.asarray(part["ids"]), digests)
        here = lacking & (rows >= 0)
        vectors[here], norms[here] = part["vectors"][rows[here]], part["norms"][rows[here]]
        lacking &= ~here
    if lacking.any():
        raise EmbedError(
            f"{counted(int(lacking.sum()), 'text')} of {len(ids)} without a vector, the first of id"
            f" {ids[int(lacking.argmax())][:12]}; run `sensorloom embed` again"
        )
    return text_arrays(ids, vectors, norms)


def _digests(ids: Sequence[str]) -> NDArray[np.uint8]:
    return np.frombuffer(bytes.fromhex("".join(ids)), np.uint8).reshape(len(ids), 32)


def _places(digests: NDArray[np.uint8], wanted: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the row of each `wanted` uint8[k, 32] in `digests` uint8[m, 32], which rise; -1 where it is not there."""
    # Of one length, byte strings compare as their bytes do, zeros at the end included.
    there, asked = (np.ascontiguousarray(rows).view("S32").reshape(len(rows)) for rows in (digests, wanted))
    rows = np.searchsorted(there, asked)
    found = np.zeros(len(asked), np.bool_)
    inside = rows < len(there)
    found[inside] = there[rows[inside]] == asked[inside]
    return np.where(found, rows, -1)
