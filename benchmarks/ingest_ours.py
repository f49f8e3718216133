"""Contender: this project, raw text to committed windows, as a user's script would call it."""

from __future__ import annotations

import argparse
from pathlib import Path

from harness import emit, stopwatch

from sensorloom.flows.config import Config, StoreConfig
from sensorloom.flows.runs import build_views, ingest_dataset
from sensorloom.ingest.digest import DigestCache


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--raw", required=True)
    parser.add_argument("--warm-up", required=True, help="a small raw tree of the same kind, processed first")
    parser.add_argument("--work", type=Path, required=True)
    arguments = parser.parse_args()
    # Imports that libraries leave for the first call are imports all the same.
    process(arguments.warm_up, arguments.work / "warm-up", {})
    numbers: dict[str, float] = {}
    windows = process(arguments.raw, arguments.work, numbers)
    emit({**numbers, "windows": windows})


def process(raw: str, work: Path, numbers: dict[str, float]) -> int:
    """Ingest `raw` into a new store and build its views; return the windows of har-pamap2."""
    config = Config(store=StoreConfig(url=str(work / "store")))
    # A cache of its own: nothing may be remembered of the raw file, it is hashed in every round.
    cache = DigestCache(work / "digests.sqlite")
    with stopwatch(numbers, "ingest_seconds"):
        report = ingest_dataset("pamap2", raw, config=config, cache=cache)
    with stopwatch(numbers, "build_seconds"):
        built = build_views(["har-pamap2"], config=config)
    if report.failed or not report.committed or not built.committed:
        raise SystemExit(f"nothing was committed: {report} {built}")
    with stopwatch(numbers, "crossl_seconds"):
        build_views(["crossl-pamap2"], config=config)
    return built.windows["har-pamap2"]


if __name__ == "__main__":
    main()
