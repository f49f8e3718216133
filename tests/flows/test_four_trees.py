"""One command from the four generated raw trees to a snapshot; its facts are those that were planted."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from sensorloom.align.codec import decode_take
from sensorloom.align.named_views import VIEWS
from sensorloom.flows.cli import main
from sensorloom.flows.pages.rules import RULE_WORDS
from sensorloom.store.repository import Repository

pytestmark = pytest.mark.slow

LENGTH_S = 5.0
STEP_S = {"primus": 0.02, "aura-aad": 0.005}


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("four")
    command("sample", str(folder / "raw"))
    command(
        "run",
        "--raw",
        str(folder / "raw"),
        "--store",
        str(folder / "store"),
        "--set",
        f"audit.out={folder}/report",
    )
    return folder


@pytest.fixture(scope="module")
def truth(trees: Path) -> dict[str, dict[str, Any]]:
    takes: dict[str, dict[str, Any]] = json.loads((trees / "raw/truth.json").read_text())["takes"]
    return {take_id: take for take_id, take in takes.items() if not take.get("absent")}


@pytest.fixture(scope="module")
def repo(trees: Path) -> Repository:
    return Repository.open(str(trees / "store"))


@pytest.fixture
def facts(trees: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    capsys.readouterr()
    command("show", "--json", "--store", str(trees / "store"))
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    return told


def command(*arguments: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(list(arguments))
    assert not stopped.value.code


def of(truth: dict[str, dict[str, Any]], dataset: str) -> dict[str, dict[str, Any]]:
    return {take_id: take for take_id, take in truth.items() if take["dataset"] == dataset}


def rows(repo: Repository, table: str) -> pl.DataFrame:
    return repo.scan(repo.resolve("main"), table).collect()


def test_every_take_is_there_and_the_absent_ones_are_named(facts, truth, repo):
    assert facts["takes"] == Counter(take["dataset"] for take in truth.values())
    absent = rows(repo, "findings").filter(rule="take-absent")
    assert sorted(absent["take_id"]) == ["ego4d", "egoexo4d"]
    assert "unc_basketball_02-24-23_01_10" in absent.filter(take_id="egoexo4d")["sentence"].item()


def test_hours_of_video_are_those_of_its_frames(facts, truth):
    frames = sum(
        camera["frames"] for take in of(truth, "egoexo4d").values() for camera in take["videos"].values()
    )
    frames += sum(take["streams"]["ego"]["frames"] for take in of(truth, "ego4d").values())
    assert facts["hours"]["video"] == pytest.approx(frames / 30 / 3600, rel=1e-4)


def test_hours_of_imu_are_what_the_sensors_cover(truth, repo):
    """To a sample of the 200 Hz grid at either end of a stream and of a hole in it."""
    streams = rows(repo, "takes").select("take_id", "streams").explode("streams").unnest("streams")
    usable = {
        (row["take_id"], f"{row['position']}/{row['kind']}"): row["usable_s"]
        for row in streams.iter_rows(named=True)
    }
    compared = 0
    for take_id, take in of(truth, "egoexo4d").items():
        for name, stream in take["streams"].items():
            assert usable[take_id, name] == pytest.approx(stream["last_s"] - stream["first_s"], abs=0.02)
            compared += 1
    for take_id, take in of(truth, "ego4d").items():
        for name in ("head/accelerometer", "head/gyroscope"):
            stream = take["streams"].get(name)
            if stream and not take["gaps"] and not stream["missing_rows"] and not take["expected_findings"]:
                span_s = (stream["last_stamp_ms"] - stream["first_stamp_ms"]) / 1000
                assert usable[take_id, name] == pytest.approx(span_s, abs=0.02)
                compared += 1
    assert compared >= 16


def test_texts_are_the_kept_ones_and_every_dropped_one_is_counted(facts, truth, repo):
    events = rows(repo, "events")
    told = {tuple(row) for row in events.select("take_id", "source", "text", "annotator").iter_rows()}
    for take_id, take in of(truth, "egoexo4d").items():
        assert {row[1:] for row in told if row[0] == take_id} == {
            (text["source"], text["text"], text["annotator"]) for text in take["texts"]
        }
    expected = sum(sum(take["texts_kept"].values()) for take in of(truth, "egoexo4d").values())
    for take in of(truth, "ego4d").values():
        texts = take["texts"]
        expected += texts["narrations"] + texts["summaries"]
    assert facts["tables"]["events"] == expected
    assert facts["texts"] == events["text"].n_unique()
    rejected = sum(take["texts_dropped"].get("text-rejected", 0) for take in of(truth, "egoexo4d").values())
    found = rows(repo, "findings").filter(rule="text-rejected")["numbers"].explode().struct.field("value")
    assert rejected > 0
    assert found.sum() >= rejected


def test_every_planted_defect_is_found_and_named(truth, repo):
    found = defaultdict(set)
    for row in rows(repo, "findings").iter_rows(named=True):
        found[row["take_id"]].add(row["rule"])
    planted = {
        take_id: set(take.get("findings") or take.get("expected_findings") or ())
        for take_id, take in truth.items()
    }
    assert sum(map(len, planted.values())) > 30
    assert {
        take_id: rules - found[take_id] for take_id, rules in planted.items() if rules - found[take_id]
    } == {}
    assert set().union(*found.values()) <= RULE_WORDS.keys()


def test_windows_at_texts_lie_where_the_rule_puts_them(facts, truth, repo):
    for view, step_s in STEP_S.items():
        windows = rows(repo, f"windows:{view}")
        for take_id, take in of(truth, "egoexo4d").items():
            starts_s = sorted(start / 1e9 for start in windows.filter(take_id=take_id)["start_ns"])
            stream = take["streams"].get("head/accelerometer")
            stop_s = max(take["seconds"], stream["last_s"]) if stream else 0.0
            wanted = [
                min(max(text["time_s"] - LENGTH_S / 2, 0.0), stop_s - LENGTH_S)
                for text in take["texts"]
                if text["source"] == "atomic"
            ]
            kept = sorted(
                start
                for start in wanted
                if stream
                and min(start + LENGTH_S, stream["last_s"]) - max(start, stream["first_s"]) >= 0.9 * LENGTH_S
            )
            assert len(set(starts_s)) == len(starts_s)
            assert all(min(abs(start - one) for one in kept) <= step_s for start in starts_s)
            assert all(min(abs(start - one) for one in starts_s) <= step_s for start in kept)
        assert sum(facts["views"][view].values()) == len(windows) > 5


def test_comments_look_back_and_no_window_shows_what_came_after(truth, repo):
    windows = rows(repo, "windows:aura-commentary")
    assert len(windows) > 0
    for row in windows.iter_rows(named=True):
        told = {
            text["text"]: text["time_s"]
            for text in truth[row["take_id"]]["texts"]
            if text["source"] == "commentary"
        }
        for text in row["texts"]:
            assert row["stop_ns"] / 1e9 <= told[text["text"]] + 1e-9
            assert row["stop_ns"] / 1e9 > told[text["text"]] - LENGTH_S


def test_every_view_was_built_and_counts_by_split(facts, repo):
    assert facts["views"].keys() == VIEWS.keys()
    for view, splits in facts["views"].items():
        assert Counter(rows(repo, f"windows:{view}")["split"]) == splits
        assert facts["tables"][f"tensors:{view}"] == sum(splits.values())


def test_planted_clock_offsets_are_left_for_the_audit(truth, repo):
    """Alignment believes the metadata: what the signals say against it is measured, not guessed away."""
    shards = {shard.key: shard for shard in repo.manifest(repo.resolve("main"), "streams").shards}
    shifted = {
        take_id: take["videos"]["aria01"]["offset_ms"]
        for take_id, take in of(truth, "egoexo4d").items()
        if take["videos"].get("aria01", {}).get("offset_ms")
    }
    assert shifted
    for take_id in shifted:
        shard = repo.open_arrays(shards[take_id])
        take = decode_take(shard, shard.attributes)
        assert [video.times_ns[0] for video in take.videos] == [0] * len(take.videos)
        assert {clock.rule for clock in take.clock_maps if clock.source.endswith("/device")}


def test_a_second_run_changes_nothing(trees, facts):
    command(
        "run",
        "--raw",
        str(trees / "raw"),
        "--store",
        str(trees / "store"),
        "--set",
        f"audit.out={trees}/report",
    )
    assert Repository.open(str(trees / "store")).resolve("main").id == facts["snapshot_id"]
    command("verify", "--store", str(trees / "store"))
