"""A build that the gate stops publishes nothing, and says why."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sensorloom.flows.audit import run as audit_run
from sensorloom.flows.audit.audit import gather
from sensorloom.flows.audit.take import AuditTask, Part, TakeAudit, audit_parts
from sensorloom.flows.cli import main
from sensorloom.flows.config import Config, load_config
from sensorloom.flows.errors import GateError
from sensorloom.flows.runs import build_views, ingest_dataset
from sensorloom.ingest.miniature.sample import write_sample
from sensorloom.ingest.miniature.spec import SampleSpec
from sensorloom.store.manifest import Snapshot
from sensorloom.store.repository import Repository


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gate")
    write_sample(folder / "raw", SampleSpec(("pamap2",), 0, 2, 2.0, ()))
    return folder


@pytest.fixture(scope="module")
def raw_with_a_broken_chest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gate")
    write_sample(folder / "raw", SampleSpec(("pamap2",), 0, 2, 2.0, ("identical-axes",)))
    return folder


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder of one's own: a gate that stops a build leaves its report there."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def url(raw: Path, elsewhere: Path, tmp_path: Path) -> str:
    url = str(tmp_path / "store")
    ingest_dataset("pamap2", str(raw / "raw" / "pamap2"), config=config(url))
    return url


def head(url: str) -> Snapshot:
    return Repository.open(url).resolve("main")


def config(url: str, **settings: str) -> Config:
    return load_config(
        None, {"store.url": url, **{key.replace("__", "."): value for key, value in settings.items()}}
    )


LEAKS = {"split__policy": "random-windows", "split__fractions": "[0.5, 0.25, 0.25]"}


def test_a_build_with_an_error_publishes_nothing(url: str) -> None:
    before = Repository.open(url).resolve("main")
    with pytest.raises(
        GateError, match=r"gate_build = \"error\" keeps har-pamap2 .*nothing was.*participant in both"
    ):
        build_views(["har-pamap2"], config=config(url, audit__gate_build="error", **LEAKS))
    assert Repository.open(url).resolve("main") == before


def test_what_was_stopped_is_published_once_the_gate_is_open(url: str) -> None:
    with pytest.raises(GateError):
        build_views(["har-pamap2"], config=config(url, audit__gate_build="error", **LEAKS))
    report = build_views(["har-pamap2"], config=config(url, **LEAKS))
    assert (report.built, report.committed) == (0, True)


def test_a_sound_build_passes_and_is_the_same_snapshot_as_without_a_gate(url: str) -> None:
    gated = build_views(["har-pamap2"], config=config(url, audit__gate_build="error"))
    assert gated.committed
    assert build_views(["har-pamap2"], config=config(url)).snapshot_id == gated.snapshot_id


def test_a_rule_that_is_switched_off_stops_nothing(url: str) -> None:
    off = {
        f"audit__rules__leak-{kind}__severity": "off"
        for kind in ("participant", "capture", "overlap", "signal")
    }
    report = build_views(["har-pamap2"], config=config(url, audit__gate_build="error", **LEAKS, **off))
    assert report.committed


@pytest.fixture
def broken_chest(raw_with_a_broken_chest: Path, elsewhere: Path, tmp_path: Path) -> str:
    """A store of two takes, in one of which two axes of the chest's accelerometer are the same."""
    url = str(tmp_path / "store")
    ingest_dataset("pamap2", str(raw_with_a_broken_chest / "raw" / "pamap2"), config=config(url))
    return url


HANDS = {"views__hands__datasets": '["pamap2"]', "views__hands__positions": '["hand"]'}
BROKEN = "pamap2: identical-axes (error) 1 time in 1 take"


def test_an_error_of_a_sensor_that_a_view_leaves_alone_does_not_stop_it(broken_chest: str) -> None:
    gated = config(broken_chest, audit__gate_build="error", **HANDS)
    with pytest.raises(GateError, match=r"keeps har-pamap2 .*pamap2: identical-axes \(error\) 1 time"):
        build_views(["har-pamap2"], config=gated)
    assert build_views(["hands"], config=gated).committed


