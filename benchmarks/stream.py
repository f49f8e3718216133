"""Shuffled epochs of a store of generated windows: this project's stream, memcpy, and a naive Dataset +
DataLoader.

All hand on the same imu float32[1, 6, 1000] windows in batches of 256, from a warm page cache, on the same
cores. The stream and the DataLoader shuffle the whole epoch; memcpy copies in storage order, the fastest
that memory allows. The DataLoader works in its own process alone (`num_workers=0`: with worker processes,
moving the batches costs more than it gains). Every contender notes a marker of each window it got; all must
have got each window once an epoch, and the same bytes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping

from harness import Contender, Turns, drive, medians, need, options, same, say, scratch, warm

MEANING = {
    "windows_per_s": "windows/s of this project's stream, later epochs",
    "over_memcpy": "share of memcpy into reused memory, later epochs",
    "over_memcpy_first": "share of the same memcpy, this project's first epoch",
    "over_memcpy_fresh": "share of memcpy into fresh memory, later epochs",
    "over_naive": "times faster than Dataset + DataLoader, later epochs",
    "first_batch_ms": "opening the store to the first batch, imports aside, ms",
    "first_windows_per_s": "windows/s of this project's stream, first epoch",
    "memcpy_windows_per_s": "windows/s of memcpy into reused memory",
    "memcpy_first_windows_per_s": "windows/s of memcpy into reused memory, first epoch",
    "memcpy_fresh_windows_per_s": "windows/s of memcpy into fresh memory",
    "naive_windows_per_s": "windows/s of Dataset + DataLoader, later epochs",
    "naive_first_windows_per_s": "windows/s of Dataset + DataLoader, first epoch",
    "windows": "windows of the split",
    "data_mb": "bytes of an epoch, MB",
    "threads": "cores that each contender had",
    "peak_mb": "peak memory of this project's process with the mapped store, MB",
}


def main() -> None:
    arguments = _parse()
    drive(lambda: (_bench(arguments), MEANING))


def _parse() -> argparse.Namespace:
    parser = options(__doc__)
    parser.add_argument(
        "--windows", type=int, default=40_000, help="windows of the store (40,000: about 1 GB)"
    )
    parser.add_argument(
        "--threads", type=int, default=2, help="cores for every contender; 2 is what the stream uses"
    )
    return parser.parse_args()


def _bench(arguments: argparse.Namespace) -> Mapping[str, float]:
    need("torch")
    tell = say(arguments.quiet)
    with scratch(arguments.work) as folder:
        data = Contender("data", "stream_data.py", ("--windows", str(arguments.windows)))
        tell(f"generating {arguments.windows:,} windows")
        written = Turns(1, 1, folder).play([data])["data"][0]
        data_mb = sum(warm(path) for path in sorted((folder / "data").rglob("*")) if path.is_file()) / 2e6
        given = ("--data", str(folder / "data"), "--threads", str(arguments.threads))
        contenders = [Contender(name, f"stream_{name}.py", given) for name in ("ours", "memcpy", "naive")]
        rounds = Turns(arguments.rounds, arguments.threads, folder, tell).play(contenders)
    for contender in contenders:
        for numbers in rounds[contender.name]:
            same(f"windows missing or repeated ({contender.name})", numbers["misplaced"], 0)
            same(f"sum of all bits ({contender.name})", numbers["bits"], written["bits"])
    ours, memcpy, naive = (medians(rounds[contender.name]) for contender in contenders)
    return {
        **_numbers(ours, memcpy, naive),
        "windows": arguments.windows,
        "data_mb": data_mb,
        "threads": arguments.threads,
        "peak_mb": ours["peak_mb"],
    }


def _numbers(
    ours: Mapping[str, float], memcpy: Mapping[str, float], naive: Mapping[str, float]
) -> dict[str, float]:
    return {
        "windows_per_s": ours["later"],
        "over_memcpy": ours["later"] / memcpy["reused_later"],
        "over_memcpy_first": ours["first"] / memcpy["reused_later"],
        "over_memcpy_fresh": ours["later"] / memcpy["fresh_later"],
        "over_naive": ours["later"] / naive["later"],
        "first_batch_ms": ours["first_batch_ms"],
        "first_windows_per_s": ours["first"],
        "memcpy_windows_per_s": memcpy["reused_later"],
        "memcpy_first_windows_per_s": memcpy["reused_first"],
        "memcpy_fresh_windows_per_s": memcpy["fresh_later"],
        "naive_windows_per_s": naive["later"],
        "naive_first_windows_per_s": naive["first"],
    }


if __name__ == "__main__":
    sys.exit(main())
