"""`trace`: from a window back to raw rows, frames, clocks, settings, split and findings."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from sensorloom.align.alignment import AlignSettings, align
from sensorloom.align.rules import tune
from sensorloom.flows.cli import main
from sensorloom.flows.config import load_config
from sensorloom.flows.errors import ConfigError
from sensorloom.flows.runs import build_views, ingest_dataset
from sensorloom.flows.trace import trace_window
from sensorloom.flows.trace_facts import Trace
from sensorloom.flows.trace_raw import with_rows
from sensorloom.ingest.miniature.sample import write_sample
from sensorloom.ingest.miniature.spec import SampleSpec
from sensorloom.ingest.reader import get_reader
from sensorloom.store.repository import Repository


@pytest.fixture(scope="module")
def raw(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("raw")
    write_sample(out / "pamap2", SampleSpec(datasets=("pamap2",), takes=3, minutes=3.0))
    write_sample(out / "egoexo4d", SampleSpec(datasets=("egoexo4d",), takes=1))
    return out


@pytest.fixture(scope="module")
def repo(raw) -> Repository:
    """All views of both data sets, without vectors."""
    config = load_config(None, {"store.url": str(raw / "store")})
    for dataset in ("pamap2", "egoexo4d"):
        ingest_dataset(dataset, str(raw / dataset / dataset), config=config)
    build_views([], config=config)
    return Repository.open(config.store.url)


def rows_of(repo: Repository, view: str) -> list[dict]:
    return repo.scan(repo.resolve("main"), f"windows:{view}").collect().to_dicts()


def trace(repo: Repository, window_id: str, view: str = "") -> Trace:
    return trace_window(repo, repo.resolve("main"), window_id, ref="main", view=view)


def read(raw: Path, take_id: str):
    reader = get_reader(take_id.partition("/")[0])
    root = raw / reader.dataset / reader.dataset
    return reader.read(root, next(one for one in reader.index(root) if one.take_id == take_id))


def test_a_window_leads_to_its_files_and_settings(repo, raw):
    row = rows_of(repo, "har-pamap2")[3]
    found = trace(repo, row["window_id"], "har-pamap2")
    assert (found.take_id, found.start_ns, found.stop_ns) == (row["take_id"], row["start_ns"], row["stop_ns"])
    assert all(
        (raw / "pamap2" / "pamap2" / file.uri).stat().st_size == file.num_bytes for file in found.files
    )
    assert found.resampling == asdict(AlignSettings())
    assert found.ingested is not None
    assert found.ingested.message.startswith("ingest pamap2")
    (view,) = found.views
    assert (view.label, view.split) == (row["label"], row["split"])
    assert (
        view.split_reason
        == f"by-user: the hash of {row['participant_id']} with seed 0 falls into {row['split']}"
    )
    assert view.coverage == dict(
        zip(("chest/accelerometer", "chest/gyroscope"), row["coverage"], strict=True)
    )
    assert view.built is not None
    assert view.built.message == "build har-pamap2"


def test_the_row_named_is_the_window_in_the_tensors(repo):
    row = rows_of(repo, "har-pamap2")[3]
    (view,) = trace(repo, row["window_id"], "har-pamap2").views
    snapshot = repo.resolve("main")
    (shard,) = [s for s in repo.manifest(snapshot, "windows:har-pamap2").shards if s.key == view.bucket]
    assert repo.read_table(shard).to_pylist()[view.row]["window_id"] == row["window_id"]
    tensors = {s.key: s.digest for s in repo.manifest(snapshot, "tensors:har-pamap2").shards}
    assert tensors[view.bucket] == view.tensors_digest


def test_every_view_that_holds_the_window_is_named(repo):
    by_view = {
        view: {row["window_id"] for row in rows_of(repo, view)} for view in ("aura-video", "har-egoexo4d")
    }
    shared = min(by_view["aura-video"] & by_view["har-egoexo4d"])
    assert {"aura-video", "har-egoexo4d"} <= {view.view for view in trace(repo, shared).views}


def test_grid_samples_are_where_the_window_lies(repo, raw):
    row = rows_of(repo, "har-egoexo4d")[0]
    found = trace(repo, row["window_id"])
    aligned = align(read(raw, row["take_id"]), AlignSettings())
    first, stop = found.grid_samples
    times = aligned.grid.start_ns + np.arange(aligned.grid.num_samples) * 5_000_000
    assert np.array_equal(
        np.flatnonzero((times >= row["start_ns"]) & (times < row["stop_ns"])), np.arange(first, stop)
    )


def test_clocks_lead_back_to_the_stamps_of_the_devices(repo, raw):
    row = rows_of(repo, "har-egoexo4d")[0]
    found = trace(repo, row["window_id"])
    aligned = align(read(raw, row["take_id"]), AlignSettings())
    clocks = {clock.clock: clock for clock in found.clocks}
    assert any(clock.num_anchors > 0 for clock in found.clocks)
    for clock in aligned.clock_maps:
        told = clocks[clock.source]
        assert abs(clock.apply(told.start_ns) - row["start_ns"]) <= 1
        assert abs(clock.apply(told.stop_ns) - row["stop_ns"]) <= 1
        assert told.rule == clock.rule


def test_frames_are_those_shown_in_the_window(repo, raw):
    row = rows_of(repo, "aura-video")[0]
    found = trace(repo, row["window_id"])
    aligned = align(read(raw, row["take_id"]), AlignSettings())
    ranges = {one.camera: one for one in found.frames}
    assert ranges.keys() == {video.name for video in aligned.videos}
    for video in aligned.videos:
        inside = np.flatnonzero((video.times_ns >= row["start_ns"]) & (video.times_ns < row["stop_ns"]))
        told = ranges[video.name]
        assert (told.first, told.stop, told.of) == (inside[0], inside[-1] + 1, len(video.times_ns))
        assert (told.first_pts, told.last_pts) == (video.pts[inside[0]], video.pts[inside[-1]])
        assert (raw / "egoexo4d" / "egoexo4d" / told.uri).is_file()


def test_raw_rows_are_those_whose_stamps_lie_in_the_window(repo, raw):
    row = rows_of(repo, "har-egoexo4d")[0]
    found = with_rows(trace(repo, row["window_id"]), raw / "egoexo4d" / "egoexo4d")
    assert found == with_rows(trace(repo, row["window_id"]), raw / "egoexo4d")  # the parent does as well
    take = read(raw, row["take_id"])
    maps = {clock.source: clock for clock in align(take, AlignSettings()).clock_maps}
    (joints, *_) = sorted(take.mocap, key=lambda stream: stream.source != "annotation")
    streams = {stream.name: stream for stream in take.streams} | {f"mocap/{joints.source}": joints}
    assert {one.stream for one in found.rows} == streams.keys()
    for one in found.rows:
        stream = streams[one.stream]
        times_ns = maps[stream.clock].apply(stream.times_ns)
        inside = (times_ns >= row["start_ns"]) & (times_ns < row["stop_ns"])
        assert inside[one.first : one.stop].all()
        assert inside.sum() == one.stop - one.first
        assert one.of == len(times_ns)


def test_what_the_audit_measures_of_the_take_comes_along(repo):
    row = rows_of(repo, "har-egoexo4d")[0]
    snapshot = repo.resolve("main")
    strict = tune({"sync-shifted": {"severity": "error", "threshold": 0.01}})
    found = trace_window(repo, snapshot, row["window_id"], ref="main", rules=strict)
    pairs = {(sync.first, sync.second): sync for sync in found.syncs}
    planted = pairs["head/gyroscope", "head-left/gyroscope"]
    assert planted.offset_ms == pytest.approx(-3, abs=1)
    told = [finding for finding in found.findings if finding.stage == "audit"]
    assert {finding.severity for finding in told if finding.rule == "sync-shifted"} <= {"error"}
    assert told


def test_texts_and_findings_come_along(repo):
    row = next(row for row in rows_of(repo, "aura-aad") if row["texts"])
    found = trace(repo, row["window_id"], "aura-aad")
    assert found.views[0].texts == tuple(row["texts"])
    stages = {finding.stage for finding in found.findings}
    assert "ingest" in stages
    assert stages <= {"ingest", "aura-aad", "audit"}
    assert {finding.target.partition("#")[0] for finding in found.findings} == {row["take_id"]}


def test_what_is_no_window_id_is_refused(repo):
    for wrong in ("pamap2/101", "a@²+5", "a@--5+5", "a@5+", "@5+5", "a@5+5\n", "a@" + "9" * 30 + "+5"):
        with pytest.raises(ConfigError, match=r"is no window id: it reads take@start\+length"):
            trace(repo, wrong)


def test_a_window_of_a_take_that_was_dropped_says_so(raw, tmp_path):
    shutil.copytree(raw / "pamap2", tmp_path / "raw")
    config = load_config(None, {"store.url": str(tmp_path / "store")})
    root = tmp_path / "raw" / "pamap2"
    ingest_dataset("pamap2", str(root), config=config)
    build_views(["har-pamap2"], config=config)
    sorted(root.rglob("*.dat"))[0].unlink()
    ingest_dataset("pamap2", str(root), config=config, prune=True)
    repo = Repository.open(config.store.url)
    there = {row["take_id"] for row in repo.scan(repo.resolve("main"), "takes").collect().to_dicts()}
    row = next(row for row in rows_of(repo, "har-pamap2") if row["take_id"] not in there)
    with pytest.raises(ConfigError, match=f"take {row['take_id']} was dropped since har-pamap2 was built"):
        trace(repo, row["window_id"])


def test_a_window_that_is_not_there_is_told_with_the_nearest(repo):
    row = rows_of(repo, "har-pamap2")[3]
    wrong = f"{row['take_id']}@{row['start_ns'] + 7}+5000000000"
    with pytest.raises(ConfigError, match=re.escape(f"{row['window_id']} (har-pamap2)")):
        trace(repo, wrong)
    with pytest.raises(ConfigError, match="and none of take pamap2/999"):
        trace(repo, "pamap2/999@0+5000000000")


def test_a_view_that_is_not_there_is_refused_with_those_that_are(repo):
    row = rows_of(repo, "har-pamap2")[0]
    with pytest.raises(ConfigError, match=r"has no view 'primu'; it has .*har-pamap2"):
        trace(repo, row["window_id"], "primu")


def test_another_raw_tree_is_refused(repo, raw, tmp_path):
    row = rows_of(repo, "har-pamap2")[0]
    found = trace(repo, row["window_id"], "har-pamap2")
    other = tmp_path / "other"
    write_sample(other, SampleSpec(datasets=("pamap2",), takes=3, minutes=3.0, seed=1))
    with pytest.raises(ConfigError, match=r"is not the file that .* was ingested from: its sha256 is"):
        with_rows(found, other / "pamap2")
    few = tmp_path / "few"
    write_sample(few, SampleSpec(datasets=("pamap2",), takes=1, minutes=3.0))
    later = next(row for row in rows_of(repo, "har-pamap2") if row["take_id"] != "pamap2/protocol/subject101")
    with pytest.raises(ConfigError, match=f"has no take {later['take_id']}; name the folder of pamap2"):
        with_rows(trace(repo, later["window_id"]), few / "pamap2")


def cli(capsys, *args: str) -> str:
    with pytest.raises(SystemExit) as stop:
        main(args)
    assert not stop.value.code
    return capsys.readouterr().out


def test_the_command_says_it_in_words_and_in_json(repo, raw, capsys):
    row = rows_of(repo, "har-egoexo4d")[0]
    command = ("trace", row["window_id"], "--store", repo.url, "--raw", str(raw / "egoexo4d" / "egoexo4d"))
    told = cli(capsys, *command)
    found = with_rows(trace(repo, row["window_id"]), raw / "egoexo4d" / "egoexo4d")
    for words in (
        f"window {row['window_id']}: 5 s from",
        found.files[0].sha256[:12],
        "head/gyroscope",
        found.frames[0].uri,
        "max_gap_ms 100.0",
        found.views[0].split_reason,
        found.findings[0].sentence,
    ):
        assert words in told
    facts = json.loads(cli(capsys, *command, "--json"))
    assert facts == json.loads(json.dumps(asdict(found)))


def test_the_command_diff_says_why(repo, capsys):
    commits = repo.log("main")
    first, last = commits[-1].snapshot, commits[0].snapshot
    told = cli(capsys, "diff", first, last, "--store", repo.url)
    assert re.search(r"\+ take egoexo4d/\S+: as ingested by main #2", told)
    assert re.search(r"\+ \d+ windows? of \d+ takes?: the view is new, as ", told)
