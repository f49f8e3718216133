"""The preset `repo` does what the published code does, `paper` what the papers mean: a test for each row of methods.md.

The rows that are about data (12, 13, 15 and 18 of §0, and the windows of §6) are views: see tests/align. Row 14 is
about a published checkpoint, row 17 about what a page says; neither has code to be faithful to.

Axes: B examples · S sensor slots · C six channels · T samples · K two sensors of a slot, of texts the sources · D width
of vectors · F mocap rows · J joints · X coordinates.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from sensorloom.align.named_views import VIEWS
from sensorloom.training.assemble import build_encoder, build_objective
from sensorloom.training.batch import Batch
from sensorloom.training.best import merit_by
from sensorloom.training.configs import (
    RunConfig,
    config_from_json,
    config_to_json,
)
from sensorloom.training.errors import RecipeError, RunError, WindowShapeError
from sensorloom.training.facts import StreamFacts
from sensorloom.training.models.mocap import MocapEncoder
from sensorloom.training.models.transformer import SignalTransformer
from sensorloom.training.objectives.crossl import CroSSL
from sensorloom.training.objectives.multitask import Multitask
from sensorloom.training.objectives.primus import PrimusWeights
from sensorloom.training.presets import REPO
from sensorloom.training.recipes import RECIPES, make_recipe
from sensorloom.training.run import train
from sensorloom.training.schedule import learning_rate
from sensorloom.training.settings import apply_settings
from sensorloom.training.terms.contrast import Temperature
from sensorloom.training.validate import Validation
from tests.training.learnable_triplets import write_learnable

WIDTH = 16
TAKES = torch.arange(64)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


def of(recipe: str, preset: str, **more: Any) -> Any:
    settings = {"preset": preset, **{key: str(value) for key, value in more.items()}}
    return apply_settings(make_recipe(recipe), settings)


def built(config: RunConfig, width: int | None = WIDTH) -> Any:
    """The objective for a view of the recipe's own windows, with one text and one camera."""
    view = VIEWS[config.view]
    facts = StreamFacts(
        window_shape=(len(view.positions), 6, view.samples),
        classes=view.classes,
        vector_size=width,
        mocap_rows=view.slow_samples,
        text_slots=1,
        video_slots=1,
    )
    return build_objective(config, facts, TAKES)


def both(recipe: str, **more: Any) -> tuple[Any, Any]:
    return of(recipe, "paper", **more), of(recipe, "repo", **more)


def batch_of(count: int, *, samples: int = 250, slots: int = 1, told: float = 1.0) -> Batch:
    present_B = torch.arange(count) < told * count
    vectors_B1D = nn.functional.normalize(torch.randn(count, 1, WIDTH), dim=2)
    return Batch(
        index_B=torch.arange(count),
        seed_B=torch.arange(count) * 7919,
        imu_BSCT=torch.randn(count, slots, 6, samples),
        imu_present_BSK=torch.ones(count, slots, 2, dtype=torch.bool),
        text_BKD=vectors_B1D * present_B[:, None, None],
        text_present_BK=present_B[:, None],
        text_id_BK=torch.arange(1, count + 1)[:, None],
        video_BVD=vectors_B1D.flip(0) * present_B[:, None, None],
        video_present_BV=present_B[:, None],
    )


# ----- §0


@pytest.mark.parametrize("recipe", ["primus", "imu2clip", "simclr", "aura-commentary", "aura-mocap"])
def test_row_1_the_gru_runs_over_channels(recipe: str) -> None:
    for config, wanted in zip(both(recipe, encoder="cnn-gru"), ("time", "channel"), strict=True):
        encoder = build_encoder(config, VIEWS[config.view].samples)
        steps: list[torch.Tensor] = []
        encoder.gru.register_forward_pre_hook(lambda _, inputs, kept=steps: kept.append(inputs[0]))
        features: list[torch.Tensor] = []
        encoder.feature_norm.register_forward_hook(lambda *args, kept=features: kept.append(args[2]))
        encoder(torch.randn(2, 6, VIEWS[config.view].samples))
        over_time = torch.equal(steps[0], features[0].transpose(1, 2))
        over_channels = torch.equal(steps[0], features[0])
        assert (over_time, over_channels) == (wanted == "time", wanted == "channel")


@pytest.mark.parametrize("recipe", ["aura-video", "aura-aad"])
def test_row_1_and_14_the_code_of_video_and_narrations_permutes(recipe: str) -> None:
    assert [config.gru_axis for config in both(recipe)] == ["time", "time"]


