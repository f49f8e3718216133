"""How well an order mixes: by displacement, and by how many shards and takes a batch draws on."""

from __future__ import annotations

import math
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sensorloom.training.streaming.order import block_order, epoch_order
from sensorloom.training.streaming.shuffle_quality import ShuffleQuality, mixing, rate_shuffle

SHARDS, PER_SHARD, PER_TAKE = 64, 400, 50
SHARD = np.repeat(np.arange(SHARDS), PER_SHARD)
TAKE = np.arange(len(SHARD)) // PER_TAKE


def entropy(groups: list[int]) -> float:
    shares = [groups.count(group) / len(groups) for group in set(groups)]
    return -sum(share * math.log(share) for share in shares)


def total_entropy(order: list[int], group: list[int], batch_size: int) -> float:
    batches = [order[begin : begin + batch_size] for begin in range(0, len(order), batch_size)]
    return sum(entropy([group[example] for example in batch]) for batch in batches)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=6), st.integers(1, 7))
def test_one_is_the_mean_over_all_permutations(group: list[int], batch_size: int) -> None:
    every = [list(order) for order in permutations(range(len(group)))]
    by_chance = sum(total_entropy(order, group, batch_size) for order in every) / len(every)
    for order in every[:: max(1, len(every) // 5)]:
        found = mixing(np.array(order), np.array(group), batch_size)
        expected = total_entropy(order, group, batch_size) / by_chance if by_chance else 1.0
        assert found == pytest.approx(expected, abs=1e-9)


def test_displacement_cannot_tell_a_block_shuffle_from_a_full_one_but_mixing_can() -> None:
    full = rate_shuffle(epoch_order(len(SHARD), 1, 0), SHARD, TAKE, 256)
    assert full.shard_mixing == pytest.approx(1, abs=0.002)
    assert full.take_mixing == pytest.approx(1, abs=0.002)
    blocks = {size: rate_shuffle(block_order(SHARD, 1, 0, size), SHARD, TAKE, 256) for size in (1, 4, 8, 16)}
    for quality in (full, *blocks.values()):
        assert quality.displacement == pytest.approx(1 / 3, abs=0.05)
    mixed = [quality.shard_mixing for quality in blocks.values()]
    assert mixed == sorted(mixed)
    # A batch lies in one block, or at a border in two.
    assert mixed[2] == pytest.approx(math.log(8) / math.log(64), abs=0.05)
    assert mixed[3] < 0.75
    assert all(quality.take_mixing < 0.95 for quality in blocks.values())


def test_storage_order_does_not_mix() -> None:
    quality = rate_shuffle(np.arange(len(SHARD)), SHARD, TAKE, 50)
    assert quality == ShuffleQuality(0.0, 0.0, 0.0)


def test_shuffling_takes_as_wholes_mixes_shards_but_not_takes() -> None:
    order = np.argsort(epoch_order(len(SHARD) // PER_TAKE, 0, 0)[TAKE], kind="stable")
    quality = rate_shuffle(order, SHARD, TAKE, 400)
    assert quality.shard_mixing > 0.45
    assert quality.take_mixing == pytest.approx(math.log(8) / math.log(400), abs=0.05)


@pytest.mark.parametrize("group", [np.zeros(9, np.int64), np.full(9, 7)])
def test_one_group_is_as_mixed_as_can_be(group: NDArray[np.int64]) -> None:
    assert mixing(np.arange(9), group, 4) == 1.0
    assert mixing(np.arange(9), np.arange(9), 1) == 1.0


def test_an_order_of_nothing_has_no_quality() -> None:
    with pytest.raises(ValueError, match="an order of no examples has no quality"):
        rate_shuffle(np.arange(0), np.arange(0), np.arange(0), 3)
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        mixing(np.arange(3), np.arange(3), 0)
