"""`sensorloom audit` from the command line: which pages it writes, what it tells, when it fails."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sensorloom.flows.cli import main
from sensorloom.store.repository import Repository
from tests.flows.aligned_store import aligned_take, frame_facts, publish, write_take, write_view

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def audit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Audit a store of a sound take and one with an accelerometer that is 0; return code, output and error."""
    monkeypatch.chdir(tmp_path)
    repo = Repository.open(str(tmp_path / "sensorloom-store"), create=True)
    sound, dead = aligned_take(), aligned_take("egoexo4d/dead")
    values = dead.imu[0].values.copy()
    values[:, :3] = 0
    takes = [sound, replace(dead, imu=(replace(dead.imu[0], values=values),))]
    puts = [put for take in takes for put in write_take(repo, take, frame_facts(400))]
    publish(repo, puts + write_view(repo, takes))

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stopped:
            main(["audit", *arguments])
        said = capsys.readouterr()
        return int(stopped.value.code or 0), said.out, said.err

    return run


def pages(tmp_path: Path) -> list[str]:
    return sorted(path.name.rpartition("-")[0] for path in (tmp_path / "report/takes").iterdir())


def test_the_report_and_how_far_it_is(audit: Run, tmp_path: Path) -> None:
    code, out, err = audit()
    assert code == 0
    assert "can I train on it? egoexo4d: " in out
    assert "audit: 2 of 2 takes: egoexo4d/" in err
    assert pages(tmp_path) == ["egoexo4d-a", "egoexo4d-dead"]
    assert {path.name for path in (tmp_path / "report").iterdir()} == {
        "audit.json",
        "findings.parquet",
        "index.html",
        "sync.parquet",
        "takes",
    }


def test_json_says_what_the_file_says(audit: Run, tmp_path: Path) -> None:
    _, out, err = audit("--json")
    assert err == ""
    assert json.loads(out) == json.loads((tmp_path / "report/audit.json").read_text(encoding="utf-8"))


def test_the_gate_fails_by_what_was_measured(audit: Run) -> None:
    code, _, err = audit("--fail-on", "error")
    assert code == 1
    assert "gate egoexo4d: window-all-zero (error) 1 time in 1 take" in err
    assert audit("--fail-on", "error", "--set", "audit.rules.window-all-zero.severity=off")[0] == 0


def test_a_folder_of_videos_that_is_not_there_is_refused(audit: Run, tmp_path: Path) -> None:
    code, _, err = audit("--raw", str(tmp_path / "nowhere"))
    assert (code, "nowhere is no folder; give the parent of the data sets' folders" in err) == (2, True)
    assert not (tmp_path / "report").exists()
    assert audit("--raw", str(tmp_path))[0] == 0


def test_pages_as_they_are_asked_for(audit: Run, tmp_path: Path) -> None:
    assert audit("--take-pages", "1")[0] == 0
    assert pages(tmp_path) == ["egoexo4d-dead"]
    assert audit("--take-pages", "all")[0] == 0
    assert pages(tmp_path) == ["egoexo4d-a", "egoexo4d-dead"]
    code, _, err = audit("--take-pages", "some")
    assert (code, "audit.take_pages" in err) == (2, True)


def test_the_page_of_one_take_leaves_the_others(audit: Run, tmp_path: Path) -> None:
    audit("--take-pages", "1")
    assert audit("--take", "egoexo4d/a")[0] == 0
    assert pages(tmp_path) == ["egoexo4d-a", "egoexo4d-dead"]
    code, _, err = audit("--take", "egoexo4d/z")
    assert (code, "has no take 'egoexo4d/z'" in err) == (2, True)
