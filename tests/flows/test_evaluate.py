"""The command line judges runs without labels, prints them beside the papers and writes facts and a page."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from sensorloom.flows.cli import main
from sensorloom.training.configs import AlignmentConfig, SupervisedConfig
from sensorloom.training.evaluation.judging import ALL
from sensorloom.training.run import train
from tests.flows.page_reader import Document
from tests.training.evaluations import classified, evaluation, retrieved
from tests.training.generated_views import write_view
from tests.training.learnable_triplets import LEARNABLE, write_learnable

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run without labels and one with, of one epoch each."""
    folder = tmp_path_factory.mktemp("runs")
    store = str(folder / "store")
    write_learnable(store, test=16, share_there=0.7)
    write_view(store, replace(LEARNABLE, name="slower", rate_hz=20, cameras=(), texts=(), mocap="none"))
    train(
        AlignmentConfig(recipe="imu2clip", view="learnable", epochs=1, batch_size=16),
        store,
        folder / "imu2clip",
    )
    train(SupervisedConfig(recipe="standard", view="learnable", epochs=1), store, folder / "standard")
    return folder


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(["evaluate", *arguments])
    return int(stop.value.code or 0)


def plain(text: str) -> str:
    return " ".join(text.split())


def test_the_help_names_every_protocol(capsys: Capture) -> None:
    assert run("--help") == 0
    words = plain(capsys.readouterr().out.replace("│", " "))
    assert [name for name in ALL if f"{name}," not in words] == []


