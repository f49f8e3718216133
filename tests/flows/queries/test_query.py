"""Queries end to end: a text or a window in, windows with their take, time, score and words out."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sensorloom.embed.errors import EncoderError
from sensorloom.flows.audit.report_windows import TextShown
from sensorloom.flows.cli import main
from sensorloom.flows.config import load_config
from sensorloom.flows.errors import ConfigError
from sensorloom.flows.queries import texts as query_texts
from sensorloom.flows.queries.facts import Asked, Form
from sensorloom.flows.queries.page import draw_hits, motion_of, page_of_answer
from sensorloom.flows.queries.query import OfRun, Searcher, open_run, open_store
from sensorloom.store.repository import Repository
from sensorloom.training.errors import RunError, StreamError
from sensorloom.training.recipes import make_recipe
from sensorloom.training.run import train
from sensorloom.training.settings import apply_settings
from tests.flows.aligned_store import aligned_take
from tests.flows.page_reader import Document
from tests.flows.queried import EVIL, SAID, searcher, store_of, vector_of
from tests.training.generated_views import write_view
from tests.training.learnable_triplets import LEARNABLE, write_learnable

WINDOW = "egoexo4d/a@{}+5000000000"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    return store_of(tmp_path_factory.mktemp("queried"))


@pytest.fixture
def asked(url: str) -> Searcher:
    return searcher(url)


def test_a_text_finds_the_windows_that_show_it(asked: Searcher) -> None:
    answer = asked.answer(Asked("video", k=2, text=SAID[1]))
    first, second = answer.hits
    assert (first.rank, first.window_id, first.take_id) == (1, WINDOW.format(105_000_000_000), "egoexo4d/a")
    # Seconds of the take, whose clock begins at 100 s.
    assert (first.start_s, first.stop_s, second.start_s, second.stop_s) == (5.0, 10.0, 25.0, 30.0)
    assert first.score == second.score == pytest.approx(1.0, abs=1e-3)
    assert first.score <= 1.0
    assert (first.matched, first.split, first.dataset) == ("ego", "train", "egoexo4d")
    assert [(text.source, text.text, text.offset_ms) for text in first.texts] == [("atomic", SAID[1], 120.0)]
    assert (answer.view, answer.windows, answer.encoder, answer.run) == ("walk", 7, "generated", "")
    assert first.is_generated
    assert answer.search_ms > 0


def test_texts_are_found_by_their_words(asked: Searcher) -> None:
    answer = asked.answer(Asked("text", k=3, text=SAID[2], split="test"))
    assert [hit.matched for hit in answer.hits] == [SAID[2], EVIL]
    assert {hit.split for hit in answer.hits} == {"test"}
    assert answer.windows == 2


def test_a_window_finds_others_like_it(asked: Searcher) -> None:
    mine = WINDOW.format(100_000_000_000)
    answer = asked.answer(Asked("video", k=1, window_id=mine, by="video"))
    assert [hit.start_s for hit in answer.hits] == [20.0]  # itself tells nothing
    answer = asked.answer(Asked("text", k=2, window_id=mine, by="video"))
    assert [(hit.start_s, hit.is_query) for hit in answer.hits] == [(0.0, True), (20.0, False)]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (Asked("video"), "a query is a text or the id of a window, one of both"),
        (Asked("video", text="x", window_id="y"), "a query is a text or the id of a window, one of both"),
        (Asked("video", text=" \n"), "a query is a text or the id of a window, one of both"),
        (Asked("vidoe", text="x"), r"of 'vidoe' is none of imu, video, text, mocap; did you mean video\?"),
        (Asked("video", window_id="x", by="smell"), "by 'smell' is none of imu, video, text, mocap"),
        (Asked("video", text="x", by="video"), "a text finds by its words, not by video"),
        (Asked("video", text="x" * 1001), "the text has 1001 characters, at most 1000 are read"),
        (Asked("video", k=0, text="x"), "k must be 1 to 100, got 0"),
        (Asked("video", k=101, text="x"), "k must be 1 to 100, got 101"),
    ],
)
def test_a_query_without_sense_is_refused(asked: Searcher, query: Asked, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        asked.answer(query)


def test_what_is_not_there_is_refused(asked: Searcher) -> None:
    with pytest.raises(StreamError, match="has no window 'x'"):
        asked.answer(Asked("video", window_id="x", by="video"))
    with pytest.raises(RunError, match="vectors of imu are made by a run"):
        asked.answer(Asked("imu", text="x"))


def test_the_largest_view_with_such_vectors_is_searched(url: str, tmp_path: Path) -> None:
    config = load_config(None, {"store.url": str(shutil.copytree(url, tmp_path / "store"))})
    assert open_store(config).view.view == "walk"
    write_learnable(config.store.url)
    assert open_store(config).view.view == "learnable"
    assert open_store(config, "walk").view.view == "walk"
    with pytest.raises(StreamError, match=r"view 'learnable' .* has no window .*; views that have it: walk"):
        open_store(config).answer(Asked("video", window_id=WINDOW.format(100_000_000_000), by="video"))
    with pytest.raises(
        StreamError, match=r"has no view 'wlak'; it has learnable, walk\. Did you mean 'walk'"
    ):
        open_store(config, "wlak")
    with pytest.raises(ConfigError, match="vectors of mocap are made by a run"):
        open_store(config, of="mocap")


def test_a_store_without_vectors_says_how_to_get_them(tmp_path: Path) -> None:
    from tests.flows.aligned_store import publish, write_view

    repo = Repository.open(str(tmp_path / "store"), create=True)
    publish(repo, write_view(repo, [aligned_take()]))
    config = load_config(None, {"store.url": str(tmp_path / "store")})
    with pytest.raises(
        ConfigError, match=r"no view of snapshot .* has vectors of video; run `sensorloom embed`"
    ):
        open_store(config)
    with pytest.raises(StreamError, match="view 'walk' has no vectors of video"):
        open_store(config, "walk").answer(Asked("video", text="x"))


# Pictures


def test_hits_are_drawn_with_their_motion(asked: Searcher) -> None:
    answer = asked.answer(Asked("video", k=2, text=SAID[1]))
    drawn = draw_hits(asked, answer.hits, None)
    first = drawn[answer.hits[0].window_id]
    assert [trace.kind for trace in first.window.traces] == ["accelerometer", "gyroscope"]
    assert len(first.window.frames) == 3
    take = aligned_take(start_s=100.0)
    assert take.mocap is not None
    assert first.motion is not None
    assert first.motion.step_s == 0.1
    assert len(first.motion.frames) == 50
    assert first.motion.frames[0][1] == pytest.approx(take.mocap.values[50, 1], abs=1e-3)


def test_the_motion_of_a_window_is_that_of_its_instants() -> None:
    take = aligned_take(start_s=3.0)
    assert take.mocap is not None
    second = 1_000_000_000
    # Instants stand at 3.0, 3.1, … s: of [3.05, 3.35) those at 3.1, 3.2 and 3.3.
    found = motion_of(take.mocap, 3 * second + second // 20, 3 * second + 7 * second // 20)
    assert found is not None
    assert np.array(found.frames) == pytest.approx(take.mocap.values[1:4], abs=1e-3)
    early = motion_of(take.mocap, 2 * second, 3 * second + 1)
    assert early is not None
    assert len(early.frames) == 1
    assert motion_of(take.mocap, 0, 3 * second) is None
    assert motion_of(None, 0, second) is None
    unseen = replace(take.mocap, quality=np.zeros_like(take.mocap.quality))
    assert motion_of(unseen, 3 * second, 4 * second) is None


def test_hostile_words_stay_words_on_the_page(asked: Searcher) -> None:
    answer = asked.answer(Asked("text", k=3, text=EVIL))
    page = Document(page_of_answer(asked, answer, form=Form(("video", "text"), problem=EVIL)))
    assert len(page.all("script")) == 1
    assert page.all("img") == []
    assert page.said.count(EVIL) >= 4
    assert answer.hits[0].matched == EVIL


def test_a_take_that_was_dropped_leaves_its_hits_undrawn(url: str, tmp_path: Path) -> None:
    repo = Repository.open(str(shutil.copytree(url, tmp_path / "store")))
    from sensorloom.store.transaction import Drop

    repo.commit(lambda _: [Drop("streams", "egoexo4d/a"), Drop("takes", "a")], message="drop", provenance={})
    asked = searcher(repo.url)
    answer = asked.answer(Asked("video", k=2, text=SAID[1]))
    assert draw_hits(asked, answer.hits, None) == {}
    assert answer.hits[0].start_s == 105.0  # on the clock of the take: where it began is not known any more
    assert "sensorloom trace" in page_of_answer(asked, answer)


# The encoder of texts


def test_the_encoder_must_be_that_of_the_store(url: str) -> None:
    pytest.importorskip("open_clip")
    opened = open_store(load_config(None, {"store.url": url}))
    with pytest.raises(
        ConfigError, match=r"the encoder generated is of no use here: .*differs from it in weights"
    ):
        opened.answer(Asked("video", text="x"))


def test_a_digest_alone_is_no_encoder(url: str) -> None:
    config, repo = load_config(None, {}), Repository.open(url)
    with pytest.raises(
        ConfigError, match=r"keeps only a digest of its encoder .*abc.* run `sensorloom build` again"
    ):
        query_texts.text_encoder(config, repo, repo.resolve("main"), "old", "abc")


def test_an_encoder_that_gives_other_vectors_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("open_clip")
    from sensorloom.embed.clip import identify
    from sensorloom.embed.encoder import EncoderSpec
    from sensorloom.embed.golden import GOLDEN_TEXTS
    from sensorloom.ingest.digest import file_digest
    from sensorloom.store.transaction import Put

    fingerprint = identify(
        EncoderSpec("generated"), sha256_of=lambda path: file_digest(path).sha256
    ).fingerprint
    repo = Repository.open(str(tmp_path / "store"), create=True)
    golden = np.random.default_rng(0).standard_normal((len(GOLDEN_TEXTS), 64)).astype(np.float16)
    shard = repo.write_arrays(
        "generated", {"golden/text_vectors": golden}, rows=8, attributes={}, work="0" * 64
    )
    repo.commit(lambda _: [Put("encoders", shard)], message="test", provenance={})
    config, snapshot = load_config(None, {}), repo.resolve("main")
    with pytest.raises(
        EncoderError, match="encoder generated gives other vectors of texts than those in the store"
    ):
        query_texts.text_encoder(config, repo, snapshot, "generated", fingerprint)
    encode = query_texts.text_encoder(config, repo, snapshot, "another", fingerprint)
    assert encode("a person walks").shape == (64,)


# The command line


@pytest.fixture
def ask(url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path):
    monkeypatch.setattr("sensorloom.flows.queries.query.text_encoder", lambda *_: vector_of)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, store: str = url) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stop:
            main(["query", *arguments, "--store", store])
        said = capsys.readouterr()
        return int(stop.value.code or 0), said.out, " ".join(said.err.split())

    return run


def test_the_command_prints_a_table(ask) -> None:
    code, out, _ = ask(SAID[1], "--k", "1")
    assert code == 0
    row = next(line for line in out.splitlines() if line.startswith(("1", " 1")))
    assert row.split()[1:6] == ["1.000", "egoexo4d/a@105000000000+5000000000", "5.00", "10.00", "train"]
    assert SAID[1] in row
    assert "Searched 7 windows of view walk" in out
    assert "All of these takes are generated data: the scores say nothing about real recordings." in out


def test_markup_in_words_is_printed_as_it_is(ask) -> None:
    code, out, _ = ask("[bold]x[/]", "--k", "2")
    assert code == 0
    assert "[bold]x[/] in vectors of video" in out


def test_words_do_not_steer_the_terminal() -> None:
    from sensorloom.flows.commands.query import _said
    from tests.flows.queried import hit

    said = _said(hit(texts=(TextShown("atomic", "C \x1b[31mclimbs\r\n\x07 a\u202e wall", None),)))
    assert said == "C [31mclimbs a wall"


def test_the_command_tells_facts_and_writes_a_page(ask, tmp_path: Path) -> None:
    code, out, _ = ask(SAID[1], "--json", "--of", "text", "--split", "train", "--out", "new/page.html")
    assert code == 0
    facts = json.loads(out)
    assert facts["asked"] == {
        "of": "text", "k": 10, "text": SAID[1], "window_id": "", "by": "text", "split": "train",
    }  # fmt: skip
    assert [hit["start_s"] for hit in facts["hits"][:2]] == [5.0, 25.0]
    assert facts["is_generated"] is True
    assert {hit["is_generated"] for hit in facts["hits"]} == {True}
    page = Document((tmp_path / "new/page.html").read_text(encoding="utf-8"))
    assert len([one for one in page.all("article") if one.get("id")]) == 6
    code, _, err = ask(SAID[1], "--out", "new")
    assert code == 1
    assert "cannot write new: Is a directory; name another file with --out" in err


def test_the_command_asks_with_a_window(ask) -> None:
    code, out, _ = ask("--window", WINDOW.format(100_000_000_000), "--json", "--k", "1")
    assert code == 0
    assert json.loads(out)["asked"]["by"] == "video"
    code, out, _ = ask("--window", WINDOW.format(100_000_000_000), "--of", "text", "--k", "2")
    assert [line.split()[0] for line in out.splitlines()[2:4]] == ["1*", "2"]
    assert "* the window asked with, or one that overlaps it." in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "what to look for?"),
        (("--serve", "0", "--out", "p.html"), "--serve shows its own pages; leave --out out"),
        (
            ("x", "--of", "imu"),
            "vectors of imu are made by a run; name one that was trained with it: `sensorloom query --run RUN`",
        ),
        (("x", "--serve", "0", "--k", "3"), "asked in a browser; leave TEXT, --k out"),
        (("--serve", "0", "--window", "w"), "asked in a browser; leave --window out"),
        (("--serve", "0", "--by", "video", "--split", "val"), "asked in a browser; leave --by, --split out"),
        (("x", "--raw", "nowhere"), "nowhere"),
        (("x", "--run", "nowhere"), "nowhere does not exist; name the folder of a run"),
        (("x", "--k", "1000"), "k must be 1 to 100, got 1000"),
        (("x", "--view", "wlak"), "has no view 'wlak'"),
    ],
)
def test_wrong_use_is_exit_code_2(ask, arguments: tuple[str, ...], message: str) -> None:
    code, _, err = ask(*arguments)
    assert code == 2
    assert message in err


@pytest.mark.parametrize("arguments", [(), (" ",), ("--serve", "0", "--k", "3")])
def test_wrong_use_is_told_before_torch_is_loaded(ask, monkeypatch, arguments: tuple[str, ...]) -> None:
    loaded: list[object] = []
    monkeypatch.setattr("sensorloom.flows.commands.query.prepare_for_torch", loaded.append)
    assert ask(*arguments)[0] == 2
    assert loaded == []


@pytest.mark.parametrize("module", ["queries.query", "queries.page", "queries.server", "sweeps.judges"])
def test_a_base_install_needs_no_decoder(module: str) -> None:
    script = f"import sys; sys.modules['av'] = None; import sensorloom.flows.{module}"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# With a run


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run against texts and videos and one of sensors alone, beside a store with views that have neither."""
    folder = tmp_path_factory.mktemp("trained")
    store = str(folder / "store")
    write_learnable(store)
    plain = replace(LEARNABLE, cameras=(), texts=(), mocap="none", classes=("walk", "climb"))
    write_view(store, replace(plain, name="labelled"))
    write_view(store, replace(plain, name="slow", rate_hz=20))
    for recipe in ("imu2clip", "simclr"):
        settings = {"view": "learnable", "epochs": "1", "batch_size": "16", "encoder": "cnn-gru"}
        train(apply_settings(make_recipe(recipe), settings), store, folder / recipe)
    return folder


