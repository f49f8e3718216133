"""A generated view for tests of its health: takes of windows whose video shows what their texts say, more or less."""

from __future__ import annotations

import numpy as np

from sensorloom.embed.view_health import ViewArrays

NS_PER_S = 1_000_000_000
NUM_THINGS, DIM, SAMPLES = 12, 32, 100


def unit(raw):
    return raw / np.linalg.norm(raw, axis=-1, keepdims=True)


def generate(takes=12, windows=30, *, tells=1.0, seed=0):
    """Return rows and one shard for every three takes; `tells` is how much of a thing's vector its text has.

    A window shows one of 12 things, in the place of its take; its text names the thing.
    """
    rng = np.random.default_rng(seed)
    seen, said = unit(rng.standard_normal((2, NUM_THINGS, DIM)))
    said = unit(tells * seen + (1 - tells) * said)
    rows, shards = [], []
    for first in range(0, takes, 3):
        count = 3 * windows
        thing = rng.integers(0, NUM_THINGS, count)
        place = np.repeat(unit(rng.standard_normal((3, DIM))), windows, axis=0)
        video = unit(0.7 * seen[thing] + place + 0.15 * rng.standard_normal((count, DIM)) / np.sqrt(DIM) * 3)
        shards.append(
            {
                "imu": (9.8 + rng.standard_normal((count, 1, 6, SAMPLES))).astype(np.float32),
                "imu_present": np.ones((count, 1, 2), np.bool_),
                "video": video[:, None].astype(np.float16),
                "video_present": np.ones((count, 1), np.bool_),
                "text_vectors": unit(said + 0.3 * place[0]).astype(np.float16),
                "text_rows": thing.astype(np.int32),
                "text_offsets": np.stack([np.arange(count), np.arange(count) + 1], axis=1),
            }
        )
        rows += [
            {
                "window_id": f"d/t{take}@{5 * number}",
                "take_id": f"d/t{take}",
                "dataset": "d",
                "participant_id": f"d/p{take}",
                "capture_id": f"d/c{take}",
                "split": ("train", "val", "test")[take % 3],
                "start_ns": 5 * number * NS_PER_S,
                "stop_ns": 5 * (number + 1) * NS_PER_S,
            }
            for take in range(first, first + 3)
            for number in range(windows)
        ]
    return rows, shards


def view(shards):
    return ViewArrays("view", [lambda shard=shard: shard for shard in shards], ("ego",), ("narration",))


def of_take(rows, shards, take_id):
    """Return the shard of a take and the places of its windows there."""
    places = [place for place, row in enumerate(rows) if row["take_id"] == take_id]
    first = 0
    for shard in shards:
        if places[0] < first + len(shard["imu"]):
            return shard, np.array(places) - first
        first += len(shard["imu"])
    raise AssertionError(take_id)
