"""The ring of features against a list, its neighbours against loops, and that a checkpoint holds all of it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sensorloom.training.terms.queue import FeatureQueue
from tests.training.contrast_by_loops import cosine

WIDTHS = {"imu": 3, "text": 2}
LENGTH = 7


def rows(count: int, seed: int) -> tuple[dict[str, tuple[Tensor, Tensor]], Tensor]:
    rng = torch.Generator().manual_seed(seed)
    features = {
        space: (torch.randn(count, width, generator=rng), torch.rand(count, generator=rng) < 0.7)
        for space, width in WIDTHS.items()
    }
    return features, torch.randint(0, 3, (count,), generator=rng)


def filled(batches: list[int]) -> tuple[FeatureQueue, list[dict[str, tuple[list[float], bool]]], list[int]]:
    """A queue after batches of these sizes, and the examples and takes of a plain ring."""
    queue = FeatureQueue(WIDTHS, LENGTH)
    ring: list[dict[str, tuple[list[float], bool]]] = [{} for _ in range(LENGTH)]
    takes, place = [-1] * LENGTH, 0
    for seed, count in enumerate(batches):
        features, take = rows(count, seed)
        queue.enqueue(features, take)
        for row in range(count):
            ring[place] = {
                space: (vectors[row].tolist(), bool(held[row])) for space, (vectors, held) in features.items()
            }
            takes[place] = int(take[row])
            place = (place + 1) % LENGTH
    return queue, ring, takes


BATCHES = [[], [3], [3, 4], [3, 3, 3], [5, 5, 1], [20], [2, 16, 3], [7], [0, 2]]


@pytest.mark.parametrize("batches", BATCHES, ids=str)
def test_the_ring_holds_the_last_examples_where_a_plain_ring_has_them(batches: list[int]) -> None:
    queue, ring, takes = filled(batches)
    every = torch.arange(LENGTH)
    for place, example in enumerate(ring):
        for space, width in WIDTHS.items():
            vector, held = example.get(space, ([0.0] * width, False))
            assert bool(queue.held(space)[place]) == held
            stored = queue.vectors(space, every)[place]
            if held:
                assert cosine(stored.tolist(), vector) == pytest.approx(1, abs=1e-6)
                assert stored.norm().item() == pytest.approx(1, abs=1e-6)
            else:
                assert not stored.any()
    assert queue.take_K.tolist() == takes
    assert queue.filled().item() == sum(any(held for _, held in example.values()) for example in ring)


@pytest.mark.parametrize("batches", BATCHES, ids=str)
@pytest.mark.parametrize("with_empty", [False, True])
@pytest.mark.parametrize("with_takes", [False, True])
def test_neighbours_equal_the_loop(batches: list[int], with_empty: bool, with_takes: bool) -> None:
    queue, ring, takes = filled(batches)
    query = torch.randn(5, 2, generator=torch.Generator().manual_seed(99))
    own = [0, 1, 2, -1, 0]
    found = queue.nearest(
        "text", query, take_B=torch.tensor(own) if with_takes else None, with_empty=with_empty
    )
    for row in range(5):
        best: tuple[float, int] | None = None
        for place, example in enumerate(ring):
            vector, held = example.get("text", ([0.0, 0.0], False))
            same = with_takes and own[row] >= 0 and own[row] == takes[place]
            if (held or with_empty) and not same:
                near = cosine(query[row].tolist(), vector) if held else 0.0
                if best is None or near > best[0]:
                    best = (near, place)
        assert bool(found[1][row]) == (best is not None)
        if best is not None:
            assert int(found[0][row]) == best[1]


def test_what_is_stored_does_not_lead_back_to_the_encoder() -> None:
    queue = FeatureQueue({"imu": 2}, 3)
    vectors = torch.ones(2, 2, requires_grad=True)
    queue.enqueue({"imu": (vectors, torch.ones(2, dtype=torch.bool))})
    assert not queue.vectors("imu", torch.arange(3)).requires_grad
    assert queue.take_K.tolist() == [-1, -1, -1]


def test_what_missing_rows_hold_is_not_stored() -> None:
    queue = FeatureQueue({"imu": 2}, 3)
    queue.enqueue({"imu": (torch.full((2, 2), torch.nan), torch.tensor([False, False]))})
    assert not queue.vectors("imu", torch.arange(3)).any()
    assert queue.filled() == 0


def test_a_restored_queue_goes_on_as_the_one_that_was_saved() -> None:
    queue, _, _ = filled([3, 3])
    other = FeatureQueue(WIDTHS, LENGTH)
    other.load_state_dict(queue.state_dict())
    for going in (queue, other):
        features, take = rows(4, 50)
        going.enqueue(features, take)
    state = other.state_dict()
    assert set(state) == {"imu_KD", "imu_held_K", "text_KD", "text_held_K", "take_K", "next_place"}
    assert all(torch.equal(tensor, state[name]) for name, tensor in queue.state_dict().items())


def test_a_place_keeps_what_was_read_of_it() -> None:
    queue, _, _ = filled([7])
    before = queue.vectors("imu", torch.arange(LENGTH))
    kept = before.clone()
    features, take = rows(7, 60)
    queue.enqueue(features, take)
    assert torch.equal(before, kept)


def test_under_autocast_cosines_are_float32() -> None:
    """In bfloat16 both places would be equally near, and the first would win."""
    queue, near = FeatureQueue({"imu": 2}, 2), torch.tensor([[1.0, 0.0], [1.0, 0.01]])
    queue.enqueue({"imu": (near, torch.ones(2, dtype=torch.bool))})
    with torch.autocast("cpu", dtype=torch.bfloat16):
        place, _ = queue.nearest("imu", near)
    assert place.tolist() == [0, 1]


def test_what_is_no_queue_is_refused() -> None:
    with pytest.raises(ValueError, match="holds at least 1 example, got 0"):
        FeatureQueue(WIDTHS, 0)
    with pytest.raises(ValueError, match="a queue of imu, text takes features of each, got imu"):
        FeatureQueue(WIDTHS).enqueue({"imu": rows(2, 0)[0]["imu"]})
