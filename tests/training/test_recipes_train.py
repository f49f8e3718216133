"""Every recipe trains on a generated store: the loss falls, gradients are finite, and a killed run goes on the same."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from sensorloom.store.repository import Repository
from sensorloom.training import splits
from sensorloom.training.assemble import build_for, columns_for
from sensorloom.training.configs import RunConfig, SupervisedConfig
from sensorloom.training.errors import RunError, StreamError
from sensorloom.training.recipes import RECIPES, make_recipe
from sensorloom.training.run import RunResult, train
from sensorloom.training.settings import apply_settings
from sensorloom.training.standing import RunState
from sensorloom.training.stream import TripletStream
from sensorloom.training.terms.collapse import CollapseWatch
from tests.training.killed_runs import Killed, assert_same_run, kill_at, metrics
from tests.training.learnable_triplets import write_learnable

PRETRAINING = [name for name in RECIPES if not name.startswith("standard")]
SMALL = {
    "view": "learnable",
    "epochs": "4",
    "batch_size": "16",
    "learning_rate": "5e-4",
    "patch": "25",
    "unit": "triad",
    "queue_length": "32",
}
NEVER_USED = "mask_patches"
"""Of the signal Transformer: published weights hold it, encoding leaves it alone."""


@pytest.fixture(scope="session")
def learnable(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return write_learnable(str(tmp_path_factory.mktemp("learnable") / "store"))


def small(name: str, **changes: Any) -> RunConfig:
    """The recipe on the generated view, as short as it can be, by the settings that it has."""
    config = make_recipe(name)
    settings = SMALL | {key: str(value) for key, value in changes.items()}
    known = {item.name for item in fields(config)}
    made: RunConfig = apply_settings(
        config, {key: value for key, value in settings.items() if key in known or key in changes}
    )
    return made


def light(name: str) -> dict[str, str]:
    """An encoder without a GRU, where each window passes it more than once."""
    return {"encoder": "tpn"} if name in ("primus", "simclr", "multitask") else {}


def run(config: RunConfig, repo: Repository, out: Path, **options: Any) -> RunResult:
    torch.set_num_threads(1)
    return train(config, repo, out, **options)


@pytest.mark.parametrize("name", PRETRAINING)
def test_a_recipe_learns(learnable: Repository, tmp_path: Path, name: str) -> None:
    result = run(small(name, **light(name)), learnable, tmp_path / "run")
    epochs = [line for line in metrics(tmp_path / "run") if line["kind"] == "epoch"]
    assert len(epochs) == 4
    # PRIMUS's terms of neighbours begin when its queue is warm, so its whole loss may rise: one that it always has.
    falling = "mm" if name == "primus" else "loss"
    losses = [line[falling] for line in metrics(tmp_path / "run") if line["kind"] == "step"]
    assert sum(losses[-2:]) < sum(losses[:2])
    assert result.scores == {key: epochs[result.best_epoch][key] for key in result.scores}
    assert all(value is not None and math.isfinite(value) for value in result.scores.values())


@pytest.mark.parametrize("name", PRETRAINING)
def test_every_parameter_has_a_finite_gradient(learnable: Repository, name: str) -> None:
    config = small(name)
    stream = TripletStream(
        learnable, view="learnable", split="train", batch_size=16, columns=columns_for(config)
    )
    objective = build_for(config, stream)
    for batch in stream:
        objective(batch)["loss"].backward()
    learned = {name: weight for name, weight in objective.named_parameters() if weight.requires_grad}
    for parameter, weight in learned.items():
        if NEVER_USED not in parameter:
            assert weight.grad is not None, parameter
            assert torch.isfinite(weight.grad).all(), parameter


@pytest.mark.parametrize("name", ["primus", "jepa"])
def test_a_killed_run_resumes_to_the_same_numbers(learnable: Repository, tmp_path: Path, name: str) -> None:
    """6 steps of 2 an epoch, checkpoints at 2, 4 and 6; the queue is warm after the first step."""
    config = small(name, epochs=3, checkpoint_every=2, **light(name))
    run(config, learnable, tmp_path / "whole")
    with pytest.raises(Killed):
        run(config, learnable, tmp_path / "killed", progress=kill_at(3))
    torch.rand(17)
    run(config, learnable, tmp_path / "killed", resume=True)
    assert_same_run(tmp_path / "whole", tmp_path / "killed")
    if name == "primus":
        assert metrics(tmp_path / "whole")[-2]["nn_video"] > 0


def test_the_metrics_name_every_term_what_follows_a_step_and_the_norms_that_were_asked_for(
    learnable: Repository, tmp_path: Path
) -> None:
    config = small("jepa", epochs=2, term_norms_every=2, semantic_ramp=1.0)
    result = run(config, learnable, tmp_path)
    steps = [line for line in metrics(tmp_path) if line["kind"] == "step"]
    assert {"loss", "prediction", "semantic", "semantic_weight", "momentum", "gradient_norm"} <= set(steps[0])
    assert [line["semantic_weight"] for line in steps] == pytest.approx([number / 8 for number in range(4)])
    assert ["gradient_norm/semantic" in line for line in steps] == [True, False] * 2
    epoch = metrics(tmp_path)[-1]
    assert epoch["val_loss"] == result.scores["val_loss"] or result.best_epoch == 0
    assert {"imu-text/r10", "text-imu/mrr", "imu-text/candidates", "context/effective_rank"} <= set(epoch)


def test_autocast_changes_the_numbers_a_little_and_keeps_the_loss_in_float32(
    learnable: Repository, tmp_path: Path
) -> None:
    losses = {}
    for precision in ("float32", "bf16"):
        config = small("imu2clip", epochs=1, precision=precision)
        run(config, learnable, tmp_path / precision)
        losses[precision] = metrics(tmp_path / precision)[0]["loss"]
    assert losses["bf16"] == pytest.approx(losses["float32"], rel=0.05)
    assert losses["bf16"] != losses["float32"]


def test_a_view_without_vectors_names_the_step_that_makes_them(tiny: Repository, tmp_path: Path) -> None:
    with pytest.raises(StreamError, match=r"of the column 'text'.*`sensorloom embed` must run before"):
        run(small("jepa", view="tiny"), tiny, tmp_path)


def test_an_encoder_that_collapses_raises_the_alarm_and_a_narrow_cone_does_not(
    learnable: Repository, tmp_path: Path
) -> None:
    """What the sensors say is made next to nothing, beside an encoder that begins with almost one direction."""
    collapsed = run(small("crossl-pamap2", divisor=1e9, epochs=5), learnable, tmp_path / "crossl")
    assert "aggregate/mean_pairwise_cosine beyond its limit for 3 looks at look 4" in collapsed.alarm
    assert metrics(tmp_path / "crossl")[-1]["alarm"] == collapsed.alarm
    aligned = run(
        small("imu2clip", encoder="tpn", learning_rate=1e-9, epochs=5), learnable, tmp_path / "clip"
    )
    assert metrics(tmp_path / "clip")[-1]["imu/mean_pairwise_cosine"] > 0.9
    assert aligned.alarm == ""


@pytest.mark.parametrize("choice", ["random", "first"])
def test_the_text_of_a_window_is_chosen_as_the_setting_says(
    learnable: Repository, tmp_path: Path, choice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Any] = []

    def stream(*arguments: Any, **options: Any) -> TripletStream:
        opened.append((options["split"], options.get("text", "first")))
        return TripletStream(*arguments, **options)

    monkeypatch.setattr(splits, "TripletStream", stream)
    run(small("imu2clip", epochs=1, text=choice, encoder="tpn"), learnable, tmp_path / "run")
    assert set(opened) == {("train", choice), ("val", "first")}


def test_one_window_is_nothing_to_contrast(tmp_path: Path) -> None:
    repo = write_learnable(str(tmp_path / "store"), train=1, takes=1)
    with pytest.raises(
        RunError, match=r"split 'train' of view 'learnable' has 1 window; .* needs 2 at least"
    ):
        run(small("simclr"), repo, tmp_path / "run")


def test_the_run_says_whose_vectors_it_was_held_against(learnable: Repository, tmp_path: Path) -> None:
    assert run(small("imu2clip", epochs=1), learnable, tmp_path / "one").vectors_of == "generated"
    assert run(small("simclr", epochs=1), learnable, tmp_path / "other").vectors_of is None


def test_a_run_from_before_pretraining_is_read(learnable: Repository, tmp_path: Path) -> None:
    """Its configuration told no objective and had fewer keys; its checkpoints told two scores by name."""
    config = small("standard-pamap2", epochs=2, checkpoint_every=100)
    with pytest.raises(Killed):
        run(config, learnable, tmp_path, progress=kill_at(3))
    path = tmp_path / "config.json"
    record = json.loads(path.read_text())
    for key in ("objective", "precision", "min_gap_s", "term_norms_every"):
        del record["config"][key]
    path.write_text(json.dumps(record))
    assert isinstance(config, SupervisedConfig)
    assert run(config, learnable, tmp_path, resume=True).steps == 4


def test_a_state_from_before_pretraining_is_read() -> None:
    told = {"step": 7, "loss_sum": 0.5, "examples": 3, "train_loss": 1.5}
    earlier = RunState.from_json(told | {"best_epoch": 2, "val_macro_f1": 0.75, "val_accuracy": 0.5})
    scores = {"val_macro_f1": 0.75, "val_accuracy": 0.5}
    assert earlier == RunState(**told, best_epoch=2, merit=0.75, scores=scores)
    begun = RunState.from_json(told | {"best_epoch": -1, "val_macro_f1": -1.0, "val_accuracy": -1.0})
    assert begun == RunState(**told)
    later = replace(earlier, watch=CollapseWatch(3, 1).after({"imu/rank_share": 0.0}))
    assert RunState.from_json(json.loads(json.dumps(asdict(later)))) == later


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "pair"),
    [
        ("imu2clip", "imu-text"),
        ("primus", "imu-text"),
        ("aura-mocap", "imu-mocap"),
        ("all-modalities", "imu-mocap"),
    ],
)
def test_sensors_find_their_partners_in_held_out_takes(tmp_path: Path, name: str, pair: str) -> None:
    repo = write_learnable(str(tmp_path / "store"), train=256, val=200, share_there=1.0)
    config = small(name, epochs=40, batch_size=64, learning_rate=1e-3, encoder="tpn")
    scores = run(config, repo, tmp_path / "run").scores
    found, chance = scores[f"{pair}/r10"], scores[f"{pair}/r10_chance"]
    assert found is not None
    assert chance == pytest.approx(10 / 200)
    assert found >= 5 * chance
