"""Close windows of one take are kept out of one batch, and what cannot be kept apart is counted."""

from __future__ import annotations

import re
from itertools import combinations, pairwise
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sensorloom.training.rules import BatchRules
from sensorloom.training.streaming.order import epoch_order
from sensorloom.training.streaming.ordering import Ordering
from sensorloom.training.streaming.rows import SplitRows
from sensorloom.training.streaming.spacing import defer_close

# (take, start in ns) of each example; few takes and starts, so that many are close.
windows = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 60)), max_size=80)
seeds = st.integers(0, 100)
batch_sizes = st.integers(1, 12)
gaps = st.sampled_from([0, 1, 2, 5, 20, 2**62 - 1])


def close_pairs(
    order: list[int], take: NDArray[np.int64], start_ns: NDArray[np.int64], batch_size: int, gap_ns: int
) -> int:
    """Count close pairs of every batch, one by one."""
    batches = [order[begin : begin + batch_size] for begin in range(0, len(order), batch_size)]
    return sum(
        bool(take[one] == take[two] and abs(int(start_ns[one]) - int(start_ns[two])) < gap_ns)
        for batch in batches
        for one, two in combinations(batch, 2)
    )


def columns(windows: list[tuple[int, int]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    table = np.array(windows, np.int64).reshape(-1, 2)
    return table[:, 0].copy(), table[:, 1].copy()


def rows(num_takes: int, per_take: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Takes of windows that begin every 5 s, in ns since 1970."""
    return np.repeat(np.arange(num_takes), per_take), np.tile(
        10**18 + np.arange(per_take) * 5 * 10**9, num_takes
    )


@given(windows, seeds, batch_sizes, gaps)
def test_the_outcome_is_a_permutation_and_the_pairs_that_are_left_are_counted(
    windows: list[tuple[int, int]], seed: int, batch_size: int, gap: int
) -> None:
    take, start_ns = columns(windows)
    order = epoch_order(len(windows), seed, 0)
    before = order.copy()
    apart, pairs = defer_close(order, take, start_ns, batch_size, gap)
    assert apart.dtype == np.int64
    assert sorted(apart.tolist()) == list(range(len(windows)))
    assert pairs == close_pairs(apart.tolist(), take, start_ns, batch_size, gap)
    assert pairs <= close_pairs(order.tolist(), take, start_ns, batch_size, gap)
    assert np.array_equal(order, before)
    assert np.array_equal(apart, defer_close(order, take, start_ns, batch_size, gap)[0])


@given(windows, seeds, batch_sizes, gaps)
def test_nothing_moves_when_nothing_conflicts(
    windows: list[tuple[int, int]], seed: int, batch_size: int, gap: int
) -> None:
    take, start_ns = columns(windows)
    order = epoch_order(len(windows), seed, 0)
    apart, pairs = defer_close(order, take, start_ns, batch_size, gap)
    if close_pairs(order.tolist(), take, start_ns, batch_size, gap) == 0:
        assert np.array_equal(apart, order)
    if pairs == 0:
        assert np.array_equal(defer_close(apart, take, start_ns, batch_size, gap)[0], apart)


@given(windows, seeds)
def test_one_batch_of_everything_has_nobody_to_trade_with(windows: list[tuple[int, int]], seed: int) -> None:
    take, start_ns = columns(windows)
    order = epoch_order(len(windows), seed, 0)
    apart, pairs = defer_close(order, take, start_ns, max(1, len(windows)), 20)
    assert np.array_equal(apart, order)
    assert pairs == close_pairs(order.tolist(), take, start_ns, max(1, len(windows)), 20)


@pytest.mark.parametrize(("num_takes", "per_take", "batch_size", "gap_s"), [
    (10, 700, 512, 10), (10, 700, 128, 60), (40, 100, 20, 10**6), (3, 1000, 64, 30), (300, 7, 50, 35),
])  # fmt: skip
def test_what_can_be_kept_apart_is(num_takes: int, per_take: int, batch_size: int, gap_s: int) -> None:
    take, start_ns = rows(num_takes, per_take)
    order = epoch_order(len(take), 4, 0)
    assert close_pairs(order.tolist(), take, start_ns, batch_size, gap_s * 10**9) > 50
    apart, pairs = defer_close(order, take, start_ns, batch_size, gap_s * 10**9)
    assert pairs == 0
    assert close_pairs(apart.tolist(), take, start_ns, batch_size, gap_s * 10**9) == 0


def test_starts_exactly_the_gap_apart_may_stand_together() -> None:
    take, start_ns = rows(1, 2)
    assert defer_close(np.arange(2), take, start_ns, 2, 5 * 10**9)[1] == 0
    assert defer_close(np.arange(2), take, start_ns, 2, 5 * 10**9 + 1)[1] == 1


def test_takes_do_not_know_each_other() -> None:
    assert defer_close(np.arange(2), np.array([0, 1]), np.array([7, 7]), 2, 100)[1] == 0
    far = np.array([2**53, 2**53 + 1])  # floats could not tell them apart
    assert defer_close(np.arange(2), far, np.array([7, 7]), 2, 100)[1] == 0


def test_the_later_of_two_trades_places_with_one_of_the_next_batch() -> None:
    """0 and 1 are close; the last batch gives its window at the same offset, all others stay."""
    take, start_ns = np.array([0, 0, 1, 2, 3, 4]), np.array([0, 1, 0, 0, 0, 0])
    apart, pairs = defer_close(np.array([2, 3, 0, 1, 4, 5]), take, start_ns, 2, 10)
    assert apart.tolist() == [2, 3, 0, 5, 4, 1]
    assert pairs == 0


def test_after_the_last_batch_comes_the_first() -> None:
    take, start_ns = np.array([0, 0, 1, 2]), np.array([0, 1, 0, 0])
    apart, pairs = defer_close(np.array([2, 3, 0, 1]), take, start_ns, 2, 10)
    assert apart.tolist() == [2, 1, 0, 3]
    assert pairs == 0


def test_a_window_may_go_where_another_begins_exactly_the_gap_earlier() -> None:
    take, start_ns = np.array([0, 0, 0, 1]), np.array([100, 101, 91, 0])
    apart, pairs = defer_close(np.arange(4), take, start_ns, 2, 10)
    assert apart.tolist() == [0, 3, 2, 1]
    assert pairs == 0


def test_an_order_of_some_examples_stays_one_of_these() -> None:
    take, start_ns = rows(4, 20)
    order = np.arange(79, 0, -2)
    apart, pairs = defer_close(order, take, start_ns, 4, 11 * 10**9)
    assert sorted(apart.tolist()) == sorted(order.tolist())
    assert pairs == close_pairs(apart.tolist(), take, start_ns, 4, 11 * 10**9) == 0


def test_what_cannot_be_kept_apart_stays_and_is_counted() -> None:
    take, start_ns = rows(1, 4000)
    order = epoch_order(4000, 0, 0)
    apart, pairs = defer_close(order, take, start_ns, 100, 10**15)
    assert np.array_equal(apart, order)
    assert pairs == 40 * 100 * 99 // 2


@pytest.mark.parametrize("batch_size", [20, 200])
def test_the_hardest_orders_end_after_a_bounded_number_of_look_ups(
    batch_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Takes so dense that most windows ask for a partner to the end; counted are all binary searches of arrays."""
    take, start_ns = rows(10, 200)
    order = epoch_order(len(take), 0, 0)
    searched, search = [0], np.searchsorted

    def counting(among: Any, values: Any, *options: Any, **named: Any) -> Any:
        searched[0] += np.size(values)
        return search(among, values, *options, **named)

    monkeypatch.setattr(np, "searchsorted", counting)
    monkeypatch.setattr("sensorloom.training.streaming.spacing._SPARE_LOOK_UPS", 0)
    apart, left = defer_close(order, take, start_ns, batch_size, 10**15)
    assert (
        12 * len(take) < searched[0] < 24 * len(take)
    )  # 16 to ask, 4 to sort and to count, the rest for trades
    assert 0 < left == close_pairs(apart.tolist(), take, start_ns, batch_size, 10**15)
    assert left <= close_pairs(order.tolist(), take, start_ns, batch_size, 10**15)


@given(windows, seeds, batch_sizes, gaps, st.lists(st.integers(1, 40), min_size=1, max_size=6))
def test_no_window_leaves_its_run_of_places(
    windows: list[tuple[int, int]], seed: int, batch_size: int, gap: int, lengths: list[int]
) -> None:
    """Runs that begin and end anywhere in a batch, whatever their numbers are."""
    take, start_ns = columns(windows)
    order = epoch_order(len(windows), seed, 0)
    group = np.repeat(np.arange(len(lengths)) % 3, lengths)
    group = np.pad(group, (0, max(0, len(order) - len(group))), constant_values=7)[: len(order)]
    apart, pairs = defer_close(order, take, start_ns, batch_size, gap, group=group)
    edges = [0, *(np.flatnonzero(np.diff(group)) + 1).tolist(), len(order)]
    for begin, end in pairwise(edges):
        assert sorted(apart[begin:end].tolist()) == sorted(order[begin:end].tolist())
    assert pairs == close_pairs(apart.tolist(), take, start_ns, batch_size, gap)
    assert pairs <= close_pairs(order.tolist(), take, start_ns, batch_size, gap)


def test_windows_are_spaced_within_runs_where_those_have_room() -> None:
    """40 takes of 100 windows in runs of 1000 places, whose ends lie inside batches of 32."""
    take, start_ns = rows(40, 100)
    order = np.concatenate([1000 * block + epoch_order(1000, 4, block) for block in range(4)])
    gap_ns = 20 * 10**9
    assert close_pairs(order.tolist(), take, start_ns, 32, gap_ns) > 100
    apart, pairs = defer_close(order, take, start_ns, 32, gap_ns, group=np.arange(4000) // 1000)
    assert pairs == close_pairs(apart.tolist(), take, start_ns, 32, gap_ns) == 0
    assert np.array_equal(apart // 1000, order // 1000)


@pytest.mark.parametrize(("batch_size", "gap_ns", "message"), [
    (0, 1, "batch_size must be at least 1, got 0"),
    (4, -1, "min_gap_ns must lie in [0, 2**62), got -1"),
    (4, 2**62, "min_gap_ns must lie in [0, 2**62), got 4611686018427387904"),
])  # fmt: skip
def test_batches_and_gaps_that_cannot_be_are_refused(batch_size: int, gap_ns: int, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        defer_close(np.arange(2), np.zeros(2, np.int64), np.zeros(2, np.int64), batch_size, gap_ns)


@pytest.mark.parametrize("shuffle", ["block", "none"])
def test_spacing_leaves_every_window_in_its_block_of_shards(shuffle: Literal["block", "none"]) -> None:
    """So that a bounded cache holds no more of them at once; takes that go on over shards would mix blocks."""
    shard = np.repeat(np.arange(11), [40, 10, 0, 60, 30, 40, 50, 20, 70, 35, 45])
    take, start_ns = rows(4, 100)
    table = {"take_id": pa.array([f"take {number}" for number in take]), "start_ns": pa.array(start_ns)}

    def ordering(min_gap_s: float) -> Ordering:
        rules = BatchRules(min_gap_s=min_gap_s, block_shards=3)
        split = SplitRows(shard, np.arange(400), None)
        options: Any = {"seed": 3, "shuffle": shuffle, "rules": rules, "batch_size": 16}
        return Ordering(split, lambda *_: table, **options)

    for epoch in range(3):
        plain, (spaced, left) = ordering(0.0)(epoch)[0], ordering(15.0)(epoch)
        assert left == close_pairs(spaced.tolist(), take, start_ns, 16, 15 * 10**9)
        assert left < close_pairs(plain.tolist(), take, start_ns, 16, 15 * 10**9) / 2
        shards = dict.fromkeys(shard[plain].tolist())  # in the order of their first windows
        block = {number: turn // 3 for turn, number in enumerate(shards)}
        before, after = ([block[number] for number in shard[some].tolist()] for some in (plain, spaced))
        assert before == after == sorted(before)
