"""The audit measures the streams of each take, remembers what it found, and tells it in every file of the report."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from sensorloom.align.codec import finding_row
from sensorloom.align.rules import RULES, tune
from sensorloom.align.stage import STAGE as INGEST
from sensorloom.align.timeline import AlignedTake, Quality
from sensorloom.flows.audit import run as audit_run
from sensorloom.flows.audit.asked import Asked
from sensorloom.flows.audit.audit import audit_store, gather
from sensorloom.flows.audit.cache import audit_key, decode, encode
from sensorloom.flows.audit.load import load_take
from sensorloom.flows.audit.report import Report, to_json
from sensorloom.flows.audit.take import PARTS, AuditTask, Part, TakeAudit, audit_parts, audit_take, joined
from sensorloom.flows.audit.windows import WindowsOf
from sensorloom.flows.audit.worst import distinct
from sensorloom.flows.config import Config, load_config
from sensorloom.flows.errors import ConfigError, RunError
from sensorloom.flows.tables import FINDINGS
from sensorloom.ingest.take import Finding
from sensorloom.store.layout import bucket_of
from sensorloom.store.repository import Repository
from sensorloom.store.transaction import Put
from tests.flows.aligned_store import aligned_take, frame_facts, publish, write_take, write_view


def faulty(take_id: str = "egoexo4d/b") -> AlignedTake:
    """Return a take whose accelerometer is 0 from 10 to 20 s and lost from 30 to 32 s."""
    take = aligned_take(take_id)
    values, quality = take.imu[0].values.copy(), take.imu[0].quality.copy()
    values[2000:4000, :3] = 0
    values[6000:6400, :3], quality[6000:6400, 0] = 0, Quality.INVALID
    return replace(take, imu=(replace(take.imu[0], values=values, quality=quality),))


@pytest.fixture
def repo(tmp_path: Path) -> Repository:
    repo = Repository.open(str(tmp_path / "store"), create=True)
    takes = [aligned_take(), faulty()]
    puts = [put for take in takes for put in write_take(repo, take, frame_facts(400))]
    publish(repo, puts + write_view(repo, takes))
    return repo


def config(repo: Repository, **settings: str) -> Config:
    told = {key.replace("__", "."): value for key, value in settings.items()}
    return load_config(None, {"store.url": repo.url, "engine.spec": "serial", **told})


def audit(repo: Repository, out: Path, asked: Asked | None = None, **settings: str) -> Report:
    report, _ = audit_store(config(repo, **settings), asked or Asked(), out)
    return report


def facts(repo: Repository) -> dict[str, Any]:
    """Return the report but its drawings, which hold NaN where nothing was measured."""
    return to_json(gather(repo, repo.resolve("main"), config=config(repo)))


def rules_of(report: Report) -> dict[str, int]:
    return {rule.rule: rule.findings for rule in report.rules if rule.stage == "audit"}


def test_a_planted_fault_is_in_every_file(repo: Repository, tmp_path: Path) -> None:
    report = audit(repo, tmp_path / "out")
    (zero,) = [rule for rule in report.rules if rule.rule == "window-all-zero"]
    assert (zero.severity, zero.stage, zero.view, zero.dataset) == ("error", "audit", None, "egoexo4d")
    assert [example.take_id for example in zero.examples] == ["egoexo4d/b"]
    assert (zero.meaning, zero.advice) == (RULES["window-all-zero"].meaning, RULES["window-all-zero"].advice)
    sound, broken = report.takes
    assert (sound.errors, broken.errors, broken.worst_rule) == (0, 1, "window-all-zero")
    assert report.datasets[0].takes_with_errors == 1
    assert report.worst[0].take_id == "egoexo4d/b"
    assert 10 <= report.worst[0].start_s < 20
    found = pl.read_parquet(tmp_path / "out/findings.parquet").filter(rule="window-all-zero")
    assert found["take_id"].to_list() == ["egoexo4d/b"]
    page = (tmp_path / "out" / str(broken.page)).read_text(encoding="utf-8")
    assert "window-all-zero" in page
    assert "window-all-zero" in (tmp_path / "out/index.html").read_text(encoding="utf-8")


def test_a_rule_that_is_off_says_nothing(repo: Repository) -> None:
    assert "window-all-zero" in rules_of(gather(repo, repo.resolve("main"), config=config(repo)))
    off = config(repo, **{"audit__rules__window-all-zero__severity": "off"})
    assert "window-all-zero" not in rules_of(gather(repo, repo.resolve("main"), config=off))


def test_pairs_of_streams_are_in_the_report_and_the_table(repo: Repository, tmp_path: Path) -> None:
    report = audit(repo, tmp_path / "out")
    table = pl.read_parquet(tmp_path / "out/sync.parquet")
    assert set(table["take_id"]) == {"egoexo4d/a", "egoexo4d/b"}
    assert len(table) == sum(pair.takes for pair in report.pairs)
    # A camera goes by what it is: its number differs from take to take.
    names = {name for pair in report.pairs for name in (pair.first, pair.second)}
    assert "ego camera" in names
    assert not any("aria01" in name for name in names)
    assert set(table["second"]) & {"aria01"}


def test_same_snapshot_same_bytes_whatever_the_engine_and_the_cache(repo: Repository, tmp_path: Path) -> None:
    audit(repo, tmp_path / "one")
    audit(repo, tmp_path / "two")
    first, second = (
        {path.relative_to(out): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}
        for out in (tmp_path / "one", tmp_path / "two")
    )
    assert len(first) == 6
    assert first == second


@pytest.mark.slow
def test_processes_write_the_same_bytes(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    audit(repo, tmp_path / "one")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "fresh"))
    audit(repo, tmp_path / "two", engine__spec="processes:2")
    for name in ("index.html", "audit.json", "findings.parquet", "sync.parquet"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_what_was_found_is_remembered(repo: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    first = facts(repo)

    def refuse(task: AuditTask) -> None:
        raise AssertionError(f"{task.take_id} was measured again")

    monkeypatch.setattr(audit_run, "audit_parts", refuse)
    assert facts(repo) == first
    with pytest.raises(RunError, match=r"egoexo4d/a: AssertionError: egoexo4d/a was measured again"):
        gather(
            repo, repo.resolve("main"), config=config(repo, **{"audit__rules__window-gap__threshold": "9"})
        )


def test_clocks_are_not_measured_again_for_other_windows(
    repo: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gated build, a build and an audit see other windows of the same takes."""
    measured: list[tuple[str, tuple[Part, ...]]] = []

    def told(task: AuditTask) -> dict[Part, TakeAudit]:
        measured.append((task.take_id, task.parts))
        return audit_parts(task)

    monkeypatch.setattr(audit_run, "audit_parts", told)
    first = facts(repo)
    assert measured == [(take, ("streams", "windows")) for take in ("egoexo4d/a", "egoexo4d/b")]
    measured.clear()
    publish(repo, write_view(repo, [aligned_take()]))  # none of the other take's any more
    second = facts(repo)
    assert measured == [("egoexo4d/b", ("windows",))]
    assert second["pairs"] == first["pairs"]
    measured.clear()
    assert facts(repo) == second
    assert measured == []


