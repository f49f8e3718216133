"""The audit says of a committed snapshot what is in it, the same way every time."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from uuid import uuid4

import pytest

from sensorloom.flows.audit.audit import fails, gather, to_json, write_report
from sensorloom.flows.audit.report import (
    FunnelStep,
    LeakFacts,
    Report,
    SensorHours,
    SplitFacts,
    SplitLabel,
    ViewErrors,
)
from sensorloom.flows.config import load_config
from sensorloom.flows.errors import ConfigError, RunError
from sensorloom.store.repository import Repository
from tests.flows.reports import commit, finding_row, report, take_row, window_row


@pytest.fixture
def repo() -> Repository:
    return Repository.open(f"memory://{uuid4().hex}", create=True)


@pytest.fixture
def stored(repo: Repository) -> Repository:
    """Two PAMAP2 takes of 100 s with windows, one REALWORLD take without, one that could not be read."""
    commit(
        repo,
        {
            ("takes", "00"): [
                take_row("pamap2/a", "101", 100.0),
                take_row("realworld/b", "p1", 60.0, origin="generated"),
            ],
            ("takes", "01"): [take_row("pamap2/c", "102", 100.0)],
            ("findings", "ingest.00"): [
                finding_row("pamap2/a", "gaps", longest_ms=200.0),
                finding_row("pamap2/a", "gaps", longest_ms=300.0),
                finding_row("pamap2/a", "break-dropped", "note", total_s=20.0),
                finding_row("pamap2/a", "stuck_axis", "error"),
            ],
            ("findings", "ingest.01"): [
                finding_row("pamap2/c", "gaps", longest_ms=100.0),
                finding_row("pamap2/d", "take-unreadable", "error"),
            ],
            ("findings", "walk.00"): [
                finding_row("pamap2/a", "window-coverage", "note", "build", windows=4, total_s=20.0),
                finding_row("pamap2/a", "window-tail", "note", "build", total_s=3.5),
            ],
            ("windows:walk", "00"): [
                window_row("pamap2/a", "101", 0.0, "train"),
                window_row("pamap2/a", "101", 2.5, "train", valid_share=0.95, retimed_share=0.05),
                window_row("pamap2/a", "101", 20.0, "val", "running"),
            ],
            ("windows:walk", "01"): [window_row("pamap2/c", "102", 0.0, "train", coverage=[0.92, 0.97])],
        },
    )
    return repo


def audit(repo: Repository, view: str | None = None) -> Report:
    return gather(repo, repo.resolve("main"), view=view)


def test_data_sets(stored: Repository) -> None:
    pamap2, realworld = audit(stored).datasets
    assert (pamap2.dataset, pamap2.takes, pamap2.participants, pamap2.captures) == ("pamap2", 2, 2, 2)
    assert (pamap2.takes_generated, realworld.takes_generated) == (0, 1)
    assert (pamap2.takes_unreadable, pamap2.takes_with_errors, pamap2.error_rules) == (1, 1, ("stuck_axis",))
    assert pamap2.hours == pytest.approx(200 / 3600)
    assert realworld.verdict.level == "no"


def test_a_take_that_fails_now_but_was_read_before_is_counted_once(repo: Repository) -> None:
    takes = [take_row(f"pamap2/{number:02}", "101", 100.0) for number in range(11)]
    failures = [finding_row(f"pamap2/{number:02}", "take-unreadable", "error") for number in range(4)]
    commit(repo, {("takes", "00"): takes, ("findings", "ingest.00"): failures})
    (pamap2,) = audit(repo).datasets
    assert (pamap2.takes, pamap2.takes_unreadable, pamap2.takes_outdated) == (11, 4, 4)
    said = [reason.sentence for reason in pamap2.verdict.reasons]
    assert "4 of 11 takes cannot be read as they are now; their earlier version is still used." in said
    assert not any("could not be read" in sentence for sentence in said)


def test_errors_are_held_against_the_views_that_use_the_sensor(repo: Repository) -> None:
    """The view `walk` cuts from the chest; each take's finding is about another part of it."""
    targets = ("#hand/gyroscope", "#chest/heart_rate", "#chest", "#chest/accelerometer", "")
    takes = [take_row(f"pamap2/{number}", "101", 100.0) for number in range(5)]
    findings = [
        finding_row(f"pamap2/{number}", "all-zero", "error") | {"target": f"pamap2/{number}{part}"}
        for number, part in enumerate(targets)
    ]
    rows = [window_row("pamap2/0", "101", 0.0, "train")]
    commit(repo, {("takes", "00"): takes, ("findings", "ingest.00"): findings, ("windows:walk", "00"): rows})
    (pamap2,) = audit(repo).datasets
    assert pamap2.takes_with_errors == 5
    assert pamap2.errors_in_views == (ViewErrors("walk", ("chest",), 3),)


