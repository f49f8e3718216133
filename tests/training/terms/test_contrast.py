"""Contrasts against loops in float64, their gradients, what must not change them, and the bounds of τ."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from sensorloom.training.terms.contrast import Temperature, nt_xent, symmetric_info_nce, unit
from tests.training.contrast_by_loops import info_nce_by_loops, nt_xent_by_loops

TAU = torch.tensor(0.1, dtype=torch.float64)
COUNT, WIDTH = 6, 4


def sides(seed: int = 0) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(seed)
    first, second = torch.randn(2, COUNT, WIDTH, dtype=torch.float64, generator=rng).unbind()
    return first.requires_grad_(), second.requires_grad_()


def mask(rows: list[int]) -> Tensor:
    return torch.tensor([row in rows for row in range(COUNT)])


SOME = [[0, 1, 2, 3, 4, 5], [1, 2, 5], [3]]


@pytest.mark.parametrize("rows", SOME)
@pytest.mark.parametrize("tau", [0.1, 1.0, 0.013])
def test_symmetric_info_nce_equals_the_loop(rows: list[int], tau: float) -> None:
    query, key = sides()
    got = symmetric_info_nce(query, key, torch.tensor(tau, dtype=torch.float64), mask(rows))
    assert got.item() == pytest.approx(info_nce_by_loops(query.tolist(), key.tolist(), tau, rows), abs=1e-12)


@pytest.mark.parametrize("rows", SOME)
def test_negatives_that_are_no_anchors_equal_the_loop(rows: list[int]) -> None:
    query, key = sides(1)
    negatives = [0, 2, 4]
    got = symmetric_info_nce(query, key, TAU, mask(rows), negative_B=mask(negatives))
    candidates = sorted({*rows, *negatives})
    expected = info_nce_by_loops(query.tolist(), key.tolist(), 0.1, rows, candidates)
    assert got.item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("rows", SOME)
def test_groups_equal_the_loop(rows: list[int]) -> None:
    query, key = sides(2)
    group = [7, 0, 7, 0, 0, 7]
    got = symmetric_info_nce(query, key, TAU, mask(rows), group_B=torch.tensor(group))
    expected = info_nce_by_loops(query.tolist(), key.tolist(), 0.1, rows, group=group)
    assert got.item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("rows", SOME)
def test_nt_xent_equals_the_loop_with_its_2n_minus_2_negatives(rows: list[int]) -> None:
    first, second = sides(3)
    got = nt_xent(first, second, TAU, mask(rows))
    expected = nt_xent_by_loops(first.tolist(), second.tolist(), 0.1, rows)
    assert got.item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("contrast", [symmetric_info_nce, nt_xent])
@pytest.mark.parametrize("rows", [*SOME, []])
def test_gradients_are_those_of_differences(contrast: object, rows: list[int]) -> None:
    assert callable(contrast)
    tau = TAU.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda q, k, t: contrast(q, k, t, mask(rows)), (*sides(4), tau))


def test_gradients_with_negatives_and_groups_are_those_of_differences() -> None:
    groups = torch.tensor([0, 0, 0, 1, 1, 1])

    def contrast(query: Tensor, key: Tensor) -> Tensor:
        rows, negatives = mask([0, 3]), mask([1, 2, 4])
        return symmetric_info_nce(query, key, TAU, rows, negative_B=negatives, group_B=groups)

    assert torch.autograd.gradcheck(contrast, sides(5))


@pytest.mark.parametrize("contrast", [symmetric_info_nce, nt_xent])
def test_permuting_the_rows_permutes_the_gradients_alone(contrast: object) -> None:
    assert callable(contrast)
    order, valid = torch.tensor([3, 5, 0, 1, 4, 2]), mask([0, 2, 3, 5])
    query, key = sides(6)
    loss = contrast(query, key, TAU, valid)
    loss.backward()
    shuffled = [side.detach()[order].requires_grad_() for side in (query, key)]
    again = contrast(*shuffled, TAU, valid[order])
    again.backward()
    assert again.item() == pytest.approx(loss.item(), abs=1e-12)
    for side, moved in zip((query, key), shuffled, strict=True):
        assert side.grad is not None
        assert moved.grad is not None
        assert torch.allclose(moved.grad, side.grad[order], atol=1e-12)


@pytest.mark.parametrize("contrast", [symmetric_info_nce, nt_xent])
@pytest.mark.parametrize("held", [0.0, 1e9, math.nan])
def test_what_missing_rows_hold_changes_nothing(contrast: object, held: float) -> None:
    assert callable(contrast)
    rows = [0, 2, 5]
    query, key = sides(7)
    loss = contrast(query, key, TAU, mask(rows))
    loss.backward()
    other = [side.detach().clone() for side in (query, key)]
    for side in other:
        side[[1, 3, 4]] = held
        side.requires_grad_()
    again = contrast(*other, TAU, mask(rows))
    again.backward()
    assert again.item() == loss.item()
    short = contrast(query.detach()[rows], key.detach()[rows], TAU, torch.ones(3, dtype=torch.bool))
    assert again.item() == pytest.approx(short.item(), abs=1e-12)
    for side, before in zip(other, (query, key), strict=True):
        assert side.grad is not None
        assert torch.equal(side.grad, before.grad)
        assert not side.grad[[1, 3, 4]].any()


@pytest.mark.parametrize("contrast", [symmetric_info_nce, nt_xent])
def test_without_a_valid_pair_loss_and_gradients_are_zero(contrast: object) -> None:
    assert callable(contrast)
    query, key = sides(8)
    tau = TAU.clone().requires_grad_()
    # Complains of NaN on the way back even where a mask would hide it.
    with torch.autograd.set_detect_anomaly(True):
        loss = contrast(query, key, tau, mask([]))
        loss.backward()
    assert loss.item() == 0.0
    for leaf in (query, key, tau):
        assert leaf.grad is not None
        assert not leaf.grad.any()


def test_zero_rows_have_cosine_zero_and_finite_gradients() -> None:
    query, _ = sides(9)
    silent = torch.zeros_like(query, requires_grad=True)
    loss = symmetric_info_nce(query, silent, TAU, mask(SOME[0]))
    loss.backward()
    assert loss.item() == pytest.approx(2 * math.log(COUNT))
    assert query.grad is not None
    assert torch.isfinite(query.grad).all()


@pytest.mark.parametrize("contrast", [symmetric_info_nce, nt_xent])
def test_under_autocast_logits_are_float32(contrast: object) -> None:
    assert callable(contrast)
    query, key = (side.detach().float() for side in sides(10))
    valid, tau = mask(SOME[0]), torch.tensor(0.01)
    expected = contrast(query, key, tau, valid)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = contrast(query, key, tau, valid)
        of_halves = contrast(query.bfloat16(), key.bfloat16(), tau, valid)
    assert got.dtype == of_halves.dtype == torch.float32
    assert torch.equal(got, expected)
    assert torch.equal(of_halves, contrast(query.bfloat16().float(), key.bfloat16().float(), tau, valid))


def test_half_precision_keys_meet_wide_queries() -> None:
    """Teachers' vectors are float16 in the store, and models of float64 in tests."""
    query, key = sides(11)
    got = symmetric_info_nce(query, key.half(), TAU, mask(SOME[0]))
    assert got.dtype == torch.float64
    assert got.item() == pytest.approx(symmetric_info_nce(query, key, TAU, mask(SOME[0])).item(), abs=1e-2)