def test_parts_of_several_takes_are_no_audit() -> None:
    parts = [TakeAudit(take, (), (), {}, ()) for take in ("ego4d/a", "ego4d/b")]
    with pytest.raises(ValueError, match=r"parts of one take make an audit, not those of ego4d/a, ego4d/b"):
        joined(parts)
    with pytest.raises(ValueError, match="not those of none"):
        joined([])


def test_a_cache_that_cannot_be_written_costs_time_alone(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert gather(repo, repo.resolve("main"), config=config(repo)).takes


def task_of(repo: Repository, take_id: str, **changes: object) -> AuditTask:
    snapshot = repo.resolve("main")
    streams, frames = (repo.manifest(snapshot, table).get(take_id) for table in ("streams", "frames"))
    assert streams is not None
    starts = tuple(range(0, 40_000_000_000, 5_000_000_000))
    windows = (WindowsOf("walk", ("head",), True, 5_000_000_000, starts),)
    task = AuditTask(repo.url, take_id, streams, frames, windows, tuple(RULES.values()))
    return replace(task, **changes)


def test_an_audit_survives_its_encoding(repo: Repository) -> None:
    found = audit_take(task_of(repo, "egoexo4d/b"))
    assert found.findings
    assert found.syncs
    assert found.worst
    assert decode(encode(found)) == found


def test_windows_are_held_against_the_limits_that_ingest_found(tmp_path: Path) -> None:
    """What was recorded stands at 15 m/s² sample by sample; resampled it rings by a percent and shows no pile."""
    take = aligned_take()
    values = take.imu[0].values.copy()
    rng = np.random.default_rng(5)
    values[:, 0] = rng.uniform(-14.6, 14.6, len(values))
    values[::25, 0] = rng.uniform(14.86, 15.0, len(values[::25]))
    take = replace(take, imu=(replace(take.imu[0], values=values),))
    target = f"{take.take_id}#head/accelerometer"
    told = Finding(target, "saturation", "warning", "axis x stands at its limit", {"limit_m_s2": 15.0})

    def rules_with(name: str, *puts: Callable[[Repository], Put]) -> dict[str, int]:
        repo = Repository.open(str(tmp_path / name), create=True)
        publish(
            repo, [*(write_take(repo, take, None)), *write_view(repo, [take]), *(put(repo) for put in puts)]
        )
        return rules_of(gather(repo, repo.resolve("main"), config=config(repo)))

    def of_ingest(repo: Repository) -> Put:
        rows = [finding_row(told, INGEST, take.take_id) | {"dataset": take.dataset}]
        table = pa.Table.from_pylist(rows, schema=FINDINGS)
        return Put("findings", repo.write_table(f"{INGEST}.{bucket_of(take.take_id)}", table, work="0" * 64))

    assert "window-saturated" not in rules_with("silent")
    assert rules_with("told", of_ingest)["window-saturated"] == 1


def test_all_that_an_audit_depends_on_is_in_its_key(repo: Repository) -> None:
    task = task_of(repo, "egoexo4d/b")
    stricter = tuple(tune({"window-gap": {"threshold": 9.0}}).values())
    other = [
        replace(task, frames=None),
        replace(task, streams=replace(task.streams, digest="2" * 64)),
        replace(task, windows=(replace(task.windows[0], starts_ns=(0,)),)),
        replace(task, rules=stricter),
        replace(task, clipped=(Finding("egoexo4d/b#head/accelerometer", "saturation", "warning", "…"),)),
    ]
    assert len({audit_key(one, "windows") for one in (task, *other)}) == 6
    assert len({audit_key(one, part) for one in (task, *other) for part in PARTS}) == 10
    # What views cut, and what their windows are held against, is nothing to the streams.
    assert audit_key(other[2], "streams") == audit_key(task, "streams") == audit_key(other[4], "streams")
    assert audit_key(replace(task, store_url="elsewhere"), "windows") == audit_key(task, "windows")


def test_the_worst_windows_come_first_and_say_why(repo: Repository) -> None:
    found = audit_take(task_of(repo, "egoexo4d/b"))
    assert [window.start_ns for window in found.worst[:2]] == [10_000_000_000, 15_000_000_000]
    assert "head/accelerometer" in found.worst[0].reasons[0]
    scores = [window.score for window in found.worst]
    assert scores == sorted(scores, reverse=True)


def test_no_stretch_of_time_is_shown_twice(repo: Repository) -> None:
    starts = tuple(range(0, 35_000_000_000, 500_000_000))
    dense = WindowsOf("dense", ("head",), True, 5_000_000_000, starts)
    long = WindowsOf("long", ("head",), True, 20_000_000_000, (0, 10_000_000_000))
    found = audit_take(task_of(repo, "egoexo4d/b", windows=(dense, long)))
    shown = [window.start_ns for window in found.worst if window.view == "dense"]
    assert len(shown) == 3
    assert min(np.diff(sorted(shown))) > 2_500_000_000
    # The long window holds what the shorter ones show.
    assert {window.view for window in distinct(found.worst)} == {"dense"}


def test_a_window_within_every_threshold_is_not_shown(repo: Repository) -> None:
    """Where gaps of 5 s are let pass, that of 2 s is no reason to show a window."""
    lax = tune({"window-gap": {"threshold": 5000.0}})
    rules = (lax["window-all-zero"], lax["window-gap"])
    found = audit_take(task_of(repo, "egoexo4d/b", rules=rules))
    assert [window.start_ns for window in found.worst] == [10_000_000_000, 15_000_000_000]
    assert all(window.score > 1 and window.reasons for window in found.worst)
    assert audit_take(task_of(repo, "egoexo4d/a", rules=rules)).worst == ()


def test_what_is_told_has_no_digits_of_noise(repo: Repository) -> None:
    """Measures are float32 or estimates: 0.4 is not to read 0.4000000059604645."""
    found = audit_take(task_of(repo, "egoexo4d/b"))
    numbers = [value for window in found.worst for value in (window.score, *window.numbers.values())]
    for sync in found.syncs:
        numbers += [
            value for value in (sync.offset_ms, sync.offset_ci_ms, sync.drift_ppm) if value is not None
        ]
        numbers += [value for lag in sync.segments for value in (lag.lag_ms, lag.sigma_ms, lag.strength)]
    report = gather(repo, repo.resolve("main"), config=config(repo))
    for pair in report.pairs:
        numbers += [value for value in (pair.median_offset_ms, pair.spread_ms) if value is not None]
    assert any(value != round(value) for value in numbers)
    assert [value for value in numbers if value != round(value, 4)] == []


def test_facts_of_another_file_are_not_the_cameras(tmp_path: Path) -> None:
    repo = Repository.open(str(tmp_path / "store"), create=True)
    own, other, fewer = (aligned_take(f"egoexo4d/{name}") for name in ("own", "other", "fewer"))
    puts = write_take(repo, own, frame_facts(400))
    puts += write_take(repo, other, frame_facts(400), sha256="2" * 64)
    puts += write_take(repo, fewer, None)
    publish(repo, puts)
    snapshot = repo.resolve("main")
    streams, frames = repo.manifest(snapshot, "streams"), repo.manifest(snapshot, "frames")
    cameras = {
        shard.key: [camera.name for camera in load_take(repo, shard, frames.get(shard.key))[1]]
        for shard in streams.shards
    }
    assert cameras == {"egoexo4d/own": ["aria01"], "egoexo4d/other": [], "egoexo4d/fewer": []}


def test_frames_that_the_take_no_longer_has_are_not_its_cameras(tmp_path: Path) -> None:
    repo = Repository.open(str(tmp_path / "store"), create=True)
    take = aligned_take()
    publish(repo, write_take(repo, take, frame_facts(400)))
    shorter = replace(
        take,
        videos=(replace(take.videos[0], times_ns=take.videos[0].times_ns[1:], pts=take.videos[0].pts[1:]),),
    )
    publish(repo, [put for put in write_take(repo, shorter, None) if put.table == "streams"])
    snapshot = repo.resolve("main")
    streams, frames = (repo.manifest(snapshot, table).shards[0] for table in ("streams", "frames"))
    assert load_take(repo, streams, frames)[1] == ()


def test_pages_of_the_worst_takes_alone(repo: Repository, tmp_path: Path) -> None:
    out = tmp_path / "out"
    audit(repo, out)
    assert len(list((out / "takes").iterdir())) == 2
    (out / "takes" / "notes.html").write_text("mine")
    report = audit(repo, out, audit__take_pages="1")
    assert [take.page is not None for take in report.takes] == [False, True]
    # Pages of the earlier report are gone; what is not a page stays.
    kept = {path.name for path in (out / "takes").iterdir()}
    assert kept == {"notes.html", str(report.takes[1].page).rpartition("/")[2]}
    assert audit(repo, out, audit__take_pages="0").takes[1].page is None


def test_the_page_of_one_take(repo: Repository, tmp_path: Path) -> None:
    report = audit(repo, tmp_path / "out", Asked(take="egoexo4d/a"))
    assert [path.name for path in (tmp_path / "out/takes").iterdir()] == [
        str(report.takes[0].page).rpartition("/")[2]
    ]
    with pytest.raises(ConfigError, match=r"has no take 'egoexo4d/z'; `sensorloom audit` lists them"):
        audit(repo, tmp_path / "out", Asked(take="egoexo4d/z"))


def test_every_page_that_the_index_names_is_there(repo: Repository, tmp_path: Path) -> None:
    """Of one take alone, the index leads to its page and to those that an earlier report left."""
    out = tmp_path / "out"
    for asked, pages in ((Asked(take="egoexo4d/a"), [True, False]), (Asked(take="egoexo4d/b"), [True, True])):
        report = audit(repo, out, asked)
        assert [take.page is not None for take in report.takes] == pages
        assert all((out / take.page).is_file() for take in report.takes if take.page)
        told = json.loads((out / "audit.json").read_text(encoding="utf-8"))
        assert [take["page"] for take in told["takes"]] == [take.page for take in report.takes]
        links = re.findall(r'href="(takes/[^"]*)"', (out / "index.html").read_text(encoding="utf-8"))
        assert links
        assert all((out / link).is_file() for link in links)


def test_a_take_without_streams_has_no_page(repo: Repository, tmp_path: Path) -> None:
    """A table may name a take whose streams are not in the snapshot."""
    take = aligned_take("egoexo4d/none")
    publish(repo, [put for put in write_take(repo, take, None) if put.table == "takes"])
    report = audit(repo, tmp_path / "out")
    assert {one.take_id: one.page is not None for one in report.takes}["egoexo4d/none"] is False
    assert all((tmp_path / "out" / one.page).is_file() for one in report.takes if one.page)


def test_a_take_outside_the_view_is_refused(repo: Repository, tmp_path: Path) -> None:
    take = replace(aligned_take("ego4d/c"), dataset="ego4d")
    publish(repo, write_take(repo, take, None))
    assert audit(repo, tmp_path / "out", Asked(("walk",), take="egoexo4d/a")).takes
    message = (
        r"view walk is of egoexo4d, and take 'ego4d/c' of none of these; leave out --view, or name a take"
    )
    with pytest.raises(ConfigError, match=message):
        audit(repo, tmp_path / "out", Asked(("walk",), take="ego4d/c"))


def test_a_store_without_frames_vectors_and_texts(tmp_path: Path) -> None:
    """As versions wrote it that knew windows of IMU only."""
    repo = Repository.open(str(tmp_path / "store"), create=True)
    take = replace(faulty(), videos=(), mocap=None)
    publish(repo, write_take(repo, take, None) + write_view(repo, [take], texts=None))
    report = audit(repo, tmp_path / "out")
    assert "window-all-zero" in rules_of(report)
    assert (report.views[0].encoder, report.views[0].agreement) == (None, ())
    assert np.isfinite([pair.takes for pair in report.pairs]).all()
