"""Validation without labels, against loops; ties, missing rows and the best epoch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from sensorloom.store.repository import Repository
from sensorloom.training.batch import Batch
from sensorloom.training.facts import take_numbers
from sensorloom.training.objective import after_step, collapse_signs, term_norms
from sensorloom.training.stream import TripletStream
from sensorloom.training.validate import plain, validate
from tests.training.learnable_triplets import write_learnable

CPU = torch.device("cpu")


class Frozen(nn.Module):
    """An objective of given vectors: row i of each modality is that of example i of the split."""

    def __init__(self, **rows: tuple[Tensor, Tensor]) -> None:
        super().__init__()
        self.rows = rows
        self.modes: list[bool] = []

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        self.modes.append(self.training)
        return {"loss": batch.index_B.float().mean(), "term": torch.tensor(2.0)}

    def embed(self, batch: Batch) -> dict[str, tuple[Tensor, Tensor]]:
        return {
            name: (rows[batch.index_B], there[batch.index_B]) for name, (rows, there) in self.rows.items()
        }


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return write_learnable(str(tmp_path_factory.mktemp("validated") / "store"))


def stream_of(repo: Repository, batch_size: int = 7) -> TripletStream:
    return TripletStream(
        repo, view="learnable", split="val", batch_size=batch_size, shuffle="none", last="keep"
    )


def rows(seed: int, share: float = 1.0) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(seed)
    there = torch.rand(16, generator=rng) < share
    return normalize(torch.randn(16, 3, generator=rng), dim=1), there


def ranks_by_loops(query: tuple[Tensor, Tensor], key: tuple[Tensor, Tensor]) -> list[float]:
    both = [at for at in range(16) if query[1][at] and key[1][at]]
    found = []
    for one in both:
        cosine = {
            at: sum(float(a) * float(b) for a, b in zip(query[0][one], key[0][at], strict=True))
            for at in both
        }
        others = [cosine[at] for at in both if at != one]
        found.append(1.0 + sum(each > cosine[one] for each in others))
    return found


def test_retrieval_is_that_of_loops_over_what_both_have(repo: Repository) -> None:
    imu, text = rows(0, 0.8), rows(1, 0.8)
    scores = validate(Frozen(imu=imu, text=text), stream_of(repo), CPU).scores
    for pair, ranks in (("imu-text", ranks_by_loops(imu, text)), ("text-imu", ranks_by_loops(text, imu))):
        assert scores[f"{pair}/candidates"] == len(ranks)
        assert scores[f"{pair}/r10"] == pytest.approx(sum(rank <= 10 for rank in ranks) / len(ranks))
        assert scores[f"{pair}/mrr"] == pytest.approx(sum(1 / rank for rank in ranks) / len(ranks))
        assert scores[f"{pair}/r10_chance"] == pytest.approx(10 / len(ranks))


def test_the_loss_is_the_mean_over_examples_in_evaluation_mode(repo: Repository) -> None:
    objective = Frozen(imu=rows(0))
    found = validate(objective, stream_of(repo), CPU)
    assert found.scores == {"val_loss": pytest.approx(7.5), "val_term": 2.0}
    assert found.merit == pytest.approx(-7.5)
    assert objective.modes == [False] * 3
    assert objective.training


def test_where_something_is_found_the_reciprocal_rank_decides(repo: Repository) -> None:
    imu = rows(0)
    assert validate(Frozen(imu=imu, mocap=imu), stream_of(repo), CPU).merit == 1.0
    worse = validate(Frozen(imu=imu, mocap=rows(3)), stream_of(repo), CPU)
    assert 0 < worse.merit < 1
    assert worse.merit == pytest.approx((worse.scores["imu-mocap/mrr"] + worse.scores["mocap-imu/mrr"]) / 2)


def test_frozen_modalities_are_not_held_against_each_other(repo: Repository) -> None:
    scores = validate(Frozen(imu=rows(0), text=rows(1), video=rows(2)), stream_of(repo), CPU).scores
    assert {name.partition("/")[0] for name in scores if "/" in name} == {
        "imu-text", "text-imu", "imu-video", "video-imu"
    }  # fmt: skip


def test_a_collapsed_encoder_finds_nothing_and_looks_collapsed(repo: Repository) -> None:
    same = (torch.ones(16, 3) / 3**0.5, torch.ones(16, dtype=torch.bool))
    found = validate(Frozen(imu=same, text=rows(1)), stream_of(repo, 16), CPU)
    assert found.scores["imu-text/mrr"] == pytest.approx(found.scores["imu-text/mrr_chance"])
    assert found.scores["text-imu/mrr"] == pytest.approx(1 / 8.5)
    assert found.signs["imu/mean_pairwise_cosine"] == pytest.approx(1.0)
    assert found.signs["imu/unit_spread"] == pytest.approx(0.0, abs=1e-6)


def test_few_windows_are_not_looked_at_for_collapse(repo: Repository) -> None:
    assert validate(Frozen(imu=rows(0)), stream_of(repo, 7), CPU).signs == {}
    assert validate(Frozen(imu=rows(0)), stream_of(repo, 8), CPU).signs != {}


def test_takes_are_those_of_the_split_that_is_read(repo: Repository) -> None:
    seen: list[Any] = []

    class Takes(Frozen):
        def forward(self, batch: Batch) -> dict[str, Tensor]:
            assert isinstance(self.take_of, Tensor)
            seen.extend(self.take_of[batch.index_B].tolist())
            return super().forward(batch)

    objective = Takes(imu=rows(0))
    objective.register_buffer("take_of", torch.tensor([-5]))
    validate(objective, stream_of(repo), CPU)
    assert len(seen) == 16
    assert len(set(seen)) == 4
    assert seen == sorted(seen, key=seen.index)
    assert min(seen) >= 0
    assert torch.equal(objective.get_buffer("take_of"), torch.tensor([-5]))


def test_takes_are_looked_up_once_for_a_stream(repo: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def counted(stream: TripletStream) -> Tensor:
        asked.append(stream)
        return take_numbers(stream)

    monkeypatch.setattr("sensorloom.training.validate.take_numbers", counted)
    objective = Frozen(imu=rows(0))
    objective.register_buffer("take_of", torch.tensor([-5]))
    stream, other = stream_of(repo), stream_of(repo)
    for each in (stream, stream, other, stream):
        validate(objective, each, CPU)
    assert asked == [stream, other]


def test_the_norm_of_a_term_is_that_of_its_own_gradient() -> None:
    model = nn.Linear(2, 1, bias=False)
    output = model(torch.tensor([[3.0, 4.0]])).sum()
    terms = {"loss": 3 * output, "one": output, "two": 2 * output, "told": torch.tensor(1.0)}
    assert term_norms(model, terms) == pytest.approx({"gradient_norm/one": 5.0, "gradient_norm/two": 10.0})
    terms["loss"].backward()
    assert model.weight.grad is not None
    assert torch.equal(model.weight.grad, torch.tensor([[9.0, 12.0]]))


def test_an_objective_need_not_have_anything_to_do_after_a_step() -> None:
    assert after_step(nn.Linear(1, 1), 0.5) == {}


def test_signs_of_its_own_come_before_those_of_embeddings() -> None:
    class Own(Frozen):
        def signs(self, batch: Batch) -> dict[str, float]:
            return {"own": float(len(batch))}

    assert collapse_signs(Own(imu=rows(0)), Batch(index_B=torch.arange(3))) == {"own": 3.0}


def test_what_is_not_finite_is_none_in_json() -> None:
    assert plain({"a": 1.0, "b": float("inf"), "c": float("nan")}) == {"a": 1.0, "b": None, "c": None}
