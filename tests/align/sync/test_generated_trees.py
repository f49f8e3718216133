"""What generators planted between the streams of a take comes back from its signals, and nothing sound is accused.

The trees are read and aligned as a user's would be, and their films decoded as the embedding pass does.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pytest

from sensorloom.align.alignment import AlignSettings, align
from sensorloom.align.rules import RULES
from sensorloom.align.sync.estimate import SyncEstimate
from sensorloom.align.sync.judgement import find_sync, verdict
from sensorloom.align.sync.motion import CameraMotion
from sensorloom.align.sync.pairs import estimate_take
from sensorloom.align.timeline import AlignedTake
from sensorloom.embed.frames import lattice_frames
from sensorloom.embed.pipeline import embed_cameras
from sensorloom.embed.works import CameraWork
from sensorloom.ingest.miniature.sample import write_sample
from sensorloom.ingest.miniature.spec import SampleSpec
from sensorloom.ingest.reader import get_reader

RESTING = {"standing", "sitting", "lying"}


@dataclass(frozen=True)
class Measured:
    """A generated take, its pairs, and what was planted in its streams."""

    aligned: AlignedTake
    cameras: tuple[CameraMotion, ...]
    estimates: tuple[SyncEstimate, ...]
    truth: Mapping[str, Any]

    def kind(self, estimate: SyncEstimate) -> str:
        """Name the pair's kind: its method, and of two IMUs that turn as one their kind."""
        return "imu-imu" if estimate.method == "rotation" and "/" in estimate.second else estimate.method

    def error_ms(self, estimate: SyncEstimate) -> float:
        """Return by how much the offset is beside that planted, at the same time of the take."""
        (first_ms, first_ppm), (second_ms, second_ppm) = map(self._planted, (estimate.first, estimate.second))
        middle_s = np.mean([segment.time_s for segment in estimate.segments])
        planted_ms = first_ms - second_ms + (first_ppm - second_ppm) * middle_s / 1e3
        return float(estimate.offset_ms - planted_ms)

    def drift_error_ppm(self, estimate: SyncEstimate) -> float:
        return float(
            estimate.drift_ppm - self._planted(estimate.first)[1] + self._planted(estimate.second)[1]
        )

    def _planted(self, name: str) -> tuple[float, float]:
        """Return the planted offset and drift of a stream: what happens at t + offset is stamped t."""
        if name.startswith("mocap/"):
            told = self.truth["mocap"][name.split("/")[1]]
        elif "/" in name:
            told = self.truth["streams"][name]
        else:
            told = self.truth.get("videos", self.truth["streams"])[name]
        # The clocks of a REALWORLD body's phones are told from the stamp's side; PAMAP2 has one clock.
        return told.get("offset_ms", -told.get("clock_offset_ms", 0)), told.get("drift_ppm", 0.0)


def measure(root: Path, **spec: Any) -> list[Measured]:
    """Generate a tree and measure all takes of it that have an IMU."""
    sample = write_sample(root, SampleSpec(**spec))
    measured = []
    for dataset in spec["datasets"]:
        reader = get_reader(dataset)
        for source in reader.index(root / dataset):
            aligned = align(reader.read(root / dataset, source), AlignSettings())
            cameras = tuple(_cameras(aligned, root / dataset)) if aligned.imu else ()
            estimates = estimate_take(aligned, cameras)
            measured.append(Measured(aligned, cameras, estimates, sample["takes"][aligned.take_id]))
    return measured


def _cameras(aligned: AlignedTake, root: Path) -> Iterator[CameraMotion]:
    works = [CameraWork(frames, root / frames.uri) for frames in map(lattice_frames, aligned.videos)]
    made = embed_cameras(works, None, "swscale", wants_facts=True) if works else ()
    for video, camera in zip(aligned.videos, made, strict=True):
        yield CameraMotion.of(video, camera.frames.pts, camera.facts.named)


def told(takes: list[Measured]) -> dict[str, list[tuple[Measured, SyncEstimate]]]:
    """Return the pairs whose offset was told, by kind."""
    kinds = defaultdict(list)
    for take in takes:
        for estimate in take.estimates:
            if estimate.offset_ms is not None:
                kinds[take.kind(estimate)].append((take, estimate))
    return kinds


