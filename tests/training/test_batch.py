from __future__ import annotations

import pytest
import torch

from sensorloom.training.batch import Batch


def batch() -> Batch:
    return Batch(
        index_B=torch.arange(4), label_B=torch.zeros(4, dtype=torch.int64), imu_BSCT=torch.zeros(4, 1, 6, 9)
    )


def test_a_batch_shows_shapes_and_not_numbers() -> None:
    assert repr(batch()) == "Batch(index_B: int64[4], label_B: int64[4], imu_BSCT: float32[4, 1, 6, 9])"
    assert len(batch()) == 4


def test_moving_a_batch_keeps_what_is_there_and_what_is_not() -> None:
    moved = batch().to("meta")
    assert moved.imu_BSCT is not None
    assert moved.imu_BSCT.device.type == "meta"
    assert moved.imu_valid_BSKT is None


def test_pinning_gives_pinned_memory_or_the_same_batch() -> None:
    plain = batch()
    pinned = plain.pin()
    assert pinned.index_B.is_pinned() if torch.cuda.is_available() else pinned is plain


def test_columns_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match=r"equally many rows, got \{'index_B': 4, 'label_B': 3\}"):
        Batch(index_B=torch.arange(4), label_B=torch.arange(3))