def test_a_text_finds_sensors_of_a_labelled_view_without_vectors(trained: Path, ask, monkeypatch) -> None:
    opened: list[tuple[str, object]] = []

    def text_encoder(config, repo, snapshot, name, fingerprint):
        opened.append((name, fingerprint))
        return vector_of

    monkeypatch.setattr("sensorloom.flows.queries.query.text_encoder", text_encoder)
    asking = ("climbing stairs", "--run", str(trained / "imu2clip"), "--view", "labelled", "--json")
    for _ in ("embedded", "kept"):
        code, out, err = ask(*asking, store=str(trained / "store"))
        assert code == 0, err
        facts = json.loads(out)
        assert (facts["view"], facts["windows"], facts["encoder"]) == (
            "labelled",
            6,
            "generated",
        )  # those with a sensor
    assert opened == [("generated", {"weights": "ab"})] * 2, (
        "the encoder of the run's texts, not of the view's"
    )


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("x", "--run", "simclr"), 1, "the run was trained without texts and videos"),
        (
            ("x", "--run", "imu2clip", "--of", "mocap"),
            1,
            "the run makes no vectors of mocap; it has those of: imu, ",
        ),
        (("x", "--run", "imu2clip", "--k", "0"), 2, "k must be 1 to 100, got 0"),
        (("x", "--run", "imu2clip", "--view", "slow"), 2, "cannot take those of view 'slow'"),
    ],
)
def test_what_a_run_cannot_answer_is_refused_before_anything_is_embedded(
    trained: Path, ask, monkeypatch, arguments: tuple[str, ...], code: int, message: str
) -> None:
    monkeypatch.setattr("sensorloom.flows.queries.query.index_run", lambda *_: pytest.fail("it was embedded"))
    monkeypatch.chdir(trained)
    found, _, err = ask(*arguments, store=str(trained / "store"))
    assert (found, message in err) == (code, True), err


def test_a_run_finds_by_sensors(tmp_path: Path, ask) -> None:
    store = str(tmp_path / "store")
    write_learnable(store)
    settings = {"view": "learnable", "epochs": "1", "batch_size": "16", "encoder": "cnn-gru"}
    config = apply_settings(make_recipe("aura-joint"), settings)
    train(config, store, tmp_path / "run")
    opened = open_run(load_config(None, {}), OfRun(tmp_path / "run"))
    assert set(opened.windows.modalities) == {"imu", "video", "text", "mocap"}
    there = opened.windows.find(np.ones(16, np.float32), "imu", 1)[0].window
    window = opened.windows.window_ids[there]
    for of in ("video", "text", "mocap", "imu"):
        code, out, _ = ask(
            "--window", window, "--run", str(tmp_path / "run"), "--of", of, "--json", store=store
        )
        assert code == 0
        facts = json.loads(out)
        assert (facts["asked"]["by"], facts["asked"]["of"], facts["view"]) == ("imu", of, "learnable")
        assert len(facts["hits"]) == 10
        if of == "imu":
            assert not any(hit["is_query"] for hit in facts["hits"])
    assert (tmp_path / "run/index-learnable.safetensors").is_file()
