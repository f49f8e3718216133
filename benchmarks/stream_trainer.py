"""What a trainer waits for data: steps of the CNN-GRU at batch 512, fed from a store of generated windows.

Where a GPU is at hand the model and the resident columns are there, else all is on the CPU.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping

from harness import Contender, Turns, drive, medians, need, options, say, scratch

MEANING = {
    "trainer_wait_share": "share of a step that the trainer waits for its batch",
    "trainer_examples_per_s": "examples/s that the trainer learns from",
    "windows": "windows of the split",
    "threads": "cores that the trainer had, the stream's threads among them",
}


def main() -> None:
    arguments = _parse()
    drive(lambda: (_bench(arguments), MEANING))


def _parse() -> argparse.Namespace:
    parser = options(__doc__)
    parser.add_argument("--windows", type=int, default=40_000, help="windows of the store")
    parser.add_argument("--threads", type=int, default=2, help="cores for the trainer")
    return parser.parse_args()


def _bench(arguments: argparse.Namespace) -> Mapping[str, float]:
    need("torch")
    tell = say(arguments.quiet)
    with scratch(arguments.work) as folder:
        tell(f"generating {arguments.windows:,} windows")
        data = Contender("data", "stream_data.py", ("--windows", str(arguments.windows)))
        Turns(1, 1, folder).play([data])
        given = ("--data", str(folder / "data"), "--threads", str(arguments.threads))
        trainer = Contender("trainer", "stream_trainer_steps.py", given)
        found = medians(Turns(arguments.rounds, arguments.threads, folder, tell).play([trainer])["trainer"])
    return {
        "trainer_wait_share": found["wait_share"],
        "trainer_examples_per_s": found["examples_per_s"],
        "windows": arguments.windows,
        "threads": arguments.threads,
    }


if __name__ == "__main__":
    sys.exit(main())