@pytest.mark.parametrize("recipe", ["aura-video", "aura-aad", "aura-commentary", "aura-mocap"])
def test_row_2_imu2clips_stack_takes_five_seconds_at_200_hz_only(recipe: str) -> None:
    paper, repo = both(recipe, encoder="cnn-gru")
    for samples in (978, 1000, 1004):
        assert build_encoder(repo, samples)(torch.randn(2, 6, samples)).shape == (2, 512)
    for samples in (250, 977, 1005):
        assert build_encoder(paper, samples)(torch.randn(2, 6, samples)).shape == (2, 512)
        with pytest.raises(WindowShapeError, match="max-pooling takes windows of 978 to 1004 samples"):
            build_encoder(repo, samples)(torch.randn(2, 6, samples))


def test_row_2_primus_takes_any_window_in_both() -> None:
    for config in both("primus"):
        assert build_encoder(config, 250)(torch.randn(2, 6, 250)).shape == (2, 512)


def test_row_3_a_head_is_one_linear_in_both() -> None:
    for config in both("primus"):
        objective = built(config, width=512)
        assert sum(parameter.numel() for parameter in objective.encoder.parameters()) == 1_376_204
        assert all(isinstance(head, nn.Linear) for head in objective.encoder.heads.values())


@pytest.mark.parametrize("recipe", ["primus", "simclr"])
def test_row_4_the_second_transformation_is_reversal_or_permutation(recipe: str) -> None:
    ramp_BSCT = torch.arange(1.0, 251).expand(4, 1, 6, 250).contiguous()
    seeds = torch.arange(4)
    for config, wanted in zip(both(recipe), (("scale", "reverse"), ("scale", "permute")), strict=True):
        augment = built(config).augment
        assert augment.names == wanted
        second = replace(augment, names=wanted[1:])(ramp_BSCT, seeds)
        falls = (second.diff(dim=-1) < 0).sum(dim=-1)
        assert torch.all(falls == 249) if wanted[1] == "reverse" else torch.all(falls <= 4)


@pytest.mark.parametrize("recipe", ["primus", "simclr"])
def test_row_5_scaling_is_a_factor_a_channel_or_a_factor_a_time_step(recipe: str) -> None:
    ones_BSCT, seeds = torch.ones(64, 1, 6, 250), torch.arange(64)
    for config in both(recipe):
        scaled_BSCT = replace(built(config).augment, names=("scale",))(ones_BSCT, seeds)
        along_time = scaled_BSCT.std(dim=3).amax()
        along_channels = scaled_BSCT.std(dim=2).amax()
        if config.preset == "paper":
            assert along_time < 1e-6 < along_channels
            assert float(scaled_BSCT.std()) == pytest.approx(0.1, rel=0.15)
        else:
            assert along_channels < 1e-6 < along_time
            assert float(scaled_BSCT.std()) == pytest.approx(0.25, rel=0.05)


def test_row_6_a_gain_of_a_sensor_changes_nothing_in_both() -> None:
    imu_BCT = torch.randn(3, 6, 250)
    gained_BCT = torch.cat([imu_BCT[:, :3] * 3, imu_BCT[:, 3:] / 7], dim=1)
    for config in both("primus"):
        encoder = build_encoder(config, 250)
        torch.testing.assert_close(encoder(gained_BCT), encoder(imu_BCT), atol=1e-4, rtol=0)


def test_row_7_neighbours_of_windows_with_sensors_alone_run_in_both() -> None:
    for config in both("primus"):
        objective = built(config)
        batch = batch_of(8, told=0.5)
        for _ in range(2):
            terms = objective(batch)
        assert terms["loss"].isfinite()


def test_row_7_the_code_has_neighbours_of_an_empty_queue() -> None:
    """§1.4: before the queue is warm a neighbour may be a zero vector; the paper's preset waits for a quarter of it."""
    paper, repo = (built(config)(batch_of(8))["nn_video"] for config in both("primus"))
    assert paper == 0
    assert repo > 1


@pytest.mark.parametrize("recipe", ["primus", "imu2clip", "simclr"])
def test_row_8_fifteen_negatives_an_anchor(recipe: str) -> None:
    paper, repo = both(recipe)
    assert (paper.batch_size, repo.batch_size) == (512, 16)