def test_facts_tables_and_page(runs: Path, capsys: Capture, tmp_path: Path) -> None:
    folder = str(tmp_path / "judged")
    arguments = ("--split", "test", "--protocols", "retrieval, linear-probe", "--out", folder)
    assert run(str(runs / "imu2clip"), *arguments, "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["recipe"] == "imu2clip"
    assert {score["variant"] for score in facts["retrieval"]} == {"one-right", "all-right", "other-takes"}
    assert facts["tables"][0]["source"] == "AURA-MFM Table 2"
    assert facts["views"][0]["scores"][0]["protocol"] == "linear-probe"
    stored = json.loads(Path(facts["written"]["facts"]).read_text())
    assert stored["retrieval"] == facts["retrieval"]
    assert Path(facts["written"]["facts"]) == tmp_path / "judged" / "evaluation-test.json"
    said = Document(Path(facts["written"]["page"]).read_text()).said
    assert "imu → text" in said
    assert "generated data" in said


def test_the_terminal_shows_chance_and_what_was_left_out(runs: Path, capsys: Capture, tmp_path: Path) -> None:
    chosen = ("--protocols", "retrieval,zero-shot,linear-probe", "--out", str(tmp_path))
    assert run(str(runs / "imu2clip"), "--split", "test", *chosen) == 0
    said = capsys.readouterr()
    words = plain(said.out)
    assert (
        "Retrieval on split 'test' of learnable, one right answer R@1 R@10 chance other takes chance candidates imu"
        in words
    )
    assert (
        "Classes on split 'test' by macro-F1 chance accuracy chance learnable linear-probe linear from"
        in words
    )
    assert "learnable: generated miniature of pamap2, 16 windows of 4 participants" in words
    assert "Views that this run cannot be judged on, for reasons that the page names: slower" in words
    assert "Not judged: zero-shot on learnable: zero-shot holds windows against the texts of classes" in words
    assert "2 labelled windows of split 'val' of learnable have no sensor and are left out" in words
    assert (
        f"beside the papers: {tmp_path / 'evaluation-test.html'} Facts: {tmp_path / 'evaluation-test.json'}"
        in words
    )
    assert "linear-probe on learnable" in plain(said.err)


def test_the_terminal_has_the_head_of_a_long_evaluation(
    runs: Path, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """About forty lines, whatever there is; the page and the facts have it all."""
    reasons = {f"protocol {number}": f"reason {number}" for number in range(9)}
    long = evaluation(
        retrieval=tuple(retrieved("imu", f"video: exo{number}") for number in range(30)),
        views=tuple(classified(f"har-{number}", left_out=reasons) for number in range(5)),
        not_judged={f"view-{number}": "its windows are of 50 Hz" for number in range(5)},
    )
    monkeypatch.setattr("sensorloom.training.evaluation.judge.evaluate_run", lambda *args, **options: long)
    assert run(str(runs / "imu2clip"), "--out", str(tmp_path)) == 0
    said = capsys.readouterr().out
    assert len(said.splitlines()) <= 40
    words = plain(said)
    assert "imu → video: exo7" in words
    assert "imu → video: exo8" not in words
    assert (
        "The page has 42 more rows: 22 of retrieval, 12 of classes, 1 of moved queries, 2 of missing sensors, 5 of "
        "positions." in words
    )
    assert "har-0 few-shot by 50 labels a class linear from zero 0.75 0.31 0.75 0.5" in words
    assert (
        "Not judged: protocol 0 on har-0, protocol 0 on har-1, protocol 0 on har-2, protocol 0 on har-3 and 1"
        in words
    )
    assert "The page has 5 more reasons." in words
    assert "view-0, view-1, view-2, view-3, view-4" in words


@pytest.mark.parametrize(
    ("only", "words"),
    [
        ("retrieval", "imu → text 0.062 0.5 0.125 0.75 0.167 80"),
        ("scales", "aad-10s 10 s imu → text 0.5 0.25 0.75 0.333 40"),
        ("offsets", "imu → text 5 s the nearest counts 0.5 0.125 80"),
        ("missing", "head.gyroscope 0.53 imu → text 0.5 0.125 80"),
        ("positions", "har-pamap2 chest 0.62 0.72 0.31"),
    ],
)
def test_whatever_is_asked_alone_has_its_numbers_on_the_terminal(
    only: str, words: str, runs: Path, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside chance, and of retrieval also R@10 among other takes: a high one may come from knowing the take."""
    full = evaluation()
    others, few = (replace(retrieved(variant="other-takes", candidates=size), r10=0.75) for size in (60, 30))
    scale = replace(full.scales[0], retrieval=(*full.scales[0].retrieval, few))
    parts = {
        "retrieval": (retrieved(), others),
        "scales": (scale,),
        "offsets": full.offsets,
        "missing": full.missing,
    }
    views = (classified(scores=(), few_shot=()),) if only == "positions" else ()
    one = replace(full, views=views, **{name: value if name == only else () for name, value in parts.items()})
    monkeypatch.setattr("sensorloom.training.evaluation.judge.evaluate_run", lambda *args, **options: one)
    assert run(str(runs / "imu2clip"), "--out", str(tmp_path)) == 0
    assert words in plain(capsys.readouterr().out)


def test_takes_of_longer_windows_that_were_pretrained_on_are_told(
    runs: Path, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leaky = replace(evaluation().scales[0], pretrained_takes=2)
    found = evaluation(scales=(leaky,), views=(classified(pretrained_takes=1),))
    monkeypatch.setattr("sensorloom.training.evaluation.judge.evaluate_run", lambda *args, **options: found)
    assert run(str(runs / "imu2clip"), "--out", str(tmp_path)) == 0
    words = plain(capsys.readouterr().out)
    assert "2 takes of aad-10s were pretrained on" in words
    assert "1 take of har-pamap2 was pretrained on" in words


def test_a_run_that_was_stopped_is_told(
    runs: Path, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = evaluation(unfinished="trained for 9 of 30 epochs; `train … --resume` goes on")
    monkeypatch.setattr("sensorloom.training.evaluation.judge.evaluate_run", lambda *args, **options: stopped)
    assert run(str(runs / "imu2clip"), "--out", str(tmp_path)) == 0
    told = "The run was stopped before its end: trained for 9 of 30 epochs; `train … --resume` goes on"
    assert told in plain(capsys.readouterr().out)
    assert told in Document((tmp_path / "evaluation-test.html").read_text()).said


def test_an_id_too_long_for_its_column_is_whole(
    runs: Path, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "view" + "-of-many-words" * 8
    odd = evaluation(views=(classified(name),))
    monkeypatch.setattr("sensorloom.training.evaluation.judge.evaluate_run", lambda *args, **options: odd)
    assert run(str(runs / "imu2clip"), "--out", str(tmp_path)) == 0
    printed = capsys.readouterr().out
    assert "…" not in printed
    first = next(line for line in printed.splitlines() if line.startswith("view-of"))
    assert name.startswith(first.split()[0])


def test_names_are_no_markup(
    runs: Path, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = evaluation(view="aad[red]x[/red]", split="test")
    monkeypatch.setattr("sensorloom.training.evaluation.judge.evaluate_run", lambda *args, **options: odd)
    assert run(str(runs / "imu2clip"), "--out", str(tmp_path)) == 0
    assert "Retrieval on split 'test' of aad[red]x[/red], one right" in plain(capsys.readouterr().out)


def test_an_evaluation_never_replaces_one_that_says_more(runs: Path, capsys: Capture, tmp_path: Path) -> None:
    arguments = (str(runs / "imu2clip"), "--split", "test", "--out", str(tmp_path), "--protocols")
    assert run(*arguments, "retrieval,linear-probe") == 0
    fuller = (tmp_path / "evaluation-test.json").read_text()
    capsys.readouterr()
    assert run(*arguments, "retrieval") == 0
    kept = [tmp_path / "evaluation-test.1.json", tmp_path / "evaluation-test.1.html"]
    assert (
        f"An earlier evaluation, with scores that this one lacks, is kept: {kept[0]} and {kept[1]}"
        in plain(capsys.readouterr().out)
    )
    assert (kept[0].read_text(), kept[1].exists()) == (fuller, True)
    assert run(*arguments, "linear-probe", "--json") == 0
    written = json.loads(capsys.readouterr().out)["written"]
    assert written["earlier"] == [str(path).replace(".1.", ".2.") for path in kept]
    assert run(*arguments, "retrieval,linear-probe", "--json") == 0
    assert json.loads(capsys.readouterr().out)["written"]["earlier"] == []


def test_settings_of_fits_are_taken(runs: Path, capsys: Capture, tmp_path: Path) -> None:
    chosen = ("--protocols", "linear-probe", "--on", "learnable", "--seeds", "2", "--out", str(tmp_path))
    fit = ("--fit", "epochs=3", "--fit", "learning_rate=0.01")
    assert run(str(runs / "imu2clip"), "--split", "test", *chosen, *fit, "--json") == 0
    (score,) = json.loads(capsys.readouterr().out)["views"][0]["scores"]
    assert (score["head"]["settings"]["epochs"], score["head"]["settings"]["learning_rate"]) == (3, 0.01)
    assert len(score["seeds"]) == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ("--protocols", "zeroshot"),
            "unknown protocols: zeroshot; did you mean zero-shot? Known: retrieval",
        ),
        (("--seeds", "0"), "0 is not in the range x>=1"),
        (("--fit", "rate=3"), "--fit rate=3: no such setting of a fit; known: learning_rate"),
        (("--fit", "epochs=few"), "--fit epochs=few: epochs must be a whole number, got 'few'"),
        (("--on", "har-nothing"), "has no view 'har-nothing'"),
        (("--on", "slower"), "cannot take those of view 'slower'"),
        (("--split", "dev"), "split 'dev' of view 'learnable' has no windows"),
    ],
)
def test_what_cannot_be_asked_is_named(
    arguments: tuple[str, ...], words: str, runs: Path, capsys: Capture
) -> None:
    split = () if "--split" in arguments else ("--split", "test")
    assert run(str(runs / "imu2clip"), *split, *arguments) == 2
    assert words in plain(capsys.readouterr().err)


def test_a_run_with_labels_is_scored_as_before_and_by_no_protocols(runs: Path, capsys: Capture) -> None:
    assert run(str(runs / "standard"), "--split", "val", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["comparison"][0]["name"] == "this run (CNN-GRU, GRU over time)"
    assert not list((runs / "standard").glob("evaluation*"))
    assert run(str(runs / "standard"), "--split", "val", "--protocols", "retrieval") == 2
    assert "was trained from labels" in plain(capsys.readouterr().err)


def test_a_folder_without_a_run_is_named(tmp_path: Path, capsys: Capture) -> None:
    assert run(str(tmp_path)) == 2
    assert run(str(tmp_path / "nothere")) == 2
    assert "holds no run" in plain(capsys.readouterr().err)


def test_a_folder_that_does_not_exist_is_said_so(tmp_path: Path, capsys: Capture) -> None:
    assert run(str(tmp_path / "primuss")) == 2
    assert "primuss does not exist; name the folder of a run" in plain(capsys.readouterr().err)


def test_a_trainer_without_video_and_clip_can_judge(runs: Path, tmp_path: Path) -> None:
    script = (
        "import sys; sys.modules['av'] = sys.modules['open_clip'] = None;"
        " from sensorloom.flows.cli import main; main(sys.argv[1:])"
    )
    chosen = ("--split", "val", "--protocols", "retrieval,zero-shot", "--out", str(tmp_path))
    command = [sys.executable, "-c", script, "evaluate", str(runs / "imu2clip"), *chosen]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "evaluation-val.html").exists()
