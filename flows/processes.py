"""A pool of spawned worker processes that run one thread each and end with their parent.

Workers are spawned, never forked: Arrow, Zarr and Torch hold threads and locks, which a fork would copy in
whatever state they are.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import parent_process
from multiprocessing.context import SpawnContext, SpawnProcess

from sensorloom.flows.memory import keep_freed_memory

__all__ = ["ONE_THREAD", "ProcessPool"]

ONE_THREAD: Mapping[str, str] = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "POLARS_MAX_THREADS": "1",
}
"""Workers are the parallelism: a thread per core in each of N workers would only fight over the cores."""


class ProcessPool(ProcessPoolExecutor):
    """A `ProcessPoolExecutor` of `workers` spawned processes; leaving it drops what has not started."""

    def __init__(self, workers: int) -> None:
        super().__init__(workers, mp_context=_OneThreadedSpawn(), initializer=_begin_worker)

    def __exit__(self, *error: object) -> None:
        self.shutdown(wait=True, cancel_futures=True)


class _OneThreadedProcess(SpawnProcess):
    """A process born with the thread limits: numeric libraries read them once, when they are loaded."""

    def start(self) -> None:
        with _environment(ONE_THREAD):
            super().start()


class _OneThreadedSpawn(SpawnContext):
    Process = _OneThreadedProcess


@contextmanager
def _environment(changes: Mapping[str, str]) -> Iterator[None]:
    before = {key: os.environ.get(key) for key in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                del os.environ[key]
            else:
                os.environ[key] = value


def _begin_worker() -> None:
    """Keep freed memory, leave Ctrl-C to the parent (which stops the pool in order), end with a killed parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    keep_freed_memory()
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
