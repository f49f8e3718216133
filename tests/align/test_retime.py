from __future__ import annotations

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from sensorloom.align.retime import STALL_NS, retime

MS = 1_000_000


def stalled(true_ms: np.ndarray, stalls: list[tuple[int, float]]) -> np.ndarray:
    """Stamps of a queue that stops at some samples for a while, then hands over what waited, 1 ms apart."""
    stamps = true_ms.copy()
    for first, length in stalls:
        free = stamps[first] + length
        for i in range(first, len(stamps)):
            if stamps[i] >= free:
                break
            stamps[i] = free
            free += 1
    return (stamps * MS).astype(np.int64)


def test_regular_stamps_are_returned_as_they_are():
    times = np.arange(1000) * 10 * MS
    result = retime(times)
    assert result.times_ns is times
    assert not result.retimed.any()
    assert result.stalls == ()


def test_mild_jitter_is_left_alone():
    times = np.cumsum(np.random.default_rng(0).integers(938_000, 1_062_000, 5000))
    result = retime(times)
    assert np.array_equal(result.times_ns, times)
    assert not result.retimed.any()


def test_a_stall_and_its_burst_are_spread_back_to_the_truth():
    true = np.arange(500) * 20.0
    result = retime(stalled(true, [(200, 947.0)]))
    assert len(result.stalls) == 1
    stall = result.stalls[0]
    assert stall.explained
    assert stall.gap_ns == 967 * MS
    assert 46 <= stall.num_samples <= 50
    assert np.abs(result.times_ns / MS - true).max() < 20
    assert np.diff(result.times_ns).min() > 15 * MS
    assert np.flatnonzero(result.retimed)[0] == 200


def test_a_gap_without_a_burst_stays_a_gap():
    times = np.concatenate((np.arange(100), 200 + np.arange(100))) * 20 * MS
    result = retime(times)
    assert np.array_equal(result.times_ns, times)
    assert result.stalls == ()


def test_a_burst_too_short_for_its_gap_fills_only_its_end():
    lost = np.delete(np.arange(300) * 20.0, slice(100, 140))
    result = retime(stalled(lost, [(100, 400.0)]))
    intervals = np.diff(result.times_ns)
    assert (intervals > STALL_NS).sum() == 1
    assert intervals.max() > 700 * MS
    assert np.sort(intervals)[:-1].max() <= 21 * MS
    assert [stall.explained for stall in result.stalls] == [False]


def test_shorter_stalls_are_spread_but_not_listed():
    true = np.arange(500) * 20.0
    result = retime(stalled(true, [(100, 45.0), (300, 70.0)]))
    assert result.stalls == ()
    assert result.retimed.any()
    assert np.diff(result.times_ns).min() > 10 * MS


def test_a_few_early_stamps_move_between_their_neighbours():
    times = np.arange(100) * 20 * MS
    wrong = times.copy()
    wrong[50:53] -= 500 * MS
    result = retime(wrong)
    assert np.abs(result.times_ns - times).max() <= 1
    assert np.flatnonzero(result.retimed).tolist() == [50, 51, 52]
    assert not result.lost.any()


def test_one_far_late_stamp_moves_and_the_rest_stays():
    times = np.arange(100) * 20 * MS
    wrong = times.copy()
    wrong[50] += 800 * MS
    result = retime(wrong)
    assert np.flatnonzero(result.retimed).tolist() == [50]
    assert abs(int(result.times_ns[50]) - int(times[50])) <= MS


def test_a_clock_set_back_loses_what_cannot_be_placed():
    times = np.arange(300) * 20 * MS
    times[100:] -= 1000 * MS
    result = retime(times)
    assert 45 <= result.lost.sum() <= 52
    kept = ~result.lost
    assert np.abs(result.times_ns[kept] - times[kept]).max() <= 20 * MS
    assert (np.diff(result.times_ns) > 0).all()


def test_a_clock_set_back_at_the_very_end_loses_the_end():
    times = np.arange(100) * 20 * MS
    times[80:] -= 1500 * MS
    result = retime(times)
    assert (np.diff(result.times_ns) > 0).all()


def test_duplicates_are_parted():
    times = np.repeat(np.arange(100) * 40 * MS, 2)
    times[1::2] += 20 * MS
    times[51] = times[50]
    result = retime(times)
    assert (np.diff(result.times_ns) >= 10 * MS).all()


def test_stamps_that_never_advance_are_all_lost_but_one():
    result = retime(np.full(10, 7, np.int64))
    assert result.lost.sum() == 9
    assert (np.diff(result.times_ns) > 0).all()


def test_a_device_that_delivers_in_batches_is_believed_at_its_claimed_rate():
    times = (np.repeat(np.arange(50) * 200, 10) + np.tile(np.arange(10), 50)) * MS
    result = retime(times, 50.0)
    assert (np.diff(result.times_ns) > 15 * MS).all()


def test_tiny_inputs_pass():
    for count in (0, 1, 2):
        times = np.arange(count) * MS
        assert np.array_equal(retime(times).times_ns, times)


@given(
    stalls=st.lists(st.tuples(st.integers(5, 380), st.floats(25, 1500)), max_size=6),
    period=st.sampled_from([5.0, 10.0, 20.0]),
)
def test_spreading_keeps_order_and_is_idempotent(stalls, period):
    stamps = stalled(np.arange(400) * period, sorted(stalls))
    # Where bursts make up half of all intervals their median is not the device's, and lateness is told less sharply.
    assume(np.median(np.diff(stamps)) == period * MS)
    once = retime(stamps)
    assert (np.diff(once.times_ns) > 0).all()
    assert once.times_ns[-1] == stamps[-1]
    unmoved = ~once.retimed
    assert np.array_equal(once.times_ns[unmoved], stamps[unmoved])
    twice = retime(once.times_ns)
    assert np.array_equal(twice.times_ns, once.times_ns)


@given(st.lists(st.integers(-50, 200), min_size=1, max_size=120))
def test_any_stamps_become_strictly_increasing(steps):
    times = np.cumsum(np.array(steps, np.int64)) * MS
    assert (np.diff(retime(times).times_ns) > 0).all()


def test_the_real_stalls_are_all_found_and_explained(phone):
    found = {}
    for kind, (times, _) in phone.items():
        result = retime(times, 50.0)
        intervals = np.diff(result.times_ns)
        assert len(result.stalls) == (np.diff(times) > STALL_NS).sum()
        assert all(stall.explained for stall in result.stalls)
        assert (np.diff(times) == MS).mean() > 0.07
        assert intervals.min() >= 10 * MS
        assert intervals.max() < STALL_NS
        assert np.array_equal(retime(result.times_ns, 50.0).times_ns, result.times_ns)
        found[kind] = len(result.stalls)
    assert found["accelerometer"] == 48
