"""Contender: a plain map-style Dataset over a memory-mapped .npy with torch's DataLoader."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from epochs import BATCH, measure, parse
from harness import emit
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset


class Windows(Dataset):
    """Windows and their labels, mapped copy-on-write: torch then shares the memory without a copy."""

    def __init__(self, path: str) -> None:
        self.imu = torch.from_numpy(np.load(path, mmap_mode="c"))
        self.label = torch.arange(len(self.imu)) % 18

    def __len__(self) -> int:
        return len(self.imu)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        return self.imu[index], self.label[index]


def main() -> None:
    arguments = parse(__doc__)
    windows = Windows(str(arguments.data / "windows.npy"))
    loader = DataLoader(windows, batch_size=BATCH, shuffle=True, num_workers=0)

    def epoch() -> Iterator[NDArray[np.float32]]:
        for imu, _ in loader:
            yield imu.numpy()

    emit(measure(epoch, len(windows)))


if __name__ == "__main__":
    main()
