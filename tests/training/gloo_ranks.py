"""Work done on several ranks of a gloo group whose processes come from a server that runs no threads.

Not forks: libraries have threads that do not outlive one, and a process that has run other tests has some of these.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from datetime import timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import cloudpickle
import torch
from torch import distributed

__all__ = ["on_ranks"]

WAIT_S = 60
_CONTEXT = multiprocessing.get_context("forkserver")


def on_ranks(meeting: Path, num_ranks: int, work: Callable[[int], Any]) -> list[Any]:
    """Return what `work(rank)` returns on each rank, plain values; a rank that fails or hangs is a failure."""
    _CONTEXT.set_forkserver_preload(["tests.training.ranked_runs"])
    packed = cloudpickle.dumps(work)
    pipes = [_CONTEXT.Pipe(duplex=False) for _ in range(num_ranks)]
    children = [
        _CONTEXT.Process(target=_join, args=(meeting, rank, num_ranks, packed, pipes[rank][1]), daemon=True)
        for rank in range(num_ranks)
    ]
    for child in children:
        child.start()
    for _, sender in pipes:
        sender.close()
    found = []
    for receiver, _ in pipes:
        assert receiver.poll(WAIT_S), "a rank hangs"
        found.append(receiver.recv())
    for child in children:
        child.join(WAIT_S)
        assert child.exitcode == 0, f"a rank ended with {child.exitcode}"
    return found


def _join(meeting: Path, rank: int, num_ranks: int, packed: bytes, tell: Connection) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo",
        init_method=meeting.as_uri(),
        rank=rank,
        world_size=num_ranks,
        timeout=timedelta(seconds=30),
    )
    tell.send(cloudpickle.loads(packed)(rank))
    distributed.barrier()
    distributed.destroy_process_group()
