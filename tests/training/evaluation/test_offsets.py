"""Retrieval by windows a little earlier or later, against loops; what guessing by either rule gives."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from sensorloom.training.chance import retrieval_chance
from sensorloom.training.evaluation import offsets
from sensorloom.training.evaluation.embeddings import EmbeddedSplit
from sensorloom.training.evaluation.offsets import OffsetScores, chance_of_guesses, offset_scores
from sensorloom.training.evaluation.retrieval import ranks_of_first_right, ranks_of_one, retrieval_scores
from tests.training.embedded_splits import SECOND_NS, make_split

NUMBERS = ("r1", "r10", "r50", "mrr")


def by_loops(split: EmbeddedSplit, key: str, reach_s: float, rule: str) -> dict[str, float]:
    (imu_ND, has_N), (key_ND, there_N) = split.vectors["imu"], split.vectors[key]
    both = [at for at in range(len(split)) if has_N[at] and there_N[at]]
    ranks, choices = [], []
    for one in both:
        near = [at for at in range(len(split)) if has_N[at] and is_near(split, one, at, reach_s)]
        cosine = {
            at: [sum(float(a) * float(b) for a, b in zip(imu_ND[by], key_ND[at], strict=True)) for by in near]
            for at in both
        }
        if rule == "best-score":
            best = {at: max(row) for at, row in cosine.items()}
            ranks.append(sum(best[at] > best[one] + 1e-6 for at in both) + 1)
        else:
            ranks.append(
                min(
                    sum(cosine[at][by] > cosine[one][by] + 1e-6 for at in both) + 1 for by in range(len(near))
                )
            )
        choices.append(len(near))
    found = {f"r{most}": sum(rank <= most for rank in ranks) / len(ranks) for most in (1, 10, 50)}
    found["mrr"] = sum(1 / rank for rank in ranks) / len(ranks)
    return {**found, "choices": sum(choices) / len(choices), "candidates": len(both)}


def is_near(split: EmbeddedSplit, one: int, at: int, reach_s: float) -> bool:
    apart_ns = abs(int(split.start_ns_N[one]) - int(split.start_ns_N[at]))
    return int(split.take_N[one]) == int(split.take_N[at]) and apart_ns <= reach_s * SECOND_NS


def flat(found: OffsetScores) -> dict[str, float]:
    numbers = {name: getattr(found.scores, name) for name in (*NUMBERS, "candidates")}
    return numbers | {"choices": found.choices}


def distinct(seed: int = 0) -> EmbeddedSplit:
    """A split in which no two texts are the same, so that no two candidates are equally near."""
    split = make_split(36, seed=seed)
    return replace(split, vectors={**split.vectors, "text": split.vectors["mocap"]})


@pytest.mark.parametrize("seed", range(2))
def test_scores_are_those_of_loops(seed: int) -> None:
    split = distinct(seed)
    for found in offset_scores(split, (0, 3, 7.5)):
        assert flat(found) == pytest.approx(by_loops(split, found.scores.key, found.reach_s, found.rule))


def test_chunks_and_the_order_of_windows_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    split = distinct()
    whole = [flat(found) for found in offset_scores(split, (4,))]
    monkeypatch.setattr(offsets, "_CELLS", 90)
    assert [flat(found) for found in offset_scores(split, (4,))] == [pytest.approx(each) for each in whole]
    order_N = torch.randperm(36, generator=torch.Generator().manual_seed(1))
    shuffled = replace(
        split,
        window_ids=tuple(split.window_ids[at] for at in order_N),
        take_N=split.take_N[order_N],
        start_ns_N=split.start_ns_N[order_N],
        vectors={name: (rows[order_N], there[order_N]) for name, (rows, there) in split.vectors.items()},
    )
    assert [flat(found) for found in offset_scores(shuffled, (4,))] == [pytest.approx(each) for each in whole]


def test_without_reach_it_is_retrieval_as_published() -> None:
    split = distinct()
    plain = {
        each.key: each
        for each in retrieval_scores(split)
        if each.query == "imu" and each.variant == "one-right"
    }
    for found in offset_scores(split, (0,)):
        assert found.choices == 1
        for name in NUMBERS:
            assert getattr(found.scores, name) == pytest.approx(getattr(plain[found.scores.key], name))
            assert found.scores.chance[name] == pytest.approx(plain[found.scores.key].chance[name])


@pytest.mark.parametrize("steps", [3, 1000], ids=["many-equal", "few-equal"])
def test_the_rank_of_one_is_that_of_the_first_right_one(steps: int) -> None:
    rng = torch.Generator().manual_seed(2)
    cosine_QN = (torch.rand(50, 30, generator=rng) * steps).round() / steps
    place_Q = torch.randint(0, 30, (50,), generator=rng)
    right_QN = torch.arange(30) == place_Q[:, None]
    assert torch.equal(ranks_of_one(cosine_QN, place_Q), ranks_of_first_right(cosine_QN, right_QN))


def test_the_sensors_ask_by_both_rules_for_every_reach() -> None:
    found = [
        (each.reach_s, each.scores.query, each.scores.key, each.rule)
        for each in offset_scores(distinct(), (1, 2))
    ]
    assert found == [
        (reach_s, "imu", key, rule)
        for reach_s in (1, 2)
        for key in ("text", "video", "mocap")
        for rule in ("best-score", "best-rank")
    ]


def test_what_belongs_to_the_window_before_is_found_within_reach() -> None:
    """The sensors of each window are the poses of the next of its take, 3 s later."""
    split = make_split(share=1.0)
    mocap_ND, there_N = split.vectors["mocap"]
    split = replace(
        split, vectors={"imu": (mocap_ND.roll(-4, dims=0), there_N), "mocap": (mocap_ND, there_N)}
    )
    by = {(each.reach_s, each.rule): each.scores for each in offset_scores(split, (0, 3))}
    assert by[0, "best-rank"].r1 == 0.0
    assert by[3, "best-rank"].r1 == pytest.approx(36 / 40)  # the first of each take has none before
    assert by[3, "best-score"].r10 >= 36 / 40  # its neighbours are as near as it is


def test_the_chance_of_several_guesses_is_that_of_random_orders() -> None:
    rng = torch.Generator().manual_seed(0)
    best = (
        torch.stack([torch.rand(20000, 12, generator=rng).argsort(dim=1)[:, 0] for _ in range(3)]).amin(dim=0)
        + 1
    )
    chance = chance_of_guesses(12, 3)
    assert chance["r1"] == pytest.approx(1 - (11 / 12) ** 3)
    assert chance["r10"] == pytest.approx((best <= 10).double().mean().item(), abs=0.01)
    assert chance["mrr"] == pytest.approx((1 / best).mean().item(), abs=0.01)
    assert chance["r50"] == 1.0


def test_the_chance_of_one_guess_is_that_of_retrieval() -> None:
    assert chance_of_guesses(30, 1) == pytest.approx(retrieval_chance(30))


def test_vectors_that_know_nothing_score_what_guessing_does() -> None:
    found = [
        each for seed in range(6) for each in offset_scores(make_split(240, seed=seed, texts=1000), (3,))
    ]
    for rule in ("best-score", "best-rank"):
        scores = [each.scores for each in found if each.rule == rule]
        ratio = sum(each.r10 for each in scores) / sum(each.chance["r10"] for each in scores)
        assert ratio == pytest.approx(1.0, abs=0.15)
        assert sum(each.chance["r10"] for each in scores) / len(scores) > (
            0.1 if rule == "best-rank" else 0.05
        )


def test_a_collapsed_encoder_gains_nothing_by_more_choices() -> None:
    split = make_split(share=1.0)
    same_ND = torch.full((40, 8), 8**-0.5)
    split = replace(split, vectors={"imu": split.vectors["imu"], "mocap": (same_ND, split.vectors["imu"][1])})
    assert all(each.scores.mrr == pytest.approx(2 / 41) for each in offset_scores(split, (0, 9)))


def test_a_negative_reach_is_refused() -> None:
    with pytest.raises(ValueError, match=r"moved by 0 s or more either way, got \[1, -0.5\]"):
        offset_scores(distinct(), (1, -0.5))
