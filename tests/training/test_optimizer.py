"""What decays, and the rates of each step."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from sensorloom.training.configs import RunConfig
from sensorloom.training.optimizer import make_optimizer, set_step
from sensorloom.training.recipes import make_recipe
from sensorloom.training.settings import apply_settings
from sensorloom.training.terms.contrast import Temperature


class Small(nn.Module):
    """A matrix, its bias, a norm, a frozen matrix, and temperatures of all kinds."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.norm = nn.Linear(3, 2), nn.LayerNorm(2)
        self.still = nn.Linear(2, 2).requires_grad_(False)
        self.temperatures = nn.ModuleDict({kind: Temperature(kind) for kind in ("clamped", "raw", "fixed")})


def config_of(name: str, **settings: str) -> RunConfig:
    config: RunConfig = apply_settings(make_recipe(name), settings)
    return config


def decayed(config: RunConfig, step: int = 0) -> set[str]:
    """What is smaller after a step without any gradient but decay."""
    model = Small().double()
    optimizer = make_optimizer(model, config)
    set_step(optimizer, config, step, 40)
    for weight in model.parameters():
        weight.data.fill_(1.0)
        weight.grad = torch.zeros_like(weight)
    optimizer.step()
    return {name for name, weight in model.named_parameters() if (weight < 1).all()}


def test_everything_but_temperatures_decays_where_a_published_loop_says_nothing_else() -> None:
    """methods.md §2, table: AdamW of all parameters, of which τ is none."""
    assert decayed(config_of("aura-aad")) == {"linear.weight", "linear.bias", "norm.weight", "norm.bias"}
    assert decayed(config_of("standard-pamap2")) == decayed(config_of("aura-aad"))


def test_of_a_jepa_matrices_alone_decay() -> None:
    assert decayed(config_of("jepa")) == {"linear.weight"}


def test_without_weight_decay_nothing_decays() -> None:
    assert decayed(config_of("primus")) == set()


def test_the_decay_of_a_jepa_goes_along_half_a_cosine() -> None:
    """methods.md §4.3, §4.4: 0.04 to 0.4."""
    config = config_of("jepa")
    optimizer = make_optimizer(Small(), config)
    told = [set_step(optimizer, config, step, 101)["weight_decay"] for step in range(101)]
    assert told[0] == pytest.approx(0.04)
    assert told[-1] == pytest.approx(0.4)
    for step in (1, 25, 50, 99):
        assert told[step] == pytest.approx(0.22 - 0.18 * math.cos(math.pi * step / 100))
    assert sorted(group["weight_decay"] for group in optimizer.param_groups) == pytest.approx([0.0, 0.4])


def test_the_warm_up_of_a_jepa_is_a_tenth_of_the_run_and_of_others_a_hundredth() -> None:
    """methods.md §4.4; §1.7."""
    for name, rising in (("jepa", 200), ("primus", 20)):
        config = config_of(name)
        optimizer = make_optimizer(Small(), config)
        rates = [set_step(optimizer, config, step, 2000)["learning_rate"] for step in (0, rising - 1, rising)]
        assert rates == pytest.approx(
            [config.learning_rate / rising, config.learning_rate, config.learning_rate]
        )
    assert "weight_decay" not in set_step(optimizer, config, 0, 2000)


def test_a_constant_schedule_and_amsgrad_are_handed_on() -> None:
    config = config_of("aura-mocap", schedule="constant", amsgrad="true")
    optimizer = make_optimizer(Small(), config)
    assert {set_step(optimizer, config, step, 9)["learning_rate"] for step in range(9)} == {2e-4}
    assert all(group["amsgrad"] for group in optimizer.param_groups)


def test_a_jepa_of_an_earlier_version_keeps_its_one_decay() -> None:
    from sensorloom.training.configs import JepaConfig, config_from_json, config_to_json

    record = config_to_json(config_of("jepa", weight_decay="0.1"))
    for name in ("final_weight_decay", "warmup"):
        del record[name]
    config = config_from_json(record)
    assert isinstance(config, JepaConfig)
    assert (config.weight_decay, config.final_weight_decay, config.warmup) == (0.1, 0.1, 0.01)
