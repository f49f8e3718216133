"""Retrieval among the windows of a split, against loops; what guessing, a collapsed and a perfect encoder score."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import permutations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorloom.training.chance import retrieval_chance
from sensorloom.training.evaluation import retrieval
from sensorloom.training.evaluation.embeddings import EmbeddedSplit
from sensorloom.training.evaluation.retrieval import (
    RetrievalScores,
    one_right_scores,
    ranks_of_first_right,
    retrieval_scores,
)
from tests.training.embedded_splits import SECOND_NS, make_split, unit_rows

VARIANTS = ("one-right", "all-right", "other-takes")


def by_loops(split: EmbeddedSplit, query: str, key: str, variant: str) -> dict[str, float]:
    """Mean scores and mean chance over the windows that have both, one window at a time in float64."""
    (query_ND, has_N), (key_ND, there_N) = split.vectors[query], split.vectors[key]
    both = [at for at in range(len(split)) if has_N[at] and there_N[at]]
    ranks, chances, sizes = [], [], []
    answers: Counter[int] = Counter()
    for one in both:
        candidates = [at for at in both if variant != "other-takes" or is_allowed(split, one, at)]
        right = [
            at
            for at in candidates
            if at == one or (variant == "all-right" and is_right(split, one, at, {query, key}))
        ]
        cosine = {
            at: sum(float(a) * float(b) for a, b in zip(query_ND[one], key_ND[at], strict=True))
            for at in candidates
        }
        best = max(cosine[at] for at in right)
        before = [at for at in candidates if cosine[at] > best + 1e-6]
        level = [at for at in candidates if abs(cosine[at] - best) <= 1e-6]
        rights = [at for at in level if at in right]
        ranks.append(1 + len(before) + (len(level) - len(rights)) / (len(rights) + 1))
        chances.append(retrieval_chance(len(candidates), len(right)))
        sizes.append(len(candidates))
        answers.update({*right} | ({*both} - {*candidates}))
    found = {f"r{most}": sum(rank <= most for rank in ranks) / len(ranks) for most in (1, 10, 50)}
    found["mrr"] = sum(1 / rank for rank in ranks) / len(ranks)
    mean = {f"chance_{name}": sum(chance[name] for chance in chances) / len(ranks) for name in chances[0]}
    mean["chance_constant_r1"] = max(answers.values()) / len(both)
    return {**found, **mean, "queries": len(both), "candidates": round(sum(sizes) / len(sizes))}


def is_allowed(split: EmbeddedSplit, one: int, at: int) -> bool:
    return at == one or int(split.take_N[one]) != int(split.take_N[at])


def is_right(split: EmbeddedSplit, one: int, at: int, pair: set[str]) -> bool:
    if "text" in pair and int(split.text_id_N[one]) == int(split.text_id_N[at]) != 0:
        return True
    apart_ns = abs(int(split.start_ns_N[one]) - int(split.start_ns_N[at]))
    return int(split.take_N[one]) == int(split.take_N[at]) and apart_ns < split.length_ns


def flat(scores: RetrievalScores) -> dict[str, float]:
    named = {name: getattr(scores, name) for name in ("r1", "r10", "r50", "mrr", "queries", "candidates")}
    return named | {f"chance_{name}": value for name, value in scores.chance.items()}


def only(found: tuple[RetrievalScores, ...], query: str, key: str) -> dict[str, RetrievalScores]:
    return {each.variant: each for each in found if (each.query, each.key) == (query, key)}


@pytest.fixture
def split() -> EmbeddedSplit:
    return make_split()


def assert_as_loops(split: EmbeddedSplit) -> None:
    for found in retrieval_scores(split):
        assert flat(found) == pytest.approx(by_loops(split, found.query, found.key, found.variant))


@pytest.mark.parametrize("seed", range(2))
def test_scores_are_those_of_loops(seed: int) -> None:
    assert_as_loops(make_split(36, seed=seed))


@settings(max_examples=12, deadline=None)
@given(
    count=st.integers(6, 20),
    takes=st.integers(1, 5),
    texts=st.integers(1, 6),
    share=st.sampled_from((0.6, 1.0)),
    seed=st.integers(0, 99),
)
def test_scores_are_those_of_loops_whatever_the_split(
    count: int, takes: int, texts: int, share: float, seed: int
) -> None:
    assert_as_loops(make_split(count, seed=seed, takes=takes, texts=texts, share=share))


def test_chunks_change_nothing(split: EmbeddedSplit, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = retrieval_scores(split)
    monkeypatch.setitem(retrieval._CELLS, "cpu", 70)
    monkeypatch.setattr(retrieval, "_ROWS", 3)
    assert retrieval_scores(split) == whole


@pytest.mark.parametrize("name", ["cpu", "cuda"])
def test_a_device_changes_nothing(split: EmbeddedSplit, name: str) -> None:
    if name == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device is at hand")
    found = retrieval_scores(split, device=torch.device(name))
    assert [flat(each) for each in found] == [pytest.approx(flat(each)) for each in retrieval_scores(split)]


def test_every_pair_but_that_of_frozen_vectors_has_every_variant(split: EmbeddedSplit) -> None:
    names = [(each.query, each.key, each.variant) for each in retrieval_scores(split)]
    pairs = [pair for pair in permutations(split.vectors, 2) if {*pair} != {"text", "video"}]
    assert names == [(*pair, variant) for pair in pairs for variant in VARIANTS]


def test_a_pair_that_no_two_windows_have_is_left_out(split: EmbeddedSplit) -> None:
    imu, text = split.vectors["imu"], split.vectors["text"]
    there_N = torch.zeros(40, dtype=torch.bool)
    there_N[imu[1].nonzero()[0]] = True
    lonely = replace(split, vectors={"imu": imu, "text": (text[0], there_N)})
    assert retrieval_scores(lonely) == ()


def test_one_take_has_no_other_takes() -> None:
    assert {each.variant for each in retrieval_scores(make_split(takes=1))} == {"one-right", "all-right"}


def test_the_candidates_of_other_takes_are_they_and_the_right_one() -> None:
    split = make_split(share=1.0)
    found = only(retrieval_scores(split), "imu", "mocap")
    assert found["one-right"].candidates == found["all-right"].candidates == 40
    assert found["other-takes"].candidates == 31
    assert found["other-takes"].chance["r10"] == pytest.approx(10 / 31)


def test_a_perfect_encoder_finds_all() -> None:
    split = make_split(share=1.0)
    split = replace(split, vectors=dict.fromkeys(("imu", "mocap"), split.vectors["imu"]))
    assert [(each.r1, each.mrr) for each in retrieval_scores(split)] == [(1.0, 1.0)] * 6


def test_what_overlaps_or_says_the_same_is_right_only_where_all_are() -> None:
    """Each window finds the next of its take before its own; those overlap by 2 s, of 5."""
    split = make_split(share=1.0, texts=1000)
    imu_ND = split.vectors["imu"][0]
    following = (imu_ND.roll(-4, dims=0) + 0.01 * imu_ND, split.vectors["imu"][1])
    found = only(retrieval_scores(replace(split, vectors={"imu": following, "mocap": split.vectors["imu"]})),
                 "imu", "mocap")  # fmt: skip
    assert found["one-right"].r1 == 0.0
    assert found["all-right"].r1 == pytest.approx(36 / 40)  # the last of each take has none after it
    apart = replace(split, length_ns=3 * SECOND_NS, vectors={"imu": following, "mocap": split.vectors["imu"]})
    assert only(retrieval_scores(apart), "imu", "mocap")["all-right"].r1 < 0.3


def test_a_missing_text_is_no_text_that_others_say_too() -> None:
    split = make_split(share=1.0, texts=1)
    said = only(retrieval_scores(split), "imu", "text")["all-right"]
    assert said.chance["r1"] == pytest.approx(1.0)
    silent = replace(split, text_id_N=torch.zeros(40, dtype=torch.int64), length_ns=0)
    assert only(retrieval_scores(silent), "imu", "text")["all-right"].chance["r1"] == pytest.approx(1 / 40)


def test_equal_texts_make_no_other_video_or_pose_right() -> None:
    """All windows say the same; the share of right ones by guessing tells how many are."""
    split = replace(make_split(share=1.0, texts=1), length_ns=0)
    of_text = replace(split, vectors={**split.vectors, "text: atomic": split.vectors["text"]})
    found = {(each.query, each.key): each.chance["r1"] for each in retrieval_scores(of_text)
             if each.variant == "all-right"}  # fmt: skip
    for other in ("video", "mocap"):
        assert found["imu", other] == found[other, "imu"] == pytest.approx(1 / 40)
    for other in ("text", "text: atomic"):
        assert found["imu", other] == found[other, "imu"] == pytest.approx(1.0)


def test_a_collapsed_encoder_finds_no_more_than_guessing(split: EmbeddedSplit) -> None:
    same_ND = torch.full((40, 8), 8**-0.5)
    split = replace(split, vectors={**split.vectors, "imu": (same_ND, split.vectors["imu"][1])})
    for found in retrieval_scores(split):
        if "imu" in (found.query, found.key):
            assert found.r1 <= found.chance["constant_r1"] + 1e-9
            assert found.mrr <= found.chance["mrr"] + 1e-9 or found.variant != "one-right"


def test_equal_texts_are_equally_near_wherever_they_stand() -> None:
    """The right text is said by all: the rank is the middle, not that of rounding."""
    count = 301
    there_N = torch.ones(count, dtype=torch.bool)
    vectors = {
        "imu": (unit_rows(count, 0, 96), there_N),
        "text": (unit_rows(1, 1, 96).expand(count, 96), there_N),
    }
    found = only(one_right_scores(vectors), "imu", "text")["one-right"]
    assert found.mrr == pytest.approx(2 / (count + 1))


def test_what_is_not_finite_finds_nothing() -> None:
    split = make_split(share=1.0)
    broken = torch.full((40, 8), float("nan"))
    split = replace(
        split, vectors={"imu": (broken, split.vectors["imu"][1]), "mocap": split.vectors["mocap"]}
    )
    assert all(found.r1 == 0.0 and found.mrr <= found.chance["mrr"] for found in retrieval_scores(split))


def test_vectors_that_know_nothing_score_what_guessing_does() -> None:
    found = [each for seed in range(4) for each in retrieval_scores(make_split(300, seed=seed, texts=40))]
    for variant in VARIANTS:
        of_it = [each for each in found if each.variant == variant and "text" not in (each.query, each.key)]
        ratio = sum(each.r10 for each in of_it) / sum(each.chance["r10"] for each in of_it)
        assert ratio == pytest.approx(1.0, abs=0.1)


def test_autocast_leaves_cosines_alone(split: EmbeddedSplit) -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert retrieval_scores(split) == retrieval_scores(make_split())
        found = next(iter(retrieval.all_pairs(split.vectors)))
        assert found.cosines(torch.arange(2)).dtype == torch.float32


def some_orders(candidates: int) -> Iterator[tuple[int, ...]]:
    yield from permutations(range(candidates))


def test_a_tie_counts_as_a_random_order_of_it_does_on_average() -> None:
    """Of two right and three wrong ones that are equally near, and one that is farther."""
    right_QN = torch.tensor([[True, True, False, False, False, False]])
    cosine_QN = torch.tensor([[0.5, 0.5, 0.5, 0.5, 0.5, 0.1]])
    first = [min(order.index(0), order.index(1)) + 1 for order in some_orders(5)]
    assert ranks_of_first_right(cosine_QN, right_QN).item() == pytest.approx(sum(first) / len(first))
    out_QN = torch.tensor([[False, False, True, True, False, False]])
    assert ranks_of_first_right(cosine_QN, right_QN, out_QN).item() == pytest.approx(1 + 1 / 3)


def test_what_differs_by_rounding_alone_is_equally_near() -> None:
    cosine_QN = torch.tensor([[0.5, 0.5000001, 0.4999999, 0.4], [0.5, 0.5001, 0.4999, 0.4]])
    right_QN = torch.tensor([[True, False, False, False]]).expand(2, 4)
    assert ranks_of_first_right(cosine_QN, right_QN).tolist() == [2.0, 2.0]
    assert ranks_of_first_right(cosine_QN[:, [0, 2, 3]], right_QN[:, :3]).tolist() == [1.5, 1.0]
