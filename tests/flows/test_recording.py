"""A take as a Rerun recording: every stream is there, row for row, as Rerun's own tool counts them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sensorloom.align.stage import load_aligned
from sensorloom.flows.cli import main
from sensorloom.flows.config import load_config
from sensorloom.flows.runs import ingest_dataset
from sensorloom.ingest.miniature.sample import write_sample
from sensorloom.ingest.miniature.spec import SampleSpec
from sensorloom.store.repository import Repository


@pytest.fixture(scope="module")
def raw(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("raw") / "sample"
    write_sample(out, SampleSpec(datasets=("egoexo4d",), takes=1))
    return out / "egoexo4d"


@pytest.fixture(scope="module")
def store(raw) -> str:
    url = str(raw.parent / "store")
    ingest_dataset("egoexo4d", str(raw), config=load_config(None, {"store.url": url}))
    return url


def call(*args: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(args)
    return int(stop.value.code or 0)


def rows_by_entity(path: Path) -> dict[str, int]:
    tool = Path(sys.executable).with_name("rerun")
    command = [str(tool), "rrd", "print", str(path)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    counts: dict[str, int] = {}
    for rows, entity in re.findall(r"with (\d+) rows.*? - /(\S+) - ", printed):
        counts[entity] = counts.get(entity, 0) + int(rows)
    return counts


def test_every_stream_is_in_the_recording(raw, store, tmp_path, capsys):
    repo = Repository.open(store)
    (shard,) = repo.manifest(repo.resolve("main"), "streams").shards
    take = load_aligned(repo.open_arrays(shard))
    path = tmp_path / "take.rrd"
    command = ("rerun", take.take_id, "--out", str(path), "--raw", str(raw), "--store", store, "--json")
    assert call(*command) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["videos"] == sorted(video.name for video in take.videos)
    counts = rows_by_entity(path)
    for track in take.imu:
        for kind in ("accelerometer", "gyroscope"):
            # One more is static: the names of the axes.
            assert counts[f"imu/{track.position}/{kind}"] == take.grid.num_samples + 1
            assert counts[f"imu/{track.position}/{kind}/quality"] == take.grid.num_samples
    assert take.mocap is not None
    assert counts["mocap/joints"] == counts["mocap/bones"] == len(take.mocap.values)
    for source in {event.source for event in take.events}:
        assert counts[f"text/{source}"] == sum(event.source == source for event in take.events)
    for video in take.videos:
        assert counts[f"video/{video.name}"] == len(video.times_ns) + 1


def test_a_take_that_is_not_there_is_refused_with_the_nearest(store, tmp_path, capsys):
    assert call("rerun", "egoexo4d/cmu_bike", "--out", str(tmp_path / "x.rrd"), "--store", store) == 2
    assert "the store has no take 'egoexo4d/cmu_bike'; the nearest are egoexo4d/" in capsys.readouterr().err


def test_a_file_that_cannot_be_written_is_named(store, tmp_path, capsys):
    repo = Repository.open(store)
    (shard,) = repo.manifest(repo.resolve("main"), "streams").shards
    (tmp_path / "x.rrd").mkdir()
    assert call("rerun", shard.key, "--out", str(tmp_path / "x.rrd"), "--store", store) == 1
    assert "cannot write the recording" in capsys.readouterr().err
