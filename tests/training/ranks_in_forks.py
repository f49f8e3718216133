"""Work done on several ranks of a gloo group of forked processes, and what each of them found."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch import distributed

__all__ = ["on_ranks"]

WAIT_S = 60


def on_ranks(meeting: Path, num_ranks: int, work: Callable[[int], Any]) -> list[Any]:
    """Return what `work(rank)` returns on each rank, plain values; a rank that fails or hangs is a failure."""
    context = multiprocessing.get_context("fork")
    pipes = [context.Pipe(duplex=False) for _ in range(num_ranks)]

    def join(rank: int) -> None:
        torch.set_num_threads(1)
        distributed.init_process_group(
            "gloo",
            init_method=meeting.as_uri(),
            rank=rank,
            world_size=num_ranks,
            timeout=timedelta(seconds=30),
        )
        pipes[rank][1].send(work(rank))
        distributed.barrier()
        distributed.destroy_process_group()

    children = [context.Process(target=join, args=(rank,), daemon=True) for rank in range(num_ranks)]
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
        assert child.exitcode == 0
    return found
