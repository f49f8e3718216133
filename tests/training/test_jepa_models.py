"""The sensor JEPA's tokens, encoder and predictor: the grid, masks that hold, and channels known by their words."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sensorloom.training.errors import WindowShapeError
from sensorloom.training.models.attention import EncoderLayer, TransformerSize
from sensorloom.training.models.jepa import JepaEncoder, JepaPredictor
from sensorloom.training.models.jepa_tokens import TokenGrid, TokenPositions, TokenSet
from tests.training.encoder_contract import EncoderContract, Inputs, count, windows

SMALL = TransformerSize(24, 3, 2)
NARROW = TransformerSize(12, 3, 2)


def grid(unit: Any = "channel", slots: int = 2, samples: int = 40) -> TokenGrid:
    return TokenGrid(slots, samples, 10, unit)


class TestEncoder(EncoderContract):
    unit = "channel"

    def model(self) -> nn.Module:
        return JepaEncoder(grid(self.unit), SMALL)

    def inputs(self) -> Inputs:
        imu, present = windows(5, 2, 40)
        kept = torch.rand(5, grid(self.unit).rows * 4) < 0.5
        kept[2] = False
        return imu, present, kept

    def poisoned(self, inputs: Inputs) -> Inputs:
        """NaN wherever a token is masked or its sensor is missing."""
        imu, present, kept = inputs
        axes = 6 * 2 // grid(self.unit).rows
        seen = kept.view(5, -1, 1, 4, 1).expand(-1, -1, axes, -1, 10).reshape(5, 2, 6, 40)
        seen = seen & present.repeat_interleave(3, dim=2)[..., None]
        return imu.masked_fill(~seen, torch.nan), present, kept


class TestEncoderOfTriads(TestEncoder):
    unit = "triad"


class TestDescribedEncoder(TestEncoder):
    def model(self) -> nn.Module:
        return JepaEncoder(grid(), SMALL, torch.randn(12, 16))


class Predicting(nn.Module):
    """The predictor over plain tensors."""

    def __init__(self, predictor: JepaPredictor) -> None:
        super().__init__()
        self.predictor = predictor

    def forward(self, token: Tensor, visible: Tensor, target: Tensor) -> Tensor:
        return self.predictor(TokenSet(token, visible), target)


class TestPredictor(EncoderContract):
    def model(self) -> nn.Module:
        predictor = JepaPredictor(JepaEncoder(grid(), SMALL), NARROW)
        nn.init.normal_(predictor.mask_token_H)
        return Predicting(predictor)

    def inputs(self) -> Inputs:
        token, visible = torch.randn(5, 48, 24, dtype=torch.float64), torch.rand(5, 48) < 0.5
        target = torch.rand(5, 48) < 0.3
        visible[2], target[3] = False, False
        visible[4], target[4] = False, False
        return token, visible, target

    def poisoned(self, inputs: Inputs) -> Inputs:
        """NaN wherever a token is invisible, and wherever it is to be predicted."""
        token, visible, target = inputs
        return token.masked_fill((~visible | target)[..., None], torch.nan), visible, target


class TestDescribedPredictor(TestPredictor):
    def model(self) -> nn.Module:
        encoder = JepaEncoder(grid(), SMALL, torch.randn(12, 16))
        return Predicting(JepaPredictor(encoder, NARROW))


@pytest.mark.parametrize(("unit", "encoder", "predictor"), [
    ("channel", 1_787_136, 338_400), ("triad", 1_790_208, 338_016),
])  # fmt: skip
def test_by_default_it_is_the_size_of_the_method(unit: Any, encoder: int, predictor: int) -> None:
    """methods.md §4.4: 150 tokens of six channels at 50 Hz, about 1.8 million parameters."""
    made = JepaEncoder(TokenGrid(1, unit=unit))
    assert count(made) == encoder == pytest.approx(1.8e6, rel=0.01)
    assert count(JepaPredictor(made)) == predictor
    assert (made.grid.rows, made.grid.patches) == (6 if unit == "channel" else 2, 25)
    assert (made.width, len(made.layers), made.layers[0].attention.heads) == (192, 6, 6)
    narrow = JepaPredictor(made)
    assert (narrow.narrow.out_features, len(narrow.layers)) == (96, 4)


def test_descriptions_take_the_place_of_learned_rows() -> None:
    described = JepaEncoder(TokenGrid(1), description_GE=torch.randn(6, 512))
    assert count(described) == 1_787_136 - 6 * 192 + 512 * 192 + 192


@pytest.mark.parametrize("unit", ["channel", "triad"])
def test_tokens_are_row_by_row_and_patch_by_patch(unit: Any) -> None:
    cells, imu = grid(unit), torch.randn(2, 2, 6, 40, dtype=torch.float64)
    patches = cells.cut(imu)
    assert patches.shape == (2, cells.rows * 4, cells.values)
    axes = 12 // cells.rows
    for row in range(cells.rows):
        for patch in range(4):
            expected = []
            for axis in range(axes):
                slot, channel = divmod(row * axes + axis, 6)
                unit_of = 9.80665 if channel < 3 else 1.0
                expected += [imu[0, slot, channel, 10 * patch + step].item() / unit_of for step in range(10)]
            torch.testing.assert_close(patches[0, row * 4 + patch], torch.tensor(expected).double())


@pytest.mark.parametrize("unit", ["channel", "triad"])
def test_a_token_is_present_where_its_sensor_is(unit: Any) -> None:
    cells = grid(unit)
    present = torch.tensor([[[True, False], [False, True]]])
    tokens = cells.present(present, 40)[0].view(cells.rows, 4)
    for row in range(cells.rows):
        slot, sensor = divmod(row // cells.rows_per_triad, 2)
        assert tokens[row].tolist() == [present[0, slot, sensor].item()] * 4


def test_masking_equals_taking_the_tokens_away() -> None:
    """The encoder over a masked set is the same layers over the kept tokens alone."""
    torch.manual_seed(0)
    model, (imu, present) = JepaEncoder(grid(), SMALL).double(), windows(3, 2, 40)
    kept = torch.rand(3, 48) < 0.5
    latents, visible = model(imu, present, kept)
    everything = model.patch(model.grid.cut(imu)) + model.positions(4)
    for example in range(3):
        hidden = everything[example, visible[example]][None]
        for layer in model.layers:
            hidden = layer(hidden)
        torch.testing.assert_close(latents[example, visible[example]], model.norm(hidden)[0])
        assert not latents[example, ~visible[example]].any()
    assert torch.equal(visible, kept & model.grid.present(present, 40))


def test_without_a_mask_all_that_is_present_is_seen() -> None:
    model, (imu, present) = JepaEncoder(grid(), SMALL).double(), windows(3, 2, 40)
    everything = torch.ones(3, 48, dtype=torch.bool)
    for plain, other in zip(model(imu, present), model(imu, present, everything), strict=True):
        assert torch.equal(plain, other)


def test_predicting_equals_attending_to_context_and_targets_alone() -> None:
    torch.manual_seed(0)
    model = JepaPredictor(JepaEncoder(grid(), SMALL), NARROW).double()
    nn.init.normal_(model.mask_token_H)
    token, target = torch.randn(1, 48, 24, dtype=torch.float64), torch.zeros(1, 48, dtype=torch.bool)
    visible = torch.rand(1, 48) < 0.5
    target[0, 5:15] = True
    predicted = model(TokenSet(token, visible), target)
    positions = model.positions(4)
    chosen = [n for n in range(48) if visible[0, n] or target[0, n]]
    hidden = torch.stack(
        [(model.mask_token_H if target[0, n] else model.narrow(token[0, n])) + positions[n] for n in chosen]
    )[None]
    for layer in model.layers:
        hidden = layer(hidden)
    for place, n in enumerate(chosen):
        expected = model.widen(model.norm(hidden[0, place])) if target[0, n] else torch.zeros(24).double()
        torch.testing.assert_close(predicted[0, n], expected)
    assert not predicted[0, ~target[0]].any()


def test_a_prediction_depends_on_the_context_and_on_where_it_is() -> None:
    torch.manual_seed(0)
    model = JepaPredictor(JepaEncoder(grid(), SMALL), NARROW).double()
    token, target = torch.randn(1, 48, 24, dtype=torch.float64), torch.zeros(1, 48, dtype=torch.bool)
    target[0, [3, 9]] = True
    seen = model(TokenSet(token, ~target), target)
    assert not torch.allclose(seen[0, 3], seen[0, 9], atol=1e-6)
    moved = token.clone()
    moved[0, 20] += 1
    assert not torch.allclose(model(TokenSet(moved, ~target), target)[0, 3], seen[0, 3], atol=1e-6)


def test_described_channels_may_come_in_any_order() -> None:
    torch.manual_seed(0)
    words = torch.randn(12, 16)
    model, (imu, present) = JepaEncoder(grid(), SMALL, words).double(), windows(3, 2, 40)
    before, seen = model(imu, present)
    model.positions.describe(torch.cat([words[6:], words[:6]]))
    after, seen_after = model(imu[:, [1, 0]], present[:, [1, 0]])
    swapped = torch.cat([torch.arange(24, 48), torch.arange(24)])
    assert torch.equal(seen_after, seen[:, swapped])
    torch.testing.assert_close(after, before[:, swapped])
    assert not torch.allclose(model(imu, present)[0], before, atol=1e-4)


def test_descriptions_travel_with_the_weights() -> None:
    model = JepaEncoder(grid(), SMALL, torch.randn(12, 16))
    other = JepaEncoder(grid(), SMALL, torch.zeros(12, 16))
    other.load_state_dict(model.state_dict())
    imu, present = torch.randn(1, 2, 6, 40), torch.ones(1, 2, 2, dtype=torch.bool)
    assert torch.equal(model(imu, present)[0], other(imu, present)[0])


@pytest.mark.parametrize("samples", [10, 30, 40])
def test_shorter_windows_have_as_many_tokens_less(samples: int) -> None:
    model = JepaEncoder(grid(), SMALL)
    latents, visible = model(torch.randn(2, 2, 6, samples), torch.ones(2, 2, 2, dtype=torch.bool))
    assert latents.shape == (2, 12 * samples // 10, 24)
    predicted = JepaPredictor(model, NARROW)(TokenSet(latents, visible), visible)
    assert predicted.shape == latents.shape
    with torch.no_grad():
        at = model.positions(samples // 10).view(12, -1, 24)
        assert torch.equal(at, model.positions(4).view(12, 4, 24)[:, : samples // 10])


def test_the_mean_is_of_the_visible_tokens() -> None:
    tokens = torch.tensor([[[1.0, 2.0], [3.0, 6.0], [torch.nan, 0.0]], [[9.0, 9.0]] * 3])
    visible = torch.tensor([[True, True, False], [False, False, False]])
    assert TokenSet(tokens, visible).mean().tolist() == [[2.0, 4.0], [0.0, 0.0]]


def test_with_nothing_to_see_a_layer_sees_all_and_has_no_nan() -> None:
    layer, hidden = EncoderLayer(12, 3), torch.randn(2, 4, 12, requires_grad=True)
    out = layer(hidden, torch.tensor([[False] * 4, [True, False, False, True]]))
    out.square().sum().backward()
    torch.testing.assert_close(out[0], layer(hidden)[0])
    assert not torch.allclose(out[1], layer(hidden)[1], atol=1e-4)
    assert hidden.grad is not None
    assert hidden.grad.isfinite().all()


def test_the_gradient_through_a_mask_is_the_numerical_one() -> None:
    torch.manual_seed(0)
    model = JepaEncoder(TokenGrid(1, 4, 2), TransformerSize(6, 2, 1)).double()
    imu, present = torch.randn(2, 1, 6, 4, dtype=torch.float64), torch.ones(2, 1, 2, dtype=torch.bool)
    kept = torch.rand(2, 12) < 0.5
    imu.requires_grad_()
    assert torch.autograd.gradcheck(lambda given: model(given, present, kept).token_BND, (imu,))


def test_windows_that_do_not_fit_the_grid_are_refused() -> None:
    model, present = JepaEncoder(grid(), SMALL), torch.ones(2, 2, 2, dtype=torch.bool)
    for samples in (45, 50, 0):
        with pytest.raises(
            WindowShapeError, match=f"patches of 10 samples, up to 40, got {samples} samples; build"
        ):
            model(torch.zeros(2, 2, 6, samples), present)
    with pytest.raises(WindowShapeError, match=r"windows \[B, 2, 6, T\], got \[2, 1, 6, 40\]"):
        model(torch.zeros(2, 1, 6, 40), present)
    for kept in (torch.ones(2, 47, dtype=torch.bool), torch.ones(2, 48)):
        with pytest.raises(WindowShapeError, match=r"kept_BN must be bool \[2, 48\], a value for each token"):
            model(torch.zeros(2, 2, 6, 40), present, kept)


def test_tokens_of_another_grid_are_refused() -> None:
    predictor = JepaPredictor(JepaEncoder(grid(), SMALL), NARROW)
    seen = torch.ones(2, 48, dtype=torch.bool)
    for shape in ((2, 48, 23), (2, 47, 24), (2, 60, 24), (48, 24)):
        with pytest.raises(
            WindowShapeError, match=r"tokens \[B, N, 24\] of 12 rows of up to 4 patches, got \["
        ):
            predictor(TokenSet(torch.zeros(shape), seen), seen)
    with pytest.raises(WindowShapeError, match=r"target_BN must be bool \[2, 48\], .* got torch.float32"):
        predictor(TokenSet(torch.zeros(2, 48, 24), seen), seen.float())
    with pytest.raises(
        WindowShapeError, match=r"visible_BN must be bool \[2, 48\], .* got torch.bool \[2, 36\]"
    ):
        predictor(TokenSet(torch.zeros(2, 48, 24), seen[:, :36]), seen)


def test_impossible_grids_and_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="unit must be 'channel' or 'triad', got 'slot'"):
        grid("slot")
    with pytest.raises(ValueError, match="slots, patch and samples must be at least 1"):
        TokenGrid(0)
    with pytest.raises(
        WindowShapeError, match="windows of 256 samples do not divide into patches of 10; choose"
    ):
        TokenGrid(1, 256)
    with pytest.raises(ValueError, match=r"a width that is a multiple of the heads, got .*width=10, heads=4"):
        TransformerSize(10, 4, 1)


def test_descriptions_that_do_not_fit_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"must be \[12, E\], one for each channel of 2 slots, got \[6, 16\]"
    ):
        JepaEncoder(grid(), SMALL, torch.zeros(6, 16))
    with pytest.raises(
        ValueError, match="rows of learned embeddings cannot be described; build the model with"
    ):
        TokenPositions(grid(), 8).describe(torch.zeros(12, 16))
    described = TokenPositions(grid(), 8, torch.zeros(12, 16))
    with pytest.raises(ValueError, match="descriptions must stay of size 16, got 17; encode them by"):
        described.describe(torch.zeros(12, 17))