def test_without_a_temperature_the_loss_cannot_fall_far() -> None:
    """methods.md §2.1: cosines lie in [-1, 1], so τ = 1 leaves log(1 + (B - 1)·e^-2) and more of each direction."""
    apart = torch.tensor([[1.0, 0.0], [-1.0, 0.0]], dtype=torch.float64)
    least = 2 * math.log(1 + math.exp(-2))
    both = torch.ones(2, dtype=torch.bool)
    assert symmetric_info_nce(apart, apart, TAU * 10, both).item() == pytest.approx(least)
    assert symmetric_info_nce(apart, apart, TAU, both).item() < 1e-8


def test_unit_rows_have_length_one_and_zero_rows_stay() -> None:
    rows = unit(torch.tensor([[3.0, 4.0], [0.0, 0.0]], dtype=torch.float16))
    assert rows.dtype == torch.float32
    assert torch.allclose(rows, torch.tensor([[0.6, 0.8], [0.0, 0.0]]))


@pytest.mark.parametrize("contrast", [symmetric_info_nce, nt_xent])
def test_sides_that_do_not_pair_are_refused(contrast: object) -> None:
    assert callable(contrast)
    with pytest.raises(ValueError, match=r"equally many rows of one width, got \[3, 4\] and \[2, 4\]"):
        contrast(torch.ones(3, 4), torch.ones(2, 4), TAU, torch.ones(3, dtype=torch.bool))


@pytest.mark.parametrize("kind", ["clamped", "raw", "fixed"])
def test_a_temperature_begins_at_a_tenth(kind: str) -> None:
    temperature = Temperature(kind)  # type: ignore[arg-type]
    assert temperature().item() == pytest.approx(0.1)
    assert temperature.clamp_() == pytest.approx(0.1)
    assert len(list(temperature.parameters())) == (0 if kind == "fixed" else 1)
    assert list(temperature.state_dict()) == ["value"]


@pytest.mark.parametrize(("pull", "bound"), [(1.0, 0.01), (-1.0, 1.0)])
def test_paper_temperature_stays_in_its_clamp_and_comes_back(pull: float, bound: float) -> None:
    """methods.md §1.3, inferred default: log τ learnt, τ in [0.01, 1]; at the bound the gradient is not lost."""
    temperature = Temperature("clamped")
    for sign, end in ((pull, bound), (-pull, 1.01 - bound)):
        optimizer = torch.optim.Adam(temperature.parameters(), lr=0.5)
        for _ in range(20):
            optimizer.zero_grad()
            (sign * temperature()).backward()
            optimizer.step()
            seen, after = temperature().item(), temperature.clamp_()
            assert 0.01 - 1e-8 <= seen <= 1 + 1e-8
            assert 0.01 - 1e-8 <= after <= 1 + 1e-8
        assert after == pytest.approx(end)


def test_repo_temperature_is_raw_and_unconstrained() -> None:
    """methods.md §1.3: two learnable scalars, raw parametrisation, unconstrained."""
    temperature = Temperature("raw")
    optimizer = torch.optim.SGD(temperature.parameters(), lr=1.0)
    temperature().mul(-5.0).backward()
    optimizer.step()
    assert temperature.clamp_() == pytest.approx(5.1)


def test_what_is_no_temperature_is_refused() -> None:
    with pytest.raises(ValueError, match="one of clamped, raw, fixed, got 'cold'"):
        Temperature("cold")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"begins in \[0.01, 1.0\], got 0.001"):
        Temperature("raw", 0.001)
