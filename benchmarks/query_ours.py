"""Contender: this project's exact search, over windows end to end and over windows that overlap five times."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

import numpy as np
import torch
from harness import emit
from query_data import LENGTH_S, K, generate, parse

from sensorloom.training.search.nearest import Found, SearchRows, search

NS_PER_S = 1_000_000_000


def main() -> None:
    arguments = parse(__doc__)
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    data = generate(arguments.windows, arguments.width)
    vectors = torch.from_numpy(data.vectors)
    numbers: dict[str, float] = {}
    for name, stride in (("apart", 1), ("overlapping", LENGTH_S)):
        start = data.second // stride * NS_PER_S
        rows = SearchRows(vectors, data.take, start, start + LENGTH_S * NS_PER_S)
        search(rows, data.queries[0], K)
        times, busy, found = [], [], []
        for query in data.queries:
            began, spent = time.perf_counter(), time.process_time()
            found.append(search(rows, query, K))
            busy.append((time.process_time() - spent) * 1e3)
            times.append((time.perf_counter() - began) * 1e3)
        numbers |= {f"{name}_ms": float(np.median(times)), f"{name}_worst_ms": max(times)}
        numbers[f"{name}_cpu_ms"] = float(np.median(busy))
        numbers[f"{name}_rows"] = float(_sum_of_rows(found))
    emit(numbers)


def _sum_of_rows(found: Sequence[Sequence[Found]]) -> int:
    """Return a number that two answers share only where they found the same rows in the same order."""
    return sum((rank + 1) * one.row for each in found for rank, one in enumerate(each))


if __name__ == "__main__":
    main()
