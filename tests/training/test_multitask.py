"""Transformation recognition against loops in float64, and what must not change it."""

from __future__ import annotations

import math
import multiprocessing
from datetime import timedelta
from pathlib import Path

import pytest
import torch
from torch import Tensor, distributed, nn

from sensorloom.training.batch import Batch
from sensorloom.training.errors import WindowShapeError
from sensorloom.training.objectives.multitask import HeadRows, Multitask, recognition_losses
from sensorloom.training.terms.augment import TRANSFORMATIONS, Augmentation
from tests.training.forked import forks
from tests.training.multitask_by_loops import (
    SAMPLES,
    WIDTH,
    Sensors,
    a_batch,
    columns,
    joined,
    losses_by_loops,
    make,
    picked,
)

HEAD_ROWS: tuple[HeadRows, ...] = ("all", "own")


@pytest.mark.parametrize("head_rows", HEAD_ROWS)
def test_the_losses_equal_the_loops(head_rows: HeadRows) -> None:
    """§5.3: every head sees all nine rows of a window, or (1907.11879) the original and its own."""
    objective, batch = make(head_rows), a_batch(6, share_there=0.3)
    assert 0 < columns(batch)[1].flatten(1).any(dim=1).sum() < 6
    expected = losses_by_loops(objective, batch)
    got = objective(batch)
    assert set(got) == {"loss", *TRANSFORMATIONS}
    for task in TRANSFORMATIONS:
        assert got[task].item() == pytest.approx(expected[task], abs=1e-12)
    assert got["loss"].item() == pytest.approx(sum(expected.values()), abs=1e-11)


def test_a_head_that_sees_all_rows_has_one_positive_in_nine() -> None:
    """§5.3: each head is 1:8 imbalanced; at logit z the mean is log(1 + e^z) - z / 9, with its own rows - z / 2."""
    logits = torch.full((9, 4, 8), 0.7, dtype=torch.float64)
    for head_rows, share in (("all", 1 / 9), ("own", 1 / 2)):
        losses = recognition_losses(logits, head_rows)
        expected = math.log1p(math.exp(0.7)) - share * 0.7
        assert torch.allclose(losses, torch.full((4, 8), expected, dtype=torch.float64), atol=1e-12)


def test_what_other_heads_see_reaches_a_head_only_with_all_rows() -> None:
    logits = torch.randn(9, 3, 8, dtype=torch.float64, requires_grad=True)
    for head_rows, rows in (("all", set(range(9))), ("own", {0, 3})):
        (gradient,) = torch.autograd.grad(recognition_losses(logits, head_rows)[:, 2].sum(), logits)
        assert {row for row in range(9) if gradient[row, :, 2].any()} == rows
        assert not gradient[..., [0, 1, 3, 4, 5, 6, 7]].any()


def test_the_encoder_sees_the_original_and_the_eight_in_their_order() -> None:
    """§5.3: nine rows a window, in the order of the table."""
    assert TRANSFORMATIONS == ("noise", "scale", "rotate", "negate", "reverse", "permute", "warp", "shuffle")
    objective, batch = make(), a_batch(5, share_there=1.0)
    imu, present, seeds = columns(batch)
    objective(batch)
    assert isinstance(objective.encoder, Sensors)
    given, given_present = objective.encoder.given
    assert torch.equal(given_present, present.repeat(9, 1, 1))
    versions = given.unflatten(0, (9, 5))
    assert torch.equal(versions[0], imu)
    for version, name in zip(versions[1:], TRANSFORMATIONS, strict=True):
        assert torch.equal(version, Augmentation((name,), "paper")(imu, seeds))


def test_heads_are_dense_256_relu_dense_1() -> None:
    heads = make().heads
    assert tuple(heads) == TRANSFORMATIONS
    assert sum(parameter.numel() for parameter in heads.parameters()) == 8 * (WIDTH * 256 + 256 + 256 + 1)


def loss_and_gradients(objective: Multitask, batch: Batch) -> tuple[float, list[Tensor]]:
    objective.zero_grad()
    loss = objective(batch)["loss"]
    loss.backward()
    gradients = [parameter.grad for parameter in objective.parameters()]
    return loss.item(), [gradient.clone() for gradient in gradients if gradient is not None]


