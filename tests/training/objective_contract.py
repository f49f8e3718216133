"""What every objective that contrasts keeps, whatever its loss: order, masks, gradients, embeddings, one clamp."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from sensorloom.training.batch import Batch
from tests.training.contrast_batches import a_batch, picked, with_held

__all__ = ["ContrastContract"]


class ContrastContract:
    """Inherit and give `make`, an objective of float64 with all that it needs besides a batch."""

    def make(self) -> nn.Module:
        raise NotImplementedError

    def loss_and_gradients(self, batch: Batch) -> tuple[float, list[Tensor]]:
        objective = self.make()
        loss = objective(batch)["loss"]
        loss.backward()
        parameters = [parameter for parameter in objective.parameters() if parameter.requires_grad]
        assert parameters
        assert all(parameter.grad is not None for parameter in parameters), "a rank would wait for a gradient"
        return loss.item(), [parameter.grad for parameter in parameters if parameter.grad is not None]

    def check_same(self, left: Batch, right: Batch) -> None:
        (loss, gradients), (other, others) = self.loss_and_gradients(left), self.loss_and_gradients(right)
        assert loss == pytest.approx(other, abs=1e-12)
        assert loss != 0
        for mine, yours in zip(gradients, others, strict=True):
            assert torch.isfinite(mine).all()
            assert torch.allclose(mine, yours, rtol=0, atol=1e-12)

    def test_permuting_a_batch_permutes_nothing(self) -> None:
        batch = a_batch(9)
        self.check_same(batch, picked(batch, torch.tensor([4, 8, 0, 3, 7, 1, 6, 2, 5])))

    def test_what_is_missing_changes_nothing(self) -> None:
        batch = a_batch(9, seed=1)
        self.check_same(batch, with_held(batch, 1e6))

    def test_examples_without_anything_or_that_pad_change_nothing(self) -> None:
        batch = a_batch(9, seed=2)
        nothing = picked(a_batch(3, seed=3, share_there=0.0), slice(None))
        tensors = {
            name: torch.cat((tensor, nothing.tensors()[name])) for name, tensor in batch.tensors().items()
        }
        self.check_same(batch, Batch(**tensors))
        padded = picked(batch, torch.tensor([*range(9), 0, 1]))
        self.check_same(batch, Batch(**padded.tensors(), real_B=torch.arange(11) < 9))

    def test_with_nothing_there_loss_and_gradients_are_zero(self) -> None:
        loss, gradients = self.loss_and_gradients(a_batch(4, share_there=0.0))
        assert loss == 0.0
        assert not any(gradient.any() for gradient in gradients)

    def test_the_terms_are_scalars_that_lead_back(self) -> None:
        terms = self.make()(a_batch(9))
        assert len(terms) > 1
        assert all(term.shape == () and term.requires_grad for term in terms.values())

    def test_gradients_are_those_of_differences(self) -> None:
        objective, batch = self.make().eval(), a_batch(5, seed=4, share_there=0.8)
        names, values = zip(*objective.named_parameters(), strict=True)

        def loss(*given: Tensor) -> Tensor:
            found = torch.func.functional_call(objective, dict(zip(names, given, strict=True)), (batch,))
            loss: Tensor = found["loss"]
            return loss

        assert torch.autograd.gradcheck(loss, values, fast_mode=True)

    def test_embeddings_are_unit_vectors_where_something_is(self) -> None:
        objective, batch = self.make().eval(), a_batch(9, seed=5)
        embedded = objective.embed(batch)
        assert "imu" in embedded
        for rows_BD, present_B in embedded.values():
            assert rows_BD.shape[0] == len(present_B) == 9
            assert present_B.dtype == torch.bool
            assert present_B.any()
            assert torch.allclose(rows_BD[present_B].norm(dim=1), torch.ones(1, dtype=torch.float64))

    def test_embedding_takes_a_batch_of_sensors_alone(self) -> None:
        batch = a_batch(3)
        alone = Batch(index_B=batch.index_B, imu_BSCT=batch.imu_BSCT, imu_present_BSK=batch.imu_present_BSK)
        objective = self.make().eval()
        embedded = objective.embed(alone)
        assert all(name.startswith("imu") for name in embedded)
        assert torch.equal(embedded["imu"][0], objective.embed(batch)["imu"][0])

    def test_embedding_draws_nothing(self) -> None:
        """What is scored must not hang on the seed of a run [methods §2.5]."""
        objective, batch = self.make().eval(), a_batch(9, seed=6)
        embedded = objective.embed(batch)
        again = objective.embed(replace(batch, seed_B=torch.arange(9) * 7919 + 5))
        for name, (rows_BD, present_B) in embedded.items():
            assert torch.equal(rows_BD, again[name][0])
            assert torch.equal(present_B, again[name][1])

    def test_what_a_step_tells_are_numbers(self) -> None:
        told = self.make().after_step(0.5)
        assert all(isinstance(value, float) for value in told.values())
        assert all(0.01 <= value <= 1 for name, value in told.items() if name.startswith("temperature"))

    def test_columns_are_those_of_a_stream(self) -> None:
        assert set(self.make().columns) <= {"imu", "text", "video", "mocap"}

    def test_a_batch_without_sensors_is_refused(self) -> None:
        with pytest.raises(
            ValueError, match=r"needs the column 'imu', one row a slot; the batch has Batch\("
        ):
            self.make()(Batch(index_B=torch.arange(2), seed_B=torch.arange(2)))
