"""One rank of a training run, in a process of its own: it trains on its share, saves, and tells what it saw.

Imports nothing of the tests, so that processes start from one that has these imports behind it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pyarrow
import torch
import torch._dynamo
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from sensorloom.training.batch import Batch
from sensorloom.training.errors import StreamError
from sensorloom.training.rules import BatchRules
from sensorloom.training.stream import TripletStream

__all__ = ["SAVE_EVERY", "Run", "open_in_group", "train"]

# Imported here once, not by every rank: what the first optimizer of a process needs (above), and pandas, where pyarrow
# finds it at its first array. Both cost more than all the training here.
pyarrow.array([0])

SAVE_EVERY = 2
BATCH_SIZE = 8


@dataclass(frozen=True)
class Run:
    """What all ranks of a run know: the store, where checkpoints lie, how many ranks, the last step, the seed."""

    store: str
    folder: str
    meeting: str
    num_ranks: int
    stop: int
    seed: int = 0


class Model(nn.Module):
    """Classifies windows from what the batch shows of them; float64 throughout."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.LazyLinear(12), nn.Tanh(), nn.LazyLinear(4)).double()

    def forward(self, batch: Batch) -> Tensor:
        shown = (batch.imu_BSCT, batch.video_BVD, batch.text_BKD, batch.latent_kept_BM)
        features = torch.cat([part.flatten(1).double() for part in shown if part is not None], dim=1)
        scores: Tensor = self.layers(features)
        return scores


def train(run: Run, rank: int, tell: Connection) -> None:
    """Train from the newest checkpoint to step `run.stop`; tell where that was, of every step, and the end."""
    join(run.meeting, rank, run.num_ranks)
    stream = TripletStream(
        run.store, view="tiny", split="train", batch_size=BATCH_SIZE, seed=run.seed, text="random",
        columns=("imu", "video", "text"), rules=BatchRules(modality_dropout=0.3, min_gap_s=0.3),
    )  # fmt: skip
    model = Model()
    model(next(iter(stream)))
    stream.set_epoch(0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    step = resume(run, model, optimizer, stream)
    tell.send(("resumed", step))
    parallel = DistributedDataParallel(model)
    for batch in islice_endless(stream, run.stop - step):
        # Before the gradients are averaged, so that of a step that any rank has done all ranks have told.
        step += 1
        tell.send(("step", step, batch.index_B.tolist()))
        assert batch.label_B is not None
        loss = nn.functional.cross_entropy(parallel(batch), batch.label_B + 1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if rank == 0 and step % SAVE_EVERY == 0:
            save(run, step, model, optimizer, stream)
    tell.send(("end", [parameter.detach().numpy() for parameter in model.parameters()]))
    distributed.barrier()
    distributed.destroy_process_group()


def islice_endless(stream: TripletStream, length: int) -> Iterator[Batch]:
    while length > 0:
        for batch in stream:
            yield batch
            length -= 1
            if not length:
                return


def join(meeting: str, rank: int, num_ranks: int) -> None:
    """Join the process group that meets in a file: no port to be taken by somebody else meanwhile."""
    torch.set_num_threads(1)
    for name in ("RANK", "WORLD_SIZE"):
        os.environ.pop(name, None)
    distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=num_ranks)


def save(
    run: Run, step: int, model: nn.Module, optimizer: torch.optim.Optimizer, stream: TripletStream
) -> None:
    """Write a checkpoint that is there as a whole or not at all."""
    path = Path(run.folder) / f"step-{step:04d}.pt"
    parts = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "stream": stream.state_dict()}
    torch.save({"step": step, **parts}, path.with_suffix(".tmp"))
    path.with_suffix(".tmp").replace(path)


def resume(run: Run, model: nn.Module, optimizer: torch.optim.Optimizer, stream: TripletStream) -> int:
    """Load the newest checkpoint and return its step, 0 where there is none."""
    saved = sorted(Path(run.folder).glob("step-*.pt"))
    if not saved:
        return 0
    checkpoint = torch.load(saved[-1], weights_only=True)
    model.load_state_dict(checkpoint["model"])
    optimizer.load_state_dict(checkpoint["optimizer"])
    stream.load_state_dict(checkpoint["stream"])
    step: int = checkpoint["step"]
    return step


def open_in_group(meeting: str, num_ranks: int, options: dict[str, Any], rank: int, tell: Connection) -> None:
    """Open a stream as one of a group, tell the error or None."""
    join(meeting, rank, num_ranks)
    message = None
    try:
        TripletStream(**options)
    except StreamError as error:
        message = str(error)
    tell.send(message)
    distributed.barrier()
    distributed.destroy_process_group()
