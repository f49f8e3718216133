"""A sweep trains every point once, goes on where it was killed, and mixes nothing that does not belong together."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sensorloom.flows.cli import main
from sensorloom.flows.commands.judging_options import chosen_protocols, chosen_tune
from sensorloom.flows.config import Config
from sensorloom.flows.errors import ConfigError
from sensorloom.flows.sweeps import sweep as job
from sensorloom.flows.sweeps.grid import asked_grid, named_grid
from sensorloom.flows.sweeps.judges import asked_of, by_protocols
from sensorloom.flows.sweeps.report import Score
from sensorloom.flows.sweeps.scores import validation_scores
from sensorloom.flows.sweeps.sweep import FACTS, Judge, SweepOrder, run_sweep
from sensorloom.store.repository import Repository
from sensorloom.training import run as loop
from sensorloom.training.configs import RunConfig
from sensorloom.training.errors import RecipeError, RunError, StreamError
from sensorloom.training.evaluation.fitting import FitSettings
from sensorloom.training.evaluation.judging import ALL, USUAL
from sensorloom.training.record import RunRecord, load_record, save_record
from sensorloom.training.run import RunResult
from tests.flows.made_up_sweeps import made_up_sweep
from tests.training.learnable_triplets import write_learnable


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    url = str(tmp_path_factory.mktemp("sweep") / "store")
    write_learnable(url)
    return url


Train = Callable[..., RunResult]


class Trainer:
    """Stands in for `train`: writes the record of a run and scores it by its settings, without computing."""

    def __init__(self, fails: tuple[str, ...] = (), killed_after: int | None = None) -> None:
        self.trained: list[str] = []
        self.fails, self.killed_after = fails, killed_after

    def __call__(
        self, config: RunConfig, store: str, out: Path, *, resume: bool = False, progress: Any = None
    ) -> RunResult:
        if len(self.trained) == self.killed_after:
            raise KeyboardInterrupt
        record = RunRecord(config, store, config.snapshot, (), (1, 6, 125), 7, {})
        if not resume:
            save_record(out, record)
        name = "/".join(out.parts[-2:])
        self.trained.append(name)
        if name in self.fails:
            raise RunError("step 3: the loss is nan")
        if progress:
            progress("epoch 1/1", 1, 1)
        scores = {"imu-text/r10": config.learning_rate + config.seed / 8, "imu-text/r10_chance": 0.1}
        return RunResult(out, record, 1, 1.0, 0, scores, "", "generated", 1.0, 0.0)


@pytest.fixture
def trainer(monkeypatch: pytest.MonkeyPatch) -> Trainer:
    made = Trainer()
    monkeypatch.setattr(loop, "train", made)
    return made


JUDGE = Judge("a test", validation_scores)


def order(store: str, out: Path, over: str = "learning_rate=0.1,0.2", seeds: int = 2) -> SweepOrder:
    settings = {"view": "learnable", "epochs": "1", "batch_size": "16"}
    return SweepOrder(asked_grid("imu2clip", (over,), settings), seeds, settings, store, out, JUDGE)


def test_every_point_is_trained_with_every_seed_into_a_folder_of_its_own(
    store: str, tmp_path: Path, trainer: Trainer
) -> None:
    report = run_sweep(order(store, tmp_path / "sweep"))
    runs = [f"imu2clip/learning_rate={rate}/seed-{seed}" for rate in ("0.1", "0.2") for seed in (0, 1)]
    assert [point.run for point in report.points] == runs
    assert [point.scores["imu → text R@10"] for point in report.points] == [
        Score(value, 0.1) for value in (0.1, 0.225, 0.2, 0.325)
    ]
    for run in runs:
        record = load_record(tmp_path / "sweep" / run)
        assert record is not None
        assert (record.config.view, record.config.epochs) == ("learnable", 1)
    assert report.data.startswith("learnable: generated miniature of pamap2, 48 windows of 8 participants")


def test_a_sweep_that_was_killed_does_only_what_is_left(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trainer: Trainer
) -> None:
    whole = run_sweep(order(store, tmp_path / "whole"))
    killed, rest = Trainer(killed_after=2), Trainer()
    monkeypatch.setattr(loop, "train", killed)
    with pytest.raises(KeyboardInterrupt):
        run_sweep(order(store, tmp_path / "killed"))
    half = json.loads((tmp_path / "killed" / FACTS).read_text())
    assert len(half["points"]) == 2
    monkeypatch.setattr(loop, "train", rest)
    assert run_sweep(order(store, tmp_path / "killed")) == whole
    assert (killed.trained, rest.trained) == (trainer.trained[:2], trainer.trained[2:])


def test_a_point_that_was_killed_at_work_goes_on_to_the_same_scores(store: str, tmp_path: Path) -> None:
    """With the real loop: killed after its second step, the run ends as one that was left alone."""

    said: list[str] = []

    def kill(line: str, *_: int) -> None:
        said.append(line)
        if len(said) == 2:
            raise KeyboardInterrupt

    asked = order(store, tmp_path / "killed", "learning_rate=0.001", seeds=1)
    asked = replace(asked, settings={**asked.settings, "epochs": "2", "checkpoint_every": "1"})
    with pytest.raises(KeyboardInterrupt):
        run_sweep(asked, kill)
    again = run_sweep(asked)
    assert again.points == run_sweep(replace(asked, out=tmp_path / "whole")).points
    assert "imu → text R@10" in again.points[0].scores
    steps = (tmp_path / "killed" / again.points[0].run / "metrics.jsonl").read_text().splitlines()
    assert sum('"kind": "step"' in line for line in steps) == 4


def test_a_sweep_that_goes_on_reads_the_snapshot_that_it_began_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = str(tmp_path / "store")
    repo = write_learnable(url)
    first = repo.head()
    assert first is not None
    monkeypatch.setattr(loop, "train", Trainer(killed_after=0))
    with pytest.raises(KeyboardInterrupt):
        run_sweep(order(url, tmp_path / "sweep"))
    write_learnable(url, train=24)
    later = Repository.open(url).head()
    assert later is not None
    assert later.snapshot != first.snapshot
    monkeypatch.setattr(loop, "train", Trainer())
    report = run_sweep(order(url, tmp_path / "sweep"))
    assert report.snapshot_id == first.snapshot
    record = load_record(tmp_path / "sweep" / report.points[0].run)
    assert record is not None
    assert record.config.snapshot == first.snapshot


def test_a_wider_grid_keeps_the_points_of_the_narrower(store: str, tmp_path: Path, trainer: Trainer) -> None:
    run_sweep(order(store, tmp_path))
    before = len(trainer.trained)
    report = run_sweep(order(store, tmp_path, "learning_rate=0.05,0.1,0.2"))
    assert trainer.trained[before:] == ["learning_rate=0.05/seed-0", "learning_rate=0.05/seed-1"]
    assert len(report.points) == 6


def test_scores_of_another_judge_are_not_kept(store: str, tmp_path: Path, trainer: Trainer) -> None:
    run_sweep(order(store, tmp_path))
    other = Judge("another", lambda result: {"steps": Score(float(result.steps))})
    report = run_sweep(replace(order(store, tmp_path), judge=other))
    assert [set(point.scores) for point in report.points] == [{"steps"}] * 4
    assert report.judged_by == "another"


def test_runs_of_other_settings_are_not_mixed_in(store: str, tmp_path: Path, trainer: Trainer) -> None:
    run_sweep(order(store, tmp_path))
    before = len(trainer.trained)
    longer = order(store, tmp_path)
    longer = replace(longer, settings={**longer.settings, "epochs": "2"})
    with pytest.raises(
        ConfigError, match=r"seed-0 holds a run of other settings: epochs was 1 and is 2\. Give"
    ):
        run_sweep(longer)
    assert len(trainer.trained) == before


def test_a_folder_of_another_sweep_is_refused(store: str, tmp_path: Path, trainer: Trainer) -> None:
    run_sweep(order(store, tmp_path))
    other = replace(order(store, tmp_path), grid=named_grid("objective-ablation", None))
    with pytest.raises(
        ConfigError, match="holds the sweep 'imu2clip', not 'objective-ablation'; name another"
    ):
        run_sweep(other)


def test_facts_that_are_no_sweep_are_refused(store: str, tmp_path: Path) -> None:
    (tmp_path / FACTS).write_text("{", encoding="utf-8")
    with pytest.raises(
        ConfigError, match=r"cannot read .*sweep\.json.*remove it, the runs beside it are kept"
    ):
        run_sweep(order(store, tmp_path))


@pytest.mark.parametrize(
    "change",
    [
        {"points": [{}]},
        {"points": [{"run": "a", "failure": "", "scores": {"R@10": 0.5}}]},
        {"points": [{"run": "a", "failure": "", "scores": {"R@10": {"value": "much", "chance": None}}}]},
        {"points": 3},
        {"judged_by": None, "points": [[]]},
    ],
)
def test_facts_of_another_version_are_refused(
    change: dict[str, Any], store: str, tmp_path: Path, trainer: Trainer
) -> None:
    run_sweep(order(store, tmp_path))
    facts = json.loads((tmp_path / FACTS).read_text(encoding="utf-8"))
    (tmp_path / FACTS).write_text(json.dumps({**facts, **change}), encoding="utf-8")
    with pytest.raises(
        ConfigError, match=r"is damaged or of another version: .*; remove it, the runs beside"
    ):
        run_sweep(order(store, tmp_path))
    (tmp_path / FACTS).unlink()
    assert len(run_sweep(order(store, tmp_path)).points) == 4


@pytest.mark.parametrize(
    ("settings", "judge", "message"),
    [
        ({"view": "har-pamap2"}, JUDGE, "view har-pamap2 is not built .`sensorloom build har-pamap2` does"),
        ({"val_split": "nope"}, JUDGE, "view learnable has no windows in split nope; it has train, val"),
        ({}, replace(JUDGE, split="test"), "view learnable has no windows in split test; it has"),
        ({}, replace(JUDGE, views=("har-pamap2",)), "view har-pamap2 is not built"),
    ],
)
def test_what_the_store_lacks_is_told_before_anything_is_trained(
    settings: dict[str, str], judge: Judge, message: str, store: str, tmp_path: Path, trainer: Trainer
) -> None:
    asked = order(store, tmp_path)
    with pytest.raises(ConfigError, match=message):
        run_sweep(replace(asked, settings={**asked.settings, **settings}, judge=judge))
    assert trainer.trained == []
    assert list(tmp_path.iterdir()) == []


def test_windows_that_cannot_be_streamed_fail_their_point_alone(
    store: str, tmp_path: Path, trainer: Trainer
) -> None:
    def scores(result: RunResult) -> dict[str, Score]:
        if result.run_dir.parent.name == "learning_rate=0.1":
            raise StreamError("no windows in it")
        return {"R@10": Score(0.5)}

    report = run_sweep(replace(order(store, tmp_path, seeds=1), judge=Judge("a test", scores)))
    assert [point.failure for point in report.points] == ["no windows in it", ""]


def test_a_point_that_fails_is_told_and_tried_again(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "train", Trainer(fails=("learning_rate=0.1/seed-1",)))
    report = run_sweep(order(store, tmp_path))
    assert [point.failure for point in report.points] == ["", "step 3: the loss is nan", "", ""]
    again = Trainer()
    monkeypatch.setattr(loop, "train", again)
    assert not any(point.failure for point in run_sweep(order(store, tmp_path)).points)
    assert again.trained == ["learning_rate=0.1/seed-1"]


def test_a_setting_that_the_recipe_does_not_have_is_refused_before_anything_is_trained(
    store: str, tmp_path: Path, trainer: Trainer
) -> None:
    with pytest.raises(RecipeError, match="recipe imu2clip has no setting 'keep'"):
        run_sweep(order(store, tmp_path, "keep=0.1,0.5"))
    assert trainer.trained == []
    assert list(tmp_path.iterdir()) == []


def test_points_that_a_default_makes_alike_share_a_run(store: str, tmp_path: Path, trainer: Trainer) -> None:
    """The weight of 1 is PRIMUS as it is in all three lines."""
    whole = replace(order(store, tmp_path, seeds=1), grid=named_grid("loss-weights", None))
    report = run_sweep(whole)
    assert len(report.points) == 15
    assert len(trainer.trained) == 13
    assert sum(point.run == "primus/as-it-is/seed-0" for point in report.points) == 3


def test_a_folder_is_named_by_what_it_changes_or_by_a_digest_of_much(
    store: str, tmp_path: Path, trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A preset changes a dozen settings; a folder's name may have 255 bytes."""
    monkeypatch.setattr(job, "check_needs", lambda *_: None)
    settings = {"epochs": "1", "batch_size": "16"}
    grid = asked_grid("imu2clip", ("preset=paper,repo",), settings)
    report = run_sweep(replace(order(store, tmp_path, seeds=1), grid=grid, settings=settings))
    first, second = (point.run for point in report.points)
    assert first == "imu2clip/as-it-is/seed-0"
    assert re.fullmatch(r"imu2clip/preset=repo-[0-9a-f]{8}/seed-0", second)
    strange = replace(order(store, tmp_path / "b", "train_split=a/../b", seeds=1))
    assert [point.run for point in run_sweep(strange).points] == ["imu2clip/train_split=a%2F..%2Fb/seed-0"]


