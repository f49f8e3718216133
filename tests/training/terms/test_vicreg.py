"""VICReg against loops in float64, in both presets' coefficients, and what must not change it."""

from __future__ import annotations

import math

import pytest
import torch

from sensorloom.training.terms.vicreg import CROSSL_VICREG, REFERENCE_VICREG, VicregRule, vicreg

RULES = {"reference": REFERENCE_VICREG, "crossl": CROSSL_VICREG}


def reference(first: list[list[float]], second: list[list[float]], rule: VicregRule) -> dict[str, float]:
    """The three terms and their sum, by loops over rows that all count."""
    rows, width = len(first), len(first[0]) if first else 1
    square = sum((first[b][d] - second[b][d]) ** 2 for b in range(rows) for d in range(width))
    terms = {"similarity": square / (rows * width) if rows else 0.0, "variance": 0.0, "covariance": 0.0}
    for view in (first, second) if rows >= 2 else ():
        mean = [sum(row[d] for row in view) / rows for d in range(width)]
        for d in range(width):
            spread = sum((row[d] - mean[d]) ** 2 for row in view)
            variance = spread / (rows - 1 if rule.sample_variance else rows)
            terms["variance"] += max(0.0, 1 - math.sqrt(variance + 1e-4)) / width / 2
            for e in range(width):
                if e != d:
                    c = sum((row[d] - mean[d]) * (row[e] - mean[e]) for row in view) / (rows - 1)
                    terms["covariance"] += c**2 / width
    terms["loss"] = (
        rule.similarity * terms["similarity"]
        + rule.variance * terms["variance"]
        + rule.covariance * terms["covariance"]
    )
    return terms


def views(rows: int = 7, width: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(rows)
    first, second = torch.randn(2, rows, width, generator=generator, dtype=torch.float64)
    return first * torch.tensor([0.2, 0.7, 1.5, 0.9], dtype=torch.float64)[:width], 0.6 * second + first


VALID = [
    [True] * 7,
    [True, False, True, True, False, True, True],
    [False, False, True, False, True, False, False],
]


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@pytest.mark.parametrize("valid", VALID)
def test_every_term_equals_the_loop_over_the_valid_rows(rule: VicregRule, valid: list[bool]) -> None:
    first, second = views()
    mask = torch.tensor(valid)
    terms = vicreg(first, second, mask, rule)
    expected = reference(first[mask].tolist(), second[mask].tolist(), rule)
    assert {name: value.item() for name, value in terms.items()} == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_the_gradient_is_that_of_differences(rule: VicregRule) -> None:
    first, second = (view.requires_grad_() for view in views(5, 3))
    mask = torch.tensor([True, True, False, True, True])
    assert torch.autograd.gradcheck(lambda a, b: vicreg(a, b, mask, rule)["loss"], (first, second))


def test_the_coefficients_of_crossl_and_of_the_reference_are_those_of_row_16() -> None:
    """methods §0 row 16 and §3: 10/10/100 with variances ÷ N beside 25/25/1 with ÷ (N − 1)."""
    coefficients = {
        name: (rule.similarity, rule.variance, rule.covariance, rule.sample_variance)
        for name, rule in RULES.items()
    }
    assert coefficients == {"reference": (25, 25, 1, True), "crossl": (10, 10, 100, False)}


def test_the_divisor_of_the_variance_is_all_that_sample_variance_changes() -> None:
    first, second = (0.1 * view for view in views())
    valid = torch.ones(7, dtype=torch.bool)
    sample, population = (vicreg(first, second, valid, VicregRule(1, 1, 1, flag)) for flag in (True, False))
    assert sample["covariance"] == population["covariance"]
    assert sample["similarity"] == population["similarity"]
    assert sample["variance"] < population["variance"]


@pytest.mark.parametrize("rows", [0, 1])
@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_too_few_rows_give_zero_with_a_gradient_of_zero(rows: int, rule: VicregRule) -> None:
    first, second = (view.requires_grad_() for view in views())
    mask = torch.arange(7) < rows
    terms = vicreg(first, second, mask, rule)
    assert terms["variance"] == terms["covariance"] == 0
    terms["loss"].backward()
    assert first.grad is not None
    assert not first.grad[rows:].any()
    assert rows or terms["loss"] == 0


def test_of_one_row_only_the_similarity_has_a_gradient() -> None:
    first, second = (view.requires_grad_() for view in views())
    terms = vicreg(first, second, torch.arange(7) == 3, REFERENCE_VICREG)
    (grad,) = torch.autograd.grad(terms["variance"] + terms["covariance"], first)
    assert not grad.any()


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_what_a_masked_row_holds_and_the_order_change_nothing(rule: VicregRule) -> None:
    first, second = views()
    mask = torch.tensor(VALID[1])
    loss = vicreg(first, second, mask, rule)["loss"]
    spoiled = first.clone()
    spoiled[~mask] = math.nan
    spoiled.requires_grad_()
    again = vicreg(spoiled, second, mask, rule)["loss"]
    again.backward()
    assert again == loss
    assert spoiled.grad is not None
    assert torch.isfinite(spoiled.grad).all()
    order = torch.tensor([4, 0, 6, 2, 1, 3, 5])
    permuted = vicreg(first[order], second[order], mask[order], rule)["loss"]
    assert permuted.item() == pytest.approx(loss.item(), rel=1e-12)


def test_halves_are_reckoned_in_float32_even_under_autocast() -> None:
    first, second = (view.float() for view in views())
    mask = torch.ones(7, dtype=torch.bool)
    plain = vicreg(first, second, mask, REFERENCE_VICREG)["loss"]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = vicreg(first, second, mask, REFERENCE_VICREG)["loss"]
    assert cast.dtype == torch.float32
    assert cast == plain
    rounded = vicreg(first.bfloat16(), second.bfloat16(), mask, REFERENCE_VICREG)["loss"]
    assert rounded.dtype == torch.float32


def test_embeddings_that_are_all_one_cost_the_whole_hinge() -> None:
    same = torch.ones(6, 4, dtype=torch.float64)
    terms = vicreg(same, same, torch.ones(6, dtype=torch.bool), REFERENCE_VICREG)
    assert terms["variance"].item() == pytest.approx(1 - 0.01)
    assert terms["similarity"] == terms["covariance"] == 0
