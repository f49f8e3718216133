"""A real phone recording, zipped as the data set ships it, through ingest and build."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from sensorloom.flows.audit.audit import Asked, audit_store
from sensorloom.flows.config import Config, load_config
from sensorloom.flows.facts import snapshot_facts
from sensorloom.flows.runs import build_views, ingest_dataset
from sensorloom.store.repository import Repository
from tests.flows.page_reader import Document

SECOND = 200  # samples


@pytest.fixture(scope="module")
def raw(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("realworld") / "proband1" / "data"
    folder.mkdir(parents=True)
    for kind, name in (("acc", "acc_walking_shin.csv"), ("gyr", "Gyroscope_walking_shin.csv")):
        with zipfile.ZipFile(folder / f"{kind}_walking_csv.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(real_data / "realworld" / name, name)
    return folder.parents[1]


@pytest.fixture(scope="module")
def config(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Config:
    settings = {
        "store.url": str(tmp_path_factory.mktemp("real") / "store"),
        "views.har-realworld.positions": '["shin"]',
    }
    config = load_config(None, settings)
    ingest_dataset("realworld", str(raw), config=config)
    build_views(["har-realworld"], config=config)
    return config


@pytest.fixture(scope="module")
def repo(config: Config) -> Repository:
    return Repository.open(config.store.url)


def findings(repo: Repository, rule: str) -> dict[str, dict[str, float]]:
    """Numbers of a rule's findings by the sensor they are about."""
    table = repo.scan(repo.resolve("main"), "findings").collect().to_dicts()
    return {
        row["target"].rpartition("/")[2]: {number["name"]: number["value"] for number in row["numbers"]}
        for row in table
        if row["rule"] == rule
    }


def test_all_of_its_time_is_there(repo):
    facts = snapshot_facts(repo, repo.resolve("main"))
    assert facts["takes"] == {"realworld": 1}
    assert facts["hours"]["accelerometer"] * 3600 == pytest.approx(639.6, abs=0.1)
    assert facts["hours"]["gyroscope"] * 3600 == pytest.approx(639.6, abs=0.1)
    assert facts["views"]["har-realworld"] == {"train": 254}


def test_its_48_stalls_are_found_and_retimed(repo):
    gaps = findings(repo, "gaps")
    assert gaps["accelerometer"]["count"] == 48
    assert gaps["accelerometer"]["longest_gap_ms"] == 1531
    stalls = findings(repo, "stall-retimed")
    assert stalls["accelerometer"]["longest_ms"] == 1531
    assert stalls["accelerometer"]["stalls"] >= 48
    assert "gap-invalid" not in snapshot_facts(repo, repo.resolve("main"))["findings"]


def test_no_window_holds_a_flat_second(repo):
    snapshot = repo.resolve("main")
    for shard in repo.manifest(snapshot, "tensors:har-realworld").shards:
        arrays = repo.open_arrays(shard)
        bend = np.abs(np.diff(np.asarray(arrays["imu"], np.float64)[:, 0, :3], n=2))
        straight = (bend < 1e-4).all(axis=1)  # [n, T - 2]: no axis bends by a tenth of a mm/s²
        windows = np.lib.stride_tricks.sliding_window_view(straight, SECOND, axis=1)
        assert not windows.all(axis=-1).any()


def test_the_stamps_as_they_stand_would_make_flat_seconds(real_data):
    """The same test sees the fault that re-timing removes."""
    raw = np.loadtxt(real_data / "realworld" / "acc_walking_shin.csv", delimiter=",", skiprows=1)
    times_s = (raw[:, 1] - raw[0, 1]) / 1000
    grid = np.arange(0, times_s[-1], 1 / SECOND)
    naive = np.stack([np.interp(grid, times_s, raw[:, axis]) for axis in (2, 3, 4)])
    straight = (np.abs(np.diff(naive, n=2)) < 1e-4).all(axis=0)
    windows = np.lib.stride_tricks.sliding_window_view(straight, SECOND)
    assert windows.all(axis=-1).any()


def test_the_report_says_what_the_stall_and_burst_is_and_accuses_no_clock(config, tmp_path):
    report, paths = audit_store(config, Asked(), tmp_path / "report")
    index = Document(paths.page.read_text(encoding="utf-8")).said
    assert "stall-and-burst" in index
    assert "The logger stalled, then caught up in a burst; the samples are sound, their stamps late." in index
    (take,) = report.takes
    assert take.page is not None
    page = Document((paths.page.parent / take.page).read_text(encoding="utf-8")).said
    assert (
        "48 stalls of up to 1531 ms re-timed: 922 samples that came in bursts were spread back over" in page
    )
    strips, _, _ = page.partition("Clocks, as the signals tell")
    assert "re-timed" in strips
    assert not [
        rule.rule for rule in report.rules if rule.rule.startswith("sync-") and rule.severity != "note"
    ]
    assert not [rule.rule for rule in report.rules if rule.severity == "error"]
