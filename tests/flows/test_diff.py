"""`diff`: which takes and windows came, went or changed, and why."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from sensorloom.align.stage import GENERATED_MARKER
from sensorloom.flows.config import Config, load_config
from sensorloom.flows.differences.difference import compare_snapshots
from sensorloom.flows.differences.facts import Difference
from sensorloom.flows.runs import build_views, ingest_dataset
from sensorloom.ingest.miniature.sample import write_sample
from sensorloom.ingest.miniature.spec import SampleSpec
from sensorloom.store.repository import Repository

OLD_NS = 1_600_000_000_000_000_000
VIEW = "har-pamap2"


@pytest.fixture(scope="module")
def sample(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("raw") / "sample"
    write_sample(out, SampleSpec(datasets=("pamap2",), takes=4, minutes=3.0))
    for path in out.rglob("*"):
        os.utime(path, ns=(OLD_NS, OLD_NS))
    return out


@pytest.fixture
def raw(sample, tmp_path) -> Path:
    """The raw tree without its last take, to be changed by a test."""
    shutil.copytree(sample / "pamap2", tmp_path / "raw")
    shutil.copy2(sample / GENERATED_MARKER, tmp_path / "raw")
    sorted((tmp_path / "raw").rglob("*.dat"))[-1].unlink()
    return tmp_path / "raw"


def files(raw: Path) -> list[Path]:
    return sorted(raw.rglob("*.dat"))


def settings(raw: Path, **more: str) -> Config:
    return load_config(None, {"store.url": str(raw.parent / "store"), **more})


def run(raw: Path, **more: str) -> str:
    """Ingest, build, and return the id of the snapshot."""
    config = settings(raw, **more)
    ingest_dataset("pamap2", str(raw), config=config, prune=True)
    return build_views([VIEW], config=config).snapshot_id or ""


def compare(raw: Path, before: str, after: str) -> Difference:
    repo = Repository.open(settings(raw).store.url)
    return compare_snapshots(repo, repo.resolve(before), repo.resolve(after), ref="main")


def window_rows(raw: Path, snapshot: str) -> list[dict]:
    repo = Repository.open(settings(raw).store.url)
    return repo.scan(repo.resolve(snapshot), f"windows:{VIEW}").collect().to_dicts()


def test_a_snapshot_does_not_differ_from_itself(raw):
    id_ = run(raw)
    assert compare(raw, id_, id_) == Difference((), ())


def test_a_take_that_came_brings_its_windows(raw, sample):
    before = run(raw)
    lost = files(sample)[-1]
    shutil.copy2(lost, raw / lost.relative_to(sample / "pamap2"))
    after = run(raw)
    found = compare(raw, before, after)
    (take,) = found.takes
    assert (take.change, take.why[0][:18]) == ("added", "as ingested by mai")
    (view,) = found.views
    added = [group for group in view.windows if group.change == "added"]
    expected = [row for row in window_rows(raw, after) if row["take_id"] == take.take_id]
    assert sum(group.windows for group in added) == len(expected) > 0
    assert {group.why for group in added} == {f"its take was added: {take.why[0]}"}
    # What else changed can only be the split of the others.
    assert {group.fields for group in view.windows if group.change == "changed"} <= {("split",)}
    back = compare(raw, after, before)
    assert [change.change for change in back.takes] == ["removed"]
    assert sum(group.windows for group in back.views[0].windows if group.change == "removed") == len(expected)


def test_a_changed_file_is_named(raw):
    before = run(raw)
    path = files(raw)[0]
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-3000]))  # the last 30 s
    found = compare(raw, before, run(raw))
    (take,) = found.takes
    uri = path.relative_to(raw).as_posix()
    assert (take.change, take.why) == ("changed", (f"1 file changed: {uri}",))
    reasons = {group.why for view in found.views for group in view.windows if group.fields != ("split",)}
    assert reasons == {f"its take changed: 1 file changed: {uri}"}


def test_windows_whose_rows_are_equal_but_whose_arrays_are_not_count_as_changed(raw):
    before = run(raw)
    path = files(raw)[0]
    # One value of one row within an activity: coverage and labels stay.
    lines = path.read_bytes().splitlines(keepends=True)
    place = [number for number, line in enumerate(lines) if line.split()[1] == b"4"][500]
    cells = lines[place].split()
    cells[21] = b"1.25"  # the chest's first accelerometer axis
    lines[place] = b" ".join(cells) + b"\n"
    path.write_bytes(b"".join(lines))
    after = run(raw)
    (view,) = compare(raw, before, after).views
    (group,) = view.windows
    take_id = compare(raw, before, after).takes[0].take_id
    assert (group.change, group.fields) == ("changed", ("tensors",))
    assert group.windows == sum(row["take_id"] == take_id for row in window_rows(raw, after))


def test_alignment_settings_are_told_with_both_values(raw):
    before = run(raw)
    found = compare(raw, before, run(raw, **{"align.max_gap_ms": "50"}))
    assert {take.why for take in found.takes} == {("alignment settings: max_gap_ms 100.0 → 50.0",)}
    assert len(found.takes) == 3


def test_a_recipe_is_told_with_both_values(raw):
    before = run(raw)
    found = compare(raw, before, run(raw, **{f"views.{VIEW}.length_s": "4.0"}))
    (view,) = found.views
    assert not found.takes
    assert view.recipe["length_s"] == (5.0, 4.0)
    assert {group.change for group in view.windows} == {"added", "removed"}
    assert all(group.why.startswith("recipe: length_s 5.0 → 4.0") for group in view.windows)


def test_two_causes_at_once_are_both_told_and_nothing_is_hidden(raw):
    before = run(raw)
    after = run(raw, **{f"views.{VIEW}.rate_hz": "100", "split.policy": "random-windows"})
    (view,) = compare(raw, before, after).views
    assert {group.change for group in view.windows} == {"changed"}
    assert sum(group.windows for group in view.windows) == len(window_rows(raw, after))
    moved = [group for group in view.windows if "split" in group.fields]
    assert moved
    assert all("tensors" in group.fields for group in view.windows)
    for group in moved:
        assert group.why == "recipe: rate_hz 200 → 100; split: name by-user → random-windows"


def test_a_take_that_came_is_the_cause_whatever_else_changed(raw, sample):
    before = run(raw)
    lost = files(sample)[-1]
    shutil.copy2(lost, raw / lost.relative_to(sample / "pamap2"))
    after = run(raw, **{f"views.{VIEW}.rate_hz": "100"})
    found = compare(raw, before, after)
    take_id = found.takes[0].take_id
    (added,) = [group for group in found.views[0].windows if group.change == "added"]
    assert added.why.startswith("its take was added: as ingested by main #")
    assert added.windows == sum(row["take_id"] == take_id for row in window_rows(raw, after))


def test_a_split_is_told_with_both_policies(raw):
    before = run(raw)
    found = compare(raw, before, run(raw, **{"split.policy": "random-windows"}))
    (view,) = found.views
    assert {group.fields for group in view.windows} == {("split",)}
    assert {group.why for group in view.windows} == {"split: name by-user → random-windows"}


def test_a_view_that_is_new_is_told_as_one(raw):
    config = settings(raw)
    ingest_dataset("pamap2", str(raw), config=config)
    before = Repository.open(config.store.url).resolve("main").id
    found = compare(raw, before, run(raw))
    (view,) = found.views
    assert (view.change, {group.why for group in view.windows}) == ("added", {"the view is new"})
    assert compare(raw, "main", before).views[0].change == "removed"


def test_examples_are_few_and_counts_are_whole(raw):
    config = settings(raw)
    ingest_dataset("pamap2", str(raw), config=config)
    before = Repository.open(config.store.url).resolve("main").id
    after = run(raw)
    (group,) = compare(raw, before, after).views[0].windows
    assert group.windows == len(window_rows(raw, after)) > len(group.examples) == 5
    assert group.takes == 3
