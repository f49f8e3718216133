"""Transformations against loops in float64, their magnitudes against what is stated, and what must not change them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats

from sensorloom.training.errors import WindowShapeError
from sensorloom.training.streaming.draws import uniform
from sensorloom.training.terms.augment import CHAINS, TRANSFORMATIONS, Augmentation
from tests.training.slow_augment import transformed

PRESETS = ("paper", "repo")
EVERY = pytest.mark.parametrize("preset", PRESETS), pytest.mark.parametrize("name", TRANSFORMATIONS)
SEEDS = torch.tensor([5, -(2**63), 2**63 - 1, 123456789, 0, -77])


def every(test: object) -> object:
    """Run a test for every transformation of every preset."""
    for mark in EVERY:
        test = mark(test)
    return test


def windows(samples: int = 23) -> torch.Tensor:
    """float64[6, 2, 6, samples] with sensors missing here and there, and a gap."""
    imu = torch.randn(6, 2, 6, samples, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    imu[1, 0, 3:] = 0
    imu[2, 1, :3] = 0
    imu[3, 0] = 0
    imu[4] = 0
    imu[5, 1, :3, 4:9] = 0
    return imu


@every
@pytest.mark.parametrize("samples", [6, 7, 23])
def test_a_transformation_equals_the_loop(name: str, preset: str, samples: int) -> None:
    imu = windows(samples)
    got = Augmentation((name,), preset)(imu, SEEDS)
    for row, window, seed in zip(got.numpy(), imu.numpy(), SEEDS.tolist(), strict=True):
        np.testing.assert_allclose(row, transformed(window, seed, name, preset), rtol=0, atol=1e-11)


@every
def test_single_precision_gives_the_same_but_for_rounding(name: str, preset: str) -> None:
    imu = windows(200).float()
    got = Augmentation((name,), preset)(imu, SEEDS)
    assert got.dtype == torch.float32
    assert torch.allclose(got.double(), Augmentation((name,), preset)(imu.double(), SEEDS), atol=2e-4)


@every
def test_autocast_changes_nothing(name: str, preset: str) -> None:
    imu, augmentation = windows().float(), Augmentation((name,), preset)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = augmentation(imu, SEEDS)
    assert cast.dtype == torch.float32
    assert torch.equal(cast, augmentation(imu, SEEDS))


@every
def test_neither_the_batch_nor_its_order_changes_a_window(name: str, preset: str) -> None:
    imu, augmentation = windows(), Augmentation((name,), preset)
    before, whole = imu.clone(), augmentation(imu, SEEDS)
    assert torch.equal(imu, before)
    assert torch.equal(augmentation(imu, SEEDS), whole)
    order = torch.tensor([4, 2, 5, 0, 3, 1])
    assert torch.equal(augmentation(imu[order], SEEDS[order]), whole[order])
    assert torch.equal(augmentation(imu[2:3], SEEDS[2:3]), whole[2:3])
    assert augmentation(imu[:0], SEEDS[:0]).shape == (0, 2, 6, 23)


@every
def test_a_seed_decides_and_what_is_missing_stays_zero(name: str, preset: str) -> None:
    imu, augmentation = windows(), Augmentation((name,), preset)
    got, other = augmentation(imu, SEEDS), augmentation(imu, SEEDS + 1)
    assert torch.equal(got, other) == (name in ("negate", "reverse"))
    for changed in (got, other):
        assert not changed[1, 0, 3:].any()
        assert not changed[2, 1, :3].any()
        assert not changed[3, 0].any()
        assert not changed[4].any()
        assert changed[0].any(dim=-1).all()
    assert not torch.equal(got[1], imu[1])
    assert not torch.equal(got[2], imu[2])


@pytest.mark.parametrize("preset", PRESETS)
def test_noise_leaves_the_samples_of_a_gap_at_zero(preset: str) -> None:
    got = Augmentation(("noise",), preset)(windows(), SEEDS)
    assert not got[5, 1, :3, 4:9].any()
    assert got[5, 1, 3:].all()


def test_the_chains_are_those_of_row_4_of_section_0() -> None:
    """§0 row 4: `paper` scales and reverses time, `repo` scales and permutes segments, whatever it was told."""
    assert dict(CHAINS) == {"paper": ("scale", "reverse"), "repo": ("scale", "permute")}
    imu = windows()
    for preset in PRESETS:
        step = imu
        for name in CHAINS[preset]:
            step = Augmentation((name,), preset)(step, SEEDS)
        assert torch.equal(Augmentation(CHAINS[preset], preset)(imu, SEEDS), step)
    scaled = Augmentation(("scale",))(imu, SEEDS)
    assert torch.equal(Augmentation(CHAINS["paper"])(imu, SEEDS), scaled.flip(-1))


def test_a_chain_applies_its_steps_in_its_order() -> None:
    imu = windows()
    first, second = (Augmentation(names)(imu, SEEDS) for names in (("scale", "rotate"), ("rotate", "scale")))
    assert not torch.allclose(first, second)
    assert torch.equal(Augmentation(())(imu, SEEDS), imu)


def test_scaling_is_by_channel_in_paper_and_by_sample_in_repo() -> None:
    """§0 row 5 and §1.5: N(1, 0.1²) for each (sample, channel), or N(1, 0.25²) for each time step."""
    imu, seeds = torch.ones(3000, 2, 6, 8), torch.arange(3000)
    paper = Augmentation(("scale",), "paper")(imu, seeds).double()
    assert torch.equal(paper, paper[..., :1].expand_as(paper))
    by_channel = paper[..., 0].flatten(1)
    assert stats.kstest(by_channel.flatten().numpy(), stats.norm(1, 0.1).cdf).pvalue > 1e-3
    assert torch.corrcoef(by_channel.T).fill_diagonal_(0).abs().max() < 0.1
    repo = Augmentation(("scale",), "repo")(imu, seeds).double()
    assert torch.equal(repo, repo[:, :1, :1].expand_as(repo))
    by_time = repo[:, 0, 0]
    assert stats.kstest(by_time.flatten().numpy(), stats.norm(1, 0.25).cdf).pvalue > 1e-3
    assert torch.corrcoef(by_time.T).fill_diagonal_(0).abs().max() < 0.1


@pytest.mark.parametrize(("preset", "sigma"), [("paper", 0.05), ("repo", 0.1)])
def test_noise_has_the_stated_sigma(preset: str, sigma: float) -> None:
    """§5.3 row 1 and the table of §1.5."""
    imu = torch.ones(400, 1, 6, 20, dtype=torch.float64)
    noise = (Augmentation(("noise",), preset)(imu, torch.arange(400)) - 1).flatten().numpy()
    assert stats.kstest(noise, stats.norm(0, sigma).cdf).pvalue > 1e-3


def matrices(preset: str, count: int) -> torch.Tensor:
    """float64[count, 2 sensors, 3, 3]: what unit vectors in place of samples show of the transformation."""
    imu = torch.eye(3, dtype=torch.float64).repeat(2, 2).expand(count, 1, 6, 6)
    got = Augmentation(("rotate",), preset)(imu, torch.arange(count))
    return got[:, 0, :, :3].reshape(count, 2, 3, 3)


def test_a_rotation_of_paper_keeps_lengths_and_turns_both_sensors_alike() -> None:
    """§5.3 row 3: one proper rotation for accelerometer and gyroscope, its angle uniform on [-π, π)."""
    matrix = matrices("paper", 2000)
    assert torch.equal(matrix[:, 0], matrix[:, 1])
    turn = matrix[:, 0]
    assert torch.allclose(turn @ turn.mT, torch.eye(3, dtype=turn.dtype).expand_as(turn), atol=1e-12)
    assert torch.allclose(torch.linalg.det(turn), torch.ones(2000, dtype=turn.dtype), atol=1e-12)
    trace = turn.diagonal(dim1=1, dim2=2).sum(dim=1)
    angle = ((trace - 1) / 2).clamp(-1, 1).acos().numpy()
    assert stats.kstest(angle, stats.uniform(0, math.pi).cdf).pvalue > 1e-3
    both_ways = turn[:, 2, 1] - turn[:, 1, 2]
    assert abs((both_ways > 0).double().mean() - 0.5) < 0.05


def test_the_axis_of_a_rotation_is_a_corner_heavy_cube_made_round() -> None:
    """§5.3 row 3: the direction of U(-1, 1)³, which leans to the corners; judged by the largest part of the axis."""
    turn = matrices("paper", 4000)[:, 0]
    skew = torch.stack(
        (turn[:, 2, 1] - turn[:, 1, 2], turn[:, 0, 2] - turn[:, 2, 0], turn[:, 1, 0] - turn[:, 0, 1])
    )
    axis = (skew / skew.norm(dim=0)).abs().max(dim=0).values
    cube = np.random.default_rng(0).uniform(-1, 1, (3, 100_000))
    expected = np.abs(cube / np.linalg.norm(cube, axis=0)).max(axis=0)
    assert stats.ks_2samp(axis.numpy(), expected).pvalue > 1e-3


def test_the_rotation_of_repo_is_none() -> None:
    """§1.5: an axis of three of six numbers that have length 1 together shortens vectors."""
    matrix = matrices("repo", 2000)
    assert torch.equal(matrix[:, 0], matrix[:, 1])
    determinant = torch.linalg.det(matrix[:, 0])
    assert (determinant < 0.9).double().mean() > 0.5
    values = torch.linalg.svdvals(matrix[:, 0])
    assert values.max() <= 1 + 1e-12


@pytest.mark.parametrize("name", ["negate", "reverse"])
@pytest.mark.parametrize("preset", PRESETS)
def test_negation_and_reversal_undo_themselves(name: str, preset: str) -> None:
    """§1.5 and §5.3 rows 4 and 5: the same in both presets, of every window."""
    imu, augmentation = windows(), Augmentation((name,), preset)
    once = augmentation(imu, SEEDS)
    assert torch.equal(once, -imu if name == "negate" else imu.flip(-1))
    assert torch.equal(augmentation(once, SEEDS), imu)


def orders(there: tuple[bool, bool], count: int) -> torch.Tensor:
    """int64[count, 6]: which channel stands where after a shuffle."""
    imu = torch.arange(1.0, 7).repeat_interleave(6).view(1, 1, 6, 6).repeat(count, 1, 1, 1)
    imu[:, :, :3] *= there[0]
    imu[:, :, 3:] *= there[1]
    return Augmentation(("shuffle",))(imu, torch.arange(count))[:, 0, :, 0].long()


def test_a_shuffle_of_both_sensors_is_one_of_719_orders_and_never_none() -> None:
    """§5.3 row 8."""
    found, counts = orders((True, True), 30_000).unique(dim=0, return_counts=True)
    assert len(found) == 719
    assert [1, 2, 3, 4, 5, 6] not in found.tolist()
    assert stats.chisquare(counts.numpy()).pvalue > 1e-3


@pytest.mark.parametrize("there", [(True, False), (False, True)])
def test_a_sensor_alone_is_shuffled_within_itself(there: tuple[bool, bool]) -> None:
    found, counts = orders(there, 3000).unique(dim=0, return_counts=True)
    kept = slice(3, 6) if there[0] else slice(0, 3)
    assert len(found) == 5
    assert not found[:, kept].any()
    assert stats.chisquare(counts.numpy()).pvalue > 1e-3


def test_transformations_draw_numbers_of_their_own() -> None:
    """Rotation and scale by the same seeds are unrelated, as are the two draws of one transformation."""
    base = 0x6175676D << 16
    draws = [
        uniform(torch.arange(3000), base + (index << 8) + sub).double()
        for index in range(8)
        for sub in (0, 1)
    ]
    assert torch.corrcoef(torch.stack(draws)).fill_diagonal_(0).abs().max() < 0.1


def test_what_cannot_be_an_augmentation_is_refused() -> None:
    with pytest.raises(ValueError, match=r"must be one of noise, scale, rotate, .*, got 'flip'"):
        Augmentation(("flip",))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"'scale' stands twice in .*; both would draw the same numbers"):
        Augmentation(("scale", "reverse", "scale"))
    with pytest.raises(ValueError, match="preset must be one of paper, repo, got 'code'"):
        Augmentation(("scale",), "code")  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(2, 6, 40), (2, 1, 3, 40), (2, 1, 6, 5)])
def test_what_cannot_be_augmented_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(WindowShapeError, match=r"windows \[B, S, 6, T\] of T ≥ 6 samples, got \[2"):
        Augmentation(("scale",))(torch.zeros(shape), torch.arange(2))
    with pytest.raises(ValueError, match=r"2 windows need as many seeds, got 3; give batch\.seed_B"):
        Augmentation(("reverse",))(torch.zeros(2, 1, 6, 40), torch.arange(3))
