"""From generated raw trees through the command line: an IMU finds its text and its poses among people never seen.

Retrieval is far above chance, and a contrast whose partners are shuffled stays at it; what was learnt tells activities
by their names. All of it is generated data.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from sensorloom.flows.cli import main
from sensorloom.flows.config import load_config
from sensorloom.flows.embedding import embed_store
from sensorloom.flows.runs import build_views, ingest_dataset
from sensorloom.ingest.miniature import egoexo4d
from sensorloom.ingest.miniature.sample import write_sample
from sensorloom.ingest.miniature.spec import SampleSpec
from sensorloom.training.objectives import clip_alignment

pytestmark = pytest.mark.slow

TAKES, MINUTES = 31, 0.75
BUILT = {
    "split.policy": "official",
    "views.aura-aad.rate_hz": "50",
    "views.aura-mocap.rate_hz": "50",
    "views.aura-mocap.stride_s": "1",
    "views.aura-mocap.mocap": '"root-centred"',
    "embed.batch_size": "32",
}
SETTINGS = ("encoder=cnn-gru", "learning_rate=1e-3", "batch_size=16", "text=first")
EPOCHS = {"aura-aad": 8, "aura-mocap": 5}
PAIRS = {"aura-aad": "imu-text", "aura-mocap": "imu-mocap"}

Cli = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store of generated takes without videos, which no pair here needs and which cost most to make."""
    folder = tmp_path_factory.mktemp("motion")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(egoexo4d, "_write_cameras", lambda *_: [])
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        write_sample(folder / "raw", SampleSpec(("egoexo4d",), takes=TAKES, minutes=MINUTES))
        config = load_config(None, {"store.url": str(folder / "store"), **BUILT})
        ingest_dataset("egoexo4d", str(folder / "raw" / "egoexo4d"), config=config)
        embed_store(config)
        build_views(["aura-aad", "aura-mocap", "har-egoexo4d"], config=config)
    return str(folder / "store")


@pytest.fixture
def cli(store: str, capsys: pytest.CaptureFixture[str]) -> Cli:
    def call(*arguments: str) -> dict[str, Any]:
        torch.set_num_threads(1)
        with pytest.raises(SystemExit) as stop:
            main([*arguments, "--store", store, "--json"])
        assert not stop.value.code
        told: dict[str, Any] = json.loads(capsys.readouterr().out)
        return told

    return call


def train(cli: Cli, recipe: str, out: Path, epochs: int) -> float:
    """Train and return by how many times R@10 in the held-out split is that of chance."""
    settings = [f"--set={each}" for each in (*SETTINGS, f"epochs={epochs}")]
    scores = cli("train", recipe, "--out", str(out), *settings)["scores"]
    pair = PAIRS[recipe]
    assert scores[f"{pair}/candidates"] > 100
    return float(scores[f"{pair}/r10"] / scores[f"{pair}/r10_chance"])


@pytest.mark.parametrize("recipe", PAIRS)
def test_an_imu_finds_its_partner_among_people_never_seen(cli: Cli, tmp_path: Path, recipe: str) -> None:
    assert train(cli, recipe, tmp_path / "run", EPOCHS[recipe]) >= 5
    if recipe == "aura-aad":
        assert_activities_are_told(cli, tmp_path / "run")


def assert_activities_are_told(cli: Cli, run: Path) -> None:
    """By the names of the classes alone; a probe is not scored on the split that it is chosen by."""
    asked = ["--split", "val", "--on", "har-egoexo4d", "--protocols", "zero-shot,linear-probe"]
    (judged,) = cli("evaluate", str(run), *asked)["views"]
    (score,) = judged["scores"]
    assert score["accuracy"] > 1.2 * score["chance"]["majority_accuracy"]
    assert list(judged["left_out"]) == ["linear-probe"]


@pytest.mark.parametrize("recipe", PAIRS)
def test_shuffled_partners_stay_at_chance(
    cli: Cli, tmp_path: Path, recipe: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The objective holds each window against the partner of another: nothing is left to learn but what all share."""
    contrast = clip_alignment.symmetric_info_nce

    def shuffled(
        query: torch.Tensor, key: torch.Tensor, temperature: torch.Tensor, valid: torch.Tensor
    ) -> Any:
        return contrast(query, key.roll(1, 0), temperature, valid & valid.roll(1, 0))

    monkeypatch.setattr(clip_alignment, "symmetric_info_nce", shuffled)
    assert train(cli, recipe, tmp_path / "run", 2) < 2