def check_same(left: Batch, right: Batch) -> None:
    objective = make()
    (loss, gradients), (other, others) = (
        loss_and_gradients(objective, left),
        loss_and_gradients(objective, right),
    )
    assert loss == pytest.approx(other, abs=1e-12)
    assert len(gradients) == len(others) == 2 + 8 * 4
    for mine, yours in zip(gradients, others, strict=True):
        assert torch.allclose(mine, yours, rtol=0, atol=1e-12)


def test_permuting_a_batch_permutes_nothing() -> None:
    batch = a_batch(7)
    check_same(batch, picked(batch, torch.tensor([3, 5, 0, 1, 6, 4, 2])))


def test_windows_without_sensors_and_rows_that_pad_change_nothing() -> None:
    batch, nothing = a_batch(7), a_batch(3, seed=1, share_there=0.0)
    check_same(batch, joined(nothing, batch, nothing))
    held = picked(nothing, slice(None))
    columns(held)[0].fill_(math.nan)
    check_same(batch, joined(batch, held))
    padded = picked(batch, torch.tensor([*range(7), 0, 1]))
    check_same(batch, Batch(**padded.tensors(), real_B=torch.arange(9) < 7))


def test_without_any_sensor_losses_and_gradients_are_zero() -> None:
    objective, batch = make(), a_batch(4, share_there=0.0)
    loss, gradients = loss_and_gradients(objective, batch)
    assert loss == 0.0
    assert len(gradients) == 2 + 8 * 4
    assert not any(gradient.any() for gradient in gradients)
    assert all(term.item() == 0.0 for term in objective(picked(batch, slice(0))).values())
    assert not hasattr(objective.encoder, "given"), "not every encoder takes a batch of nothing"


@pytest.mark.parametrize("head_rows", HEAD_ROWS)
def test_gradients_are_those_of_differences(head_rows: HeadRows) -> None:
    objective, batch = make(head_rows), a_batch(3, share_there=0.8)
    names, values = zip(*objective.named_parameters(), strict=True)

    def loss(*given: Tensor) -> Tensor:
        found = torch.func.functional_call(objective, dict(zip(names, given, strict=True)), (batch,))
        loss: Tensor = found["loss"]
        return loss

    assert torch.autograd.gradcheck(loss, values, fast_mode=True)
    logits = torch.randn(9, 2, 8, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda logits: recognition_losses(logits, head_rows), (logits,))


def test_losses_are_single_precision_under_autocast() -> None:
    objective, batch = make().float(), a_batch(4, share_there=1.0)
    single = Batch(
        **{name: t.float() if t.dtype == torch.float64 else t for name, t in batch.tensors().items()}
    )
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = objective.predict(*columns(single))
        losses = objective(single)
    assert logits.dtype == torch.float32
    assert all(loss.dtype == torch.float32 for loss in losses.values())
    assert losses["loss"].item() == pytest.approx(objective(single)["loss"].item(), rel=0.02)
    half = recognition_losses(logits.detach().bfloat16())
    assert half.dtype == torch.float32


def test_embeddings_are_unit_vectors_of_the_windows_as_they_are() -> None:
    objective, batch = make(), a_batch(6, share_there=0.3)
    imu, present, _ = columns(batch)
    unit_BD, present_B = objective.embed(Batch(index_B=batch.index_B, imu_BSCT=imu, imu_present_BSK=present))[
        "imu"
    ]
    assert torch.equal(present_B, present.flatten(1).any(dim=1))
    raw = objective.encoder(imu, present)
    expected = [row / row.norm() for row in raw[present_B]]
    assert torch.allclose(unit_BD[present_B], torch.stack(expected), atol=1e-12)
    assert not unit_BD[~present_B].any()


