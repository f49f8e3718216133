"""Windows found in a view by the store's vectors and by a run's, against a slow reference over what windows hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from sensorloom.store.repository import Repository
from sensorloom.training.errors import RunError, StreamError
from sensorloom.training.evaluation.embeddings import EmbeddedSplit
from sensorloom.training.loaded import LoadedRun, load_run
from sensorloom.training.recipes import make_recipe
from sensorloom.training.run import train
from sensorloom.training.search.query import Match, QueryView, index_run
from sensorloom.training.search.vector_index import (
    IndexKey,
    VectorIndex,
    gather_splits,
    index_path,
    load_index,
    save_index,
)
from sensorloom.training.settings import apply_settings
from sensorloom.training.streaming.shards import OpenView
from tests.training.generated_triplets import VIEW, WIDTH, Triplets, vector_of, write_triplets
from tests.training.learnable_triplets import write_learnable

SENTENCE = "C cuts the rope"


@pytest.fixture(scope="module")
def triplets(tmp_path_factory: pytest.TempPathFactory) -> Triplets:
    return write_triplets(str(tmp_path_factory.mktemp("query") / "store"))


@pytest.fixture
def opened(triplets: Triplets) -> QueryView:
    return QueryView(OpenView(triplets.repo, "main", VIEW.name))


def run_of(folder: Path, recipe: str, *settings: str) -> LoadedRun:
    write_learnable(str(folder / "store"))
    given = ["view=learnable", "epochs=1", "batch_size=16", *settings]
    config = apply_settings(make_recipe(recipe), dict(one.split("=") for one in given))
    train(config, str(folder / "store"), folder / "run")
    return load_run(folder / "run")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> LoadedRun:
    return run_of(tmp_path_factory.mktemp("run"), "imu2clip")


def learnable(run: LoadedRun) -> OpenView:
    return OpenView(run.repo, "main", "learnable")


def by_loops(triplets: Triplets, view: QueryView, query: np.ndarray, of: str) -> list[tuple[float, int, int]]:
    """Every vector of every window, by its cosine, its window and its item."""
    query = query / np.linalg.norm(query)
    scored = []
    for number, window_id in enumerate(view.window_ids):
        window = triplets.windows[window_id]
        if of == "video":
            shown = window.arrays["video_present"]
            vectors = {slot: window.arrays["video"][slot] for slot in np.flatnonzero(shown).tolist()}
        else:
            told = [text for slot in window.texts for text in slot]
            vectors = {item: vector_of(text) for item, text in enumerate(told)}
        scored += [
            (-float(vector.astype(np.float64) @ query), number, item) for item, vector in vectors.items()
        ]
    return sorted(scored)


@pytest.mark.parametrize("of", ["video", "text"])
@pytest.mark.parametrize("seed", range(4))
def test_windows_are_found_as_by_loops(triplets: Triplets, opened: QueryView, of: str, seed: int) -> None:
    query = np.random.default_rng(seed).standard_normal(WIDTH)
    expected: list[tuple[float, int, int]] = []
    for score, number, item in by_loops(triplets, opened, query, of):
        if not any(opened.overlap(number, kept) for _, kept, _ in expected):
            expected.append((score, number, item))
    found = opened.find(query.astype(np.float32), of, 5)
    assert [(one.window, one.item) for one in found] == [(number, item) for _, number, item in expected[:5]]
    assert [one.score for one in found] == pytest.approx([-score for score, _, _ in expected[:5]], abs=1e-6)


def test_the_text_that_matched_is_named_by_its_place(triplets: Triplets, opened: QueryView) -> None:
    best = opened.find(vector_of(SENTENCE).astype(np.float32), "text", 1)[0]
    row = opened.row(best.window)
    assert row["window_id"] == opened.window_ids[best.window]
    assert [text["text"] for text in row["texts"]][best.item] == SENTENCE
    assert best.score == pytest.approx(1.0, abs=1e-3)


def test_only_one_split_is_searched(opened: QueryView) -> None:
    query = vector_of(SENTENCE).astype(np.float32)
    for split in ("train", "val", "test"):
        found = opened.find(query, "video", 40, split=split)
        assert {opened.splits[one.window] for one in found} == {split}
    assert sum(opened.rows("video", split) for split in ("train", "val", "test")) == opened.rows("video")
    with pytest.raises(
        StreamError, match=r"split 'held' of view 'tiny' has no windows; it has: test, train, val"
    ):
        opened.find(query, "video", 1, split="held")


def test_a_window_finds_itself_unless_it_is_left_out(triplets: Triplets, opened: QueryView) -> None:
    number = next(
        number
        for number, window_id in enumerate(opened.window_ids)
        if triplets.windows[window_id].arrays["video_present"].tolist() == [True, False]
    )
    query = opened.vector(number, "video")
    assert opened.find(query, "video", 1) == (Match(number, 0, pytest.approx(1.0, abs=1e-3)),)
    others = opened.find(query, "video", 40, without=number)
    assert others
    assert not any(opened.overlap(one.window, number) for one in others)


def test_the_vector_of_several_cameras_is_their_mean(triplets: Triplets, opened: QueryView) -> None:
    number, arrays = next(
        (number, triplets.windows[window_id].arrays)
        for number, window_id in enumerate(opened.window_ids)
        if triplets.windows[window_id].arrays["video_present"].all()
    )
    expected = arrays["video"].astype(np.float32).mean(axis=0)
    assert opened.vector(number, "video") == pytest.approx(expected, abs=1e-6)


def test_what_is_not_there_is_said(triplets: Triplets, opened: QueryView) -> None:
    with pytest.raises(StreamError, match=r"view 'tiny' of snapshot .* has no window 'a@0\+1'"):
        opened.number("a@0+1")
    blind = next(
        number
        for number, window_id in enumerate(opened.window_ids)
        if not triplets.windows[window_id].arrays["video_present"].any()
    )
    with pytest.raises(StreamError, match="has no video to find others by"):
        opened.vector(blind, "video")
    with pytest.raises(
        RunError, match="the query's vector is 3 wide and those of video in view 'tiny' are 8"
    ):
        opened.find(np.ones(3, np.float32), "video", 1)
    with pytest.raises(RunError, match=r"vectors of imu are made by a run; name one .* --run RUN"):
        opened.check("text", "imu")
    assert opened.modalities == ("video", "text")
    opened.check("text", "video")


def test_a_view_without_vectors_says_how_to_get_them(tmp_path: Path) -> None:
    from tests.flows.aligned_store import aligned_take, publish, write_view

    repo = Repository.open(str(tmp_path / "store"), create=True)
    publish(repo, write_view(repo, [aligned_take()]))
    view = QueryView(OpenView(repo, "main", "walk"))
    assert view.modalities == ()
    with pytest.raises(StreamError, match="view 'walk' has no vectors of video; it has those of: nothing"):
        view.check("text", "video")


# By a run


def test_a_runs_vectors_are_kept_beside_it_and_used_again(run: LoadedRun) -> None:
    told: list[tuple[str, int, int]] = []
    index = index_run(run, learnable(run), lambda *said: told.append(said))
    assert [split for split, _, _ in told] == ["train", "val", ""]
    path = index_path(run.run_dir, "learnable")
    before = path.stat()
    again = index_run(run, learnable(run), lambda *said: pytest.fail("it was embedded again"))
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert again.modalities == index.modalities == ("imu", "video", "text")
    for one, other in zip(index.vectors["imu"], again.vectors["imu"], strict=True):
        assert torch.equal(one, other)
    assert set(index.vectors) == {"imu"}  # texts and videos are frozen: the store has them
    assert [entry.name for entry in run.run_dir.glob(".*")] == []


def test_each_window_has_its_own_vector(run: LoadedRun) -> None:
    view = QueryView(learnable(run), index_run(run, learnable(run)))
    from sensorloom.training.evaluation.embeddings import embed_split
    from sensorloom.training.loaded import open_split

    for split in ("train", "val"):
        found = embed_split(run.objective, open_split(run, "learnable", split), torch.device("cpu"))
        vectors, there = found.vectors["imu"]
        for window_id, vector, is_there in zip(found.window_ids, vectors, there.tolist(), strict=True):
            if is_there:
                mine = view.vector(view.number(window_id), "imu")
                assert mine == pytest.approx(vector.numpy(), abs=2e-3)


def test_other_weights_or_windows_make_the_index_anew(tmp_path: Path) -> None:
    key = IndexKey("ab", "cd", "view", ("w1", "w2"))
    index = VectorIndex(("imu", "text"), {"imu": (torch.ones(2, 4).half(), torch.tensor([True, False]))})
    save_index(tmp_path / "index", key, index)
    kept = load_index(tmp_path / "index", key)
    assert kept is not None
    assert kept.modalities == ("imu", "text")
    assert torch.equal(kept.vectors["imu"][0], index.vectors["imu"][0])
    for other in (
        IndexKey("xx", "cd", "view", ("w1", "w2")),
        IndexKey("ab", "xx", "view", ("w1", "w2")),
        IndexKey("ab", "cd", "xx", ("w1", "w2")),
        IndexKey("ab", "cd", "view", ("w2", "w1")),
    ):
        assert load_index(tmp_path / "index", other) is None
    assert load_index(tmp_path / "none", key) is None
    with pytest.raises(RunError, match=r"cannot read .*: .*make it readable, or remove it"):
        load_index(tmp_path, key)


@pytest.mark.parametrize(
    "tensors",
    [
        {"imu": torch.ones(3, 4).half(), "imu_there": torch.ones(2, dtype=torch.bool)},
        {"imu": torch.ones(2, 4), "imu_there": torch.ones(2, dtype=torch.bool)},
        {"imu": torch.ones(2, 4).half(), "imu_there": torch.ones(2)},
        {"imu": torch.ones(2).half(), "imu_there": torch.ones(2, dtype=torch.bool)},
        {"imu": torch.ones(2, 4).half()},
    ],
)
def test_a_damaged_index_is_refused(tmp_path: Path, tensors: dict[str, torch.Tensor]) -> None:
    key = IndexKey("ab", "cd", "view", ("w1", "w2"))
    save_index(tmp_path / "index", key, VectorIndex(("imu",), {}))
    with safe_open(tmp_path / "index", framework="pt") as file:
        metadata = file.metadata()
    save_file(tensors, tmp_path / "index", metadata=metadata)
    with pytest.raises(
        RunError, match=r"is damaged: imu torch.float.* is not float16 of 2 windows with a mask"
    ):
        load_index(tmp_path / "index", key)


def test_a_cut_index_is_refused(tmp_path: Path) -> None:
    key = IndexKey("ab", "cd", "view", ("w1",))
    (tmp_path / "index").write_bytes(b"\x08\x00\x00\x00\x00\x00\x00\x00no json")
    with pytest.raises(RunError, match=r"is damaged .*; remove it: it is made anew"):
        load_index(tmp_path / "index", key)
    with pytest.raises(RunError, match=r"cannot write .*make room"):
        save_index(tmp_path / "none" / "index", key, VectorIndex(("imu",), {}))


def test_splits_are_put_into_the_order_of_the_view() -> None:
    def split(name: str, ids: tuple[str, ...], value: float) -> EmbeddedSplit:
        count = len(ids)
        none = torch.zeros(count, dtype=torch.int64)
        vectors = {"imu": (torch.full((count, 2), value), torch.ones(count, dtype=torch.bool))}
        return EmbeddedSplit(name, "view", ids, none, none, none, (), none, vectors)

    splits = [split("a", ("w3", "w0"), 3.0), split("b", ("w1",), 1.0)]
    rows, there = gather_splits(("w0", "w1", "w2", "w3"), splits, ("imu",)).vectors["imu"]
    assert rows[:, 0].tolist() == [3.0, 1.0, 0.0, 3.0]
    assert there.tolist() == [True, True, False, True]
    with pytest.raises(
        RunError, match=r"split 'a' of view 'view' has window w3, which the view's own table lacks"
    ):
        gather_splits(("w0", "w1"), splits, ("imu",))


def test_what_a_run_never_held_together_is_refused(tmp_path: Path) -> None:
    there = torch.ones(48, dtype=torch.bool)
    vectors = (torch.ones(48, 16).half(), there)
    write_learnable(str(tmp_path / "store"))
    opened = OpenView(Repository.open(str(tmp_path / "store")), "main", "learnable")
    alone = QueryView(opened, VectorIndex(("imu", "mocap"), {"imu": vectors, "mocap": vectors}))
    alone.check("imu", "mocap")
    alone.check("text", "video")  # the store's own
    with pytest.raises(RunError, match="its vectors of imu cannot be held against a text"):
        alone.check("text", "imu")
    with pytest.raises(RunError, match="its vectors of mocap cannot be held against a video"):
        alone.check("mocap", "video")
    with pytest.raises(StreamError, match="view 'learnable' has no vectors of mocap"):
        QueryView(opened, VectorIndex(("imu", "mocap"), {"imu": vectors})).vector(0, "mocap")
    without = QueryView(opened, VectorIndex(("imu", "text"), {"imu": vectors}))
    without.check("text", "imu")
    with pytest.raises(RunError, match="the run makes no vectors of mocap; it has those of: imu, text"):
        without.check("imu", "mocap")
