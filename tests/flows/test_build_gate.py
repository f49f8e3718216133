"""A build that the gate stops publishes nothing, and says why."""

from __future__ import annotations

from pathlib import Path

import pytest

from sensorloom.flows.config import Config, load_config
from sensorloom.flows.errors import GateError
from sensorloom.flows.runs import build_views, ingest_dataset
from sensorloom.ingest.miniature.sample import write_sample
from sensorloom.ingest.miniature.spec import SampleSpec
from sensorloom.store.repository import Repository


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gate")
    write_sample(folder / "raw", SampleSpec(("pamap2",), 0, 2, 2.0, ()))
    return folder


@pytest.fixture
def url(raw: Path, tmp_path: Path) -> str:
    url = str(tmp_path / "store")
    ingest_dataset("pamap2", str(raw / "raw" / "pamap2"), config=config(url))
    return url


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
