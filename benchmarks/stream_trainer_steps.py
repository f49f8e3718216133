"""Contender: a trainer that takes steps of the CNN-GRU at batch 512, fed by the stream, and times its waits."""

from __future__ import annotations

import argparse
import time
from itertools import chain, islice, repeat
from pathlib import Path

import torch
from harness import emit

from sensorloom.training.assemble import build_supervised
from sensorloom.training.recipes import standard_pamap2
from sensorloom.training.stream import TripletStream

BATCH, WARM_STEPS, STEPS = 512, 1, 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--work", type=Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    stream = TripletStream(
        str(arguments.data / "store"),
        view="generated",
        split="train",
        batch_size=BATCH,
        resident=device if device == "cuda" else None,
    )
    emit(measure(stream, device))


def measure(stream: TripletStream, device: str) -> dict[str, float]:
    """Return the share of the time that passed in waiting for batches, and examples/s, after some first steps."""
    objective = build_supervised(standard_pamap2(), stream.window_shape[2], num_classes=18).to(device)
    optimizer = torch.optim.AdamW(objective.parameters())
    waited, began, asked = 0.0, 0.0, time.perf_counter()
    batches = chain.from_iterable(repeat(stream))  # one epoch after the other
    for number, batch in enumerate(islice(batches, WARM_STEPS + STEPS)):
        got = time.perf_counter()
        if number == WARM_STEPS:
            waited, began = 0.0, asked
        waited += got - asked
        optimizer.zero_grad(set_to_none=True)
        objective(batch)["loss"].backward()
        optimizer.step()
        if device == "cuda":
            torch.cuda.synchronize()
        asked = time.perf_counter()
    return {"wait_share": waited / (asked - began), "examples_per_s": STEPS * BATCH / (asked - began)}


if __name__ == "__main__":
    main()
