"""How many cores the decoding of videos may use in this process."""

from __future__ import annotations

import os

__all__ = ["num_cores"]


def num_cores() -> int:
    """Return how many threads this process may keep busy: its cores, or fewer where `OMP_NUM_THREADS` says so.

    Workers of one thread each are born with that set to 1: there the workers are the parallelism.
    """
    has_affinity = hasattr(os, "sched_getaffinity")  # not on macOS
    cores = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    limit = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()  # a list is for nested levels
    return max(1, min(cores, int(limit))) if limit.isdecimal() else cores
