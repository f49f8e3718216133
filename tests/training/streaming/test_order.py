"""The order of examples: a permutation, the same everywhere, shared out among ranks without loss."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sensorloom.training.streaming.order import (
    BatchPlan,
    LastBatch,
    block_order,
    curriculum_order,
    draw,
    epoch_order,
)

sizes = st.integers(0, 300)
PINNED = [8, 4, 1, 6, 3, 2, 7, 5, 9, 0]
BLOCKS_PINNED = [6, 3, 2, 7, 4, 1, 5, 0, 8, 9]

seeds = st.integers(0, 2**64 - 1)
epochs = st.integers(0, 1000)
lasts = st.sampled_from(["drop", "keep", "pad"])
shard_lists = st.lists(st.integers(0, 20), max_size=200).map(
    lambda shards: np.array(sorted(shards), np.int64)
)


@given(sizes, seeds, epochs)
def test_every_epoch_is_a_permutation_and_a_function_of_its_arguments(
    size: int, seed: int, epoch: int
) -> None:
    order = epoch_order(size, seed, epoch)
    assert order.dtype == np.int64
    assert sorted(order.tolist()) == list(range(size))
    assert np.array_equal(order, epoch_order(size, seed, epoch))


def test_the_order_is_the_one_that_every_numpy_gives() -> None:
    """Pinned: a saved position is worthless if another machine shuffles differently."""
    assert epoch_order(10, 7, 0).tolist() == PINNED
    assert epoch_order(10, 7, 1).tolist() != PINNED
    assert epoch_order(10, 8, 0).tolist() != PINNED


def test_examples_with_equal_keys_stand_as_they_are_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two equal keys come by once in many years: a generator of few different words stands in."""
    words = np.random.default_rng(0).integers(0, 3, 1000, np.uint64)
    monkeypatch.setattr(
        np.random, "Philox", lambda key: SimpleNamespace(random_raw=lambda size: words[:size])
    )
    assert epoch_order(1000, 7, 0).tolist() == sorted(range(1000), key=words.tolist().__getitem__)


def test_a_shuffle_has_no_memory_of_storage_order() -> None:
    """Mean displacement of a uniform permutation is n/3; so is that between the orders of two epochs."""
    size = 20_000
    first, second = epoch_order(size, 0, 0), epoch_order(size, 0, 1)
    assert np.abs(first - np.arange(size)).mean() / size == pytest.approx(1 / 3, abs=0.01)
    assert np.abs(np.argsort(first) - np.argsort(second)).mean() / size == pytest.approx(1 / 3, abs=0.01)
    # Neighbours in the order are no nearer in storage than any two examples: local shuffles fail here.
    assert np.abs(np.diff(first)).mean() / size == pytest.approx(1 / 3, abs=0.01)


@given(shard_lists, seeds, epochs, st.integers(1, 25))
def test_a_block_is_finished_before_the_next_begins(
    shard: NDArray[np.int64], seed: int, epoch: int, block_shards: int
) -> None:
    order = block_order(shard, seed, epoch, block_shards)
    assert order.dtype == np.int64
    assert sorted(order.tolist()) == list(range(len(shard)))
    assert np.array_equal(order, block_order(shard, seed, epoch, block_shards))
    left = sorted(set(shard.tolist()))
    read = shard[order].tolist()
    while left:
        block: set[int] = set()
        while len(block) < min(block_shards, len(left)):
            block.add(next(name for name in read if name not in block))
        whole = [name for name in read if name in block]
        assert set(read[: len(whole)]) == block
        read = read[len(whole) :]
        left = [name for name in left if name not in block]


@given(shard_lists, seeds, epochs, st.integers(1, 25))
def test_examples_of_a_block_stand_as_in_the_global_order(
    shard: NDArray[np.int64], seed: int, epoch: int, block_shards: int
) -> None:
    order, whole = block_order(shard, seed, epoch, block_shards), epoch_order(len(shard), seed, epoch)
    assert np.array_equal(block_order(shard, seed, epoch, 21), whole)
    for name in set(shard.tolist()):
        assert np.array_equal(order[shard[order] == name], whole[shard[whole] == name])


def test_the_block_order_is_pinned_and_changes_with_seed_and_epoch() -> None:
    shard = np.repeat(np.arange(5), 2)
    assert block_order(shard, 7, 0, 2).tolist() == BLOCKS_PINNED
    firsts = {tuple(shard[block_order(shard, 7, epoch, 1)]) for epoch in range(40)}
    assert len(firsts) > 30  # of 120 orders of five shards
    assert block_order(shard, 8, 0, 2).tolist() != BLOCKS_PINNED


def test_every_shard_is_equally_often_in_the_first_block() -> None:
    shard = np.repeat(np.arange(8), 3)
    counts = np.zeros(8)
    for epoch in range(800):
        counts[np.unique(shard[block_order(shard, 3, epoch, 2)[:6]])] += 1
    assert counts.sum() == 1600
    # Expected 200 each, standard deviation 12.2.
    assert np.all(np.abs(counts - 200) < 4 * 12.3)