def test_sensor_hours_are_measured_between_breaks(stored: Repository) -> None:
    accelerometer, gyroscope = audit(stored).datasets[0].sensors
    assert accelerometer == SensorHours(
        "accelerometer", "chest", 2, pytest.approx(180 / 3600), pytest.approx(180 / 3600)
    )
    assert gyroscope.usable_hours == pytest.approx(100 / 3600)


def waived(repo: Repository, **severities: str) -> Report:
    settings = {f"audit.rules.{rule.replace('_', '-')}.severity": given for rule, given in severities.items()}
    config = load_config(None, {"store.url": repo.url, **settings})
    return gather(repo, repo.resolve("main"), config=config)


def test_findings_of_ingest_have_the_severity_that_was_given_to_their_rule(stored: Repository) -> None:
    def severities(report: Report) -> dict[str, str]:
        return {rule.rule: rule.severity for rule in report.rules if rule.stage == "ingest"}

    plain = severities(audit(stored))
    assert plain["gaps"] == "warning"
    assert severities(waived(stored, gaps="error")) == plain | {"gaps": "error"}
    assert waived(stored, gaps="error").datasets[0].error_rules == ("gaps", "stuck_axis")
    off = plain.keys() - {"gaps"}
    assert severities(waived(stored, gaps="off")).keys() == off
    assert [take.warnings for take in waived(stored, gaps="off").takes] == [0, 0, 0]


def test_a_waiver_changes_what_is_told_and_not_what_is_counted(stored: Repository) -> None:
    before, after = audit(stored), waived(stored, break_dropped="off", window_coverage="off")
    assert after.datasets[0].sensors == before.datasets[0].sensors
    assert after.views == before.views
    assert {"break-dropped", "window-coverage"} == {rule.rule for rule in before.rules} - {
        rule.rule for rule in after.rules
    }


def test_rules_are_grouped_and_every_take_gives_an_example_first(stored: Repository) -> None:
    rules = {(rule.rule, rule.view): rule for rule in audit(stored).rules}
    gaps = rules["gaps", None]
    assert (gaps.severity, gaps.stage, gaps.findings, gaps.takes) == ("warning", "ingest", 3, 2)
    assert [example.take_id for example in gaps.examples] == ["pamap2/a", "pamap2/c", "pamap2/a"]
    assert {example.numbers["longest_ms"] for example in gaps.examples} == {100.0, 200.0, 300.0}
    assert rules["window-tail", "walk"].stage == "build"
    assert [rule.severity for rule in audit(stored).rules][:2] == ["error", "error"]


def test_examples_are_capped(repo: Repository) -> None:
    rows = [finding_row(f"pamap2/{number:02}", "gaps") for number in range(50)]
    commit(repo, {("findings", "ingest.00"): rows})
    (gaps,) = audit(repo).rules
    assert (gaps.findings, gaps.takes, len(gaps.examples)) == (50, 50, 20)


def test_the_funnel_accounts_for_every_second(stored: Repository) -> None:
    (walk,) = audit(stored).views
    assert walk.recorded_s == 200.0
    # [0, 5) and [2.5, 7.5) overlap; [20, 25); [0, 5) of the other take.
    assert walk.kept_s == 17.5
    assert walk.dropped == (
        FunnelStep("break-dropped", 1, 20.0),
        FunnelStep("window-coverage", 1, 10.0),  # four windows, a stride of 2.5 s each
        FunnelStep("window-tail", 1, 3.5),
        FunnelStep("unlabelled", 0, 149.0),
    )
    assert walk.kept_s + sum(step.seconds for step in walk.dropped) == walk.recorded_s


