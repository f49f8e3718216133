"""Rows of all ranks: their order and gradients, and that two ranks compute what one would of the same batches."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, distributed, nn

from sensorloom.training.batch import Batch
from sensorloom.training.gathered import gathered, gathered_all
from sensorloom.training.objectives.all_pairs import AllPairs
from sensorloom.training.objectives.clip_alignment import ClipAlignment
from sensorloom.training.objectives.primus import Primus, PrimusSettings
from sensorloom.training.objectives.simclr import SimClr
from sensorloom.training.terms.modalities import Source
from tests.training.contrast_batches import WIDTH, Mocap, Sensors, TwoHeads, a_batch, louder, picked
from tests.training.forked import forks
from tests.training.gloo_ranks import on_ranks

# Shares of one global batch, as `BatchPlan.share` cuts them: the last may be smaller and uneven.
COUNTS = (8, 8, 7)


def share(count: int, rank: int, num_ranks: int) -> slice:
    return slice(count * rank // num_ranks, count * (rank + 1) // num_ranks)


def test_alone_the_rows_come_back_as_they_are() -> None:
    rows, there = torch.ones(3, 2, requires_grad=True), torch.tensor([True, False, True])
    assert gathered(rows) is rows
    assert all(left is right for left, right in zip(gathered_all((rows, there)), (rows, there), strict=True))


def rows_of(rank: int) -> dict[str, Any]:
    """What a rank of three, with 1, 2 and 0 rows, gets of values, masks and numbers."""
    count = (1, 2, 0)[rank]
    rows = torch.arange(2.0 * count).view(count, 2) + 10 * rank
    rows.requires_grad_()
    whole, mask, number = gathered_all(
        (rows, torch.full((count,), rank == 1), torch.full((count,), 2**40 + rank))
    )
    # Each rank has a loss of its own: the gradient of the rows is the sum over all of them.
    (whole * torch.arange(1.0, 7.0).view(3, 2) * (rank + 1)).sum().backward()
    assert rows.grad is not None
    return {
        "rows": whole.tolist(),
        "mask": (mask.tolist(), str(mask.dtype)),
        "number": number.tolist(),
        "grad": rows.grad.tolist(),
        "leads back": (whole.requires_grad, mask.requires_grad),
    }


@forks
def test_rows_stand_in_the_order_of_ranks_and_gradients_are_summed(tmp_path: Path) -> None:
    found = on_ranks(tmp_path / "meeting", 3, rows_of)
    for answer in found:
        assert answer["rows"] == [[0, 1], [10, 11], [12, 13]]
        assert answer["mask"] == ([False, True, True], "torch.bool")
        assert answer["number"] == [2**40, 2**40 + 1, 2**40 + 1]
        assert answer["leads back"] == (True, False)
    # 1 + 2 + 3 losses.
    assert [answer["grad"] for answer in found] == [[[6, 12]], [[18, 24], [30, 36]], []]


def primus(preset: str) -> nn.Module:
    torch.manual_seed(0)
    settings = PrimusSettings(
        {"text": Source("text", 0), "video": Source("video", 1)},
        preset,  # type: ignore[arg-type]
        queue_length=20,
        width=WIDTH,
    )
    return Primus(TwoHeads(), louder, settings, torch.arange(30) // 3).double()


def simclr(form: str, preset: str = "paper") -> nn.Module:
    torch.manual_seed(0)
    return SimClr(Sensors(8), nn.Linear(8, 4), louder, form, preset).double()  # type: ignore[arg-type]


def aligned() -> nn.Module:
    partners = {"text": Source("text", "random"), "mocap": Source("mocap")}
    return ClipAlignment(Sensors(), partners, mocap_encoder=Mocap()).double()


def all_pairs() -> nn.Module:
    sources = {
        "imu": Source("imu"),
        "mocap": Source("mocap"),
        "text": Source("text", 0),
        "video": Source("video", 0),
    }
    return AllPairs({"imu": Sensors(), "mocap": Mocap()}, sources, negatives="same_source").double()


MAKERS: dict[str, Callable[[], nn.Module]] = {
    "primus": lambda: primus("paper"),
    "simclr": lambda: simclr("primus"),
    "nt_xent": lambda: simclr("nt_xent"),
    "clip_alignment": aligned,
    "all_pairs": all_pairs,
}


def global_batches() -> list[Batch]:
    """Three batches, the last a smaller one; the parity of an example is its data set."""
    return [
        Batch(
            **a_batch(count, step, 0.7, first_index=8 * step).tensors(),
            source_B=torch.arange(count) % 2,
        )
        for step, count in enumerate(COUNTS)
    ]


def without_sources(batch: Batch) -> Batch:
    return Batch(**{name: tensor for name, tensor in batch.tensors().items() if name != "source_B"})


def trained(make: Callable[[], nn.Module], rank: int, num_ranks: int) -> dict[str, Any]:
    """Losses of every step, gradients of all steps as DistributedDataParallel averages them, and the buffers."""
    objective, losses = make(), []
    for whole in global_batches():
        batch = whole if isinstance(objective, AllPairs) else without_sources(whole)
        terms = objective(picked(batch, share(len(batch), rank, num_ranks)))
        terms["loss"].backward()
        losses.append({name: term.item() for name, term in terms.items()})
    gradients = {name: parameter.grad for name, parameter in objective.named_parameters()}
    for gradient in gradients.values():
        if num_ranks > 1:
            distributed.all_reduce(gradient)
    return {
        "losses": losses,
        "gradients": {name: (gradient / num_ranks).tolist() for name, gradient in gradients.items()},
        "buffers": {name: buffer.tolist() for name, buffer in objective.named_buffers()},
    }


def check_close(left: Any, right: Any) -> None:
    """Equal to 1e-12, through lists and dicts."""
    if isinstance(left, dict):
        assert left.keys() == right.keys()
        for key in left:
            check_close(left[key], right[key])
    else:
        assert torch.allclose(
            torch.as_tensor(left, dtype=torch.float64),
            torch.as_tensor(right, dtype=torch.float64),
            rtol=0,
            atol=1e-12,
        )


@forks
def test_two_ranks_compute_what_one_would(tmp_path: Path) -> None:
    """Loss, terms, gradients and the queue in global order, to 1e-12 in float64, also with uneven shares."""
    together = on_ranks(
        tmp_path / "meeting",
        2,
        lambda rank: {name: trained(make, rank, 2) for name, make in MAKERS.items()},
    )
    for name, make in MAKERS.items():
        alone = trained(make, 0, 1)
        assert any(any(torch.as_tensor(gradient).flatten()) for gradient in alone["gradients"].values())
        for found in together:
            for part in ("gradients", "buffers"):
                check_close(alone[part], found[name][part])
            for mine, theirs in zip(alone["losses"], found[name]["losses"], strict=True):
                assert theirs == pytest.approx(mine, abs=1e-12)


@forks
@pytest.mark.parametrize(
    "make", [lambda: primus("repo"), lambda: simclr("primus", "repo")], ids=["primus", "simclr"]
)
def test_repo_primus_contrasts_and_remembers_within_each_rank(
    tmp_path: Path, make: Callable[[], nn.Module]
) -> None:
    """methods.md §0 row 8: no gather, so few negatives; each rank has its own queue."""

    def work(rank: int) -> dict[str, Any]:
        objective = make()
        losses = [objective(own(batch, rank))["loss"].item() for batch in global_batches()]
        return {"losses": losses, "buffers": [buffer.tolist() for buffer in objective.buffers()]}

    def own(batch: Batch, rank: int) -> Batch:
        return picked(without_sources(batch), share(len(batch), rank, 2))

    together = on_ranks(tmp_path / "meeting", 2, work)
    assert together == [work(rank) for rank in range(2)]
    assert together[0] != together[1]


@forks
def test_a_group_of_one_takes_its_rows_as_they_are(tmp_path: Path) -> None:
    def work(rank: int) -> bool:
        rows: Tensor = torch.ones(2, 2)
        return gathered(rows) is rows

    assert on_ranks(tmp_path / "meeting", 1, work) == [True]
