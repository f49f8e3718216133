"""Runs over a generated Ego4D tree: absent takes, errors, views gone stale, whatever the order."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from sensorloom.flows.audit.audit import gather
from sensorloom.flows.config import Config, load_config
from sensorloom.flows.freshness import outdated_views
from sensorloom.flows.publish import ABSENT_RULE
from sensorloom.flows.runs import build_views, ingest_dataset
from sensorloom.ingest.errors import LayoutError
from sensorloom.ingest.miniature.sample import write_sample
from sensorloom.ingest.miniature.spec import SampleSpec
from sensorloom.store.repository import Repository

OLD_NS = 1_600_000_000_000_000_000


@pytest.fixture(scope="module")
def raw(tmp_path_factory) -> Path:
    """Five short Ego4D videos, generated, and one that is listed only."""
    out = tmp_path_factory.mktemp("raw") / "sample"
    write_sample(out, SampleSpec(("ego4d",), takes=5, minutes=0.1))
    return out / "ego4d"


@pytest.fixture
def config(tmp_path) -> Config:
    return load_config(None, {"store.url": str(tmp_path / "store")})


def imu_files(root: Path) -> list[Path]:
    return sorted(path for path in (root / "v2/imu").glob("*.csv") if path.name != "manifest.csv")


def without(raw: Path, out: Path, gone: list[str]) -> Path:
    """Copy the tree without the files of some videos; the metadata still lists them."""
    shutil.copytree(raw, out)
    shutil.copy2(raw.parent / "GENERATED.txt", out)
    for uid in gone:
        for path in out.rglob(f"{uid}.*"):
            path.unlink()
    for path in out.rglob("*"):
        os.utime(path, ns=(OLD_NS, OLD_NS))  # a file modified just now would be hashed again
    return out


def absent(config: Config) -> list[tuple[str, float]]:
    repo = Repository.open(config.store.url)
    found = repo.scan(repo.resolve("main"), "findings").collect().filter(rule=ABSENT_RULE)
    return [(row["sentence"], row["numbers"][0]["value"]) for row in found.iter_rows(named=True)]


def test_an_absent_take_is_named_and_counted_until_it_is_there(raw, config, tmp_path):
    uid = imu_files(raw)[0].stem
    some = without(raw, tmp_path / "some", [uid])
    report = ingest_dataset("ego4d", str(some), config=config)
    assert f"ego4d/{uid}" in report.not_downloaded
    ((sentence, count),) = absent(config)
    assert uid in sentence
    assert count == 2
    grown = ingest_dataset("ego4d", str(raw), config=config)
    assert f"ego4d/{uid}" not in grown.not_downloaded
    ((_, count),) = absent(config)
    assert count == 1
    other = load_config(None, {"store.url": str(tmp_path / "other")})
    assert ingest_dataset("ego4d", str(raw), config=other).snapshot_id == grown.snapshot_id


def test_two_halves_give_one_snapshot_in_either_order(raw, tmp_path):
    """A take that the store holds is not absent, wherever the root of this run has it."""
    uids = [path.stem for path in imu_files(raw)]
    halves = [without(raw, tmp_path / "a", uids[:2]), without(raw, tmp_path / "b", uids[2:])]
    ids = []
    for name, order in (("ab", halves), ("ba", halves[::-1])):
        config = load_config(None, {"store.url": str(tmp_path / name)})
        for half in order:
            ids.append(ingest_dataset("ego4d", str(half), config=config).snapshot_id)
    assert ids[1] == ids[3]


def test_what_was_pruned_is_absent_again(raw, config, tmp_path):
    ingest_dataset("ego4d", str(raw), config=config)
    uid = imu_files(raw)[0].stem
    pruned = ingest_dataset("ego4d", str(without(raw, tmp_path / "some", [uid])), config=config, prune=True)
    assert f"ego4d/{uid}" in pruned.not_downloaded
    ((sentence, _),) = absent(config)
    assert uid in sentence


def test_metadata_without_any_file_is_refused(raw, config, tmp_path):
    some = without(raw, tmp_path / "none", [])
    shutil.rmtree(some / "v2/imu")
    shutil.rmtree(some / "v2/video_540ss")
    with pytest.raises(LayoutError, match=r"none: its metadata lists \d+ takes and there is no file of any"):
        ingest_dataset("ego4d", str(some), config=config)
    assert not Path(config.store.url).exists()


def test_errors_of_takes_that_were_read_all_the_same_are_counted(raw, config, tmp_path):
    some = without(raw, tmp_path / "some", [])
    (some / "v2/annotations/narration.json").write_text("{")
    report = ingest_dataset("ego4d", str(some), config=config)
    assert report.failed == ()
    assert report.errors["unreadable-file"] == report.ingested


def test_a_view_is_outdated_from_the_ingest_to_the_build(raw, config, tmp_path):
    uid = imu_files(raw)[0].stem
    ingest_dataset("ego4d", str(without(raw, tmp_path / "some", [uid])), config=config)
    build_views(["har-ego4d"], config=config)
    report = ingest_dataset("ego4d", str(raw), config=config)
    assert report.outdated_views == ("har-ego4d",)
    repo = Repository.open(config.store.url)
    (view,) = gather(repo, repo.resolve("main")).views
    assert view.outdated
    (facts,) = gather(repo, repo.resolve("main")).datasets
    assert "har-ego4d was built from other takes or vectors than there are now" in " ".join(
        reason.sentence for reason in facts.verdict.reasons
    )
    build_views(["har-ego4d"], config=config)
    assert outdated_views(repo, repo.resolve("main")) == ()


def test_a_corrected_text_reads_its_take_again_and_no_other(raw, config, tmp_path):
    some = without(raw, tmp_path / "some", [])
    ingest_dataset("ego4d", str(some), config=config)
    path = some / "v2/annotations/narration.json"
    narrations = json.loads(path.read_text())
    uid = next(uid for uid, told in narrations.items() if told.get("narration_pass_2"))
    narrations[uid]["narration_pass_2"]["narrations"][0]["narration_text"] = "#C C does something else"
    path.write_text(json.dumps(narrations))
    report = ingest_dataset("ego4d", str(some), config=config)
    assert (report.ingested, report.unchanged) == (1, report.takes - 1)