def test_windows_by_split_and_label(stored: Repository) -> None:
    (walk,) = audit(stored).views
    assert walk.windows == 4
    assert walk.splits == (SplitFacts("train", 3, 2, 2), SplitFacts("val", 1, 1, 1))
    assert walk.labels == (SplitLabel("running", "val", 1), SplitLabel("walking", "train", 3))
    assert (walk.recipe.length_s, walk.recipe.stride_s, walk.recipe.rate_hz) == (5.0, 2.5, 50)


def test_shares_fall_into_their_bins(stored: Repository) -> None:
    """0.95 is stored as a float32 just below it, and 1.0 belongs to the last bin."""
    shares = {share.share: share.counts for share in audit(stored).views[0].shares}
    assert shares["valid"][19] == 4
    assert (shares["retimed"][0], shares["retimed"][1]) == (3, 1)
    assert (shares["least_covered_sensor"][18], shares["least_covered_sensor"][19]) == (1, 3)


def test_leaks_are_errors(stored: Repository) -> None:
    (walk,) = audit(stored).views
    assert LeakFacts("participant", "error", "train", "val", 1, ("pamap2/101",)) in walk.leaks
    assert {leak.kind for leak in walk.leaks} == {"participant", "capture"}
    assert "walk: 1 participant in both train and val (error)" in fails(audit(stored), "error")


def test_overlapping_windows_of_two_splits_are_a_leak(repo: Repository) -> None:
    rows = [window_row("pamap2/a", "101", 0.0, "train"), window_row("pamap2/a", "101", 2.5, "test")]
    commit(repo, {("takes", "00"): [take_row("pamap2/a", "101", 100.0)], ("windows:walk", "00"): rows})
    kinds = {leak.kind: leak.count for leak in audit(repo).views[0].leaks}
    assert kinds == {"participant": 1, "capture": 1, "overlap": 1}


def test_one_view_and_its_data_sets_alone(stored: Repository) -> None:
    facts = audit(stored, "walk")
    assert [dataset.dataset for dataset in facts.datasets] == ["pamap2"]
    assert [view.view for view in facts.views] == ["walk"]


def test_a_view_that_is_not_there(stored: Repository) -> None:
    with pytest.raises(
        ConfigError, match=r"snapshot [0-9a-f]{12} has no view 'run'; it holds walk; build it first"
    ):
        audit(stored, "run")


def test_an_empty_snapshot(repo: Repository) -> None:
    commit(repo, {("findings", "ingest.00"): []})
    facts = audit(repo)
    assert (facts.datasets, facts.rules, facts.views) == ((), (), ())


def test_json_is_the_report_and_nothing_else(stored: Repository, tmp_path: Path) -> None:
    facts = audit(stored)
    paths = write_report(facts, tmp_path / "report")
    read = json.loads(paths.facts.read_text(encoding="utf-8"))
    assert read == json.loads(json.dumps(to_json(facts)))
    assert read["schema_version"] == 2
    assert set(read) == {field.name for field in fields(Report)}
    assert read["datasets"][0]["verdict"]["level"] == "no"


def test_same_snapshot_same_bytes(stored: Repository, tmp_path: Path) -> None:
    first, second = (write_report(audit(stored), tmp_path / name) for name in ("one", "two"))
    assert first.page.read_bytes() == second.page.read_bytes()
    assert first.facts.read_bytes() == second.facts.read_bytes()


def test_an_earlier_report_is_replaced_and_nothing_else_left(tmp_path: Path) -> None:
    write_report(report(), tmp_path)
    write_report(report(snapshot_id="6" * 64), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["audit.json", "index.html"]
    assert "6" * 64 in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RunError, match=r"cannot write the report to .*file/report: Not a directory"):
        write_report(report(), tmp_path / "file" / "report")
