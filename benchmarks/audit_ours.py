"""Contender: `sensorloom audit` of a store, once as it comes and once with all of it remembered."""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

from harness import emit, stopwatch

COMMAND = "from sensorloom.flows.cli import main; main()"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    arguments = parser.parse_args()
    numbers: dict[str, float] = {}
    for name in ("seconds", "again_seconds"):
        with stopwatch(numbers, name):
            report = _audit(arguments.store, arguments.work)
    numbers["takes"] = len(report["takes"])
    numbers["windows"] = sum(view["windows"] for view in report["views"])
    told = [pair["takes"] - pair["unknown"] for pair in report["pairs"]]
    numbers["pairs"], numbers["pairs_told"] = sum(pair["takes"] for pair in report["pairs"]), sum(told)
    numbers["worker_peak_mb"] = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e6
    emit(numbers)


def _audit(store: Path, work: Path) -> dict[str, list[dict[str, float]]]:
    """Run the command as a user does; it leaves with 0 or 1, as its gate says."""
    out = work / "report"
    command = [sys.executable, "-c", COMMAND, "audit", "--store", str(store), "--out", str(out), "--json"]
    environment = os.environ | {"XDG_CACHE_HOME": str(work / "cache")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        raise SystemExit(f"sensorloom audit ended with exit code {done.returncode}: {done.stderr[-500:]}")
    return json.loads((out / "audit.json").read_text())


if __name__ == "__main__":
    main()
