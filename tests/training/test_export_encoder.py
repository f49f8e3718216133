"""An exported encoder gives what the run gives, in a process that cannot import this project, and says what it takes.

Axes: B examples · S sensor slots · C six channels · T samples · K two sensors of a slot · D embedding.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import sysconfig
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sensorloom.store.repository import Repository
from sensorloom.training import export_encoder as module
from sensorloom.training.batch import Batch
from sensorloom.training.errors import RecipeError, RunError
from sensorloom.training.evaluate import BEST
from sensorloom.training.export_encoder import METADATA, export_encoder
from sensorloom.training.loaded import LoadedRun, load_run
from sensorloom.training.recipes import make_recipe
from sensorloom.training.settings import apply_settings
from tests.documents import code_blocks
from tests.training.learnable_triplets import LEARNABLE, write_learnable
from tests.training.saved_runs import save_run

RUNS: dict[str, dict[str, str]] = {
    "primus": {},
    "aura-aad": {"patch": "25"},
    "crossl-realworld": {"preset": "repo"},
    "jepa": {"patch": "25"},
}
BATCHES = (1, 3, 5)
ELSEWHERE = """
import importlib.util, json, sys, warnings
sys.path.append(sys.argv[1])
import numpy as np, torch
warnings.simplefilter("ignore")
assert importlib.util.find_spec("sensorloom") is None, "this project must not be importable here"
for path in sys.argv[3:]:
    extra = {"sensorloom.json": ""}
    encoder = torch.jit.load(path, _extra_files=extra)
    imu = json.loads(extra["sensorloom.json"])["inputs"]["imu"]
    _, slots, channels, samples = imu["shape"]
    given = np.load(sys.argv[2])
    found = {}
    for count in (1, 3, 5):
        names = json.loads(extra["sensorloom.json"])["arguments"]
        windows = [torch.from_numpy(given[f"{name}{count}"]) for name in names]
        assert tuple(windows[0].shape[1:]) == (slots, channels, samples)
        found[str(count)] = encoder(*windows).numpy()
    np.savez(path + ".npz", **found)
