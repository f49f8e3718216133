"""Contender: one way to order a generated split of 64 shards, how well it mixes, and how long it takes.

Takes of 20 to 220 windows lie in the shard that the sha256 of their id names, as in a store, shards and takes in
storage order.
"""

from __future__ import annotations

import argparse
import hashlib

import numpy as np
from harness import emit, stopwatch
from numpy.typing import NDArray

from sensorloom.training.streaming.order import block_order, epoch_order
from sensorloom.training.streaming.shuffle_quality import rate_shuffle

SHARDS, SHORTEST, LONGEST, SEED, EPOCH = 64, 20, 220, 7, 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--windows", type=int, required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--shuffle", choices=["global", "block", "none"], required=True)
    parser.add_argument("--shards", type=int, default=1, help="shards of a block")
    parser.add_argument("--work", required=True)
    arguments = parser.parse_args()
    shard, take = _split(arguments.windows)
    seconds: dict[str, float] = {}
    with stopwatch(seconds, "order"):
        if arguments.shuffle == "global":
            order = epoch_order(len(shard), SEED, EPOCH)
        elif arguments.shuffle == "block":
            order = block_order(shard, SEED, EPOCH, arguments.shards)
        else:
            order = np.arange(len(shard))
    quality = rate_shuffle(order, shard, take, arguments.batch)
    emit(
        {
            "displacement": quality.displacement,
            "shard_mixing": quality.shard_mixing,
            "take_mixing": quality.take_mixing,
            "order_ms": seconds["order"] * 1e3,
            "windows": len(np.unique(order)),
        }
    )


def _split(windows: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the shard and the take of each window in storage order."""
    lengths = np.random.default_rng(SEED).integers(SHORTEST, LONGEST + 1, windows // SHORTEST + 1)
    take = np.repeat(np.arange(len(lengths)), lengths)[:windows]
    digests = [hashlib.sha256(f"take-{number}".encode()).digest() for number in range(int(take[-1]) + 1)]
    shard = np.array([int.from_bytes(digest, "big") % SHARDS for digest in digests])[take]
    stored = np.argsort(shard, kind="stable")
    return shard[stored], take[stored]


if __name__ == "__main__":
    main()
