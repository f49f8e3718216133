"""How many cores this process has, and how many the decoding of videos may use."""

from __future__ import annotations

import os

__all__ = ["num_cores", "own_cores"]


def own_cores() -> int:
    """Return on how many cores this process may run."""
    has_affinity = hasattr(os, "sched_getaffinity")  # not on macOS
    return len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1


def num_cores() -> int:
    """Return how many threads this process may keep busy: its cores, or fewer where `OMP_NUM_THREADS` says so.

    Workers of one thread each are born with that set to 1: there the workers are the parallelism.
    """
    cores = own_cores()
    limit = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()  # a list is for nested levels
    return max(1, min(cores, int(limit))) if limit.isdecimal() else cores
