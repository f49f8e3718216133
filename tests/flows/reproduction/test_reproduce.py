"""A table is made anew from raw data in one resumable job, and no number loses what it was measured on."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from shutil import rmtree
from typing import Any

import pytest

from sensorloom.align.named_views import VIEWS
from sensorloom.flows.cli import main
from sensorloom.flows.config import Config
from sensorloom.flows.curve_files import earlier_curves
from sensorloom.flows.errors import ConfigError
from sensorloom.flows.pages.reproduce import render_reproduced, reproduced_curves
from sensorloom.flows.prepare import check_raw
from sensorloom.flows.reproduction import reproduce as job
from sensorloom.flows.reproduction.files import write_reproduced
from sensorloom.flows.reproduction.plans import REPRODUCTIONS, PlannedRun, Reproduction, reproduction
from sensorloom.flows.reproduction.reproduce import FACTS, Reproduced, ReproduceOrder, reproduce, to_json
from sensorloom.flows.reproduction.tables import (
    FewShot,
    RunTables,
    as_in_paper,
    merged,
    renamed,
    table_from_json,
)
from sensorloom.flows.work import Progress
from sensorloom.store.repository import Repository
from sensorloom.training import run as loop
from sensorloom.training.errors import RunError
from sensorloom.training.evaluation.judged import Evaluation
from sensorloom.training.evaluation.paper_tables import PaperRow, PaperTable
from sensorloom.training.evaluation.protocols import PROTOCOLS
from sensorloom.training.evaluation.published_figures import FIGURES
from sensorloom.training.evaluation.retrieval import RetrievalScores
from sensorloom.training.recipes import make_recipe
from sensorloom.training.settings import apply_settings
from tests.flows.page_reader import Document
from tests.training.learnable_triplets import write_learnable

CHANCE = {"r1": 0.1, "r10": 0.5, "r50": 1.0, "mrr": 0.2}


@contextmanager
def silent(_: str) -> Iterator[Progress]:
    yield lambda item, done, total: None


@pytest.mark.parametrize("plan", REPRODUCTIONS.values(), ids=list(REPRODUCTIONS))
def test_every_plan_asks_for_what_there_is(plan: Reproduction) -> None:
    """Recipes, settings, views of its data sets, protocols, and encoders that take windows of its views."""
    assert len({run.name for run in plan.runs}) == len(plan.runs)
    for run in plan.runs:
        config = apply_settings(make_recipe(run.recipe), run.settings)
        for view in (config.view, *plan.views):
            assert set(VIEWS[view].datasets) <= set(plan.datasets)
            assert VIEWS[view].samples == VIEWS[config.view].samples
        assert {*run.protocols} <= {*PROTOCOLS, "retrieval", "few-shot"}
    assert plan.layout in ("retrieval", "classes", *FIGURES)


def test_the_tables_of_aura_have_both_its_encoders_and_all_its_pairs() -> None:
    names = {
        run.name: apply_settings(make_recipe(run.recipe), run.settings)
        for run in REPRODUCTIONS["aura-table2"].runs
    }
    assert set(names) == {
        f"{pair} {kind}" for pair in ("Mocap", "EC", "AAD", "Video") for kind in ("RNN", "Transformer")
    }
    encoders = {name: getattr(config, "encoder", None) for name, config in names.items()}
    assert encoders["EC RNN"] == "cnn-gru"
    assert encoders["Mocap Transformer"] == "transformer"
    scratch = [run.name for run in REPRODUCTIONS["aura-table4"].runs if "from-scratch" in run.protocols]
    assert scratch == ["EC RNN", "EC Transformer"]


def test_the_shares_of_figure_6_are_those_that_keep_video_and_text() -> None:
    for run in REPRODUCTIONS["primus-figure6"].runs:
        assert float(run.settings["imu_only"]) == pytest.approx(1 - run.share)
    assert {run.share for run in REPRODUCTIONS["primus-figure6"].runs} >= {0.1, 1.0}


def test_an_unknown_table_is_refused() -> None:
    with pytest.raises(
        ConfigError, match="nothing is known of 'aura-table9'; known: aura-table2, aura-table3"
    ):
        reproduction("aura-table9")


def test_raw_folders_that_are_missing_are_named(tmp_path: Path) -> None:
    (tmp_path / "egoexo4d").mkdir()
    with pytest.raises(ConfigError, match=r"lacks pamap2; it must hold one folder .* \(egoexo4d, pamap2\)"):
        check_raw(tmp_path, ("egoexo4d", "pamap2"))
    assert check_raw(tmp_path, ("egoexo4d",)) == {"egoexo4d": tmp_path / "egoexo4d"}


PLAN = Reproduction(
    "made-up",
    "Retrieval made up",
    ("pamap2",),
    (),
    (
        PlannedRun("AAD RNN", "aura-aad", {"encoder": "cnn-gru"}, ("retrieval",), partner="AAD"),
        PlannedRun("Video RNN", "aura-video", {"encoder": "cnn-gru"}, ("retrieval",), partner="AAD"),
    ),
    "retrieval",
    ("A note of the plan.",),
)
SETTINGS = {"view": "learnable", "epochs": "1", "batch_size": "16"}


class Stage:
    """Stands in for what prepares, trains and judges, and remembers what was done."""

    def __init__(self, snapshot: str) -> None:
        self.snapshot, self.prepared, self.trained = snapshot, 0, list[str]()
        self.judged: list[str] = []
        self.killed_at = self.failing = ""
        self.trouble: tuple[str, ...] = ()

    def prepare(self, *_: object) -> tuple[str, tuple[str, ...]]:
        self.prepared += 1
        return self.snapshot, self.trouble

    def train(self, config: Any, store: str, out: Path, *, resume: bool, progress: Progress) -> None:
        if out.name == self.killed_at:
            raise KeyboardInterrupt
        out.mkdir(parents=True, exist_ok=True)
        if out.name == self.failing:
            raise RunError("step 3: the loss is nan")
        assert config.snapshot == self.snapshot
        self.trained.append(out.name)

    def judge(self, run: Path, split: str, asked: Any, store: str, on_progress: Progress) -> Evaluation:
        assert (split, asked.protocols) == ("test", ("retrieval",))
        self.judged.append(run.name)
        return evaluation(run.name)


def evaluation(run: str) -> Evaluation:
    scores = RetrievalScores("imu", "text", "one-right", 20, 20, 0.25, 0.75, 1.0, 0.4, CHANCE)
    return Evaluation(
        run=run,
        recipe="aura-aad",
        objective="alignment",
        encoder="CNN-GRU, GRU over time",
        view="aura-aad",
        snapshot_id="ab12",
        split="test",
        data=f"generated miniature of pamap2 for {run}",
        windows=20,
        shared_participants=0,
        vectors_of="generated",
        retrieval=(scores,),
        offsets=(),
        scales=(),
        missing=(),
        views=(),
        left_out={"offsets": "too short"},
        not_judged={},
    )


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    repo = write_learnable(str(tmp_path / "store"))
    head = repo.head()
    assert head is not None
    made = Stage(head.snapshot)
    monkeypatch.setattr(job, "prepare", made.prepare)
    monkeypatch.setattr(job, "judged", made.judge)
    monkeypatch.setattr(loop, "train", made.train)
    return made


def order(tmp_path: Path) -> ReproduceOrder:
    config = Config.model_validate({"store": {"url": str(tmp_path / "store")}})
    return ReproduceOrder(PLAN, config, {"pamap2": tmp_path / "raw"}, tmp_path / "out", SETTINGS)


def test_every_run_stands_under_its_name_beside_the_paper(tmp_path: Path, stage: Stage) -> None:
    report = reproduce(order(tmp_path), silent)
    assert (stage.trained, stage.judged) == (["aad-rnn", "video-rnn"], ["aad-rnn", "video-rnn"])
    (table,) = report.tables
    ours = [row for row in table.rows if row.whose == "run"]
    assert [row.name for row in ours] == ["AAD RNN", "Video RNN"]
    assert [row.measured_on for row in ours] == [
        f"generated miniature of pamap2 for {run}" for run in ("aad-rnn", "video-rnn")
    ]
    theirs = [row for row in table.rows if row.whose == "paper"]
    assert {row.name for row in theirs} >= {"AURA-RNN (IMU→AAD)", "AURA-Transformer (IMU→AAD)"}
    assert len({*theirs}) == len(theirs)
    assert report.runs[0].left_out == {"offsets": "too short"}
    assert report.data.startswith("learnable: generated miniature of pamap2")


def test_a_job_that_was_killed_does_only_what_is_left(tmp_path: Path, stage: Stage) -> None:
    stage.killed_at = "video-rnn"
    with pytest.raises(KeyboardInterrupt):
        reproduce(order(tmp_path), silent)
    assert len(json.loads((tmp_path / "out" / FACTS).read_text())["runs"]) == 1
    stage.killed_at = ""
    resumed = reproduce(order(tmp_path), silent)
    assert (stage.prepared, stage.trained, stage.judged) == (
        1,
        ["aad-rnn", "video-rnn"],
        ["aad-rnn", "video-rnn"],
    )
    assert resumed == reproduce(replace(order(tmp_path), out=tmp_path / "whole"), silent)


UNREADABLE = "pamap2/1: cannot be read"


def test_takes_that_could_not_be_read_are_tried_again(tmp_path: Path, stage: Stage) -> None:
    stage.trouble = (UNREADABLE,)
    assert reproduce(order(tmp_path), silent).trouble == (UNREADABLE,)
    assert reproduce(order(tmp_path), silent).trouble == (UNREADABLE,)
    assert stage.prepared == 2
    stage.trouble = ()
    report = reproduce(order(tmp_path), silent)
    assert (stage.prepared, report.trouble) == (3, ())
    reproduce(order(tmp_path), silent)
    assert stage.prepared == 3
    assert len(stage.trained) == 2


def test_takes_that_can_be_read_by_now_are_not_mixed_in(tmp_path: Path, stage: Stage) -> None:
    stage.trouble = (UNREADABLE,)
    reproduce(order(tmp_path), silent)
    repo = write_learnable(str(tmp_path / "store"), train=24)
    head = repo.head()
    assert head is not None
    assert head.snapshot != stage.snapshot
    stage.snapshot, stage.trouble = head.snapshot, ()
    message = r"begun on snapshot .* left out \(pamap2/1: cannot be read\).*Remove .*json and .*runs to make all anew"
    with pytest.raises(ConfigError, match=message):
        reproduce(order(tmp_path), silent)
    (tmp_path / "out" / FACTS).unlink()
    rmtree(tmp_path / "out" / "runs")
    assert reproduce(order(tmp_path), silent).snapshot_id == head.snapshot


def test_a_run_that_fails_is_told_and_tried_again(tmp_path: Path, stage: Stage) -> None:
    stage.failing = "aad-rnn"
    report = reproduce(order(tmp_path), silent)
    assert [run.failure for run in report.runs] == ["step 3: the loss is nan", ""]
    stage.failing = ""
    again = reproduce(order(tmp_path), silent)
    assert [run.failure for run in again.runs] == ["", ""]
    assert stage.judged == ["video-rnn", "aad-rnn"]


def test_a_folder_of_another_job_is_refused(tmp_path: Path, stage: Stage) -> None:
    reproduce(order(tmp_path), silent)
    other = replace(order(tmp_path), settings={**SETTINGS, "epochs": "2"})
    with pytest.raises(
        ConfigError, match=r"holds made-up with settings .*, not made-up with .*'2'.*name another"
    ):
        reproduce(other, silent)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"embed": {"pretrained": "openai"}},
            r"settings of \[embed\] are not those of then\. Give what it was",
        ),
        ({"split": {"seed": 1}, "align": {"max_gap_ms": 50.0}}, r"settings of \[align\], \[split\] are not"),
        ({"build": {"encoder": "x"}}, r"settings of \[build\]"),
        ({"views": {"har-pamap2": {"rate_hz": 100}}}, r"settings of \[views\]"),
        ({"store": {"url": "memory://other"}}, "the store was .*store and is memory://other"),
    ],
)
def test_what_was_made_of_something_else_is_refused(
    changes: dict[str, Any], message: str, tmp_path: Path, stage: Stage
) -> None:
    first = order(tmp_path)
    reproduce(first, silent)
    config = Config.model_validate({**first.config.model_dump(), **changes})
    with pytest.raises(ConfigError, match=message):
        reproduce(replace(first, config=config), silent)
    with pytest.raises(ConfigError, match=r"the raw data of pamap2 was .*raw and is .*elsewhere\. Give what"):
        reproduce(replace(first, raw={"pamap2": tmp_path / "elsewhere"}), silent)
    assert stage.prepared == 1


def test_where_and_how_fast_it_computes_may_change(tmp_path: Path, stage: Stage) -> None:
    first = order(tmp_path)
    whole = reproduce(first, silent)
    changes = {"embed": {"device": "cpu", "batch_size": 8}, "engine": {"spec": "processes:2"}}
    config = Config.model_validate({**first.config.model_dump(), **changes})
    assert reproduce(replace(first, config=config), silent) == whole
    assert stage.prepared == 1


@pytest.mark.parametrize(
    "change",
    [
        {"runs": [{"name": "AAD RNN", "failure": ""}]},
        {"runs": 3},
        {"trouble": "none"},
        {"origin": {}},
    ],
)
def test_facts_of_another_version_are_refused(change: dict[str, Any], tmp_path: Path, stage: Stage) -> None:
    reproduce(order(tmp_path), silent)
    facts = json.loads((tmp_path / "out" / FACTS).read_text(encoding="utf-8"))
    (tmp_path / "out" / FACTS).write_text(json.dumps({**facts, **change}), encoding="utf-8")
    with pytest.raises(
        ConfigError, match=r"is damaged or of another version: .*; remove it, the runs beside"
    ):
        reproduce(order(tmp_path), silent)


def test_facts_that_are_none_are_refused(tmp_path: Path, stage: Stage) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / FACTS).write_text("[]", encoding="utf-8")
    with pytest.raises(
        ConfigError, match=r"cannot read .*reproduce\.json, which .*the runs beside it are kept"
    ):
        reproduce(order(tmp_path), silent)


def test_views_without_windows_are_left_out_and_without_any_the_run_fails(
    tmp_path: Path, stage: Stage
) -> None:
    """The made-up store has no split test at all."""
    plan = replace(PLAN, views=("learnable",))
    report = reproduce(replace(order(tmp_path), plan=plan), silent)
    assert {run.failure for run in report.runs} == {
        "there is nothing to judge by: learnable has no windows in split test"
    }
    assert (stage.trained, stage.judged) == ([], [])


def row(task: str, name: str, whose: Any, *numbers: float, on: str = "data") -> PaperRow:
    return PaperRow(task, name, whose, numbers, on)


def test_tables_of_one_title_become_one() -> None:
    first = PaperTable(
        "T",
        "t",
        ("a",),
        (row("x", "one", "run", 1), row("x", "paper", "paper", 9), row("chance", "c", "chance", 0)),
        ("n",),
    )
    second = PaperTable(
        "T",
        "t",
        ("a",),
        (row("x", "two", "run", 2), row("x", "paper", "paper", 9), row("y", "two", "run", 3)),
        ("n", "m"),
    )
    (table,) = merged([first, second])
    assert [(each.task, each.name) for each in table.rows] == [
        ("x", "one"), ("x", "two"), ("x", "paper"), ("y", "two"), ("chance", "c"),
    ]  # fmt: skip
    assert table.notes == ("n", "m")
    assert merged([first, replace(second, title="u")]) == (
        replace(first, rows=first.rows), replace(second, title="u", rows=merged([replace(second, title="u")])[0].rows),
    )  # fmt: skip


def test_tasks_of_few_shots_rise() -> None:
    rows = tuple(row(f"{shots} a class", "r", "run", shots) for shots in (100, 5, 20))
    (table,) = merged([PaperTable("F", "f", ("a",), rows, ())])
    assert [each.task for each in table.rows] == ["5 a class", "20 a class", "100 a class"]


def test_tasks_are_called_as_in_the_paper() -> None:
    """Two partners are texts of ours; what is not against IMU keeps its name, and so does one source of several."""
    tasks = ("imu → text", "text → imu", "text → video", "chance", "imu → text: atomic", "text: atomic → imu")
    rows = tuple(row(task, "r", "run", 1) for task in tasks)
    (found,) = as_in_paper([PaperTable("T", "t", ("a",), rows, ())], "EC")
    named = ["IMU → EC", "EC → IMU", "text → video", "chance", "IMU → EC: atomic", "EC: atomic → IMU"]
    assert [each.task for each in found.rows] == named


def test_only_the_rows_of_the_run_are_renamed() -> None:
    table = PaperTable(
        "T", "t", ("a",), (row("", "primus (CNN), linear", "run", 1), row("", "primus (CNN)", "paper", 2)), ()
    )
    (found,) = renamed([table], "primus (CNN)", "PRIMUS, SS + NN")
    assert [each.name for each in found.rows] == ["PRIMUS, SS + NN, linear", "primus (CNN)"]


def test_a_table_comes_back_from_its_facts() -> None:
    table = PaperTable("T", "t", ("a", "b"), (PaperRow("x", "y", "run", (1, None), "d", "doubt"),), ("n",))
    assert table_from_json(json.loads(json.dumps(table.facts()))) == table


def point(run: str, shots: int, accuracy: float, share: float = 1.0) -> FewShot:
    return FewShot("har-egoexo4d", "linear", run, share, shots, accuracy, 0.01, 0.25)


def report_of(plan: str, *points: FewShot) -> Reproduced:
    runs = tuple(
        RunTables(name, f"runs/{name}", points=tuple(each for each in points if each.run == name))
        for name in dict.fromkeys(each.run for each in points)
    )
    return Reproduced(REPRODUCTIONS[plan], {}, "store", "ab12", "primus: generated miniature", (), runs)


def test_figure_4_is_drawn_by_labels_a_class() -> None:
    report = report_of(
        "primus-figure4", point("PRIMUS", 5, 0.3), point("PRIMUS", 50, 0.5), point("SimCLR", 5, 0.2)
    )
    ((name, drawing),) = reproduced_curves(report).items()
    said = Document(drawing).said
    assert name == "har-egoexo4d linear"
    assert "PRIMUS: 0.5 ± 0.01 at 50" in said
    assert "SimCLR: 0.2 ± 0.01 at 5" in said
    assert "labels a class" in said
    assert "chance 0.25" in said


def test_figure_6_is_drawn_by_share_at_the_most_labels() -> None:
    few, all_of = point("PRIMUS, 10 % aligned", 500, 0.6, 0.1), point("PRIMUS, 100 % aligned", 500, 0.7)
    other = replace(few, shots=5, accuracy=0.1)
    ((_, drawing),) = reproduced_curves(report_of("primus-figure6", few, other, all_of)).items()
    said = Document(drawing).said
    assert "PRIMUS: 0.6 ± 0.01 at 0.1" in said
    assert "PRIMUS: 0.7 ± 0.01 at 1" in said
    assert "0.1 ± 0.01 at" not in said
    assert "500 labels a class" in said


def test_the_page_holds_all_and_escapes_it(tmp_path: Path, stage: Stage) -> None:
    evil = '"><script>alert(1)</script><img src=x onerror=alert(2)>'
    stage.trouble = (UNREADABLE,)
    report = reproduce(order(tmp_path), silent)
    bad = replace(report.runs[0], name=evil, run=evil, left_out={evil: evil}, failure=evil)
    page = write_reproduced(
        replace(report, data=evil, trouble=(evil,), settings={evil: evil}, runs=(bad, report.runs[1])),
        tmp_path,
    )
    document = Document(page.read_text(encoding="utf-8"))
    assert len(document.all("script")) == 1
    assert document.all("img") == []
    assert document.said.count("<script>alert(1)</script>") >= 8
    text = render_reproduced(report, style="", script="")
    said = Document(text).said
    assert "A note of the plan." in said
    assert "Left out of the data: pamap2/1: cannot be read" in said
    assert "This was measured on generated data" in said
    assert not re.search(r"https?:|url\(|@import", text)


def test_the_facts_are_json(tmp_path: Path, stage: Stage) -> None:
    facts = json.loads(json.dumps(to_json(reproduce(order(tmp_path), silent)), allow_nan=False))
    assert facts["tables"][0]["rows"][0]["name"] == "AAD RNN"
    assert facts["reproduction"] == "made-up"


def said_by(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[Any, str, str]:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    told = capsys.readouterr()
    return stop.value.code, told.out, " ".join(told.err.split())


def test_the_command_wants_data(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = said_by(["reproduce", "aura-table4"], capsys)
    assert code == 2
    assert "from which data? Give --raw DIR, which holds egoexo4d and pamap2 as downloaded, or --quick" in err


def test_quick_generates_its_own_data_and_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Data, store and split are its own; trees that are there are not generated again."""
    from sensorloom.flows.commands import reproduce as command
    from sensorloom.ingest.miniature import sample

    seen: list[ReproduceOrder] = []
    made: list[Path] = []

    def write_sample(out: Path, spec: Any) -> None:
        made.append(out)
        (out / spec.datasets[0]).mkdir(parents=True)

    def stop(order: ReproduceOrder, _: Any) -> None:
        seen.append(order)
        raise ConfigError("enough")

    monkeypatch.setattr(command, "reproduction", lambda name: PLAN)
    monkeypatch.setattr(sample, "write_sample", write_sample)
    monkeypatch.setattr(job, "reproduce", stop)
    for _ in range(2):
        said_by(["reproduce", "aura-table2", "--quick", "--out", str(tmp_path)], capsys)
    (first, again) = seen
    assert made == [tmp_path / "raw" / "pamap2"]
    assert first.raw == again.raw == {"pamap2": tmp_path / "raw" / "pamap2" / "pamap2"}
    assert first.config.store.url == str(tmp_path / "store")
    assert first.config.split.policy == "by-take"
    assert first.tune is not None


