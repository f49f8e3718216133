"""Signs of collapse: each against a loop, on collapsed and on healthy embeddings, and when the alarm is raised."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from sensorloom.training.terms.collapse import (
    LIMITS,
    CollapseWatch,
    alignment,
    effective_rank,
    embedding_signs,
    mean_pairwise_cosine,
    mean_std,
    neighbour_accuracy,
    off_diagonal_energy,
    prediction_ratio,
    uniformity,
    unit_spread,
)

ROWS, WIDTH = 64, 16


def healthy() -> Tensor:
    return torch.randn(ROWS, WIDTH, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def one_point() -> Tensor:
    """Every window the same vector, but for rounding."""
    return torch.linspace(1, 2, WIDTH, dtype=torch.float64) + 1e-6 * healthy()


def one_line() -> Tensor:
    """Windows that differ along one direction only: dimensional collapse, with mean zero."""
    return healthy()[:, :1] * torch.linspace(1, 2, WIDTH, dtype=torch.float64) + 1e-6 * healthy()


def unit(row: list[float]) -> list[float]:
    length = math.sqrt(sum(value**2 for value in row))
    return [value / length for value in row]


def slow_mean_std(rows: list[list[float]]) -> float:
    total = 0.0
    for d in range(len(rows[0])):
        mean = sum(row[d] for row in rows) / len(rows)
        total += math.sqrt(sum((row[d] - mean) ** 2 for row in rows) / (len(rows) - 1))
    return total / len(rows[0])


def slow_unit_spread(rows: list[list[float]]) -> float:
    return slow_mean_std([unit(row) for row in rows]) * math.sqrt(len(rows[0]))


def slow_rank(rows: list[list[float]]) -> float:
    squares = np.clip(np.linalg.eigvalsh(np.array(rows).T @ np.array(rows)), 0, None)
    total = sum(math.sqrt(square) for square in squares)
    return math.exp(-sum(math.sqrt(s) / total * math.log(math.sqrt(s) / total) for s in squares if s > 0))


def slow_off_diagonal(rows: list[list[float]]) -> float:
    width = len(rows[0])
    mean = [sum(row[d] for row in rows) / len(rows) for d in range(width)]
    pairs = [(d, e) for d in range(width) for e in range(width) if d != e]
    return (
        sum(
            (sum((row[d] - mean[d]) * (row[e] - mean[e]) for row in rows) / (len(rows) - 1)) ** 2
            for d, e in pairs
        )
        / width
    )


def pairs_of_units(rows: list[list[float]]) -> list[tuple[list[float], list[float]]]:
    units = [unit(row) for row in rows]
    return [(units[i], units[j]) for i in range(len(units)) for j in range(i)]


def slow_cosine(rows: list[list[float]]) -> float:
    cosines = [sum(a * b for a, b in zip(*pair, strict=True)) for pair in pairs_of_units(rows)]
    return sum(cosines) / len(cosines)


def slow_uniformity(rows: list[list[float]]) -> float:
    kernel = [
        math.exp(-2 * sum((a - b) ** 2 for a, b in zip(*pair, strict=True))) for pair in pairs_of_units(rows)
    ]
    return math.log(sum(kernel) / len(kernel))


SIGNS: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[list[list[float]]], float]]] = {
    "mean_std": (mean_std, slow_mean_std),
    "unit_spread": (unit_spread, slow_unit_spread),
    "effective_rank": (effective_rank, slow_rank),
    "off_diagonal_energy": (off_diagonal_energy, slow_off_diagonal),
    "mean_pairwise_cosine": (mean_pairwise_cosine, slow_cosine),
    "uniformity": (uniformity, slow_uniformity),
}


@pytest.mark.parametrize("name", SIGNS)
@pytest.mark.parametrize("embeddings", [healthy, one_point, one_line])
def test_a_sign_equals_its_loop(name: str, embeddings: Callable[[], Tensor]) -> None:
    quick, slow = SIGNS[name]
    rows = embeddings()
    assert quick(rows).item() == pytest.approx(slow(rows.tolist()), rel=1e-6, abs=1e-9)
    assert embedding_signs(rows)[name] == quick(rows).item()


HEALTHY = {
    "mean_std": (0.8, 1.2),
    "unit_spread": (0.9, 1.1),
    "effective_rank": (0.8 * WIDTH, WIDTH),
    "off_diagonal_energy": (0.0, 1.0),
    "mean_pairwise_cosine": (-0.05, 0.05),
    "uniformity": (-4.0, -3.0),
}
COLLAPSED = {
    "mean_std": (one_point, 0.0, 1e-5),
    "unit_spread": (one_point, 0.0, 1e-5),
    "effective_rank": (one_line, 1.0, 1.01),
    "off_diagonal_energy": (one_line, 5.0, math.inf),
    "mean_pairwise_cosine": (one_point, 0.999, 1.0),
    "uniformity": (one_point, -1e-6, 1e-6),
}


@pytest.mark.parametrize("name", SIGNS)
def test_a_sign_tells_collapsed_from_healthy(name: str) -> None:
    low, high = HEALTHY[name]
    assert low <= SIGNS[name][0](healthy()).item() <= high
    embeddings, low, high = COLLAPSED[name]
    assert low <= SIGNS[name][0](embeddings()).item() <= high


def test_the_limits_are_those_of_the_monitors_of_4_5() -> None:
    """Mean std of unit vectors < 0.5/√d, effective rank < 0.1·d, cosine > 0.9, prediction not better than the mean."""
    limits = {name: (limit.side, limit.value) for name, limit in LIMITS.items()}
    assert limits == {
        "unit_spread": ("below", 0.5),
        "rank_share": ("below", 0.1),
        "mean_pairwise_cosine": ("above", 0.9),
        "prediction_ratio": ("above", 1.0),
    }


def beyond(signs: dict[str, float]) -> set[str]:
    return {name for name, limit in LIMITS.items() if name in signs and limit.passed(signs[name])}


def test_limits_separate_healthy_from_collapsed_embeddings() -> None:
    assert beyond(embedding_signs(healthy())) == set()
    assert beyond(embedding_signs(one_point())) == {"unit_spread", "rank_share", "mean_pairwise_cosine"}
    assert beyond(embedding_signs(one_line())) == {"rank_share"}


def test_a_small_batch_of_wide_embeddings_is_not_collapsed_for_its_size() -> None:
    wide = torch.randn(8, 512, generator=torch.Generator().manual_seed(0))
    signs = embedding_signs(wide)
    assert signs["effective_rank"] < 0.1 * 512
    assert signs["rank_share"] > 0.9
    assert beyond(signs) == set()


@pytest.mark.parametrize("rows", [0, 1])
def test_too_few_rows_give_numbers(rows: int) -> None:
    assert all(math.isfinite(value) for value in embedding_signs(healthy()[:rows]).values())
    assert effective_rank(torch.zeros(4, 3)) == 0


def test_alignment_is_the_mean_squared_distance_of_units() -> None:
    first, second = healthy()[:10], healthy()[10:20]
    slow = [
        sum((a - b) ** 2 for a, b in zip(unit(x), unit(y), strict=True))
        for x, y in zip(first.tolist(), second.tolist(), strict=True)
    ]
    assert alignment(first, second).item() == pytest.approx(sum(slow) / 10)
    assert alignment(first, 3 * first).item() == pytest.approx(0)


def slow_ratio(predicted: Tensor, target: Tensor, asked: Tensor, there: Tensor) -> float:
    def smooth(gap: float) -> float:
        return 0.5 * gap**2 if abs(gap) < 1 else abs(gap) - 0.5

    ours = theirs = 0.0
    examples, tokens, width = target.shape
    for n in range(tokens):
        rows = [b for b in range(examples) if there[b, n]]
        for d in range(width):
            mean = sum(target[b, n, d].item() for b in rows) / max(len(rows), 1)
            for b in range(examples):
                if asked[b, n]:
                    ours += smooth(predicted[b, n, d].item() - target[b, n, d].item())
                    theirs += smooth(mean - target[b, n, d].item())
    return ours / theirs


def test_the_ratio_of_losses_equals_its_loop_and_tells_learned_from_not() -> None:
    generator = torch.Generator().manual_seed(2)
    target = 2 * torch.randn(6, 5, 4, generator=generator, dtype=torch.float64)
    noise = torch.randn(6, 5, 4, generator=generator, dtype=torch.float64)
    there = torch.rand(6, 5, generator=generator) < 0.7
    there[2] = torch.tensor([True, False, True, False, False])
    asked = there & (torch.rand(6, 5, generator=generator) < 0.5)
    for predicted in (target + 0.5 * noise, noise, target):
        ratio = prediction_ratio(predicted, target, asked, there).item()
        assert ratio == pytest.approx(slow_ratio(predicted, target, asked, there))
    assert prediction_ratio(target + 0.5 * noise, target, asked, there) < 0.5
    assert prediction_ratio(3 * noise, target, asked, there) > 1


def test_targets_that_tell_only_their_place_count_as_collapsed() -> None:
    """However well a predictor knows them: the batch mean of the place knows them better."""
    places = healthy()[:5, :4].expand(6, 5, 4)
    everywhere = torch.ones(6, 5, dtype=torch.bool)
    assert prediction_ratio(places + 1e-3, places, everywhere, everywhere) > 1
    assert prediction_ratio(places, places * 0 + 1, everywhere, everywhere) == math.inf
    assert prediction_ratio(places, places, ~everywhere, everywhere) == math.inf


def slow_neighbours(rows: Tensor, labels: list[int], neighbours: int) -> float:
    units = [unit(row) for row in rows.tolist()]
    known = [i for i, label in enumerate(labels) if label >= 0]
    right = 0
    for i in known:
        others = sorted(
            (j for j in known if j != i),
            key=lambda j: -sum(a * b for a, b in zip(units[i], units[j], strict=True)),
        )
        votes = [labels[j] for j in others[:neighbours]]
        right += max(sorted(set(votes)), key=votes.count) == labels[i]
    return right / len(known)


@pytest.mark.parametrize("neighbours", [1, 5, 100])
def test_neighbours_vote_as_in_the_loop(neighbours: int) -> None:
    labels = [i % 3 if i % 7 else -1 for i in range(ROWS)]
    rows = healthy()
    rows[:, :3] += 2 * torch.nn.functional.one_hot(torch.tensor(labels).clamp(min=0), 3)
    share = neighbour_accuracy(rows, torch.tensor(labels), neighbours).item()
    assert share == pytest.approx(slow_neighbours(rows, labels, neighbours))


def test_neighbours_know_classes_of_healthy_embeddings_and_not_of_collapsed_ones() -> None:
    labels = torch.arange(ROWS) % 4
    rows = healthy() + 6 * torch.nn.functional.one_hot(labels, WIDTH)
    assert neighbour_accuracy(rows, labels) == 1
    assert neighbour_accuracy(one_point(), labels) < 0.5
    assert math.isnan(neighbour_accuracy(rows[:1], labels[:1]).item())


def test_the_alarm_says_after_how_many_looks_which_sign_was_beyond_its_limit() -> None:
    watch = CollapseWatch(patience=3, grace=2)
    cosines = [0.99, 0.99, 0.95, 0.5, 0.95, 0.96, 0.97, 0.98]
    ranks = [0.01, 0.01, 0.05, 0.05, 0.05, 0.5, 0.5, 0.5]
    raised = []
    for cosine, rank in zip(cosines, ranks, strict=True):
        watch = watch.after({"target/mean_pairwise_cosine": cosine, "rank_share": rank, "mean_std": 0.0})
        raised.append(dict(watch.raised))
    assert raised[3] == {}
    assert raised[4] == {"rank_share": 5}
    assert raised[-1] == watch.raised == {"rank_share": 5, "target/mean_pairwise_cosine": 7}
    assert watch.looks == 8
    assert watch.sentence() == (
        "rank_share beyond its limit for 3 looks at look 5; "
        "target/mean_pairwise_cosine beyond its limit for 3 looks at look 7"
    )


def test_a_collapsed_encoder_raises_the_alarm_and_a_healthy_one_does_not() -> None:
    collapsed, sound = CollapseWatch(), CollapseWatch()
    for _ in range(5):
        collapsed = collapsed.after(embedding_signs(one_point()))
        sound = sound.after(embedding_signs(healthy()))
    assert collapsed.raised == {"unit_spread": 3, "rank_share": 3, "mean_pairwise_cosine": 3}
    assert sound.raised == {}
    assert sound.sentence() == ""


def test_what_is_no_number_raises_the_alarm() -> None:
    watch = CollapseWatch(patience=1).after({"unit_spread": math.nan})
    assert watch.raised == {"unit_spread": 1}


def test_signs_of_what_is_not_finite_are_not_sound() -> None:
    rows_BD = torch.randn(8, 4)
    rows_BD[3, 1] = torch.nan
    signs = embedding_signs(rows_BD)
    assert math.isnan(signs["effective_rank"])
    assert CollapseWatch(patience=1).after(signs).raised.keys() >= {"rank_share", "unit_spread"}
