"""What each shuffle is worth on a generated split of 64 shards: full, by blocks of 1, 4, 8 and 16 shards, none.

Displacement alone cannot tell a block shuffle from a full one; mixing can. Every order must have each window
once. Nothing is read: a block of n shards needs n of 64 at hand, twice that around its border.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping

from harness import Contender, Turns, drive, medians, options, same, say, scratch

BLOCKS = (1, 4, 8, 16)
WAYS = {
    "global": ("--shuffle", "global"),
    **{f"block{shards}": ("--shuffle", "block", "--shards", str(shards)) for shards in BLOCKS},
    "none": ("--shuffle", "none"),
}
MEASURES = {
    "displacement": "mean distance from storage order, share of the epoch; a full shuffle has 1/3",
    "shard_mixing": "entropy of the shards of a batch, over its mean by chance",
    "take_mixing": "entropy of the takes of a batch, over its mean by chance",
    "order_ms": "making the order of an epoch, ms",
}
MEANING = {f"{way}_{name}": f"{way}: {text}" for way in WAYS for name, text in MEASURES.items()} | {
    "windows": "windows of the split",
    "batch": "windows of a batch",
}


def main() -> None:
    arguments = _parse()
    drive(lambda: (_bench(arguments), MEANING))


def _parse() -> argparse.Namespace:
    parser = options(__doc__)
    parser.add_argument("--windows", type=int, default=100_000)
    parser.add_argument("--batch", type=int, default=1024)
    return parser.parse_args()


def _bench(arguments: argparse.Namespace) -> Mapping[str, float]:
    given = ("--windows", str(arguments.windows), "--batch", str(arguments.batch))
    contenders = [Contender(way, "shuffle_order.py", (*given, *how)) for way, how in WAYS.items()]
    with scratch(arguments.work) as folder:
        rounds = Turns(arguments.rounds, 1, folder, say(arguments.quiet)).play(contenders)
    numbers: dict[str, float] = {}
    for way in WAYS:
        found = medians(rounds[way])
        same(f"different windows of an epoch ({way})", found["windows"], arguments.windows)
        numbers |= {f"{way}_{name}": found[name] for name in MEASURES}
    return numbers | {"windows": arguments.windows, "batch": arguments.batch}


if __name__ == "__main__":
    sys.exit(main())