@pytest.mark.parametrize("recipe", ["primus", "simclr"])
def test_row_8_the_code_gathers_nothing(recipe: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    for config in both(recipe):
        objective = built(config)
        module = __import__(type(objective).__module__, fromlist=["gathered_all"])
        monkeypatch.setattr(
            module, "gathered_all", lambda parts, who=config.preset: asked.append(who) or tuple(parts)
        )
        objective(batch_of(4))
    assert asked == ["paper"]


@pytest.mark.parametrize("recipe", ["primus", "imu2clip", "simclr"])
def test_row_9_fifty_hertz_and_the_windows_of_the_code(recipe: str) -> None:
    paper, repo = both(recipe)
    assert (VIEWS[paper.view].rate_hz, VIEWS[repo.view].rate_hz) == (50, 50)
    assert (VIEWS[paper.view].text_rule, VIEWS[repo.view].text_rule) == ("own", "imu2clip")


@pytest.mark.parametrize("recipe", ["aura-video", "aura-aad", "aura-commentary", "aura-mocap"])
def test_row_10_the_transformer_has_no_skip_connections(recipe: str) -> None:
    for config in both(recipe):
        transformers = [each for each in built(config).modules() if isinstance(each, SignalTransformer)]
        assert len(transformers) == (2 if recipe == "aura-mocap" else 1)
        residual = {layer.residual for each in transformers for layer in each.layers}
        assert residual == {config.preset == "paper"}


@pytest.mark.parametrize("encoder", ["transformer", "cnn-gru"])
def test_row_11_of_poses_the_third_coordinate_is_always_1(encoder: str) -> None:
    pose_BFJX = torch.randn(2, 50, 17, 3)
    higher_BFJX = pose_BFJX + torch.tensor([0.0, 0.0, 1.0])
    valid_BFJ = torch.ones(2, 50, 17, dtype=torch.bool)
    for config in both("aura-mocap", encoder=encoder):
        objective = built(config, width=None).eval()
        (mocap,) = (each for each in objective.modules() if isinstance(each, MocapEncoder))
        assert mocap.coordinates == ("xyz" if config.preset == "paper" else "xy1")
        same = torch.equal(mocap(pose_BFJX, valid_BFJ), mocap(higher_BFJX, valid_BFJ))
        assert same == (config.preset == "repo")


@pytest.mark.parametrize(
    ("row", "recipe", "field", "paper", "repo"),
    [
        (12, "aura-commentary", "leak_free", True, False),
        (13, "aura-video", "pooling", "mean-then-normalise", "middle"),
        (13, "aura-video", "cameras", ("ego", "exo1", "exo2", "exo3", "exo4"), ("exo2",)),
    ],
)
def test_rows_12_and_13_are_the_views_of_the_code(
    row: int, recipe: str, field: str, paper: object, repo: object
) -> None:
    found = [getattr(VIEWS[config.view], field) for config in both(recipe)]
    assert found == [paper, repo]


@pytest.mark.parametrize("recipe", ["crossl-pamap2", "crossl-realworld"])
def test_row_16_the_coefficients_of_vicreg_and_what_is_embedded(recipe: str) -> None:
    for config in both(recipe):
        objective = built(config)
        view = VIEWS[config.view]
        batch = batch_of(4, samples=view.samples, slots=len(view.positions))
        rule = objective.rule
        size = objective.embed(batch)["imu"][0].shape[1]
        if config.preset == "paper":
            assert (rule.similarity, rule.variance, rule.covariance) == (25, 25, 1)
            assert size == 32
        else:
            assert (rule.similarity, rule.variance, rule.covariance) == (10, 10, 100)
            assert size == 2 * len(view.positions) * 96


# ----- §1 PRIMUS, §5.1 IMU2CLIP


@pytest.mark.parametrize("recipe", ["primus", "imu2clip", "simclr"])
def test_section_1_3_temperatures_are_learnt_raw_and_unbounded(recipe: str) -> None:
    for config in both(recipe):
        temperatures = [each for each in built(config).modules() if isinstance(each, Temperature)]
        assert len(temperatures) == (2 if recipe == "primus" else 1)
        for temperature in temperatures:
            assert float(temperature().detach()) == pytest.approx(0.1)
            temperature.value.data.fill_(3.0)  # of `paper` log τ
            assert temperature.clamp_() == pytest.approx(1.0 if config.preset == "paper" else 3.0)


def test_section_1_3_all_weights_are_halved() -> None:
    paper, repo = (built(config).weights for config in both("primus"))
    assert paper == PrimusWeights(1, 1, 1, 1)
    assert repo == PrimusWeights(0.5, 0.5, 0.5, 0.5)


def test_section_1_3_windows_without_a_teacher_stay_negatives() -> None:
    """Zero vectors of others are columns of the code's L_MM; the paper's preset drops them."""
    torch.manual_seed(1)
    batch = batch_of(8, told=0.5)
    half = Batch(**{name: tensor[:4] for name, tensor in batch.tensors().items()})
    for config in both("primus"):
        objective = built(config).eval()
        alike = torch.isclose(objective(batch)["mm"], objective(half)["mm"])
        assert bool(alike) == (config.preset == "paper")


def test_section_1_4_neighbours_are_of_other_takes_or_of_any() -> None:
    paper, repo = (built(config) for config in both("primus", queue_length=8))
    assert paper.take_of is not None
    assert repo.take_of is None


@pytest.mark.parametrize("recipe", ["primus", "imu2clip", "simclr"])
def test_section_1_6_adam_at_one_rate_without_decay_and_the_least_loss(recipe: str) -> None:
    repo = of(recipe, "repo")
    assert (repo.learning_rate, repo.weight_decay, repo.clip_norm, repo.epochs) == (2e-4, 0.0, 0.0, 15)
    rates = {learning_rate(step, 100, repo.learning_rate, repo.schedule) for step in range(100)}
    assert rates == {2e-4}
    assert repo.precision == "float32"
    found = Validation(0.3, {"val_loss": 2.0, "val_accuracy": 0.7})
    assert merit_by(repo.best_by, found, 0) == -2.0
    assert merit_by(of(recipe, "paper").best_by, found, 0) == 0.3


def test_section_1_7_standard_training_of_primus() -> None:
    repo = of("standard-realworld", "repo")
    assert (repo.learning_rate, repo.weight_decay, repo.batch_size, repo.epochs) == (1e-4, 1e-4, 256, 20)
    assert (repo.schedule, repo.gru_axis, repo.clip_norm) == ("cosine", "channel", 0.0)
    assert merit_by(repo.best_by, Validation(0.3, {"val_macro_f1": 0.3, "val_accuracy": 0.7}), 0) == 0.7


# ----- §2 AURA


@pytest.mark.parametrize(
    ("recipe", "temperature", "numbers"),
    [
        ("aura-video", "raw", (1e-5, 0.0, 64, 10, False)),
        ("aura-aad", "raw", (1e-5, 0.0, 64, 10, False)),
        ("aura-mocap", "fixed", (1e-5, 1e-5, 1024, 5000, True)),
        ("aura-commentary", "fixed", (1e-5, 1e-5, 1024, 5000, True)),
    ],
)
def test_section_2_the_two_code_bases_train_otherwise(
    recipe: str, temperature: str, numbers: tuple[object, ...]
) -> None:
    paper, repo = both(recipe)
    assert (paper.temperature, repo.temperature) == ("clamped", temperature)
    found = (repo.learning_rate, repo.weight_decay, repo.batch_size, repo.epochs, repo.amsgrad)
    assert found == numbers
    assert (repo.schedule, repo.clip_norm) == ("constant", 0.0)
    learnt = {name for name, _ in built(repo).named_parameters() if name.startswith("temperature")}
    assert bool(learnt) == (temperature == "raw")


def test_section_2_7_the_random_rows_of_aura() -> None:
    repo = of("standard-pamap2", "repo")
    assert (repo.learning_rate, repo.weight_decay, repo.batch_size, repo.epochs) == (5e-5, 1e-3, 1024, 100)
    assert (repo.amsgrad, repo.schedule, repo.gru_axis, repo.residual) == (True, "constant", "channel", False)


# ----- §3 CroSSL


@pytest.mark.parametrize("recipe", ["crossl-pamap2", "crossl-realworld"])
def test_section_3_statistics_of_eight_windows_without_dropout(recipe: str) -> None:
    paper, repo = both(recipe)
    assert (paper.batch_size, repo.batch_size) == (256, 8)
    assert (repo.learning_rate, repo.epochs, repo.schedule) == (1e-4, 50, "constant")
    assert (repo.masking, repo.keep, repo.aggregator) == ("spatial", 0.9, "mlp")
    for config in (paper, repo):
        objective = built(config).train()
        dropouts = [each for each in objective.encoders.modules() if isinstance(each, nn.Dropout)]
        assert {each.training for each in dropouts} == {config.preset == "paper"}


def test_section_3_the_code_may_mask_everything() -> None:
    config = replace(of("crossl-pamap2", "repo"), keep=0.01)
    imu_B = torch.ones(64, 6, dtype=torch.bool)
    latent_BMD = torch.ones(64, 6, 96)
    for preset in ("paper", "repo"):
        objective = built(replace(config, preset=preset))
        assert isinstance(objective, CroSSL)
        kept_BM = objective._mask(torch.arange(64), 4100, latent_BMD, imu_B).any(dim=2)
        assert bool(kept_BM.any(dim=1).all()) == (preset == "paper")


# ----- §5.3 multitask


def test_section_5_3_the_code_trains_the_tpn() -> None:
    paper, repo = (built(config) for config in both("multitask"))
    assert isinstance(paper, Multitask)
    assert sum(each.numel() for each in paper.encoder.parameters()) == 850_892
    assert sum(each.numel() for each in repo.encoder.parameters()) == 86_720
    config = of("multitask", "repo")
    assert (config.learning_rate, config.batch_size, config.epochs) == (3e-4, 300, 30)
    assert (config.schedule, config.best_by) == ("constant", "loss")


# ----- presets as settings


@pytest.mark.parametrize("recipe", REPO)
def test_a_preset_is_a_setting_that_brings_others_and_yields_to_them(recipe: str) -> None:
    paper, repo = both(recipe)
    assert paper == make_recipe(recipe)
    assert repo.preset == "repo"
    assert {key: getattr(repo, key) for key in REPO[recipe]} == dict(REPO[recipe])
    assert of(recipe, "repo", epochs=3, view="tiny") == replace(repo, epochs=3, view="tiny")
    assert config_from_json(json.loads(json.dumps(config_to_json(repo)))) == repo
    assert apply_settings(repo, {"preset": "repo", "epochs": "3"}) == replace(repo, epochs=3)
    assert apply_settings(replace(repo, epochs=3), {"preset": "repo"}) == replace(repo, epochs=3)


@pytest.mark.parametrize("recipe", sorted(RECIPES.keys() - REPO.keys()))
def test_a_recipe_without_published_code_has_one_preset(recipe: str) -> None:
    with pytest.raises(RecipeError, match=f"recipe {recipe} has no preset repo: no published code .* primus"):
        of(recipe, "repo")


def test_an_unknown_preset_is_refused() -> None:
    with pytest.raises(RecipeError, match="preset must be one of paper, repo, got 'code'"):
        of("primus", "code")


def test_a_run_from_before_there_were_presets_is_of_paper() -> None:
    record = config_to_json(make_recipe("imu2clip"))
    for key in ("preset", "amsgrad", "schedule", "best_by", "pooling"):
        del record[key]
    assert config_from_json(record) == make_recipe("imu2clip")


@pytest.mark.parametrize("best_by", ["auto", "loss"])
@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_score_that_is_not_finite_has_its_epoch_and_its_name(best_by: Any, loss: float) -> None:
    with pytest.raises(
        RunError, match=rf"epoch 3 \(from 0\): on the validation split val_loss is {loss}, so no"
    ):
        merit_by(best_by, Validation(-loss, {"val_loss": loss, "val_penalty": 0.5}), 3)
    assert merit_by("accuracy", Validation(-loss, {"val_loss": loss, "val_accuracy": 0.5}), 3) == 0.5


@pytest.mark.parametrize(("best_by", "lacks"), [("loss", "val_loss"), ("accuracy", "val_accuracy")])
def test_a_best_epoch_by_a_score_that_is_not_there_is_refused(best_by: Any, lacks: str) -> None:
    with pytest.raises(RunError, match=f"best_by={best_by} needs {lacks}, .* it gives imu-text/r10. Set"):
        merit_by(best_by, Validation(0.5, {"imu-text/r10": 0.5}), 0)


@pytest.mark.parametrize("recipe", ["simclr", "aura-mocap", "crossl-pamap2"])
def test_a_preset_of_the_code_trains(recipe: str, tmp_path: Path) -> None:
    repo = write_learnable(str(tmp_path / "store"))
    small = {"view": "learnable", "epochs": "1", "batch_size": "16", "patch": "25", "encoder": "tpn"}
    known = {key: text for key, text in small.items() if hasattr(make_recipe(recipe), key)}
    if recipe == "aura-mocap":
        del known["encoder"]  # the Transformer, of poses as well
    result = train(apply_settings(make_recipe(recipe), {"preset": "repo", **known}), repo, tmp_path / "run")
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    rates = {line["learning_rate"] for line in lines if line["kind"] == "step"}
    assert rates == {result.record.config.learning_rate}
    assert result.record.config.preset == "repo"


def test_no_setting_of_a_preset_is_one_that_the_recipe_has_anyway() -> None:
    """Else the table would tell of differences that are none, but for those that all recipes of a code share."""
    shared = {"epochs", "learning_rate", "weight_decay", "batch_size"}
    for recipe, settings in REPO.items():
        paper: Mapping[str, Any] = config_to_json(make_recipe(recipe))
        same = {key for key, value in settings.items() if paper[key] == value}
        assert same <= shared | {"gru_axis"}, recipe