def errors_ms(pairs: list[tuple[Measured, SyncEstimate]]) -> list[float]:
    return [abs(take.error_ms(estimate)) for take, estimate in pairs]


def severities(takes: list[Measured]) -> set[str]:
    return {
        finding.severity
        for take in takes
        for finding in find_sync(take.aligned.take_id, take.estimates, RULES)
    }


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """One short take of each data set with films."""
    return measure(tmp_path_factory.mktemp("films"), datasets=("ego4d", "egoexo4d"), takes=1, minutes=0.25)


@pytest.fixture(scope="module")
def phones(tmp_path_factory):
    return measure(tmp_path_factory.mktemp("phones"), datasets=("realworld", "pamap2"), takes=14, minutes=0.5)


def test_films_and_imus_of_short_takes_come_back(films):
    kinds = told(films)
    assert len(kinds["rotation"]) == 2
    assert max(errors_ms(kinds["rotation"])) < 33
    assert median(errors_ms(kinds["rotation"])) < 5
    assert max(errors_ms(kinds["imu-imu"])) < 1
    assert max(errors_ms(kinds["energy"])) < 33
    assert {verdict(estimate, RULES) for _, estimate in kinds["rotation"]} == {"aligned"}


def test_a_film_that_is_stamped_late_is_named(films):
    take = next(each for each in films if each.aligned.dataset == "ego4d")
    late = tuple(replace(camera, times_ns=camera.times_ns + 700_000_000) for camera in take.cameras)
    found = {finding.rule: finding for finding in find_sync("t", estimate_take(take.aligned, late), RULES)}
    assert found["sync-shifted"].target == "t#ego"
    assert found["sync-shifted"].numbers["offset_ms"] == pytest.approx(700, abs=10)


def test_an_interval_holds_the_planted_offset(films, phones):
    pairs = [pair for pairs in told([*films, *phones]).values() for pair in pairs]
    held = [abs(take.error_ms(estimate)) <= estimate.offset_ci_ms for take, estimate in pairs]
    assert len(held) > 20
    assert np.mean(held) >= 0.9


def test_nothing_of_clean_trees_is_an_error(films, phones):
    assert severities([*films, *phones]) <= {"warning", "note"}


def test_gravity_tells_that_both_sensors_of_a_phone_are_in_time(phones):
    pairs = told(phones)["gravity"]
    assert len(pairs) >= 8
    assert median(errors_ms(pairs)) < 10
    assert {verdict(estimate, RULES) for _, estimate in pairs} <= {"aligned", "unknown"}


def across(takes: list[Measured]) -> list[tuple[Measured, SyncEstimate]]:
    """Return the pairs of two parts of a body, each with a device of its own."""
    return [(take, each) for take in takes for each in take.estimates if each.method == "impact"]


def assert_parts_of_bodies_come_back(takes: list[Measured], least: int) -> None:
    """Fail unless `least` planted offsets or more come back, 10 ms beside the truth or less in the middle."""
    pairs = told(takes)["impact"]
    assert len(pairs) >= least
    assert median(errors_ms(pairs)) <= 10
    assert all(abs(take.error_ms(each)) <= each.offset_ci_ms for take, each in pairs)
    for take, each in pairs:
        planted_ms = each.offset_ms - take.error_ms(each)
        if verdict(each, RULES) == "shifted":
            assert abs(planted_ms) > RULES["sync-shifted"].limit - each.offset_ci_ms
        assert verdict(each, RULES) != "drifting"
        assert each.jump_ms is None


def test_offsets_of_phones_on_parts_of_a_body_come_back_from_impacts(phones):
    assert_parts_of_bodies_come_back(phones, 10)


def test_parts_of_a_body_that_rests_cannot_be_told(phones):
    still = [
        each
        for take, each in across(phones)
        if take.aligned.dataset == "realworld" and take.aligned.take_id.split("/")[2] in RESTING
    ]
    assert len(still) >= 8
    assert all(each.offset_ms is None and each.reason for each in still)


