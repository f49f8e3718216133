"""The order of examples: a permutation, the same everywhere, shared out among ranks without loss."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorloom.training.order import BatchPlan, epoch_order

sizes = st.integers(0, 300)
PINNED = [8, 4, 1, 6, 3, 2, 7, 5, 9, 0]

seeds = st.integers(0, 2**64 - 1)
epochs = st.integers(0, 1000)


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


def test_a_shuffle_has_no_memory_of_storage_order() -> None:
    """Mean displacement of a uniform permutation is n/3; so is that between the orders of two epochs."""
    size = 20_000
    first, second = epoch_order(size, 0, 0), epoch_order(size, 0, 1)
    assert np.abs(first - np.arange(size)).mean() / size == pytest.approx(1 / 3, abs=0.01)
    assert np.abs(np.argsort(first) - np.argsort(second)).mean() / size == pytest.approx(1 / 3, abs=0.01)
    # Neighbours in the order are no nearer in storage than any two examples: local shuffles fail here.
    assert np.abs(np.diff(first)).mean() / size == pytest.approx(1 / 3, abs=0.01)


@given(sizes, st.sampled_from([1, 2, 4, 8]), st.integers(1, 6), st.booleans())
def test_ranks_share_every_batch_out_and_their_number_changes_nothing(
    size: int, ranks: int, per_rank: int, drop_last: bool
) -> None:
    alone = BatchPlan(size, ranks * per_rank, 1, drop_last)
    shared = BatchPlan(size, ranks * per_rank, ranks, drop_last)
    assert alone.num_batches == shared.num_batches
    examples = np.arange(size)
    for batch in range(alone.num_batches):
        shares = [examples[shared.share(batch, rank)] for rank in range(ranks)]
        assert np.array_equal(np.concatenate(shares), examples[alone.share(batch)])
        lengths = [len(share) for share in shares]
        assert max(lengths) - min(lengths) <= 1


@given(sizes, st.integers(1, 50))
def test_the_last_partial_batch_is_dropped_or_kept(size: int, batch_size: int) -> None:
    dropped, kept = BatchPlan(size, batch_size), BatchPlan(size, batch_size, drop_last=False)
    assert [dropped.share(batch).stop for batch in range(dropped.num_batches)][-1:] == (
        [size // batch_size * batch_size] if size >= batch_size else []
    )
    seen = [index for batch in range(kept.num_batches) for index in range(size)[kept.share(batch)]]
    assert seen == list(range(size))


@pytest.mark.parametrize(("arguments", "message"), [
    ((-1, 0, 0), r"num_examples must lie in \[0, 2\*\*64\), got -1"),
    ((1, 2**64, 0), "seed must lie in"),
    ((1, 0, -3), "epoch must lie in .* got -3"),
])  # fmt: skip
def test_an_order_refuses_what_it_cannot_key(arguments: tuple[int, int, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        epoch_order(*arguments)


@pytest.mark.parametrize(("arguments", "message"), [
    ((5, 0), "batch_size and num_ranks must be at least 1, got 0 and 1"),
    ((5, 6, 4), "multiple of num_ranks, got 6 over 4 ranks"),
])  # fmt: skip
def test_a_plan_refuses_batches_that_do_not_divide(arguments: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BatchPlan(*arguments)


@pytest.mark.parametrize(("batch", "rank", "message"), [
    (2, 0, "batch 2 lies outside the epoch's 2 batches"),
    (0, 2, r"rank 2 lies outside \[0, 2\)"),
])  # fmt: skip
def test_a_plan_refuses_shares_it_does_not_have(batch: int, rank: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BatchPlan(9, 4, 2).share(batch, rank)