@given(
    st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0, -3.0, np.inf]), max_size=100),
    seeds,
    st.integers(0, 12),
    st.integers(0, 12),
)
def test_a_curriculum_has_every_example_once_and_follows_its_formula(
    qualities: list[float], seed: int, epoch: int, length: int
) -> None:
    quality = np.array(qualities)
    order = curriculum_order(quality, seed, epoch, length)
    shuffled = epoch_order(len(quality), seed, epoch).tolist()
    by_quality = sorted(shuffled, key=lambda example: -quality[example])
    expected = sorted(
        shuffled,
        key=lambda example: (
            (length - epoch) * by_quality.index(example) + epoch * shuffled.index(example)
            if epoch < length
            else 0
        ),
    )
    assert order.dtype == np.int64
    assert order.tolist() == expected


def test_a_curriculum_begins_with_the_best_and_ends_with_a_shuffle() -> None:
    quality = np.linspace(-1, 1, 1000)[epoch_order(1000, 9, 0)]
    assert np.all(np.diff(quality[curriculum_order(quality, 1, 0, 4)]) < 0)
    assert np.array_equal(curriculum_order(quality, 1, 4, 4), epoch_order(1000, 1, 4))
    assert np.array_equal(curriculum_order(quality, 1, 0, 0), epoch_order(1000, 1, 0))
    falls = [
        -np.corrcoef(quality[curriculum_order(quality, 1, epoch, 4)], np.arange(1000))[0, 1]
        for epoch in range(5)
    ]
    assert falls == sorted(falls, reverse=True)
    assert falls[0] > 0.99
    assert abs(falls[4]) < 0.1


def split_mix(seed: int, number: int) -> int:
    """Output `number` of SplitMix64, as the paper's code writes it."""
    mask = 2**64 - 1
    word = (seed + (number + 1) * 0x9E3779B97F4A7C15) & mask
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & mask
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & mask
    return word ^ (word >> 31)


def test_the_reference_gives_the_published_outputs_of_split_mix() -> None:
    assert split_mix(0, 0) == 0xE220A8397B1DCDAF
    assert [split_mix(1234567, number) for number in range(3)] == [
        6457827717110365317, 3203168211198807973, 9817491932198370423,
    ]  # fmt: skip


@given(seeds, seeds, st.lists(st.integers(0, 2**63 - 1), max_size=20), seeds)
def test_a_draw_is_what_its_definition_says(
    seed: int, epoch: int, positions: list[int], purpose: int
) -> None:
    state = 0
    for value in (seed, epoch, purpose):
        state = split_mix(state ^ value, 0)
    words = draw(seed, epoch, np.array(positions, np.int64), purpose)
    assert words.dtype == np.uint64
    assert words.tolist() == [split_mix(state, position) for position in positions]


def test_draws_are_pinned() -> None:
    assert draw(1, 2, np.arange(3), 3).tolist() == [
        1321962074176129191, 15925659190040627001, 6588988029983277238,
    ]  # fmt: skip
    assert draw(2**64 - 1, 0, np.array([2**40]), 0).tolist() == [11970212677249755781]


@given(seeds, epochs, st.integers(0, 5), st.integers(0, 5))
def test_a_draw_does_not_depend_on_the_batch_that_asks(seed: int, epoch: int, cut: int, purpose: int) -> None:
    positions = np.arange(5)
    before = positions.copy()
    parts = [draw(seed, epoch, part, purpose) for part in (positions[:cut], positions[cut:])]
    assert np.array_equal(np.concatenate(parts), draw(seed, epoch, positions, purpose))
    assert np.array_equal(positions, before)


@pytest.mark.parametrize("shift", [0, 56], ids=["low byte", "high byte"])
@pytest.mark.parametrize("varied", ["seed", "epoch", "position", "purpose"])
def test_draws_are_uniform_along_every_number(varied: str, shift: int) -> None:
    """Chi-square over 256 bins: mean 255, standard deviation 22.6; five of them each way."""
    count = 12_800
    if varied == "position":
        words = draw(5, 6, np.arange(count), 7)
    else:
        fixed: dict[str, Any] = {"seed": 5, "epoch": 6, "purpose": 7, "position": np.array([8])}
        words = np.concatenate([draw(**(fixed | {varied: value})) for value in range(count)])
    seen = np.bincount(((words >> np.uint64(shift)) & np.uint64(255)).astype(np.int64), minlength=256)
    expected = count / 256
    assert abs(((seen - expected) ** 2 / expected).sum() - 255) < 5 * 22.6
    assert len(np.unique(words)) == count


