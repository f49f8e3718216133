"""Cached vectors as the embed stage lays them out, made up: every vector tells its take, camera and frame."""

from __future__ import annotations

import hashlib

import numpy as np

from sensorloom.align.wording import all_wordings, text_digest
from sensorloom.store.layout import bucket_of

DIM = 6
STEP = 100_000_000
ENCODER = "made-up.model"


def unit_vectors(count, name, dim=DIM):
    """Random directions float16[count, dim] with norms float32[count] between 1 and 9; `name` is the seed."""
    rng = np.random.default_rng(int.from_bytes(hashlib.sha256(name.encode()).digest()[:4]))
    raw = rng.normal(0, 1, (count, dim))
    units = (raw / np.linalg.norm(raw, axis=1, keepdims=True)).astype(np.float16)
    return units, rng.uniform(1, 9, count).astype(np.float32)


def lattice(video):
    """Places of the frames nearest to a multiple of 100 ms and at most 50 ms from it."""
    places = set()
    for instant in range(-STEP, int(video.times_ns[-1]) + 2 * STEP, STEP) if len(video.times_ns) else ():
        away = np.abs(video.times_ns - instant)
        if away.min() <= STEP // 2:
            places.add(int(away.argmin()))
    return np.array(sorted(places), np.int64)


def vectors_of_take(take, *, broken=None, leave_out=(), dim=DIM):
    """Arrays and attributes of a take's shard of `vectors:<encoder>`; `broken` are rows by camera without a picture."""
    arrays, cameras = {}, []
    for video in take.videos:
        if video.name in leave_out:
            continue
        places = lattice(video)
        vectors, norms = unit_vectors(len(places), f"{take.take_id}#{video.name}", dim)
        valid = np.ones(len(places), np.bool_)
        valid[(broken or {}).get(video.name, slice(0, 0))] = False
        prefix = f"video.{video.name}"
        arrays[f"{prefix}/pts"] = video.pts[places]
        arrays[f"{prefix}/vectors"] = np.where(valid[:, None], vectors, np.float16(0))
        arrays[f"{prefix}/norms"] = np.where(valid, norms, np.float32(0))
        arrays[f"{prefix}/valid"] = valid
        digest = hashlib.sha256(video.uri.encode()).hexdigest()
        cameras.append(
            {"name": video.name, "view": video.view, "rendition": video.rendition, "sha256": digest}
        )
    return arrays, {"take_id": take.take_id, "encoder": ENCODER, "fingerprint": {}, "cameras": cameras}


def text_vector(text_id, dim=DIM):
    return unit_vectors(1, text_id, dim)[0][0]


def texts_of_takes(takes, dim=DIM):
    """Arrays of the shards of `texts:<encoder>` by bucket, of every wording of every text of the takes."""
    ids = {text_digest(text) for take in takes for event in take.events for text in all_wordings(event)}
    buckets = {}
    for text_id in sorted(ids):
        buckets.setdefault(bucket_of(text_id), []).append(text_id)
    return {
        bucket: {
            "ids": np.array([list(bytes.fromhex(text_id)) for text_id in inside], np.uint8),
            "vectors": np.stack([text_vector(text_id, dim) for text_id in inside]),
            "norms": np.ones(len(inside), np.float32),
        }
        for bucket, inside in buckets.items()
    }