def test_the_command_prints_tables_and_says_what_failed(
    tmp_path: Path, stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from sensorloom.flows.commands import reproduce as command

    monkeypatch.setattr(command, "reproduction", lambda name: PLAN)
    stage.failing, stage.trouble = "video-rnn", (UNREADABLE,)
    (tmp_path / "pamap2").mkdir()
    asked = [
        "reproduce",
        "aura-table2",
        "--quick",
        "--raw",
        str(tmp_path),
        "--store",
        str(tmp_path / "store"),
    ]
    asked += ["--set=view=learnable", "--out", str(tmp_path / "out")]
    code, out, err = said_by(asked, capsys)
    assert code == 3
    assert re.search(r"IMU → AAD +AAD RNN +20 +0\.2500 +0\.7500 .* a", out)
    assert re.search(r"IMU → AAD +best published: AURA-RNN \(IMU→AAD\) +1,216 +0\.0148 +0\.1472 .* b", out)
    assert re.search(r"; the page has \d+ more rows\n", out)
    assert f"Facts: {tmp_path / 'out' / FACTS}" in out
    assert "a: generated miniature of pamap2 for aad-rnn; b: Ego-Exo4D, 1216 windows of test takes" in out
    assert "On generated data: this says nothing about the real data sets." in out
    assert "Video RNN failed: step 3: the loss is nan" in err
    assert "left out pamap2/1: cannot be read" in err
    facts = json.loads((tmp_path / "out" / FACTS).read_text())
    assert facts["settings"] == {
        "epochs": "4",
        "batch_size": "16",
        "learning_rate": "0.001",
        "view": "learnable",
    }
    assert Repository.open(facts["store"]).resolve(facts["snapshot_id"])


@pytest.mark.parametrize(
    ("left_out", "trouble", "failing", "code"),
    [
        ({}, (), "", 0),
        ({"offsets": "too short"}, (), "", 3),
        ({}, (UNREADABLE,), "", 3),
        ({}, (), "video-rnn", 3),
    ],
)
def test_whatever_has_no_score_decides_the_exit_code(
    left_out: dict[str, str],
    trouble: tuple[str, ...],
    failing: str,
    code: int,
    tmp_path: Path,
    stage: Stage,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from sensorloom.flows.commands import reproduce as command

    def judge(run: Path, *_: object) -> Evaluation:
        return replace(evaluation(run.name), left_out=left_out)

    monkeypatch.setattr(job, "judged", judge)
    monkeypatch.setattr(command, "reproduction", lambda name: PLAN)
    stage.failing, stage.trouble = failing, trouble
    (tmp_path / "pamap2").mkdir()
    asked = ["reproduce", "aura-table2", f"--raw={tmp_path}", f"--store={tmp_path / 'store'}", "--json"]
    found, _, _ = said_by([*asked, "--set=view=learnable", f"--out={tmp_path / 'out'}"], capsys)
    assert (found or 0) == code


def test_only_curves_that_the_earlier_facts_tell_of_make_room(tmp_path: Path) -> None:
    before = report_of("primus-figure4", replace(point("PRIMUS", 5, 0.3), head="of before"))
    write_reproduced(before, tmp_path)
    (tmp_path / FACTS).write_text(json.dumps(to_json(before)), encoding="utf-8")
    (tmp_path / "curve-of-mine.svg").write_text("<svg/>")
    after = report_of("primus-figure4", point("PRIMUS", 5, 0.3))
    write_reproduced(after, tmp_path, earlier_curves(tmp_path / FACTS))
    assert {path.name for path in tmp_path.glob("*.svg")} == {
        "curve-of-mine.svg",
        "curve-har-egoexo4d-linear.svg",
    }
