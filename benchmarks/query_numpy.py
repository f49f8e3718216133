"""Contender: NumPy over the same vectors as float32, which fit twice into its memory: a product, a partition, a sort.

Windows that overlap are its caller's worry. float64 decides at the end here too, or near equals would come out in
another order than ours.
"""

from __future__ import annotations

import time

import numpy as np
from harness import emit
from query_data import K, generate, parse

SPARE = 64


def main() -> None:
    arguments = parse(__doc__)
    data = generate(arguments.windows, arguments.width)
    vectors = data.vectors.astype(np.float32)
    vectors @ data.queries[0]
    times, total = [], 0
    for query in data.queries:
        began = time.perf_counter()
        scores = vectors @ query
        best = np.argpartition(-scores, K + SPARE)[: K + SPARE]
        exact = vectors[best].astype(np.float64) @ query.astype(np.float64)
        rows = best[np.lexsort((best, -exact))][:K]
        times.append((time.perf_counter() - began) * 1e3)
        total += sum((rank + 1) * int(row) for rank, row in enumerate(rows))
    emit({"ms": float(np.median(times)), "rows": float(total)})


if __name__ == "__main__":
    main()
