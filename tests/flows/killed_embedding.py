"""Kill embed runs at random moments, in processes of their own; print the snapshot ids that came out, as JSON.

    python -m tests.flows.killed_embedding STORE MODEL SEED KILLS

Every run is a fork of this process, which has imported what is slow to import and started no thread. A timer ends it
without a word, as `kill -9` would.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

from sensorloom.flows.config import load_config
from sensorloom.flows.embedding import embed_store
from sensorloom.ingest.digest import DigestCache
from sensorloom.store.repository import Repository


def main(store: Path, model: Path, seed: int, kills: int) -> None:
    rng = random.Random(seed)
    started = time.monotonic()
    undisturbed, _ = run(fresh(store, "undisturbed"), model, None)
    longest_s = time.monotonic() - started
    killed, ids, tried = 0, [], 0
    while killed < kills:
        copy = fresh(store, f"killed-{tried}")
        snapshot_id, tried = None, tried + 1
        while snapshot_id is None:
            # Once there were as many kills as asked for, the last run goes on to its end.
            delay_s = rng.uniform(0, longest_s) if killed < kills else None
            snapshot_id, was_killed = run(copy, model, delay_s)
            killed += was_killed
        ids.append(snapshot_id)
    sys.stdout.write(
        json.dumps({"undisturbed": undisturbed, "ids": ids, "killed": killed, "stores": tried}) + "\n"
    )


def fresh(store: Path, name: str) -> Path:
    return shutil.copytree(store, store.parent / name)


def run(store: Path, model: Path, delay_s: float | None) -> tuple[str | None, bool]:
    """Embed in a fork that lives `delay_s`; return the snapshot id if it got there, and whether it was killed."""
    pid = os.fork()
    if pid == 0:
        if delay_s is not None:
            signal.setitimer(signal.ITIMER_REAL, max(delay_s, 1e-3))
        settings = {
            "store.url": str(store),
            "embed.model": f"local-dir:{model}",
            "embed.batch_size": "16",
        }
        embed_store(load_config(None, settings), cache=DigestCache(store.parent / "digests.sqlite"))
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        return None, True
    if os.WEXITSTATUS(status):
        raise SystemExit(f"a run ended with {os.WEXITSTATUS(status)}")
    head = Repository.open(str(store)).head()
    return (head.snapshot if head else None), False


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
