"""The command line exports the encoder of a run, and says what it takes."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from sensorloom.flows.cli import main
from sensorloom.training.recipes import make_recipe
from sensorloom.training.settings import apply_settings
from tests.training.learnable_triplets import write_learnable
from tests.training.saved_runs import save_run


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported")
    settings = {"view": "learnable", "encoder": "tpn", "batch_size": "8"}
    config = apply_settings(make_recipe("imu2clip"), settings)
    return save_run(config, write_learnable(str(folder / "store")), folder / "run")


def exported(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(["export", "encoder", *arguments])
    return int(stop.value.code or 0)


def test_facts_are_those_inside_the_file(
    run_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exported(str(run_dir), "--out", str(tmp_path / "encoder.pt"), "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["path"] == str(tmp_path / "encoder.pt")
    assert facts["bytes"] == (tmp_path / "encoder.pt").stat().st_size
    assert facts["inputs"]["imu"]["shape"] == ["B", 2, 6, 125]


def test_a_reader_is_told_what_it_takes(
    run_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exported(str(run_dir), "--out", str(tmp_path / "encoder.pt")) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "encoder.pt: encoder of imu2clip on view learnable" in said
    assert "['B', 2, 6, 125] chest, head; 50 Hz; m/s², rad/s" in said
    assert "unit vectors" in said


def test_a_folder_without_a_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert exported(str(tmp_path), "--out", str(tmp_path / "encoder.pt")) == 2
    assert "holds no run: it has no config.json" in " ".join(capsys.readouterr().err.split())


def test_a_file_of_no_known_format_is_bad_usage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    loaded: list[object] = []
    monkeypatch.setattr("sensorloom.flows.commands.export_encoder.prepare_for_torch", loaded.append)
    assert exported("run", "--out", str(tmp_path / "encoder.tflite")) == 2
    assert loaded == []  # torch takes seconds, and nothing of it is needed to say so
    assert "let it end in .pt (TorchScript) or .onnx (ONNX)" in " ".join(capsys.readouterr().err.split())


def test_onnx_names_its_extra(
    run_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert exported(str(run_dir), "--out", str(tmp_path / "encoder.onnx")) == 2
    assert "pip install 'sensorloom[onnx]'" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "encoder.onnx").exists()
