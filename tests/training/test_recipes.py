from __future__ import annotations

import json
from dataclasses import asdict, replace
from itertools import pairwise

import pytest

from sensorloom.align.named_views import VIEWS
from sensorloom.training.assemble import columns_for
from sensorloom.training.configs import (
    EncoderConfig,
    JepaConfig,
    SupervisedConfig,
    config_from_json,
    config_to_json,
)
from sensorloom.training.errors import RecipeError
from sensorloom.training.presets import REPO
from sensorloom.training.recipes import RECIPES, make_recipe
from sensorloom.training.schedule import learning_rate, warmup_steps
from sensorloom.training.settings import apply_settings


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_knows_its_name_and_a_view_that_exists(name: str) -> None:
    config = make_recipe(name)
    assert config.recipe == name
    assert config.view in VIEWS
    if isinstance(config, EncoderConfig | JepaConfig):
        assert VIEWS[config.view].samples % config.patch == 0
    assert config_from_json(json.loads(json.dumps(config_to_json(config)))) == config


@pytest.mark.parametrize("name", RECIPES)
def test_windows_cut_for_a_text_are_paired_with_that_text(name: str) -> None:
    """The published pairs are a window and its own text [methods §2.4, §6]; of a tile's texts one is drawn."""
    config = make_recipe(name)
    is_cut_for_texts = VIEWS[config.view].anchor == "texts" and "text" in columns_for(config)
    assert config.text == ("first" if is_cut_for_texts else "random")
    if name in REPO:
        as_published = apply_settings(config, {"preset": "repo"})
        assert (VIEWS[as_published.view].anchor, as_published.text) == (
            VIEWS[config.view].anchor,
            config.text,
        )


def test_an_unknown_recipe_lists_the_known_ones() -> None:
    with pytest.raises(
        RecipeError,
        match=r"unknown recipe 'primos'; did you mean 'primus'\? Known: standard-pamap2, standard-realworld",
    ):
        make_recipe("primos")


def test_settings_are_parsed_to_their_types() -> None:
    recipe = make_recipe("standard-pamap2")
    assert isinstance(recipe, SupervisedConfig)
    config = apply_settings(
        recipe,
        {
            "epochs": "3",
            "learning_rate": "5e-4",
            "residual": "False",
            "encoder": "transformer",
            "gru_axis": "channel",
        },
    )
    assert (config.epochs, config.learning_rate, config.residual) == (3, 5e-4, False)
    assert (config.encoder, config.gru_axis) == ("transformer", "channel")
    assert apply_settings(config, {}) is not None


@pytest.mark.parametrize(("key", "text", "message"), [
    ("epoch", "3", "standard-pamap2 has no setting 'epoch'; did you mean 'epochs'"),
    ("lr", "1", "no setting 'lr'; did you mean .* Known: view, epochs"),
    ("recipe", "x", "no setting 'recipe'"),
    ("epochs", "3.5", "epochs must be a whole number, got '3.5'"),
    ("epochs", "0", "epochs must be at least 1, got 0"),
    ("learning_rate", "fast", "learning_rate must be a number, got 'fast'"),
    ("learning_rate", "0", "learning_rate must be greater than 0 and finite, got 0.0"),
    ("learning_rate", "nan", "learning_rate must be greater than 0 and finite, got nan"),
    ("weight_decay", "-1", "weight_decay must be at least 0 and finite, got -1.0"),
    ("clip_norm", "inf", "clip_norm must be at least 0 and finite, got inf"),
    ("seed", "18446744073709551616", r"seed must be in \[0, 2\*\*64\), got 18446744073709551616"),
    ("residual", "yes", "residual must be true or false, got 'yes'"),
    ("encoder", "cnn", "encoder must be one of cnn-gru, transformer, tpn, got 'cnn'"),
    ("gru_axis", "space", "gru_axis must be one of time, channel, got 'space'"),
])  # fmt: skip
def test_a_wrong_setting_is_explained(key: str, text: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        apply_settings(make_recipe("standard-pamap2"), {key: text})


@pytest.mark.parametrize(("recipe", "key", "text", "message"), [
    ("primus", "teachers", "text,mocap", "teachers must be different ones of text,video, got 'text,mocap'"),
    ("imu2clip", "partners", "text,text", "partners must be different ones of text,video,mocap, got 'text,text'"),
    ("all-modalities", "modalities", "", "modalities must be different ones of imu,text,video,mocap, got ''"),
    ("crossl-pamap2", "keep", "0", r"keep must be in \(0, 1\], got 0\.0"),
    ("jepa", "semantic_ramp", "2", r"semantic_ramp must be in \[0, 1\], got 2\.0"),
    ("jepa", "encoder", "tpn", "recipe jepa has no setting 'encoder'"),
    ("standard-pamap2", "imu_only", "0.5", "recipe standard-pamap2 has no setting 'imu_only'"),
])  # fmt: skip
def test_a_wrong_setting_of_an_objective_is_explained(recipe: str, key: str, text: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        apply_settings(make_recipe(recipe), {key: text})


def test_a_stored_objective_must_be_known() -> None:
    record = config_to_json(make_recipe("primus"))
    with pytest.raises(
        RecipeError, match="unknown objective 'primos' of a stored run; known: supervised, primus"
    ):
        config_from_json({**record, "objective": "primos"})


def test_a_stored_configuration_must_be_whole() -> None:
    record = asdict(make_recipe("standard-pamap2"))
    del record["epochs"]
    with pytest.raises(RecipeError, match=r"missing or unknown: \['epochs', 'more'\]"):
        config_from_json({**record, "more": 1})


@pytest.mark.parametrize(("key", "value", "message"), [
    ("epochs", "3", "epochs must be a whole number, got '3'"),
    ("epochs", 2.5, r"epochs must be a whole number, got 2\.5"),
    ("batch_size", True, "batch_size must be a whole number, got True"),
    ("learning_rate", None, "learning_rate must be a number, got None"),
    ("residual", 1, "residual must be true or false, got 1"),
    ("view", ["tiny"], "view must be text, got"),
    ("encoder", 1, "encoder must be one of cnn-gru, transformer, tpn, got 1"),
])  # fmt: skip
def test_a_stored_configuration_must_have_the_right_types(key: str, value: object, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        config_from_json({**asdict(make_recipe("standard-pamap2")), key: value})
    assert config_from_json({**asdict(make_recipe("standard-pamap2")), "clip_norm": 1}).clip_norm == 1


def test_variants_are_replacements() -> None:
    assert replace(make_recipe("standard-pamap2"), seed=3) == SupervisedConfig(
        recipe="standard-pamap2", view="har-pamap2", seed=3
    )


def test_the_rate_rises_over_the_warm_up_and_falls_along_a_cosine() -> None:
    rates = [learning_rate(step, 2000, 2.0) for step in range(2000)]
    assert warmup_steps(2000) == 20
    assert rates[0] == pytest.approx(0.1)
    assert rates[19] == rates[20] == 2.0
    assert all(left > right for left, right in pairwise(rates[20:]))
    assert rates[20 + 990] == pytest.approx(1.0)
    assert 0 < rates[-1] < 1e-5
    assert warmup_steps(300) == 10
    assert [learning_rate(step, 4, 1.0) for step in range(4)] == [0.25, 0.5, 0.75, 1.0]
    with pytest.raises(ValueError, match="step 4 lies outside the run's 4 steps"):
        learning_rate(4, 4, 1.0)
