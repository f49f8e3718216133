"""What the audit catches, whom it accuses, and what it costs.

Faults are planted in generated trees of all four data sets, and the audit must tell of each by name; there is no peer.
The cost is that of auditing ten hours of IMU at 200 Hz with body joints and the facts of one camera's frames, in takes
of ten minutes on two cores: clocks, streams, windows and pages. There are no raw files, so nothing can be decoded.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from typing import Any

from harness import Contender, Turns, drive, generated, medians, options, same, say, scratch

TAKE_MINUTES, CORES = 10.0, 2
OFFSET_MS, TOLERANCE_MS = {"video": 0.0, "mocap": 0.0, "imu": 40.0}, 10.0

MEANING = {
    "faults_planted": "faults planted",
    "faults_caught": "of these told of by the rule that names them",
    "faults_published": "of the faults planted, kinds that published pipelines shipped",
    "faults_published_caught": "of these kinds, caught",
    "faults_raw": "faults planted in files",
    "faults_read": "faults planted in takes as read, before alignment",
    "faults_aligned": "faults planted in aligned takes and facts of frames",
    "faults_view": "faults planted in built views",
    "rules_of_audit": "rules that the audit has beside those of ingest, alignment and build",
    "rules_with_fault": "of these rules, with a fault that they must catch",
    "rules_that_caught": "of these rules, caught what they must",
    "clean_takes": "takes and views without a fault that were audited",
    "clean_errors": "errors told of them",
    "clean_clock_warnings": "clocks of theirs called shifted, drifting or jumping",
    "faults_peak_mb": "peak memory of planting and auditing, MB",
    "audit_s_10h": "sensorloom audit of ten hours, nothing remembered, s",
    "audit_again_s_10h": "the same with every take remembered, s",
    "audit_hours_per_minute": "hours of takes audited in a minute",
    "audit_peak_mb": "peak memory of the largest process of it, MB",
    "audit_windows": "windows in the view",
    "audit_pairs": "pairs of streams compared",
    "audit_pairs_told": "of these pairs, with an offset that could be told",
    "pair_ms_10min": "one pair of streams on a take of ten minutes, the slowest kind, ms of one core",
    "pair_video_ms": "camera against gyroscope, ms",
    "pair_mocap_ms": "joints against accelerometer, ms",
    "pair_imu_ms": "IMU against IMU, ms",
    "pair_own_ms": "accelerometer against gyroscope of one IMU, ms",
}


def main() -> None:
    arguments = _parse()
    drive(lambda: _bench(arguments))


def _parse() -> argparse.Namespace:
    parser = options(__doc__)
    parser.add_argument("--hours", type=float, default=10.0, help="hours of generated takes that are audited")
    parser.add_argument("--part", action="append", choices=("faults", "speed"), help="only this part")
    return parser.parse_args()


def _bench(
    arguments: argparse.Namespace,
) -> tuple[Mapping[str, float], Mapping[str, str], list[dict[str, Any]]]:
    tell, parts = say(arguments.quiet), arguments.part or ("faults", "speed")
    numbers: dict[str, float] = {}
    tables: list[dict[str, Any]] = []
    with scratch(arguments.work) as folder:
        if "faults" in parts:
            # What is caught does not depend on the turn.
            (found,) = Turns(1, CORES, folder, tell).play([Contender("faults", "audit_faults.py")])["faults"]
            tables = json.loads((folder / "faults" / "tables.json").read_text())
            numbers |= {
                "faults_peak_mb" if name == "peak_mb" else name: value for name, value in found.items()
            }
        if "speed" in parts:
            turns = Turns(arguments.rounds, CORES, folder, tell)
            numbers |= _speed(turns, arguments, tell) | _pairs(Turns(arguments.rounds, 1, folder, tell))
    return numbers, MEANING, tables


def _speed(turns: Turns, arguments: argparse.Namespace, tell: Callable[[str], None]) -> dict[str, float]:
    takes = max(1, round(60 * arguments.hours / TAKE_MINUTES))
    given = ("--takes", str(takes), "--minutes", str(TAKE_MINUTES))
    store = generated(arguments.work, f"audit-{takes}-takes", "audit_sample.py", given, tell) / "store"
    ran = medians(turns.play([Contender("audit", "audit_ours.py", ("--store", str(store)))])["audit"])
    same("takes", ran["takes"], takes)
    hours = takes * TAKE_MINUTES / 60
    return {
        "audit_s_10h": ran["seconds"] * 10 / hours,
        "audit_again_s_10h": ran["again_seconds"] * 10 / hours,
        "audit_hours_per_minute": 60 * hours / ran["seconds"],
        "audit_peak_mb": ran["worker_peak_mb"],
        "audit_windows": ran["windows"],
        "audit_pairs": ran["pairs"],
        "audit_pairs_told": ran["pairs_told"],
    }


def _pairs(turns: Turns) -> dict[str, float]:
    contender = Contender("pairs", "audit_pairs.py", ("--minutes", str(TAKE_MINUTES)))
    ran = medians(turns.play([contender])["pairs"])
    for kind, offset_ms in OFFSET_MS.items():
        same(f"offset in ms ({kind})", offset_ms, ran[f"{kind}_offset_ms"], TOLERANCE_MS)
    kinds = {f"pair_{kind}_ms": ran[f"{kind}_ms"] for kind in ("video", "mocap", "imu", "own")}
    return {"pair_ms_10min": max(kinds.values()), **kinds}


if __name__ == "__main__":
    sys.exit(main())
