"""Which vector of an example is its text or video: a slot, the mean of those there, one of them at random."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sensorloom.training.batch import Batch
from sensorloom.training.terms.modalities import Source, columns_of, frozen_rows, imu_rows, is_in, mocap_rows
from tests.training.contrast_batches import a_batch


def videos(present: list[list[bool]]) -> Batch:
    """Slot v of every example is the unit vector v."""
    mask = torch.tensor(present)
    rows = (
        torch.eye(mask.shape[1], dtype=torch.float16).expand(*mask.shape, -1).masked_fill(~mask[..., None], 0)
    )
    count = len(present)
    return Batch(
        index_B=torch.arange(count), seed_B=torch.arange(count), video_BVD=rows, video_present_BV=mask
    )


PRESENT = [[True, True, False], [False, False, True], [False, False, False], [True, True, True]]


def test_a_slot_is_the_vector_of_its_number() -> None:
    rows, there = frozen_rows(videos(PRESENT), Source("video", 1))
    assert rows.dtype == torch.float32
    assert there.tolist() == [True, False, False, True]
    assert torch.equal(rows, torch.eye(3)[1].expand(4, 3) * there[:, None])


def test_the_mean_is_a_unit_vector_of_those_that_are_there() -> None:
    rows, there = frozen_rows(videos(PRESENT), Source("video", "mean"))
    assert there.tolist() == [True, True, False, True]
    half, third = 2**-0.5, 3**-0.5
    expected = torch.tensor([[half, half, 0], [0, 0, 1], [0, 0, 0], [third, third, third]])
    assert torch.allclose(rows, expected, atol=1e-3)


def test_the_mean_weighs_vectors_alike_whatever_their_length() -> None:
    batch = videos([[True, True, False]])
    assert batch.video_BVD is not None
    longer = Batch(
        **(batch.tensors() | {"video_BVD": batch.video_BVD * torch.tensor([[[9.0], [1.0], [1.0]]])})
    )
    assert torch.allclose(
        frozen_rows(longer, Source("video", "mean"))[0],
        frozen_rows(batch, Source("video", "mean"))[0],
        atol=1e-3,
    )


def test_a_random_slot_is_one_that_is_there_and_all_come_equally_often() -> None:
    batch = videos([PRESENT[row % 4] for row in range(4000)])
    rows, there = frozen_rows(batch, Source("video", "random"))
    assert there.tolist() == [any(PRESENT[row % 4]) for row in range(4000)]
    for kind, present in enumerate(PRESENT):
        counts: Tensor = rows[kind::4].sum(dim=0)
        share = sum(present) and 1000 / sum(present)
        for slot in range(3):
            assert counts[slot].item() == pytest.approx(share if present[slot] else 0, abs=100)
            assert bool(counts[slot]) == present[slot]
    assert torch.equal(frozen_rows(batch, Source("video", "random"))[0], rows)


def test_examples_that_pad_a_batch_are_not_there() -> None:
    batch = a_batch(4, share_there=1.0)
    real = torch.tensor([True, True, True, False])
    padded = Batch(**batch.tensors(), real_B=real)
    assert torch.equal(imu_rows(padded)[2], real)
    assert torch.equal(mocap_rows(padded)[2], real)
    assert torch.equal(frozen_rows(padded, Source("text", 0))[1], real)


def test_one_slot_of_imu_hides_the_others() -> None:
    batch = a_batch(20)
    assert batch.imu_BSCT is not None
    assert batch.imu_present_BSK is not None
    imu, present, there = imu_rows(batch, 1)
    assert torch.equal(imu, batch.imu_BSCT[:, [1]])
    assert torch.equal(present, batch.imu_present_BSK[:, [1]])
    assert torch.equal(there, batch.imu_present_BSK[:, 1].any(dim=1))
    assert torch.equal(imu_rows(batch)[2], batch.imu_present_BSK.flatten(1).any(dim=1))


def test_columns_and_what_a_batch_has() -> None:
    sources = [Source("imu", 0), Source("text", 1), Source("imu", 1), Source("mocap")]
    assert columns_of(sources) == ("imu", "text", "mocap")
    batch = videos(PRESENT)
    assert is_in(batch, Source("video", 0))
    assert not any(is_in(batch, source) for source in sources)


@pytest.mark.parametrize(
    ("column", "slot"),
    [("text", None), ("video", -1), ("video", True), ("text", "first"), ("imu", "mean"), ("mocap", 0)],
)
def test_slots_that_a_column_cannot_have_are_refused(column: str, slot: object) -> None:
    with pytest.raises(ValueError, match=f"the slot of {column} cannot be {slot!r}: text and video take"):
        Source(column, slot)  # type: ignore[arg-type]


def test_what_is_not_there_to_take_is_refused() -> None:
    with pytest.raises(ValueError, match="a column of imu, text, video, mocap, got 'audio'"):
        Source("audio", 0)  # type: ignore[arg-type]
    batch = videos(PRESENT)
    with pytest.raises(ValueError, match="no slot 3 of video: the view has 3, counted from 0"):
        frozen_rows(batch, Source("video", 3))
    with pytest.raises(ValueError, match="no slot 2 of imu: the view has 2"):
        imu_rows(a_batch(2), 2)
    seedless = Batch(
        index_B=batch.index_B, video_BVD=batch.video_BVD, video_present_BV=batch.video_present_BV
    )
    with pytest.raises(ValueError, match="a random slot is drawn from the seeds of a batch, it has Batch"):
        frozen_rows(seedless, Source("video", "random"))
    for take, column in ((imu_rows, "imu"), (mocap_rows, "mocap")):
        with pytest.raises(ValueError, match=f"needs the column '{column}'"):
            take(batch)
