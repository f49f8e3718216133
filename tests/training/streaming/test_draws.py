"""Numbers of an example: their definition in plain integers, their statistics, and that neighbours do not matter."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats

from sensorloom.training.streaming.draws import derive, normal, uniform

WORD = 2**64
SEEDS = [0, 1, -1, 2**63 - 1, -(2**63), 123456789]


def splitmix(seed: int, number: int) -> int:
    """Output `number`, from 0, of SplitMix64 seeded with `seed`, as its authors print it."""
    z = (seed + (number + 1) * 0x9E3779B97F4A7C15) % WORD
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) % WORD
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) % WORD
    return z ^ (z >> 31)


def halves(seed: int, purpose: int, count: int) -> list[int]:
    key = splitmix(splitmix(purpose, 0) ^ (seed % WORD), 0)
    words = [splitmix(key, number) for number in range((count + 1) // 2)]
    return [half for word in words for half in (word >> 32, word % 2**32)]


def test_splitmix_here_is_that_of_its_authors() -> None:
    """The first outputs for seed 1234567 that implementations in many languages are tested with."""
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    assert [splitmix(1234567, number) for number in range(3)] == expected


@pytest.mark.parametrize("purpose", [0, 7, 2**64 - 1])
@pytest.mark.parametrize("shape", [(), (1,), (5,), (3, 2)])
def test_uniform_is_its_definition(purpose: int, shape: tuple[int, ...]) -> None:
    got = uniform(torch.tensor(SEEDS), purpose, shape)
    assert got.shape == (len(SEEDS), *shape)
    assert got.dtype == torch.float32
    count = math.prod(shape)
    for row, seed in zip(got.flatten(1) if shape else got[:, None], SEEDS, strict=True):
        assert row.tolist() == [(half >> 8) / 2**24 for half in halves(seed, purpose, count)[:count]]


@pytest.mark.parametrize("shape", [(), (1,), (5,), (3, 2)])
def test_normal_is_its_definition(shape: tuple[int, ...]) -> None:
    got = normal(torch.tensor(SEEDS), 3, shape)
    assert got.shape == (len(SEEDS), *shape)
    assert got.dtype == torch.float32
    for row, seed in zip(got.reshape(len(SEEDS), -1), SEEDS, strict=True):
        given = halves(seed, 3, row.numel() + 1)
        for number, value in enumerate(row.tolist()):
            first, second = given[number - number % 2], given[number - number % 2 + 1]
            turn = (math.sin if number % 2 else math.cos)(2 * math.pi * second / 2**32)
            assert value == pytest.approx(math.sqrt(-2 * math.log((first + 1) / 2**32)) * turn, abs=1e-6)


def test_uniform_is_spread_evenly_and_never_one() -> None:
    values = uniform(torch.arange(400), 5, (200,)).numpy()
    assert values.min() >= 0
    assert values.max() < 1
    assert stats.kstest(values.reshape(-1), "uniform").pvalue > 1e-3
    counts = np.histogram2d(values[:, ::2].reshape(-1), values[:, 1::2].reshape(-1), bins=8)[0]
    assert stats.chisquare(counts.reshape(-1)).pvalue > 1e-3


def test_normal_is_normal() -> None:
    values = normal(torch.arange(400), 5, (200,)).numpy().astype(np.float64)
    assert stats.kstest(values.reshape(-1), "norm").pvalue > 1e-3
    assert abs(np.corrcoef(values[:, ::2].reshape(-1), values[:, 1::2].reshape(-1))[0, 1]) < 0.02
    assert np.abs(values).max() < 6.67


def test_derived_seeds_are_their_definition_and_draw_other_numbers() -> None:
    seeds = derive(torch.tensor(SEEDS), 9)
    assert [seed % WORD for seed in seeds.tolist()] == [
        splitmix(splitmix(9, 0) ^ (seed % WORD), 0) for seed in SEEDS
    ]
    assert not torch.isin(uniform(seeds, 9, (50,)), uniform(torch.tensor(SEEDS), 9, (50,))).any()


def test_the_greatest_and_least_halves_give_finite_values() -> None:
    """The logarithm is of (u + 1) / 2³², never of 0; the largest radius is that of u = 0."""
    assert torch.isfinite(normal(torch.arange(2000), 0, (500,))).all()
    assert math.sqrt(-2 * math.log(2**-32)) < 6.67


@pytest.mark.parametrize("draw", [uniform, normal])
def test_neither_neighbours_nor_more_draws_change_a_value(draw: object) -> None:
    assert callable(draw)
    seeds = torch.tensor(SEEDS)
    whole = draw(seeds, 2, (4,))
    order = torch.tensor([3, 1, 5, 0, 2, 4])
    assert torch.equal(draw(seeds[order], 2, (4,)), whole[order])
    assert torch.equal(draw(seeds[2:3], 2, (4,)), whole[2:3])
    assert torch.equal(draw(seeds, 2, (7,))[:, :4], whole)
    assert torch.equal(draw(seeds, 2, (2, 2)).flatten(1), whole)


def test_examples_and_purposes_are_independent_even_of_neighbouring_seeds() -> None:
    by_seed = uniform(torch.arange(2000), 1, (8,)).double()
    assert torch.corrcoef(torch.cat((by_seed[:-1].T, by_seed[1:].T))).fill_diagonal_(0).abs().max() < 0.1
    purposes = torch.stack([uniform(torch.arange(2000), purpose) for purpose in range(8)]).double()
    assert torch.corrcoef(purposes).fill_diagonal_(0).abs().max() < 0.1


def test_no_draws_and_no_examples_have_their_shapes() -> None:
    none = torch.empty(0, dtype=torch.int64)
    assert uniform(none, 0, (3,)).shape == normal(none, 0, (3,)).shape == (0, 3)
    assert uniform(torch.arange(2), 0, (0,)).shape == normal(torch.arange(2), 0, (0,)).shape == (2, 0)
    assert uniform(none, 0).shape == normal(none, 0).shape == (0,)


@pytest.mark.parametrize("draw", [uniform, normal])
def test_what_cannot_be_drawn_from_is_refused(draw: object) -> None:
    assert callable(draw)
    with pytest.raises(ValueError, match=r"must be int64\[B\], got torch.int32 \[3\]; give batch.seed_B"):
        draw(torch.arange(3, dtype=torch.int32), 0, (2,))
    with pytest.raises(ValueError, match=r"must be int64\[B\], got torch.int64 \[1, 3\]"):
        draw(torch.zeros(1, 3, dtype=torch.int64), 0, (2,))
    with pytest.raises(ValueError, match=r"must be int64\[B\]"):
        derive(torch.zeros(3), 0)
    with pytest.raises(ValueError, match=r"must lie in \[0, 2\*\*64\), got -1"):
        draw(torch.arange(3), -1, (2,))
