"""Ctrl-C in a run: the step under way is finished and saved, and the run goes on from there."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path

import pytest

from sensorloom.store.repository import Repository
from sensorloom.training.checkpoint import latest_checkpoint
from sensorloom.training.configs import SupervisedConfig
from sensorloom.training.interruption import held_interrupts
from sensorloom.training.run import train
from tests.training.killed_runs import Killed, assert_same_run, kill_at

CONFIG = SupervisedConfig(
    recipe="test", view="tiny", encoder="transformer", patch=15, epochs=2, batch_size=12, checkpoint_every=100
)


def interrupt_at(step: int, done: int) -> None:
    if done == step:
        signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("step", [2, 4])
def test_an_interrupted_run_is_saved_at_its_last_step_and_resumes_to_the_same_numbers(
    tiny: Repository, tmp_path: Path, step: int
) -> None:
    train(CONFIG, tiny, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(CONFIG, tiny, tmp_path / "run", progress=lambda text, done, total: interrupt_at(step, done))
    last = latest_checkpoint(tmp_path / "run" / "checkpoints")
    assert last is not None
    assert last.name == f"step-{step:010d}"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    result = train(CONFIG, tiny, tmp_path / "run", resume=True)
    assert result.resumed_words() == f"resumed from step {step} of 8"
    assert_same_run(tmp_path / "whole", tmp_path / "run")


def test_a_second_interrupt_stops_at_once() -> None:
    with held_interrupts() as asked:
        assert not asked()
        signal.raise_signal(signal.SIGINT)
        assert asked()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_nothing_is_held_where_it_is_not_wanted() -> None:
    with held_interrupts(wanted=False), pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_a_resumed_run_says_from_where(tiny: Repository, tmp_path: Path) -> None:
    config = replace(CONFIG, epochs=1)
    with pytest.raises(Killed):
        train(config, tiny, tmp_path, progress=kill_at(1))
    assert train(config, tiny, tmp_path, resume=True).resumed_words() == (
        "resumed from the start: nothing was saved"
    )
    again = train(config, tiny, tmp_path, resume=True)
    assert again.resumed_words() == "the run was finished already: all 4 steps were there"
    assert again.was_finished
