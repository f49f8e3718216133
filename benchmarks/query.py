"""Exact search among generated vectors, against NumPy over the same vectors in float32.

Both must find the same windows in the same order. The worst of twenty queries counts too.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping

from harness import Contender, Turns, drive, medians, options, same, say, scratch

MEANING = {
    "query_ms": "one query for the ten nearest windows, median of twenty, ms",
    "query_cpu_ms": "the same in time of the processor, which others on the machine do not slow, ms",
    "query_worst_ms": "the slowest of the twenty, ms",
    "overlapping_ms": "the same where every window overlaps its four neighbours on each side, ms",
    "over_numpy": "time of NumPy in float32 over ours",
    "peak_mb": "memory of the process, the vectors in it, MB",
    "windows": "vectors that are searched",
    "width": "values of a vector",
    "threads": "cores",
}


def main() -> None:
    arguments = _parse()
    drive(lambda: (_bench(arguments), MEANING))


def _parse() -> argparse.Namespace:
    parser = options(__doc__)
    parser.add_argument("--windows", type=int, default=250_000)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def _bench(arguments: argparse.Namespace) -> Mapping[str, float]:
    given = ("--windows", str(arguments.windows), "--width", str(arguments.width))
    contenders = [Contender(name, f"query_{name}.py", given) for name in ("ours", "numpy")]
    with scratch(arguments.work) as folder:
        rounds = Turns(arguments.rounds, arguments.threads, folder, say(arguments.quiet)).play(contenders)
    ours, numpy = (medians(rounds[name]) for name in ("ours", "numpy"))
    same("rows found", ours["apart_rows"], numpy["rows"])
    return {
        "query_ms": ours["apart_ms"],
        "query_cpu_ms": ours["apart_cpu_ms"],
        "query_worst_ms": ours["apart_worst_ms"],
        "overlapping_ms": ours["overlapping_ms"],
        "over_numpy": numpy["ms"] / ours["apart_ms"],
        "peak_mb": ours["peak_mb"],
        "windows": arguments.windows,
        "width": arguments.width,
        "threads": arguments.threads,
    }


if __name__ == "__main__":
    sys.exit(main())
