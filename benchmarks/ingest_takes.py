"""What a take costs: one of ten minutes, with all that Ego-Exo4D has, and a short one among ten and among a thousand.

There is no peer: nobody else brings these files onto one timeline. The limits are seconds, memory, and that a take
costs the same in a large data set as in a small one.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from harness import Contender, Turns, drive, generated, medians, options, same, say, scratch

LONG_MINUTES = 10.0
FEW, MANY = 10, 1000

MEANING = {
    "take_10min_seconds": "a generated 10-minute Ego-Exo4D take with all it has, raw to commit, s",
    "take_10min_peak_mb": "peak memory of that, MB",
    "take_10min_raw_mb": "its raw files, MB",
    "take_few_ms": f"one short Ego4D take (IMU and texts) among {FEW}, ms",
    "take_many_ms": f"the same among {MANY}, ms",
    "take_many_over_few": "how much more it costs among the many",
    "take_rerun_many_ms": f"one take when none of {MANY} has changed, ms",
}


def main() -> None:
    arguments = _parse()
    drive(lambda: (_bench(arguments), MEANING))


def _parse() -> argparse.Namespace:
    parser = options(__doc__)
    parser.add_argument("--minutes", type=float, default=LONG_MINUTES, help="length of the long take")
    parser.add_argument("--many", type=int, default=MANY, help="takes of the large data set")
    return parser.parse_args()


def _bench(arguments: argparse.Namespace) -> Mapping[str, float]:
    tell = say(arguments.quiet)
    with scratch(arguments.work) as folder:
        long = _raw(
            arguments.work, f"egoexo4d-{arguments.minutes:g}-minutes", ("long", arguments.minutes), tell
        )
        few = _raw(arguments.work, f"ego4d-{FEW}-takes", ("many", FEW), tell)
        many = _raw(arguments.work, f"ego4d-{arguments.many}-takes", ("many", arguments.many), tell)
        contenders = [
            _contender(name, dataset, raw, few)
            for name, dataset, raw in (
                ("long", "egoexo4d", long),
                ("few", "ego4d", few),
                ("many", "ego4d", many),
            )
        ]
        rounds = Turns(arguments.rounds, 1, folder, tell).play(contenders)
    ran = {name: medians(numbers) for name, numbers in rounds.items()}
    same("takes", ran["few"]["takes"], FEW)
    same("takes", ran["many"]["takes"], arguments.many)
    few_ms, many_ms = (1000 * ran[name]["seconds"] / ran[name]["takes"] for name in ("few", "many"))
    return {
        "take_10min_seconds": ran["long"]["seconds"],
        "take_10min_peak_mb": ran["long"]["peak_mb"],
        "take_10min_raw_mb": ran["long"]["raw_mb"],
        "take_few_ms": few_ms,
        "take_many_ms": many_ms,
        "take_many_over_few": many_ms / few_ms,
        "take_rerun_many_ms": 1000 * ran["many"]["rerun_seconds"] / ran["many"]["takes"],
    }


def _contender(name: str, dataset: str, raw: Path, warm_up: Path) -> Contender:
    return Contender(
        name, "ingest_takes_ours.py", ("--dataset", dataset, "--raw", str(raw), "--warm-up", str(warm_up))
    )


def _raw(folder: Path, name: str, kind: tuple[str, float], tell: Callable[[str], None]) -> Path:
    out = generated(folder, name, "ingest_takes_sample.py", (kind[0], str(kind[1])), tell)
    return out / name.partition("-")[0]


if __name__ == "__main__":
    sys.exit(main())