def test_phones_of_two_bodies_that_do_the_same_are_not_told(phones):
    """The head of one and the chest of another, as if they were one: steps of the same pace, not the same steps."""
    takes = [take.aligned for take in phones if take.aligned.dataset == "realworld"]
    mixed = [
        estimate_take(mix(one, other), ())
        for one in takes
        for other in takes
        if one.capture_id != other.capture_id and one.take_id.split("/")[2] == other.take_id.split("/")[2]
    ]
    pairs = [each for estimates in mixed for each in estimates if each.method == "impact"]
    assert len(pairs) >= 6
    assert all(each.offset_ms is None for each in pairs)


def mix(one: AlignedTake, other: AlignedTake) -> AlignedTake:
    """Return a take with the head of one body and the chest of another, as long as the shorter of both."""
    length = min(one.grid.num_samples, other.grid.num_samples)
    tracks = [
        replace(track, values=track.values[:length], quality=track.quality[:length])
        for take, position in ((one, "head"), (other, "chest"))
        for track in take.imu
        if track.position == position
    ]
    return replace(one, grid=replace(one.grid, num_samples=length), imu=tuple(tracks))


@pytest.mark.slow
def test_offsets_of_phones_in_longer_takes_come_back(tmp_path):
    takes = measure(tmp_path, datasets=("realworld", "pamap2"), takes=4, minutes=2, seed=1)
    assert_parts_of_bodies_come_back(takes, 12)
    assert severities(takes) <= {"warning", "note"}


@pytest.fixture(scope="module")
def long_films(tmp_path_factory):
    ego4d = measure(tmp_path_factory.mktemp("long"), datasets=("ego4d",), takes=1, minutes=1.5)
    egoexo4d = measure(tmp_path_factory.mktemp("longer"), datasets=("egoexo4d",), takes=1, minutes=1.5)
    return [*ego4d, *egoexo4d]


@pytest.mark.slow
def test_planted_offsets_and_drifts_of_longer_takes_come_back(long_films):
    kinds = told(long_films)
    for kind, least, limit_ms in (
        ("rotation", 2, 33),
        ("acceleration", 1, 10),
        ("imu-imu", 1, 10),
        ("energy", 3, 33),
    ):
        assert len(kinds[kind]) >= least, kind
        assert median(errors_ms(kinds[kind])) <= limit_ms, kind
    for take, estimate in [*kinds["rotation"], *kinds["acceleration"], *kinds["imu-imu"]]:
        if estimate.drift_ppm is not None:
            assert abs(take.drift_error_ppm(estimate)) < max(60, estimate.drift_ci_ppm)
    assert severities(long_films) <= {"warning", "note"}
    pairs = [pair for pairs in kinds.values() for pair in pairs]
    held = [abs(take.error_ms(estimate)) <= estimate.offset_ci_ms for take, estimate in pairs]
    assert np.mean(held) >= 0.9


def drifting(take: Measured, ppm: float) -> tuple[CameraMotion, ...]:
    """Return the cameras of a take as a clock that is `ppm` off would stamp them."""
    return tuple(
        replace(camera, times_ns=np.round(camera.times_ns * (1 + ppm * 1e-6)).astype(np.int64))
        for camera in take.cameras
    )


@pytest.mark.slow
def test_an_impossible_drift_of_a_film_is_named(long_films):
    take = next(each for each in long_films if each.aligned.dataset == "ego4d")
    estimates = estimate_take(take.aligned, drifting(take, 2000))
    found = {finding.rule: finding for finding in find_sync("t", estimates, RULES)}
    assert found["sync-drift-impossible"].numbers["drift_ppm"] == pytest.approx(2000, abs=200)


@pytest.mark.slow
def test_a_gap_that_was_closed_up_is_named(long_films):
    """Three seconds of the IMU are lost in the middle, and what follows is stamped as if they had not been."""
    take = next(each for each in long_films if each.aligned.dataset == "ego4d")
    (track,) = take.aligned.imu
    kept = np.delete(np.arange(len(track.values)), slice(8_700, 9_300))
    shorter = replace(track, values=track.values[kept], quality=track.quality[kept])
    grid = replace(take.aligned.grid, num_samples=len(kept))
    estimates = estimate_take(replace(take.aligned, imu=(shorter,), grid=grid), take.cameras)
    (finding,) = [each for each in find_sync("t", estimates, RULES) if each.rule == "sync-jump"]
    assert finding.numbers["jump_ms"] == pytest.approx(3000, abs=50)
