"""`bench query`: the search and NumPy find the same windows, or there is no number."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from sensorloom.flows.cli import main
from sensorloom.flows.commands import bench

SMALL = ("query", "--windows", "3000", "--width", "64", "--rounds", "1", "--json")


def run(work: Path, capfd: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        main(["bench", *SMALL, "--work", str(work)])
    out, err = capfd.readouterr()
    return int(stop.value.code or 0), out, " ".join(err.split())


@pytest.mark.slow
def test_the_search_is_measured_against_numpy(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(tmp_path, capfd)
    numbers = json.loads(out)
    assert code == 0
    assert {
        "query_ms",
        "query_cpu_ms",
        "query_worst_ms",
        "overlapping_ms",
        "over_numpy",
        "peak_mb",
    } <= numbers.keys()
    assert all(type(value) is float and value > 0 for value in numbers.values())
    assert (numbers["windows"], numbers["width"], numbers["threads"]) == (3000, 64, 1)


@pytest.mark.slow
def test_a_search_that_finds_other_windows_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "benchmarks"
    shutil.copytree(bench.source_folder(), folder, ignore=shutil.ignore_patterns("__pycache__"))
    text, right = (folder / "query_numpy.py").read_text(), "vectors[best].astype(np.float64) @"
    assert right in text
    (folder / "query_numpy.py").write_text(text.replace(right, f"-{right}"))
    monkeypatch.setattr(bench, "source_folder", lambda: folder)
    code, _, err = run(tmp_path / "work", capfd)
    assert code == 1
    assert "did not do the same work: rows found is" in err


def test_help_says_what_is_compared(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["bench", "query", "--help"])
    said = " ".join(capfd.readouterr().out.split())
    assert all(word in said for word in ("--windows", "--width", "--threads", "NumPy"))
