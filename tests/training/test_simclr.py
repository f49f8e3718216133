"""SimCLR against loops: PRIMUS's L_SS, and SimCLR-HAR's NT-Xent of two augmented views."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from sensorloom.training.batch import Batch
from sensorloom.training.objectives.simclr import SimClr
from tests.training.contrast_batches import Sensors, a_batch, louder
from tests.training.contrast_by_loops import info_nce_by_loops, nt_xent_by_loops
from tests.training.objective_contract import ContrastContract


def make(form: str = "primus", preset: str = "paper", augment: object = louder) -> SimClr:
    assert callable(augment)
    encoder = Sensors(8)
    torch.manual_seed(1)
    return SimClr(encoder, nn.Linear(8, 4), augment, form, preset).double()  # type: ignore[arg-type]


class TestPrimusForm(ContrastContract):
    def make(self) -> nn.Module:
        return make()


class TestPrimusFormAsPublished(ContrastContract):
    def make(self) -> nn.Module:
        return make(preset="repo")


class TestNtXent(ContrastContract):
    def make(self) -> nn.Module:
        return make("nt_xent")


def there(batch: Batch) -> list[int]:
    assert batch.imu_present_BSK is not None
    return [row for row in range(len(batch)) if batch.imu_present_BSK[row].any()]


def test_primus_form_contrasts_the_raw_window_with_one_augmented() -> None:
    """methods.md §1.3: view 0 is the RAW window, only view 1 is augmented."""
    objective, batch = make(), a_batch(7, share_there=0.3)
    assert 0 < len(there(batch)) < 7
    assert batch.imu_BSCT is not None
    assert batch.seed_B is not None
    raw = objective.head(objective.encoder(batch.imu_BSCT, batch.imu_present_BSK))
    view = objective.head(objective.encoder(louder(batch.imu_BSCT, batch.seed_B), batch.imu_present_BSK))
    expected = info_nce_by_loops(raw.tolist(), view.tolist(), objective.temperature().item(), there(batch))
    assert objective(batch)["loss"].item() == pytest.approx(expected, abs=1e-12)


def test_nt_xent_contrasts_two_augmented_views_with_2n_minus_2_negatives() -> None:
    """methods.md §5.2: both views augmented, NT-Xent with 2N - 2 negatives, τ 0.1."""
    seen: list[Tensor] = []

    def augment(imu_BSCT: Tensor, seed_B: Tensor) -> Tensor:
        seen.append(seed_B)
        return louder(imu_BSCT, seed_B)

    objective, batch = make("nt_xent", augment=augment), a_batch(7, seed=1)
    loss = objective(batch)["loss"]
    assert batch.imu_BSCT is not None
    assert len(seen) == 2
    assert not (seen[0] == seen[1]).any()
    views = [
        objective.head(objective.encoder(louder(batch.imu_BSCT, seed_B), batch.imu_present_BSK)).tolist()
        for seed_B in seen
    ]
    tau = objective.temperature().item()
    assert tau == pytest.approx(0.1)
    assert loss.item() == pytest.approx(nt_xent_by_loops(*views, tau, there(batch)), abs=1e-12)


def test_temperatures_of_forms_and_presets() -> None:
    """methods.md §1.3 (raw in the code, clamped by default here) and §5.2 (fixed at 0.1)."""
    assert make().temperature.kind == "clamped"
    assert make(preset="repo").temperature.kind == "raw"
    assert make("nt_xent").temperature.kind == make("nt_xent", "repo").temperature.kind == "fixed"


def test_the_embedding_is_the_encoders_before_the_head() -> None:
    objective, batch = make(), a_batch(3, share_there=1.0)
    rows_BD, _ = objective.embed(batch)["imu"]
    assert rows_BD.shape == (3, 8)


def test_what_is_no_simclr_is_refused() -> None:
    with pytest.raises(ValueError, match="one of primus, nt_xent, got 'byol'"):
        make("byol")
    with pytest.raises(ValueError, match="preset must be 'paper' or 'repo', got 'mine'"):
        make(preset="mine")
    batch = a_batch(2)
    with pytest.raises(ValueError, match="augmentations are drawn from the seeds of a batch, it has Batch"):
        make()(Batch(index_B=batch.index_B, imu_BSCT=batch.imu_BSCT, imu_present_BSK=batch.imu_present_BSK))