def test_progress_tells_of_points(store: str, tmp_path: Path, trainer: Trainer) -> None:
    said: list[tuple[str, int, int]] = []
    run_sweep(order(store, tmp_path), lambda *told: said.append(told))
    assert said[0] == ("imu2clip/learning_rate=0.1/seed-0: epoch 1/1", 0, 4)
    assert said[-1] == ("", 4, 4)


def test_scores_of_validation_are_in_words_with_their_chance() -> None:
    scores = {
        "val_macro_f1": 0.5, "val_loss": 1.0, "val_ss": 2.0, "imu-text/mrr": 0.25, "imu-text/mrr_chance": 0.125,
        "imu-text/candidates": 80.0, "text-imu/r10": None,
    }  # fmt: skip
    record: Any = None
    result = RunResult(Path(), record, 1, 1.0, 0, scores, "", None, 1.0, 0.0)
    assert validation_scores(result) == {
        "macro-F1": Score(0.5),
        "loss": Score(1.0),
        "loss: ss": Score(2.0),
        "imu → text MRR": Score(0.25, 0.125),
    }


def said_by(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[Any, str, str]:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    told = capsys.readouterr()
    return stop.value.code, told.out, " ".join(told.err.split())


def test_the_command_trains_and_draws(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = [f"--set={each}" for each in ("view=learnable", "epochs=1", "batch_size=16")]
    asked = [
        "sweep",
        "imu2clip",
        "--over",
        "learning_rate=0.001,0.1",
        "--seeds",
        "1",
        "--store",
        store,
        *settings,
    ]
    code, out, _ = said_by([*asked, "--json"], capsys)
    assert not code
    facts = json.loads(out)
    assert len(facts["points"]) == 2
    assert "imu → text R@10" in facts["points"][0]["scores"]
    assert Path(facts["page"]).is_file()
    assert all(Path(path).is_file() for path in facts["curves"])
    assert (tmp_path / "runs/sweep-imu2clip/imu2clip/learning_rate=0.1/seed-0/config.json").is_file()
    code, out, _ = said_by(asked, capsys)
    assert not code
    assert re.search(r"imu2clip +0\.1 +0\.\d+", out)
    assert "this says nothing about the real data sets" in out
    assert "Page: runs/sweep-imu2clip/index.html" in out


def test_a_long_name_of_a_score_stands_over_its_column_in_lines(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    report = made_up_sweep({("a", "0.1"): (0.5,)}, score="har, few-shot by all labels, accuracy")
    monkeypatch.setattr(job, "run_sweep", lambda *_: report)
    asked = ["sweep", "imu2clip", "--over", "learning_rate=0.1,0.2", "--store", store, f"--out={tmp_path}"]
    _, out, _ = said_by(asked, capsys)
    assert re.search(r" har *\n +few-shot by all labels *\n +weight +accuracy *\na +0\.1 +0\.500", out)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--over", "keep=1"], "which recipe? Give one with --over"),
        (["primus"], "over which setting? --over key=a,b,c names one, --named one of objective-ablation"),
        (["primus", "--named", "loss-weights", "--over", "ss=1"], "--named loss-weights says what is varied"),
        (["primus", "--over", "ss=1", "--on", "har-pamap2"], "--on says how to evaluate, but not by what"),
        (["primus", "--over", "ss=1", "--split", "nope"], "--split says how to evaluate, but not by what"),
        (["primus", "--over", "ss=1", "--fit", "epochs=2"], "--fit says how to evaluate, but not by what"),
        (
            ["primus", "--over", "ss=1", "--protocols", "bogus,retrieval"],
            "--protocols bogus,retrieval: unknown protocols: bogus; known: retrieval, offsets",
        ),
        (
            ["primus", "--over", "ss=1", "--protocols", "all", "--fit", "rate=2"],
            "--fit rate=2: no such setting of a fit; known: learning_rate",
        ),
        (
            ["primus", "--over", "ss=1", "--protocols", "all", "--fit", "epochs=few"],
            "--fit epochs=few: epochs must be a whole number, got 'few'",
        ),
        (
            ["standard-pamap2", "--over", "epochs=1", "--protocols", "linear-probe"],
            "recipe standard-pamap2 trains a classifier from labels, which --protocols cannot judge",
        ),
    ],
)
def test_a_command_that_asks_for_nothing_is_refused(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = said_by(["sweep", *arguments], capsys)
    assert code == 2
    assert message in err


PROBE = FitSettings(learning_rate=0.1, weight_decay=0.0, batch_size=8, epochs=1, choose_by="accuracy")


def test_the_judge_is_asked_as_evaluate_asks() -> None:
    assert chosen_protocols("all") == ALL
    assert chosen_protocols("") == USUAL
    assert chosen_protocols(" few-shot, retrieval,few-shot") == ("few-shot", "retrieval")
    tune = chosen_tune(("epochs=7", "learning_rate=0.5"))
    assert tune is not None
    changed = tune(PROBE)
    assert (changed.epochs, changed.learning_rate) == (7, 0.5)
    assert chosen_tune(()) is None


def test_how_classifiers_are_fitted_is_part_of_the_judge() -> None:
    """Scores that were fitted otherwise are not kept."""
    asked = asked_of(Config(), ("linear-probe",), ("har-pamap2",), chosen_tune(("epochs=7",)))
    assert asked.tune is not None
    judge = by_protocols(Config(), "val", asked, ("epochs=7",))
    assert judge.name == "linear-probe of split 'val' on har-pamap2, fitted with epochs=7"
    assert (judge.views, judge.split) == (("har-pamap2",), "val")


@pytest.mark.parametrize(("fails", "code"), [(("seed-0",), 3), (("seed-0", "seed-1"), 1)])
def test_failures_decide_the_exit_code(
    fails: tuple[str, ...],
    code: int,
    store: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    names = tuple(f"learning_rate=0.1/{each}" for each in fails)
    monkeypatch.setattr(loop, "train", Trainer(fails=names))
    asked = ["sweep", "imu2clip", "--over", "learning_rate=0.1", "--seeds", "2", "--store", store]
    found, out, err = said_by([*asked, "--set=view=learnable", "--out", str(tmp_path)], capsys)
    assert found == code
    assert "imu2clip/learning_rate=0.1/seed-0 failed: step 3: the loss is nan" in err
    assert "imu2clip over learning_rate" in out
