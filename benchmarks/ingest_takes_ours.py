"""Contender: this project, a raw tree to committed timelines, and once more with nothing changed."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from harness import emit, stopwatch

from sensorloom.flows.config import Config, StoreConfig
from sensorloom.flows.runs import ingest_dataset
from sensorloom.ingest.digest import DigestCache

SETTLED_S = 2.5
"""Digests of files younger than two seconds are not remembered."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--raw", required=True)
    parser.add_argument("--warm-up", required=True, help="a small Ego4D tree, processed first")
    parser.add_argument("--work", type=Path, required=True)
    arguments = parser.parse_args()
    time.sleep(SETTLED_S)
    # Imports that libraries leave for the first call are imports all the same.
    process("ego4d", arguments.warm_up, arguments.work / "warm-up")
    emit(process(arguments.dataset, arguments.raw, arguments.work))


def process(dataset: str, raw: str, work: Path) -> dict[str, float]:
    """Ingest `raw` into a new store, and again; return the seconds of both, the takes and the raw MB."""
    config = Config(store=StoreConfig(url=str(work / "store")))
    cache = DigestCache(work / "digests.sqlite")
    numbers: dict[str, float] = {}
    with stopwatch(numbers, "seconds"):
        report = ingest_dataset(dataset, raw, config=config, cache=cache)
    if report.failed or not report.committed:
        raise SystemExit(f"nothing was committed: {report}")
    with stopwatch(numbers, "rerun_seconds"):
        again = ingest_dataset(dataset, raw, config=config, cache=cache)
    if again.committed or again.unchanged != report.takes:
        raise SystemExit(f"the second run was not idle: {again}")
    return {**numbers, "takes": report.takes, "raw_mb": report.raw_bytes / 1e6}


if __name__ == "__main__":
    main()