assert "sensorloom" not in sys.modules
"""


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return write_learnable(str(tmp_path_factory.mktemp("learnable") / "store"))


def opened(repo: Repository, folder: Path, recipe: str, settings: dict[str, str]) -> LoadedRun:
    config = apply_settings(make_recipe(recipe), {**settings, "view": "learnable", "batch_size": "8"})
    return load_run(save_run(config, repo, folder))


def gaps(present_BSK: torch.Tensor) -> torch.Tensor:
    """Which samples are there, bool[B, S, 2, T]: of the first sensor of each window not all."""
    valid_BSKT = present_BSK[..., None].repeat(1, 1, 1, LEARNABLE.samples)
    valid_BSKT[:, 0, 0, 30:40] = False
    return valid_BSKT


def windows(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    noise = torch.Generator().manual_seed(count)
    imu_BSCT = 3 * torch.randn(count, 2, 6, LEARNABLE.samples, generator=noise)
    return imu_BSCT, torch.rand(count, 2, 2, generator=noise) < 0.7


def batch(count: int, *, valid: bool) -> Batch:
    imu_BSCT, present_BSK = windows(count)
    return Batch(
        index_B=torch.arange(count),
        imu_BSCT=imu_BSCT,
        imu_present_BSK=present_BSK,
        imu_valid_BSKT=gaps(present_BSK) if valid else None,
    )


def test_it_runs_where_this_project_is_not(repo: Repository, tmp_path: Path) -> None:
    given: dict[str, Any] = {}
    for count in BATCHES:
        given[f"imu{count}"], given[f"imu_present{count}"] = (each.numpy() for each in windows(count))
        given[f"imu_valid{count}"] = gaps(windows(count)[1]).numpy()
    np.savez(tmp_path / "given.npz", **given)
    runs = {name: opened(repo, tmp_path / name, name, settings) for name, settings in RUNS.items()}
    paths = {name: tmp_path / f"{name}.pt" for name in runs}
    for name, loaded in runs.items():
        export_encoder(loaded, paths[name])
    # Without `site`, so that no editable install puts this project on the path.
    command = [sys.executable, "-I", "-S", "-c", ELSEWHERE, sysconfig.get_path("purelib"), "given.npz"]
    done = subprocess.run(
        [*command, *map(str, paths.values())], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    for name, loaded in runs.items():
        found = np.load(f"{paths[name]}.npz")
        for count in BATCHES:
            with torch.no_grad():
                wanted_BD = loaded.objective.embed(batch(count, valid=name == "jepa"))["imu"][0]
            np.testing.assert_allclose(found[str(count)], wanted_BD.numpy(), atol=1e-5, err_msg=name)


def test_what_a_missing_sensor_holds_reaches_nothing(repo: Repository, tmp_path: Path) -> None:
    loaded = opened(repo, tmp_path / "run", "crossl-pamap2", {})
    export_encoder(loaded, tmp_path / "encoder.pt")
    encoder = _load(tmp_path / "encoder.pt")[0]
    imu_BSCT, present_BSK = windows(5)
    absent_BSCT = ~present_BSK.repeat_interleave(3, dim=2)[..., None].expand_as(imu_BSCT)
    assert absent_BSCT.any()
    poisoned_BSCT = imu_BSCT.masked_fill(absent_BSCT, float("nan"))
    assert torch.equal(encoder(poisoned_BSCT, present_BSK), encoder(imu_BSCT, present_BSK))


def test_of_a_jepa_it_leaves_out_patches_with_a_gap(repo: Repository, tmp_path: Path) -> None:
    """As the run does: what stands in the place of samples that are not there reaches nothing."""
    loaded = opened(repo, tmp_path / "run", "jepa", {"patch": "25"})
    facts = export_encoder(loaded, tmp_path / "encoder.pt")
    assert facts["inputs"]["imu_valid"]["shape"] == ["B", 2, 2, 125]
    assert facts["arguments"] == ["imu", "imu_present", "imu_valid"]
    encoder = _load(tmp_path / "encoder.pt")[0]
    imu_BSCT, present_BSK = windows(5)
    present_BSK[:] = True
    valid_BSKT = gaps(present_BSK)
    poisoned_BSCT = imu_BSCT.clone()
    poisoned_BSCT[:, 0, :3, 30:40] = 50.0
    found_BD = encoder(poisoned_BSCT, present_BSK, valid_BSKT)
    torch.testing.assert_close(found_BD, encoder(imu_BSCT, present_BSK, valid_BSKT))
    assert not torch.allclose(
        found_BD, encoder(imu_BSCT, present_BSK, torch.ones_like(valid_BSKT)), atol=1e-3
    )


def test_it_says_what_it_takes_and_where_it_is_from(repo: Repository, tmp_path: Path) -> None:
    loaded = opened(repo, tmp_path / "run", "primus", {"preset": "repo"})
    facts = export_encoder(loaded, tmp_path / "new" / "encoder.pt")
    told = _load(tmp_path / "new" / "encoder.pt")[1]
    content = (tmp_path / "new" / "encoder.pt").read_bytes()
    assert facts == {**told, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    imu = told["inputs"]["imu"]
    assert imu["shape"] == ["B", 2, 6, 125]
    assert (imu["rate_hz"], imu["length_s"], imu["slots"]) == (50, 2.5, ["chest", "head"])
    assert [(each["sensor"], each["axis"], each["unit"]) for each in imu["channels"]] == [
        *(("accelerometer", axis, "m/s^2") for axis in "xyz"),
        *(("gyroscope", axis, "rad/s") for axis in "xyz"),
    ]
    assert told["inputs"]["imu_present"]["shape"] == ["B", 2, 2]
    assert (told["version"], told["arguments"]) == (2, ["imu", "imu_present"])
    assert told["inputs"].keys() == set(told["arguments"])
    assert (told["output"]["shape"], told["output"]["unit_length"]) == (["B", 16], True)
    assert (told["recipe"], told["preset"], told["view"]) == ("primus", "repo", "learnable")
    assert told["snapshot_id"] == loaded.record.snapshot_id
    assert told["vectors_of"] == {"weights": "ab"}
    weights = tmp_path / "run" / BEST / "tensors.safetensors"
    assert told["weights_sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert len(content) < weights.stat().st_size  # neither the queue nor the head of the second view


def test_the_readme_tells_how_to_use_it(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export_encoder(opened(repo, tmp_path / "run", "imu2clip", {"encoder": "tpn"}), tmp_path / "encoder.pt")
    (code,) = (
        text for kind, text in code_blocks("README.md") if kind == "python" and "torch.jit.load" in text
    )
    monkeypatch.chdir(tmp_path)
    found: dict[str, Any] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(code, found)
    assert found["embedding"].shape == (8, 16)
    torch.testing.assert_close(found["embedding"].norm(dim=1), torch.ones(8))


def test_of_a_classifier_it_is_the_encoder_alone(repo: Repository, tmp_path: Path) -> None:
    loaded = opened(repo, tmp_path / "run", "standard-pamap2", {"encoder": "tpn"})
    facts = export_encoder(loaded, tmp_path / "encoder.pt")
    assert (facts["output"]["shape"], facts["output"]["unit_length"]) == (["B", 96], False)
    assert facts["vectors_of"] is None


def test_an_encoder_that_gives_other_numbers_is_not_written(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = opened(repo, tmp_path / "run", "imu2clip", {"encoder": "tpn"})
    right = torch.jit.load
    monkeypatch.setattr(torch.jit, "load", lambda buffer: lambda *given: right(buffer)(*given) + 1e-4)
    with pytest.raises(
        RunError, match=r"gives other numbers than the run for 1 window: they differ by 0\.0001"
    ):
        export_encoder(loaded, tmp_path / "encoder.pt")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_place_that_cannot_be_written_is_named(repo: Repository, tmp_path: Path) -> None:
    loaded = opened(repo, tmp_path / "run", "imu2clip", {"encoder": "tpn"})
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match=r"cannot write .*encoder\.pt: .*; make room or choose another place"):
        export_encoder(loaded, tmp_path / "file" / "encoder.pt")


@pytest.mark.parametrize(
    ("name", "ending"), [("encoder.tflite", "'.tflite'"), ("encoder", "''"), ("encoder.PT", "'.PT'")]
)
def test_a_file_of_no_known_format_is_refused(
    repo: Repository, tmp_path: Path, name: str, ending: str
) -> None:
    loaded = opened(repo, tmp_path / "run", "imu2clip", {"encoder": "tpn"})
    told = rf"{name} ends in {ending}, which names no format .* in \.pt \(TorchScript\) or \.onnx \(ONNX\)"
    with pytest.raises(RecipeError, match=told):
        export_encoder(loaded, tmp_path / name)
    assert not (tmp_path / name).exists()


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["imu2clip", "jepa"])
def test_as_onnx_it_gives_the_same(repo: Repository, tmp_path: Path, recipe: str) -> None:
    runtime = pytest.importorskip("onnxruntime")
    settings = {"patch": "25"} if recipe == "jepa" else {"encoder": "tpn"}
    loaded = opened(repo, tmp_path / "run", recipe, settings)
    facts = export_encoder(loaded, tmp_path / "encoder.onnx")
    session = runtime.InferenceSession(tmp_path / "encoder.onnx", providers=["CPUExecutionProvider"])
    for count in BATCHES:
        imu_BSCT, present_BSK = windows(count)
        given = {"imu": imu_BSCT.numpy(), "imu_present": present_BSK.numpy()}
        given |= {"imu_valid": gaps(present_BSK).numpy()} if recipe == "jepa" else {}
        with torch.no_grad():
            wanted_BD = loaded.objective.embed(batch(count, valid=recipe == "jepa"))["imu"][0]
        np.testing.assert_allclose(session.run(None, given)[0], wanted_BD.numpy(), atol=1e-5)
    told = json.loads(session.get_modelmeta().custom_metadata_map[METADATA])
    assert told == {key: value for key, value in facts.items() if key not in ("bytes", "sha256")}


@pytest.mark.parametrize(("count", "slots"), [(1, 1), (3, 2)])
def test_it_is_compared_on_windows_that_lack_sensors(count: int, slots: int) -> None:
    _, present_BSK = module._windows(count, slots, 125, valid=False)
    assert present_BSK[0].all()
    assert count == 1 or not present_BSK[2].any()


def _load(path: Path) -> tuple[Any, dict[str, Any]]:
    extra = {METADATA: ""}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        encoder = torch.jit.load(path, _extra_files=extra)
    return encoder, json.loads(extra[METADATA])
