"""Real ranks: killed in the middle, started again in another number, they train to where one alone would have come."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sensorloom.training.rules import BatchRules
from sensorloom.training.stream import TripletStream
from tests.training.generated_triplets import TRAIN, write_triplets
from tests.training.ranks_at_work import BATCH_SIZE, SAVE_EVERY, Run, open_in_group, train

pytestmark = pytest.mark.slow

WAIT_S = 240
STEPS_OF_EPOCH = TRAIN // BATCH_SIZE
EPOCHS = 3
STOP = EPOCHS * STEPS_OF_EPOCH
# Sums of the same float64 numbers in another order differ by about 1e-16 of their size, a step; measured here after 18
# steps: below 1e-15. The same examples in another order end more than 1e-4 away.
ROUNDING = 1e-13


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    url = str(tmp_path_factory.mktemp("triplets") / "store")
    write_triplets(url)
    return url


@dataclass
class Told:
    """What the ranks of one run said before they ended or were killed."""

    resumed: int = -1
    steps: dict[int, dict[int, list[int]]] = field(default_factory=dict)
    ends: list[list[np.ndarray]] = field(default_factory=list)

    def hear(self, rank: int, message: tuple[Any, ...]) -> None:
        match message:
            case ("resumed", step):
                assert self.resumed in (-1, step), "ranks went on from different steps"
                self.resumed = step
            case ("step", step, indices):
                self.steps.setdefault(step, {})[rank] = indices
            case ("end", parameters):
                self.ends.append(parameters)

    def whole_steps(self, num_ranks: int) -> dict[int, list[int]]:
        """The global batches of the steps that all ranks told of."""
        return {
            step: [index for rank in range(num_ranks) for index in shares[rank]]
            for step, shares in self.steps.items()
            if len(shares) == num_ranks
        }


def start(work: Callable[..., None], args: Sequence[tuple[Any, ...]]) -> tuple[list[Any], dict[Any, int]]:
    """Start `work(*args[rank], rank, connection)` in processes that have its imports behind them."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.training.ranks_at_work"])
    children, ranks = [], {}
    for rank, given in enumerate(args):
        receiver, sender = context.Pipe(duplex=False)
        child = context.Process(target=work, args=(*given, rank, sender), daemon=True)
        child.start()
        sender.close()
        children.append(child)
        ranks[receiver] = rank
    return children, ranks


def run_until(run: Run, kill_at: int | None = None) -> Told:
    """Run all ranks to their end, or until the one that saves tells of step `kill_at`: all are killed as they are."""
    children, ranks = start(train, [(run,)] * run.num_ranks)
    told = Told()
    while ranks:
        heard = wait(list(ranks), WAIT_S)
        assert heard, "the ranks hang"
        for connection in heard:
            assert isinstance(connection, Connection)
            try:
                told.hear(ranks[connection], connection.recv())
            except (EOFError, OSError):
                del ranks[connection]
        if kill_at is not None and 0 in told.steps.get(kill_at, {}):
            for child in children:
                child.kill()
    for child in children:
        child.join(WAIT_S)
        assert child.exitcode == (0 if kill_at is None else -9)
    return told


@pytest.fixture(scope="module")
def undisturbed(store: str, tmp_path_factory: pytest.TempPathFactory) -> list[list[np.ndarray]]:
    """Parameters of one rank that nobody killed, for two seeds: two orders of the same examples."""
    ends = []
    for seed in (0, 1):
        folder = tmp_path_factory.mktemp("alone")
        run = Run(store, str(folder), (folder / "meeting").as_uri(), num_ranks=1, stop=STOP, seed=seed)
        told = run_until(run)
        if seed == 0:
            check_order(store, told.whole_steps(1))
        ends += told.ends
    return ends


