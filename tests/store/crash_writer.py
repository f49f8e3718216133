"""Commit to copies of a store, each time dying at a later system call that changes the disk.

Run as a script: `crash_writer.py BASE OUT`. Copy number n of BASE, `OUT/n`, is what a process leaves behind
that dies at its n-th such call; the last copy is of the process that came through. Prints the number of copies.
"""

import os
import shutil
import sys
from itertools import count
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from sensorloom.store.manifest import WorkRecord
from sensorloom.store.repository import Repository
from sensorloom.store.transaction import Put

CALLS = ("open", "write", "fsync", "replace", "link", "mkdir", "unlink", "rmdir", "utime")
WORK = "ab" * 32
# Made here: from a list, pyarrow imports pandas, which every child would repeat.
TABLE = pa.table({"value": [2]})
DIED = 77


def work_and_commit(url: str) -> str:
    """Do one piece of work: a Zarr shard, a Parquet shard, their record, a commit."""
    repo = Repository.open(url)
    arrays = {"chest/values": np.ones((4, 6), np.float32), "times_ns": np.arange(4)}
    streams = repo.write_arrays("take/2", arrays, rows=4, attributes={}, work=WORK)
    takes = repo.write_table("02", TABLE, work=WORK)
    repo.record_work(WorkRecord(WORK, "align", "take/2", (streams, takes), {}))
    changes = [Put("streams", streams), Put("takes", takes)]
    return repo.commit(lambda _: changes, message="second", provenance={}).snapshot_id


def die_at(limit: int) -> None:
    """Let this process die at its `limit`-th call; a write that dies has written half."""
    made = count(1)

    def counted(name, real):
        def call(*args, **kwargs):
            if next(made) == limit:
                if name == "write":
                    real(args[0], args[1][: len(args[1]) // 2])
                os._exit(DIED)
            return real(*args, **kwargs)

        return call

    # The system outlives the process, so its death shows the same with or without a sync that takes its time.
    os.fsync = lambda _: None
    for name in CALLS:
        setattr(os, name, counted(name, getattr(os, name)))


def main(base: str, out: str) -> None:
    for limit in count(1):
        copy = shutil.copytree(base, Path(out) / str(limit))
        child = os.fork()
        if child == 0:
            die_at(limit)
            work_and_commit(str(copy))
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status == 0:
            sys.stdout.write(str(limit))
            return
        if status != DIED:
            raise SystemExit(f"child {limit} ended with {status}")


if __name__ == "__main__":
    main(*sys.argv[1:])
