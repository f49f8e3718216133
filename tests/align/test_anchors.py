from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sensorloom.align.anchors import TOLERANCE_NS, fit_clock
from sensorloom.ingest.take import ClockAnchors

MS = 1_000_000
S = 1_000_000_000
DEVICE_NS = 284_324_000_000_000  # a device clock that has run for three days


def frames(count: int = 900) -> np.ndarray:
    return np.rint(np.arange(count) * 1e9 / 30).astype(np.int64)


def fit(source, target):
    return fit_clock(ClockAnchors("device", "take", np.asarray(source), np.asarray(target), "by frames"))


def drifting(take_ns: np.ndarray, drift_ppm: float) -> np.ndarray:
    """Stamps of a device on which the take clock gains `drift_ppm`."""
    return DEVICE_NS + np.rint(take_ns / (1 + drift_ppm / 1e6)).astype(np.int64)


def test_one_anchor_gives_an_offset():
    fitted = fit([5 * S], [2 * S])
    assert fitted.clock.apply(6 * S) == 3 * S
    assert (fitted.clock.drift_ppm, fitted.clock.knots, fitted.clock.num_anchors) == (0.0, (), 1)
    assert (fitted.clock.source, fitted.clock.target, fitted.clock.rule) == ("device", "take", "by frames")


def test_anchors_within_a_second_tell_no_drift():
    clock = fit([0, 100 * MS], [0, 101 * MS]).clock
    assert clock.drift_ppm == 0.0
    assert clock.apply(600 * S) - 600 * S == pytest.approx(MS, abs=MS)


@pytest.mark.parametrize("drift_ppm", [-800.0, -20.0, 0.0, 37.5, 800.0])
def test_a_steady_drift_needs_no_knots(drift_ppm):
    take = frames(18_000)
    fitted = fit(drifting(take, drift_ppm), take)
    assert fitted.clock.drift_ppm == pytest.approx(drift_ppm, abs=1e-5)
    assert np.abs(fitted.clock.apply(drifting(take, drift_ppm)) - take).max() <= 1
    assert (fitted.clock.knots, fitted.clock.num_anchors) == ((), 18_000)
    assert (fitted.repeated, fitted.contradictory) == (0, 0)


def test_the_order_of_anchors_does_not_matter():
    take = frames()
    order = np.random.default_rng(0).permutation(len(take))
    device = drifting(take, 30.0)
    assert fit(device[order], take[order]) == fit(device, take)


def test_the_residual_is_the_scatter_about_the_line():
    take = frames(9000)
    noise = np.rint(np.random.default_rng(0).normal(0, 0.05 * MS, 9000)).astype(np.int64)
    clock = fit(drifting(take, 10.0), take + noise).clock
    assert clock.residual_rms_ms == pytest.approx(0.05, rel=0.05)
    assert clock.drift_ppm == pytest.approx(10.0, abs=0.05)
    assert clock.knots == ()


def test_repeated_stamps_are_those_of_their_first_frame():
    take = frames()
    device = drifting(take, 0.0)
    device[[100, 101, 500]] = device[[99, 99, 499]]
    fitted = fit(device, take)
    assert (fitted.repeated, fitted.contradictory, fitted.clock.num_anchors) == (3, 0, 897)
    assert np.abs(fitted.clock.apply(drifting(take, 0.0)) - take).max() <= 1


def test_frames_told_twice_count_once():
    take = frames()
    device = drifting(take, 0.0)
    take[300] = take[299]
    fitted = fit(device, take)
    assert (fitted.repeated, fitted.clock.num_anchors) == (1, 899)


@pytest.mark.parametrize("wrong_ns", [7 * MS, -7 * MS, 20 * MS, -40 * MS, 10 * S, -(10**15)])
@pytest.mark.parametrize("row", [0, 1, 450, 899])
def test_a_single_wrong_anchor_is_left_out(wrong_ns, row):
    take = frames()
    device = drifting(take, 25.0)
    wrong = device.copy()
    wrong[row] += wrong_ns
    fitted = fit(wrong, take)
    assert fitted.contradictory + fitted.repeated == 1
    assert np.abs(fitted.clock.apply(device) - take).max() <= 1


def test_anchors_that_run_backwards_leave_one():
    fitted = fit([0, 10 * S], [20 * S, 9 * S])
    assert (fitted.clock.num_anchors, fitted.contradictory) == (1, 1)
    assert fitted.clock.apply(10 * S) == 9 * S


