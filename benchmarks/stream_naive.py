"""Contender: a plain map-style Dataset over memory-mapped .npy with torch's DataLoader."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from epochs import ARRAYS, BATCH, Rows, measure, parse
from harness import emit
from torch import Tensor
from torch.utils.data import DataLoader, Dataset


class Windows(Dataset):
    """Windows and their numbers, mapped copy-on-write: torch then shares the memory without a copy."""

    def __init__(self, data: Path) -> None:
        arrays = (torch.from_numpy(np.load(data / f"{name}.npy", mmap_mode="c")) for name in ARRAYS)
        self.imu, self.video, self.text = arrays

    def __len__(self) -> int:
        return len(self.imu)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, Tensor, int]:
        return self.imu[index], self.video[index], self.text[index], index


def main() -> None:
    arguments = parse(__doc__)
    windows = Windows(arguments.data)
    loader = DataLoader(windows, batch_size=BATCH, shuffle=True, num_workers=0)

    def epoch() -> Iterator[Rows]:
        for columns in loader:
            yield Rows(*(column.numpy() for column in columns))

    emit(measure(epoch, len(windows)))


if __name__ == "__main__":
    main()
