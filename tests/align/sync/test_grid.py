from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from sensorloom.align.sync.estimate import estimate
from sensorloom.align.sync.grid import lay_on_grid
from sensorloom.align.sync.signal import MotionSignal


def signal(values, step_ms=20, start_ns=0, valid=None):
    valid = np.ones(len(values), np.bool_) if valid is None else valid
    return MotionSignal("s", start_ns, step_ms * 1_000_000, values.astype(np.float32), valid)


def wander(num, channels=3, seed=0):
    values = np.random.default_rng(seed).normal(size=(num + 40, channels))
    box = np.ones(15) / 15
    smooth = [np.convolve(np.convolve(line, box, "same"), box, "same") for line in values.T]
    return np.stack(smooth, axis=1)[20:-20] * 10


def test_a_gap_does_not_bend_what_is_valid_beside_it():
    """A probe is interpolated halfway between its samples: a spline through the zeros of a gap swings before it."""
    valid = np.ones(2000, np.bool_)
    valid[900:1000] = False
    wave = 1 + np.cos(2 * np.pi * 0.01 * (np.arange(2000) - 899))[:, None]  # at its top where the gap begins
    grid = lay_on_grid(signal(wander(2000), start_ns=10_000_000), signal(wave, valid=valid))
    bend = np.abs(np.diff(grid.probe[:, 0], n=2))
    whole = grid.probe_valid[2:] & grid.probe_valid[1:-1] & grid.probe_valid[:-2]
    usual = bend[200:1500][whole[200:1500]].max()
    assert bend[1500:1900][whole[1500:1900]].max() < 5 * usual
    assert whole[1700:1785].all()
    assert not grid.probe_valid[1796:2000].any()


def test_a_probe_between_the_samples_of_the_anchor_is_a_cubic_spline():
    def probe(start_ms):
        wave = np.sin(2 * np.pi * 0.7 * (np.arange(3000) * 0.02 + start_ms / 1e3))[:, None]
        grid = lay_on_grid(signal(wander(3000, 1)), signal(wave, start_ns=start_ms * 1_000_000))
        return grid.probe[grid.origin + 500 : grid.origin + 5000]

    assert probe(13) == pytest.approx(probe(0), abs=2e-3)


@pytest.mark.slow
def test_memory_does_not_grow_with_what_all_lags_of_all_segments_would_take():
    """Three hours: 1,079 segments at 626 lags, 9 coefficients each, were half a gigabyte at a time."""
    values = wander(540_000)
    first, second = signal(values), signal(np.roll(values, 15, axis=0))
    tracemalloc.start()
    found = estimate(first, second, method="x")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.offset_ms == pytest.approx(300, abs=1)
    assert peak < 160_000_000
