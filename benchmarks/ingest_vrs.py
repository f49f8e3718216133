"""IMU records of an Aria VRS file to arrays on one core: this project, beside projectaria-tools and pyvrs.

All read the same generated `_noimagestreams.vrs` (warm page cache): both IMUs, stamps and six values, opening included.
Their arrays must be equal bit for bit. The libraries are called as their documentation does it, a record at a
time: they have no call for more.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from harness import (
    Contender,
    SetupError,
    Turns,
    drive,
    generated,
    medians,
    need,
    options,
    same,
    say,
    scratch,
    warm,
)

WARM_UP_MINUTES = 0.02
"""Each contender first reads a file this short: imports that libraries put off are no part of the measure."""

MEANING = {
    "vrs_records_per_s": "IMU records/s of this project: both IMUs of a file, opened and read, one core",
    "vrs_over_projectaria": "times faster than projectaria-tools giving the same arrays",
    "vrs_over_pyvrs": "times faster than pyvrs giving the same arrays",
    "vrs_mb_per_s": "the same as MB/s of file",
    "vrs_calibrated_records_per_s": "IMU records/s with the factory calibration applied",
    "vrs_records": "IMU records in the file, agreed on by all",
    "vrs_file_mb": "generated file, MB",
    "vrs_seconds": "this project: open and read, s",
    "vrs_projectaria_seconds": "projectaria-tools: the same, s",
    "vrs_pyvrs_seconds": "pyvrs: the same, s",
    "vrs_peak_mb": "peak memory of this project, MB (mapped file included)",
}


def main() -> None:
    arguments = _parse()
    drive(lambda: (_bench(arguments), MEANING))


def _parse() -> argparse.Namespace:
    parser = options(__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="length of the generated recording")
    return parser.parse_args()


def _bench(arguments: argparse.Namespace) -> Mapping[str, float]:
    need("projectaria_tools")
    if importlib.util.find_spec("pyvrs") is None:
        raise SetupError("the bench compares with pyvrs, not installed here: pip install --no-deps vrs")
    tell = say(arguments.quiet)
    with scratch(arguments.work) as folder:
        file, small = (
            _file(arguments.work, minutes, tell) for minutes in (arguments.minutes, WARM_UP_MINUTES)
        )
        file_mb = warm(file) / 1e6
        common = ("--file", str(file), "--warm-up", str(small), "--reader")
        contenders = [
            Contender(name, "ingest_vrs_read.py", (*common, name))
            for name in ("ours", "calibrated", "projectaria", "pyvrs")
        ]
        rounds = Turns(arguments.rounds, 1, folder, tell).play(contenders)
    ours, calibrated, projectaria, pyvrs = (medians(rounds[one.name]) for one in contenders)
    for theirs in (projectaria, pyvrs):
        same("records", ours["records"], theirs["records"])
        same("digest of stamps and values", ours["digest"], theirs["digest"])
    return {
        "vrs_records_per_s": ours["records"] / ours["seconds"],
        "vrs_over_projectaria": projectaria["seconds"] / ours["seconds"],
        "vrs_over_pyvrs": pyvrs["seconds"] / ours["seconds"],
        "vrs_mb_per_s": file_mb / ours["seconds"],
        "vrs_calibrated_records_per_s": calibrated["records"] / calibrated["seconds"],
        "vrs_records": ours["records"],
        "vrs_file_mb": file_mb,
        "vrs_seconds": ours["seconds"],
        "vrs_projectaria_seconds": projectaria["seconds"],
        "vrs_pyvrs_seconds": pyvrs["seconds"],
        "vrs_peak_mb": ours["peak_mb"],
    }


def _file(folder: Path, minutes: float, tell: Callable[[str], None]) -> Path:
    name = f"aria-{minutes:g}-minutes.vrs"
    return generated(folder, name, "ingest_vrs_sample.py", ("--minutes", str(minutes)), tell)


if __name__ == "__main__":
    sys.exit(main())
