"""Retrieval by one camera or kind of text at a time: the vectors of that slot, its own texts, nothing embedded anew."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sensorloom.store.repository import Repository
from sensorloom.training.evaluation import judge, own_view
from sensorloom.training.evaluation.embeddings import EmbeddedSplit, embed_split
from sensorloom.training.evaluation.judge import Asked, Evaluation, evaluate_run
from sensorloom.training.evaluation.slot_splits import slot_scores, slot_splits
from sensorloom.training.run import train
from sensorloom.training.stream import TripletStream
from tests.training.evaluation.test_embeddings import CPU, TALKATIVE, Telling
from tests.training.generated_views import KnownWindow, write_view
from tests.training.learnable_triplets import write_learnable
from tests.training.test_recipes_train import small

Spoken = tuple[Repository, dict[str, KnownWindow]]


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Spoken:
    return write_view(str(tmp_path_factory.mktemp("slots") / "store"), TALKATIVE, rows=(12, 0, 9))


def stream_of(repo: Repository, **options: object) -> TripletStream:
    settings = {"batch_size": 8, "columns": ("imu", "text"), "shuffle": "none", "last": "keep"} | options
    return TripletStream(repo, view="talkative", split="train", **settings)  # type: ignore[arg-type]


def assert_same(one: EmbeddedSplit, other: EmbeddedSplit, name: str) -> None:
    there_N = other.vectors["text"][1]
    assert torch.equal(one.vectors[name][1], there_N)
    assert torch.allclose(one.vectors[name][0][there_N], other.vectors["text"][0][there_N], atol=1e-3)
    assert torch.equal(one.text_id_N, other.text_id_N)


@pytest.mark.parametrize(
    "options", [{}, {"shuffle": "global", "seed": 3, "last": "pad"}], ids=["as-stored", "shuffled"]
)
def test_each_slot_has_its_own_vectors_and_texts(spoken: Spoken, options: dict[str, object]) -> None:
    stream = stream_of(spoken[0], **options)
    whole = embed_split(Telling("mean"), stream, CPU)
    found = list(slot_splits(stream, whole))
    assert [[*one.vectors] for one in found] == [["imu", "text: atomic"], ["imu", "text: commentary"]]
    for number, one in enumerate(found):
        alone = embed_split(Telling(number), stream_of(spoken[0]), CPU)
        assert_same(one, alone, f"text: {TALKATIVE.texts[number]}")
        assert one.vectors["imu"] == whole.vectors["imu"]
        assert one.window_ids == whole.window_ids


def test_one_slot_is_told_by_its_modality_alone(spoken: Spoken) -> None:
    stream = stream_of(spoken[0])
    split = embed_split(Telling("mean"), stream, CPU)
    sensors_alone = replace(split, vectors={"imu": split.vectors["imu"]})
    assert list(slot_scores(stream, sensors_alone)) == []
    stream.text_sources = ("atomic",)
    assert list(slot_scores(stream, split)) == []


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Evaluation, Evaluation]:
    """The same weights, judged as those of two runs that differ in their seed alone."""
    folder = tmp_path_factory.mktemp("seeds")
    repo = write_learnable(str(folder / "store"))
    train(small("imu2clip", encoder="tpn", epochs=1, batch_size=32), repo, folder / "run")
    asked = Asked(protocols=("retrieval", "offsets"))
    first = evaluate_run(folder / "run", "val", asked=asked)
    path = folder / "run" / "config.json"
    path.write_text(path.read_text().replace('"seed": 0', '"seed": 12345'))
    assert "12345" in Path(path).read_text()
    return first, evaluate_run(folder / "run", "val", asked=asked)


def test_an_evaluation_hangs_on_no_seed(judged: tuple[Evaluation, Evaluation]) -> None:
    first, second = judged
    assert first.retrieval == second.retrieval
    assert first.offsets == second.offsets


def test_an_evaluation_tells_of_each_camera_too(judged: tuple[Evaluation, Evaluation]) -> None:
    pairs = list(dict.fromkeys((score.query, score.key) for score in judged[0].retrieval))
    assert pairs == [
        *(("imu", "text"), ("imu", "video"), ("text", "imu"), ("video", "imu")),
        *(("imu", "video: ego"), ("video: ego", "imu"), ("imu", "video: exo1"), ("video: exo1", "imu")),
    ]
    by_pair = {(score.query, score.key): score for score in judged[0].retrieval}
    assert by_pair["imu", "video: ego"].queries <= by_pair["imu", "video"].queries
    assert by_pair["imu", "video: ego"].mrr != by_pair["imu", "video: exo1"].mrr


def test_a_pair_without_a_score_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No window has a video, so nothing is found by any, and the evaluation says so; without texts too it is empty."""
    repo = write_learnable(str(tmp_path / "store"))
    train(small("imu2clip", encoder="tpn", epochs=1, batch_size=32), repo, tmp_path / "run")
    asked = Asked(protocols=("retrieval", "offsets"))
    gone = ["video"]

    def without(*given: object, **options: object) -> EmbeddedSplit:
        split = embed_split(*given, **options)  # type: ignore[arg-type]
        nothing = {name: (rows, there & (name not in gone)) for name, (rows, there) in split.vectors.items()}
        return replace(split, vectors=nothing)

    monkeypatch.setattr(own_view, "embed_split", without)
    found = evaluate_run(tmp_path / "run", "val", asked=asked)
    assert {score.key for score in found.retrieval if score.query == "imu"} >= {"text"}
    assert found.left_out == {
        "retrieval, imu and video": "0 of 16 windows have both, and finding one among others needs 2"
    }
    gone.append("text")
    found = evaluate_run(tmp_path / "run", "val", asked=asked)
    assert (found.retrieval, found.offsets) == ((), ())
    assert set(found.left_out) == {"retrieval", "offsets"}
    reason = "split 'val' of view 'learnable' has no two windows to tell apart: imu and text: 0 of 16 windows have both"
    assert found.left_out["retrieval"].startswith(reason)


def test_retrieval_is_computed_where_the_objective_is(
    spoken: Spoken, judged: tuple[Evaluation, Evaluation], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked_of = []
    monkeypatch.setattr(judge, "pick_device", lambda _: torch.device("meta"))
    monkeypatch.setattr(own_view, "embed_split", lambda *_: _whole(spoken[0]))
    for name in ("retrieval_scores", "slot_scores"):
        monkeypatch.setattr(own_view, name, lambda *_, device: asked_of.append(device) or ())
    evaluate_run(judged[0].run, "val", asked=Asked(protocols=("retrieval",)))
    assert asked_of == [torch.device("meta")] * 2


def _whole(repo: Repository) -> EmbeddedSplit:
    return embed_split(Telling("mean"), stream_of(repo), CPU)