def test_transformations_can_be_learnt() -> None:
    """Of windows with a drift in time and a mean, reversal and negation at least are told from all else."""
    torch.manual_seed(0)
    objective = Multitask(nn_encoder(), 32)
    drift = torch.linspace(-2, 2, SAMPLES)
    imu = drift + 2 + 0.3 * torch.randn(64, 1, 6, SAMPLES)
    batch = Batch(
        index_B=torch.arange(64),
        seed_B=torch.arange(64),
        imu_BSCT=imu,
        imu_present_BSK=torch.ones(64, 1, 2, dtype=torch.bool),
    )
    optimizer = torch.optim.Adam(objective.parameters(), lr=3e-3)
    for _ in range(30):
        optimizer.zero_grad()
        losses = objective(batch)
        losses["loss"].backward()
        optimizer.step()
    # A head that knows nothing but how often its transformation occurs.
    ignorant = -(math.log(1 / 9) / 9 + math.log(8 / 9) * 8 / 9)
    assert losses["reverse"].item() < ignorant / 4
    assert losses["negate"].item() < ignorant / 4
    assert losses["loss"].item() < 8 * ignorant


def nn_encoder() -> nn.Module:
    class Wide(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(nn.Linear(6 * SAMPLES, 64), nn.ReLU(), nn.Linear(64, 32))

        def forward(self, imu_BSCT: Tensor, _present_BSK: Tensor) -> Tensor:
            embedding: Tensor = self.layers(imu_BSCT.flatten(1))
            return embedding

    return Wide()


def test_what_is_missing_or_does_not_fit_is_named() -> None:
    batch = a_batch(2)
    imu, present, _ = columns(batch)
    with pytest.raises(ValueError, match=r"drawn from the seeds of a batch, it has Batch\(index_B"):
        make()(Batch(index_B=batch.index_B, imu_BSCT=imu, imu_present_BSK=present))
    with pytest.raises(ValueError, match=r"needs the column 'imu'.* the batch has Batch\("):
        make()(Batch(index_B=torch.arange(2), seed_B=torch.arange(2)))
    with pytest.raises(ValueError, match="head_rows must be one of all, own, got 'pairs'"):
        Multitask(Sensors(), WIDTH, "pairs")  # type: ignore[arg-type]
    with pytest.raises(
        ValueError, match=r"logits of 8 tasks need the original and 8 versions, got \[8, 2, 8\]"
    ):
        recognition_losses(torch.zeros(8, 2, 8))
    with pytest.raises(WindowShapeError, match="augmentations take windows"):
        make()(
            picked(Batch(**{**a_batch(2, share_there=1.0).tensors(), "imu_BSCT": imu[..., :5]}), slice(None))
        )


def work_as_rank(rank: int, folder: Path, batch: Batch, cut: int) -> None:
    """Go backward once through one's share of a batch, and save the loss and the gradients."""
    torch.set_num_threads(1)
    meeting = (folder / "meeting").as_uri()
    wait = timedelta(seconds=30)
    distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=2, timeout=wait)
    share = slice(cut) if rank == 0 else slice(cut, None)
    torch.save(loss_and_gradients(make(), picked(batch, share)), folder / f"{rank}.pt")
    distributed.barrier()
    distributed.destroy_process_group()


@forks
@pytest.mark.parametrize("empty", [False, True])
def test_two_ranks_that_hold_unequally_many_windows_learn_what_one_does(tmp_path: Path, empty: bool) -> None:
    """The mean of the ranks' gradients, which DistributedDataParallel takes, is that of the whole batch."""
    batch = joined(a_batch(3, share_there=0.0 if empty else 0.4), a_batch(4, seed=1, share_there=0.9))
    context = multiprocessing.get_context("fork")
    children = [
        context.Process(target=work_as_rank, args=(rank, tmp_path, batch, 3), daemon=True)
        for rank in range(2)
    ]
    for child in children:
        child.start()
    for child in children:
        child.join(60)
        assert child.exitcode == 0
    ranks = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2)]
    loss, gradients = loss_and_gradients(make(), batch)
    assert [rank[0] for rank in ranks] == pytest.approx([loss, loss], abs=1e-12)
    for whole, *shares in zip(gradients, ranks[0][1], ranks[1][1], strict=True):
        assert torch.allclose(sum(shares) / 2, whole, rtol=0, atol=1e-12)