@pytest.mark.parametrize(
    ("numbers_of_ranks", "seed"), [((4, 2, 1), 1), ((4, 2, 1), 5), ((2, 4), 2), ((1, 2, 4), 3)]
)
def test_killed_ranks_go_on_in_another_number_to_the_same_parameters(
    store: str,
    undisturbed: list[list[np.ndarray]],
    tmp_path: Path,
    numbers_of_ranks: tuple[int, ...],
    seed: int,
) -> None:
    accepted: dict[int, list[int]] = {}
    rng = random.Random(seed)
    folder = tmp_path / "run"
    folder.mkdir()
    for leg, num_ranks in enumerate(numbers_of_ranks):
        reached = max(accepted, default=0)
        is_last = leg == len(numbers_of_ranks) - 1
        kill_at = None if is_last else reached + rng.randint(SAVE_EVERY + 1, STEPS_OF_EPOCH)
        run = Run(store, str(folder), (tmp_path / f"meeting-{leg}").as_uri(), num_ranks, STOP)
        told = run_until(run, kill_at)
        assert told.resumed <= reached
        assert leg == 0 or told.resumed > 0
        for step, batch in told.whole_steps(num_ranks).items():
            assert accepted.setdefault(step, batch) == batch, f"step {step} was another the second time"
    check_order(store, accepted)
    assert len(told.ends) == numbers_of_ranks[-1]
    expected, other = undisturbed
    for parameters in told.ends:
        assert largest_difference(parameters, expected) < ROUNDING
        assert largest_difference(parameters, other) > 1e-4


def check_order(store: str, accepted: dict[int, list[int]]) -> None:
    """Every epoch has every example exactly once, in the order that one stream alone has."""
    assert sorted(accepted) == list(range(1, STOP + 1))
    rules = BatchRules(modality_dropout=0.3, min_gap_s=0.3)
    alone = TripletStream(store, view="tiny", split="train", batch_size=BATCH_SIZE, rules=rules)
    for epoch in range(EPOCHS):
        first = epoch * STEPS_OF_EPOCH + 1
        batches = [accepted[step] for step in range(first, first + STEPS_OF_EPOCH)]
        seen = [index for batch in batches for index in batch]
        assert sorted(seen) == list(range(TRAIN))
        assert seen == alone.order(epoch).tolist()


def largest_difference(left: list[np.ndarray], right: list[np.ndarray]) -> float:
    assert all(np.isfinite(values).all() for values in (*left, *right))
    return max(float(np.abs(a - b).max()) for a, b in zip(left, right, strict=True))


def told_at_opening(meeting: Path, options: list[dict[str, Any]]) -> list[str | None]:
    """What each rank of a group hears that opens a stream with these options."""
    children, ranks = start(open_in_group, [(meeting.as_uri(), len(options), given) for given in options])
    answers: dict[int, str | None] = {}
    for connection, rank in ranks.items():
        assert connection.poll(WAIT_S), "a rank hangs"
        answers[rank] = connection.recv()
    for child in children:
        child.join(WAIT_S)
        assert child.exitcode == 0
    return [answers[rank] for rank in sorted(answers)]


def test_ranks_that_open_different_snapshots_all_hear_of_both(tmp_path: Path) -> None:
    url = str(tmp_path / "store")
    snapshots = [write_triplets(url, seed=seed).repo.resolve("main").id for seed in (0, 1)]
    same: dict[str, Any] = {"store": url, "view": "tiny", "split": "train", "batch_size": 8}
    options = [{**same, "snapshot": snapshots[number]} for number in (0, 0, 1, 0)]
    answers = told_at_opening(tmp_path / "meeting", options)
    expected = f"snapshot is '{snapshots[0]}' on rank 0 and '{snapshots[1]}' on rank 2"
    assert all(answer is not None and expected in answer for answer in answers), answers
    assert told_at_opening(tmp_path / "another meeting", [same] * 2) == [None, None]


def test_ranks_that_open_with_different_rules_all_hear_of_both(store: str, tmp_path: Path) -> None:
    same: dict[str, Any] = {"store": store, "view": "tiny", "split": "train", "batch_size": 8}
    answers = told_at_opening(tmp_path / "meeting", [same, {**same, "rules": BatchRules(min_gap_s=2.5)}])
    assert all(answer is not None and "min_gap_s': 0.0" in answer for answer in answers), answers
    assert all(answer is not None and "min_gap_s': 2.5" in answer for answer in answers), answers


def test_under_torchrun_a_stream_knows_its_rank_before_there_is_a_group(store: str, tmp_path: Path) -> None:
    script = Path(__file__).with_name("torchrun_rank.py")
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    ran = subprocess.run(
        [sys.executable, *launcher, str(script), store, str(tmp_path)],
        env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=WAIT_S,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    reports = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1)]
    steps = zip(*(report["shares"] for report in reports), strict=True)
    alone = TripletStream(store, view="tiny", split="train", batch_size=8)
    assert [first + second for first, second in steps] == [batch.index_B.tolist() for batch in alone]
    assert all(report["same"] and report["seen"] == TRAIN for report in reports)