def test_a_reason_names_the_views_that_it_stops(broken_chest: str) -> None:
    with pytest.raises(GateError) as stopped:
        build_views(["hands", "har-pamap2"], config=config(broken_chest, audit__gate_build="error", **HANDS))
    gate = stopped.value.gate
    assert gate.views == ("hands", "har-pamap2")
    assert f"{BROKEN}, of har-pamap2" in gate.reasons
    assert not any("hands" in reason for reason in gate.reasons)


def test_a_known_error_of_ingest_can_be_waived(broken_chest: str) -> None:
    with pytest.raises(GateError) as stopped:
        build_views(["har-pamap2"], config=config(broken_chest, audit__gate_build="error"))
    rules = {reason.split(" ")[1] for reason in stopped.value.gate.reasons}
    assert "identical-axes" in rules
    waived = {f"audit__rules__{rule}__severity": "note" for rule in rules}
    passing = config(broken_chest, audit__gate_build="error", **waived)
    assert build_views(["har-pamap2"], config=passing).committed
    # It is put up with, not forgotten.
    told = gather(Repository.open(broken_chest), head(broken_chest), config=passing).rules
    assert [(rule.severity, rule.findings) for rule in told if rule.rule == "identical-axes"] == [("note", 1)]


def test_what_was_held_back_can_be_looked_at(url: str, elsewhere: Path) -> None:
    with pytest.raises(
        GateError, match=r"The report of what was held back: seen.index\.html; .*waives a rule"
    ):
        build_views(["har-pamap2"], config=config(url, audit__gate_build="error", audit__out="seen", **LEAKS))
    facts = json.loads((elsewhere / "seen/audit.json").read_text(encoding="utf-8"))
    assert [view["view"] for view in facts["views"]] == ["har-pamap2"]
    assert "participant" in {leak["kind"] for leak in facts["views"][0]["leaks"]}
    for take in facts["takes"]:
        assert (elsewhere / "seen" / take["page"]).is_file()
    assert facts["snapshot_id"] != head(url).id


def test_json_tells_what_was_done_and_what_was_held_back(
    raw: Path, elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gate = [f"--set={key.replace('__', '.')}={value}" for key, value in LEAKS.items()]
    arguments = [
        "--raw",
        str(raw / "raw"),
        "--store",
        "store",
        "--set=audit.gate_build=error",
        *gate,
        "--json",
    ]
    with pytest.raises(SystemExit) as stopped:
        main(["run", *arguments])
    said = capsys.readouterr()
    facts = json.loads(said.out)
    assert stopped.value.code == 1
    assert [report["dataset"] for report in facts["ingest"]] == ["pamap2"]
    assert "build" not in facts
    assert facts["gate"]["level"] == "error"
    assert any("participant in both" in reason for reason in facts["gate"]["reasons"])
    assert (elsewhere / facts["gate"]["report"]).is_file()
    assert "error audit.gate_build" in said.err
    with pytest.raises(SystemExit):
        main(["build", "--store", "store", "--set=audit.gate_build=error", *gate, "--json"])
    assert json.loads(capsys.readouterr().out) == {"gate": facts["gate"]}


def test_takes_are_measured_once_however_many_views_are_built(
    url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    measured: list[tuple[str, tuple[Part, ...]]] = []

    def told(task: AuditTask) -> dict[Part, TakeAudit]:
        measured.append((task.take_id, task.parts))
        return audit_parts(task)

    monkeypatch.setattr(audit_run, "audit_parts", told)
    gated = config(url, audit__gate_build="error", engine__spec="serial")
    build_views(["har-pamap2", "crossl-pamap2"], config=gated)
    assert sorted(parts for _, parts in measured) == [("streams", "windows")] * 2
    measured.clear()
    build_views(["har-pamap2", "crossl-pamap2"], config=gated)
    assert measured == []
    build_views(["har-pamap2"], config=gated)  # other windows are looked at, no clock is measured again
    assert {parts for _, parts in measured} == {("windows",)}
