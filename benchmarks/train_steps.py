"""Contender: steps of one recipe, in turns through `train` and in a bare loop over one batch that is ready.

Both have a model, an optimiser and the recipe's clipping of their own, on one device, in one process. The bare loop
has no store, no stream, no logging, no checks, and of augmented windows it has the results. A block of bare steps is
taken between two blocks of the loop, from within its progress callback; meanwhile the stream's threads go on to gather,
so the first steps of a block, which find their batches there, are not timed.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

# As the command line does, as it keeps freed memory: threads that spin while they wait slow all on a busy machine.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from harness import emit
from torch import Tensor, nn

from sensorloom.flows.memory import keep_freed_memory
from sensorloom.training.assemble import build_for, columns_for
from sensorloom.training.batch import Batch
from sensorloom.training.configs import RunConfig
from sensorloom.training.objective import after_step
from sensorloom.training.objectives.multitask import Multitask
from sensorloom.training.optimizer import make_optimizer
from sensorloom.training.recipes import make_recipe
from sensorloom.training.run import train
from sensorloom.training.settings import apply_settings
from sensorloom.training.stream import TripletStream

WARM_STEPS, LEAD_STEPS = 3, 4


def steps_of(rounds: int, block: int) -> int:
    """Return the steps that the loop takes in all."""
    return WARM_STEPS + rounds * (LEAD_STEPS + block)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--block", type=int, required=True, help="timed steps of a turn")
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--store", required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--device", required=True)
    parser.add_argument("--work", type=Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    keep_freed_memory()
    settings = {"batch_size": str(arguments.batch), "epochs": "1", "device": arguments.device}
    config = apply_settings(make_recipe(arguments.recipe), settings)
    bare = Bare(config, arguments.store)
    turns = Turns(bare, arguments.block)
    result = train(
        config, arguments.store, arguments.work / "run", progress=lambda _, step, __: turns.after(step)
    )
    emit({**turns.numbers(), "data_wait_share": result.data_wait_share, "steps": result.steps})


class Bare:
    """A loop over one ready batch."""

    def __init__(self, config: RunConfig, store: str) -> None:
        stream = TripletStream(
            store,
            view=config.view,
            split=config.train_split,
            batch_size=config.batch_size,
            columns=columns_for(config),
            text="random",
            rank=0,
            num_ranks=1,
        )
        self.device = torch.device(config.device)
        self.batch: Batch = next(iter(stream)).to(self.device)
        self.objective = build_for(config, stream).to(self.device)
        self.optimizer = make_optimizer(self.objective, config)
        self.limit = config.clip_norm or math.inf
        hold_augmented(self.objective, self.batch)

    def step(self) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        self.objective(self.batch)["loss"].backward()
        if math.isfinite(self.limit):
            torch.nn.utils.clip_grad_norm_(self.objective.parameters(), self.limit)
        self.optimizer.step()
        after_step(self.objective, 0.5)

    def timed(self, steps: int) -> Spent:
        """Return what so many steps take, after one that does not count."""
        self.step()
        began = self.now()
        for _ in range(steps):
            self.step()
        return self.now() - began

    def now(self) -> Spent:
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return Spent(time.perf_counter(), time.process_time())


class Spent(NamedTuple):
    """Seconds by the clock, and of processors: all threads of this process, whatever else the machine does."""

    clock_s: float
    processor_s: float

    def __sub__(self, other: Spent) -> Spent:
        return Spent(self.clock_s - other.clock_s, self.processor_s - other.processor_s)


def hold_augmented(objective: nn.Module, batch: Batch) -> None:
    """Give an objective the augmented windows of `batch` ready, in the place of what makes them."""
    if isinstance(objective, Multitask):
        made = {name: ready(augment, batch) for name, augment in objective.augmentations.items()}
        objective.augmentations = made  # type: ignore[assignment]
    elif hasattr(objective, "augment"):
        objective.augment = ready(objective.augment, batch)


def ready(augment: Any, batch: Batch) -> Callable[[Tensor, Tensor], Tensor]:
    assert batch.imu_BSCT is not None
    assert batch.seed_B is not None
    held_BSCT = augment(batch.imu_BSCT, batch.seed_B)
    return lambda *_: held_BSCT


@dataclass
class Turns:
    """The blocks of both, in turns: `after` is called after every step of the loop."""

    bare: Bare
    block: int
    loop: list[Spent] = field(default_factory=list)
    bare_loop: list[Spent] = field(default_factory=list)
    began: Spent | None = None

    def after(self, step: int) -> None:
        if step < WARM_STEPS:
            return
        at = (step - WARM_STEPS) % (LEAD_STEPS + self.block)
        if at == LEAD_STEPS:
            self.began = self.bare.now()
        if at == 0:
            if step > WARM_STEPS:
                assert self.began is not None
                self.loop.append(self.bare.now() - self.began)
            self.bare_loop.append(self.bare.timed(self.block))

    def numbers(self) -> dict[str, float]:
        """Return medians: of the bare time beside each block of the loop over that block's own, and steps/s of both."""
        return {
            "over_bare": self._ratio(
                [spent.clock_s for spent in self.bare_loop], [s.clock_s for s in self.loop]
            ),
            "over_bare_processor": self._ratio(
                [spent.processor_s for spent in self.bare_loop], [s.processor_s for s in self.loop]
            ),
            "steps_per_s": self.block / statistics.median(spent.clock_s for spent in self.loop),
            "bare_steps_per_s": self.block / statistics.median(spent.clock_s for spent in self.bare_loop),
        }

    def _ratio(self, bare_s: list[float], loop_s: list[float]) -> float:
        beside_s = [(before + after) / 2 for before, after in pairwise(bare_s)]
        return statistics.median(bare / loop for bare, loop in zip(beside_s, loop_s, strict=True))


if __name__ == "__main__":
    main()