def test_draws_for_different_purposes_and_epochs_are_unrelated() -> None:
    position = np.arange(20_000)
    first = draw(1, 0, position, 0) / 2.0**64
    for other in (draw(1, 0, position, 1), draw(1, 1, position, 0), draw(2, 0, position, 0)):
        assert abs(np.corrcoef(first, other / 2.0**64)[0, 1]) < 4 / np.sqrt(20_000)


@given(sizes, st.sampled_from([1, 2, 4, 8]), st.integers(1, 6), lasts)
def test_ranks_share_every_batch_out_and_their_number_changes_nothing(
    size: int, ranks: int, per_rank: int, last: LastBatch
) -> None:
    alone = BatchPlan(size, ranks * per_rank, 1, last)
    shared = BatchPlan(size, ranks * per_rank, ranks, last)
    assert alone.num_batches == shared.num_batches
    positions = np.arange(size + ranks * per_rank)
    for batch in range(alone.num_batches):
        shares = [positions[shared.share(batch, rank)] for rank in range(ranks)]
        assert np.array_equal(np.concatenate(shares), positions[alone.share(batch)])
        lengths = {len(share) for share in shares}
        full = last != "keep" or batch < size // (ranks * per_rank)
        assert lengths == {per_rank} if full else max(lengths) - min(lengths) <= 1


@given(sizes, st.integers(1, 50))
def test_the_last_partial_batch_is_dropped_kept_or_padded(size: int, batch_size: int) -> None:
    def positions(last: LastBatch) -> list[int]:
        plan = BatchPlan(size, batch_size, last=last)
        shares = [plan.share(batch) for batch in range(plan.num_batches)]
        return [position for share in shares for position in range(share.start, share.stop)]

    assert positions("drop") == list(range(size // batch_size * batch_size))
    assert positions("keep") == list(range(size))
    assert positions("pad") == list(range(-(-size // batch_size) * batch_size))
    assert BatchPlan(size, batch_size) == BatchPlan(size, batch_size, last="drop")


@pytest.mark.parametrize(("arguments", "message"), [
    ((-1, 0, 0), "num_examples must lie in [0, 2**64), got -1"),
    ((1, 2**64, 0), "seed must lie in [0, 2**64), got 18446744073709551616"),
    ((1, 0, -3), "epoch must lie in [0, 2**64), got -3"),
])  # fmt: skip
def test_an_order_refuses_what_it_cannot_key(arguments: tuple[int, int, int], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        epoch_order(*arguments)


def test_a_block_order_refuses_blocks_of_no_shards() -> None:
    with pytest.raises(ValueError, match="block_shards must be at least 1, got 0"):
        block_order(np.arange(3), 0, 0, 0)


@pytest.mark.parametrize("length", [-1, 2**31])
def test_a_curriculum_refuses_lengths_that_its_arithmetic_cannot_hold(length: int) -> None:
    with pytest.raises(ValueError, match=rf"must lie in \[0, 2\*\*31\), got {length}$"):
        curriculum_order(np.ones(3), 0, 0, length)


def test_a_curriculum_refuses_examples_without_a_quality() -> None:
    message = r"2 of 4 examples have no quality \(NaN\), the first is example 1; a curriculum ranks every"
    with pytest.raises(ValueError, match=message):
        curriculum_order(np.array([1.0, np.nan, 2.0, np.nan]), 0, 0, 3)


@pytest.mark.parametrize(("arguments", "message"), [
    ((-1, 0, 0, 0), "seed must lie in [0, 2**64), got -1"),
    ((0, 2**64, 0, 0), "epoch must lie in [0, 2**64), got 18446744073709551616"),
    ((0, 0, 0, -2), "purpose must lie in [0, 2**64), got -2"),
    ((0, 0, -7, 0), "positions to draw for start at 0, got -7"),
])  # fmt: skip
def test_a_draw_refuses_negative_numbers(arguments: tuple[int, int, int, int], message: str) -> None:
    seed, epoch, position, purpose = arguments
    with pytest.raises(ValueError, match=re.escape(message)):
        draw(seed, epoch, np.array([4, position]), purpose)


@pytest.mark.parametrize(("arguments", "message"), [
    ((-1, 4), "num_examples must not be negative, got -1"),
    ((5, 0), "batch_size and num_ranks must be at least 1, got 0 and 1"),
    ((5, 6, 4), "multiple of num_ranks, got 6 over 4 ranks"),
    ((5, 6, 2, "wrap"), "last must be one of drop, keep, pad, got 'wrap'"),
])  # fmt: skip
def test_a_plan_refuses_batches_that_do_not_divide(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BatchPlan(*arguments)


@pytest.mark.parametrize(("batch", "rank", "message"), [
    (2, 0, "batch 2 lies outside the epoch's 2 batches"),
    (0, 2, r"rank 2 lies outside \[0, 2\)"),
])  # fmt: skip
def test_a_plan_refuses_shares_it_does_not_have(batch: int, rank: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BatchPlan(9, 4, 2).share(batch, rank)