def test_a_run_of_wrong_anchors_costs_no_right_one():
    """Ten in a row agree with one another, so they pass for a shift; the right ones after them must not go."""
    take = frames()
    device = drifting(take, 30.0)
    told = take.copy()
    told[100:110] += 10 * S
    fitted = fit(device, told)
    assert fitted.contradictory == 10
    assert np.abs(fitted.clock.apply(device) - take).max() <= TOLERANCE_NS


def test_anchors_that_no_clock_can_have_are_left_out():
    fitted = fit([0, S, 999_999_582_718_160], [0, S, 0])
    assert (fitted.clock.num_anchors, fitted.repeated, fitted.contradictory) == (2, 0, 1)
    steep = fit([0, S, 2 * S], [0, 300 * S, 500 * S]).clock
    assert steep.drift_ppm == 0.0
    assert (np.diff(steep.apply(np.arange(-10, 10) * S)) > 0).all()


def test_lost_frames_shift_all_after_them():
    take = frames()
    device = drifting(np.concatenate((take[:400], take[400:] + 2 * 33_333_333)), 0.0)
    fitted = fit(device, take)
    assert fitted.contradictory == 0
    assert np.abs(fitted.clock.apply(device) - take).max() <= TOLERANCE_NS
    assert 2 <= len(fitted.clock.knots) <= 6


def test_a_bending_clock_is_followed_with_few_knots():
    take = frames(18_000)
    bend = np.rint(3 * MS * np.sin(take / 600e9 * 2 * np.pi)).astype(np.int64)
    fitted = fit(DEVICE_NS + take + bend, take)
    assert np.abs(fitted.clock.apply(DEVICE_NS + take + bend) - take).max() <= TOLERANCE_NS
    assert 4 <= len(fitted.clock.knots) <= 30
    assert fitted.clock.residual_rms_ms > 0.5


def test_knots_do_not_follow_the_noise_of_single_anchors():
    take = frames(9000)
    noise = np.rint(np.random.default_rng(0).uniform(-MS, MS, 9000)).astype(np.int64)
    clock = fit(drifting(take, 10.0) + noise, take).clock
    assert clock.knots == ()
    assert np.abs(clock.apply(drifting(take, 10.0)) - take).max() < 0.05 * MS


STEPS = st.lists(st.tuples(st.integers(10**6, 10**9), st.integers(10**6, 10**9)), min_size=1, max_size=60)


@given(STEPS, st.randoms(use_true_random=False))
def test_any_anchors_give_a_map_that_accounts_for_all(steps, random):
    pairs = np.cumsum(np.array(steps, np.int64), axis=0) + np.array((DEVICE_NS, -(10**12)))
    order = list(range(len(pairs)))
    random.shuffle(order)
    fitted = fit(pairs[order, 0], pairs[order, 1])
    assert fitted.clock.num_anchors + fitted.repeated + fitted.contradictory == len(pairs)
    assert fitted == fit(pairs[:, 0], pairs[:, 1])


@given(st.lists(st.integers(-(4 * MS), 4 * MS), min_size=2, max_size=20))
def test_a_wandering_clock_is_followed_within_the_tolerance(turns):
    """A second of frames to each turn, on which the clock gains evenly: what anchors say together holds."""
    take = frames(30 * len(turns) + 1)
    gain = np.interp(np.arange(len(take)), 30 * np.arange(len(turns) + 1), np.cumsum([0, *turns]))
    device = DEVICE_NS + take + np.rint(gain).astype(np.int64)
    fitted = fit(device, take)
    assert fitted.contradictory == 0
    assert np.abs(fitted.clock.apply(device) - take).max() <= TOLERANCE_NS
    assert (np.diff(fitted.clock.apply(device)) > 0).all()


@example([(0, 0), (10**9, 9_224_385_108_991), (999_999_582_718_160, 0)])
@given(
    st.lists(
        st.tuples(st.integers(-(10**15), 10**15), st.integers(-(10**15), 10**15)), min_size=1, max_size=30
    )
)
def test_nonsense_gives_a_map_all_the_same(pairs):
    source, target = np.array(pairs, np.int64).T
    fitted = fit(source.copy(), target.copy())
    assert fitted.clock.num_anchors + fitted.repeated + fitted.contradictory == len(pairs)
    assert fitted.clock.num_anchors >= 1
    mapped = fitted.clock.apply(np.sort(source))
    assert (np.diff(mapped) >= 0).all()
