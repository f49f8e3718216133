"""What the README shows must work as it stands there."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import numpy as np
import pytest

from sensorloom.flows.config import Config, load_config
from sensorloom.flows.embedding import embed_store
from sensorloom.flows.runs import build_views, ingest_dataset
from sensorloom.ingest.miniature.sample import write_sample
from sensorloom.ingest.miniature.spec import SampleSpec
from tests.documents import code_blocks

BLOCKS = code_blocks("README.md")


def block(language: str, marker: str) -> str:
    return next(text for name, text in BLOCKS if name == language and marker in text)


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> Path:
    """A folder with `demo/store` in it, as `make demo` leaves one, but smaller."""
    folder = tmp_path_factory.mktemp("readme")
    config = load_config(None, {"store.url": str(folder / "demo" / "store"), "embed.batch_size": "32"})
    for dataset, minutes in (("pamap2", 2.0), ("realworld", 1.0), ("ego4d", 0.4)):
        write_sample(folder / "raw", SampleSpec(datasets=(dataset,), takes=4, minutes=minutes))
        ingest_dataset(dataset, str(folder / "raw" / dataset), config=config)
    embed_store(config)
    build_views(["har-pamap2", "har-realworld", "all-modalities"], config=config)
    return folder


def test_the_configuration_shown_is_valid():
    assert Config.model_validate(tomllib.loads(block("toml", "[store]"))) != Config()


def test_the_streams_shown_yield_batches(demo, monkeypatch):
    monkeypatch.chdir(demo)
    names: dict = {}
    exec(block("python", "stream.state_dict()"), names)
    assert names["batch"].imu_BSCT.shape == (8, 2, 6, 1000)
    assert names["batch"].video_BVD.shape[:2] == (8, 5)
    assert names["batch"].text_BKD.shape[:2] == (8, 4)
    assert names["state"]["snapshot"]
    exec(block("python", "BatchRules("), names)
    assert next(iter(names["stream"])).latent_kept_BM.shape == (8, len(names["stream"].latents))
    exec(block("python", "MixtureStream("), names)
    assert names["mixture"].slots == ("chest", "head", "head-left")
    assert names["batch"].imu_BSCT.shape == (8, 3, 6, 1000)


def test_the_store_reads_without_sensorloom(demo, monkeypatch):
    monkeypatch.chdir(demo)
    code = block("python", "import zarr")
    assert "sensorloom" not in code
    names: dict = {}
    exec(code, names)
    windows, imu = names["windows"], np.asarray(names["imu"])
    assert {"window_id", "label", "split"} <= set(windows.columns)
    assert imu.shape[1:] == (1, 6, 1000)
    shards = [
        names["zarr"].open(path, mode="r")["imu"].shape[0] for path in names["paths"]("tensors:har-pamap2")
    ]
    assert sum(shards) == windows.height


def test_every_command_shown_exists():
    from sensorloom.flows.cli import cli

    commands = re.findall(r"^sensorloom (\w+)", "\n".join(text for _, text in BLOCKS), flags=re.MULTILINE)
    assert set(commands) <= set(cli.commands)


def test_the_schedule_shown_is_one_the_flow_takes(monkeypatch):
    import inspect

    from sensorloom.flows.pipelines import nightly

    served: dict = {}
    monkeypatch.setattr(type(nightly), "serve", lambda self, **options: served.update(options))
    exec(block("python", "nightly.serve"), {})
    assert set(served["parameters"]) <= set(inspect.signature(nightly.fn).parameters)
    deployment = nightly.to_deployment(**served)
    assert deployment.schedules[0].schedule.cron == "0 2 * * *"
