"""Not a contender: tell by how much what two contenders left differs."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from harness import emit


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ours", type=Path, required=True)
    parser.add_argument("--theirs", type=Path, required=True)
    parser.add_argument("--work", required=True)
    arguments = parser.parse_args()
    ours, theirs = (np.load(path).astype(np.float64) for path in (arguments.ours, arguments.theirs))
    if ours.shape != theirs.shape:
        raise SystemExit(f"{ours.shape} here and {theirs.shape} there")
    if ours.ndim == 2:
        lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
        emit({"least_cosine": float(((ours * theirs).sum(axis=1) / lengths).min())})
    else:
        emit({"mean_difference": float(np.abs(ours - theirs).mean())})


if __name__ == "__main__":
    main()
