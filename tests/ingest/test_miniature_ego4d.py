"""The generated Ego4D tree: its layout, its quirks as files show them, and that reading it agrees with its truth."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sensorloom.ingest.errors import RawFileError
from sensorloom.ingest.miniature import SampleSpec, write_sample
from sensorloom.ingest.miniature.ego4d_faults import FAULT_TRUTH, FAULTS
from sensorloom.ingest.miniature.ego4d_truth import EXPECTED
from sensorloom.ingest.readers.ego4d import Ego4dReader
from sensorloom.ingest.take import Take
from sensorloom.ingest.video import decode_frames, read_video_table

HEADER = (
    "component_idx,component_timestamp_ms,canonical_timestamp_ms,gyro_x,gyro_y,gyro_z,accl_x,accl_y,accl_z"
)


@dataclass(frozen=True)
class Sample:
    root: Path
    truth: dict[str, Any]
    takes: dict[str, Take]

    def named(self, scenario: str) -> tuple[Take, dict[str, Any]]:
        """Return the take of a scenario and the truth about it."""
        (take,) = (take for take in self.takes.values() if take.facts["scenarios"] == scenario)
        return take, self.truth[take.take_id]

    def rows(self, take: Take) -> list[dict[str, str]]:
        return list(csv.DictReader((self.root / take.files[0].uri).read_text().splitlines()))

    def entry(self, take: Take) -> dict[str, Any]:
        videos = json.loads((self.root / "ego4d.json").read_text())["videos"]
        return next(video for video in videos if video["video_uid"] == take.take_id.removeprefix("ego4d/"))


def write(out: Path, **spec: Any) -> Sample:
    truth = write_sample(out, SampleSpec(("ego4d",), **spec))["takes"]
    reader, root = Ego4dReader(), out / "ego4d"
    takes = {source.take_id: reader.read(root, source) for source in reader.index(root)}
    return Sample(root, truth, takes)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    return write(tmp_path_factory.mktemp("ego4d") / "s", seed=3, minutes=0.15)


def present(sample: Sample) -> Iterator[tuple[Take, dict[str, Any]]]:
    for take_id, told in sample.truth.items():
        if not told["absent"]:
            yield sample.takes[take_id], told


def test_the_tree_is_the_downloads(sample: Sample) -> None:
    files = {path.relative_to(sample.root).as_posix() for path in sample.root.rglob("*") if path.is_file()}
    shared = {
        "ego4d.json",
        "v2/ego4d.json",
        "v2/annotations/narration.json",
        "v2/imu/manifest.csv",
        "v2/video_540ss/manifest.csv",
    }
    assert files == shared | {uri for told in sample.truth.values() for uri in told["files"]}
    assert len(sample.takes) == 8
    assert sum("/imu/" in uri for uri in files) == 1 + 7


def test_every_take_reads_to_its_truth(sample: Sample) -> None:
    for take, told in present(sample):
        assert take.participant_id == told["participant_id"]
        assert [file.uri for file in take.files] == told["files"]
        assert [(label.text, label.start_ns, label.stop_ns) for label in take.labels] == [
            (label["text"], label["start_ns"], label["stop_ns"]) for label in told["labels"]
        ]
        assert sorted({finding.rule for finding in take.findings}) == told["expected_findings"], take


def test_streams_have_the_rows_and_stamps_that_truth_tells(sample: Sample) -> None:
    for take, told in present(sample):
        streams = dict(told["streams"])
        (video,) = take.videos
        ego = streams.pop("ego")
        assert len(video.pts) == ego["frames"] == round(told["seconds"] * 30) - ego["redacted_frames"]
        assert video.is_stereo == told["is_stereo"]
        assert {stream.name for stream in take.streams} == set(streams)
        for stream in take.streams:
            facts = streams[stream.name]
            assert len(stream.times_ns) == facts["rows"]
            assert stream.times_ns[0] == round(facts["first_stamp_ms"] * 1e6)
            assert stream.times_ns[-1] == round(facts["last_stamp_ms"] * 1e6)
            assert np.isnan(stream.values).any(axis=1).sum() == facts["missing_rows"]


def test_gaps_between_components_are_breaks(sample: Sample) -> None:
    for take, told in present(sample):
        assert len(take.breaks) == len(told["gaps"])
        for found, planted in zip(take.breaks, told["gaps"], strict=True):
            assert abs(found.start_ns / 1e9 - planted["start_s"]) < 0.011
            assert abs(found.stop_ns / 1e9 - planted["stop_s"]) < 0.006
    assert sum(len(told["gaps"]) for _, told in present(sample)) == 2


def test_texts_kept_and_dropped_are_those_of_truth(sample: Sample) -> None:
    for take, told in present(sample):
        texts = told["texts"]
        sources = Counter(event.source for event in take.events)
        assert sources == {"narration": texts["narrations"], "summary": texts["summaries"]}
        assert sum(event.tags.get("unsure") == "true" for event in take.events) == texts["unsure"]
        assert sum(event.tags.get("subject") == "O" for event in take.events) == texts["of_others"]
        for rule, count in texts["dropped"].items():
            dropped = [finding.numbers["count"] for finding in take.findings if finding.rule == rule]
            assert dropped == ([count] if count else [])
        assert {event.annotator for event in take.events} == set(texts["narrations_by_pass"])
    assert sum(told["texts"]["unsure"] for _, told in present(sample)) > 0
    assert sum(told["texts"]["of_others"] for _, told in present(sample)) == 1


def test_every_quirk_occurs_and_is_found_or_corrected(sample: Sample) -> None:
    found = {finding.rule for take in sample.takes.values() for finding in take.findings}
    assert {rule for rules in EXPECTED.values() for rule in rules} <= found


def test_one_video_is_listed_and_not_there(sample: Sample) -> None:
    (absent,) = (take_id for take_id, told in sample.truth.items() if told["absent"])
    assert Ego4dReader().absent(sample.root) == (absent,)
    assert absent not in sample.takes


def test_about_half_of_the_imu_clocks_are_off_and_drift(sample: Sample) -> None:
    streams = [told["streams"] for _, told in present(sample) if "head/gyroscope" in told["streams"]]
    off = [told["head/gyroscope"] for told in streams if told["head/gyroscope"]["offset_ms"]]
    assert (len(off), len(streams)) == (4, 7)
    assert all(500 <= abs(told["offset_ms"]) <= 1000 for told in off)
    assert all(20 <= abs(told["drift_ppm"]) <= 60 for told in off)
    assert all(told["ego"]["offset_ms"] == 0 for told in streams)


def picture_motion(sample: Sample, take: Take) -> np.ndarray:
    """Return how much each picture differs from the one before, float64[F]."""
    (video,) = take.videos
    frames = decode_frames(sample.root / video.uri, video.uri, video.pts, short_side_px=48)
    pictures = [frame.rgb.astype(np.float64).mean(axis=2) for _, frame in frames]
    return np.array([0.0, *(np.abs(after - before).mean() for before, after in pairwise(pictures))])


@pytest.fixture(scope="module")
def longer(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    return write(tmp_path_factory.mktemp("motion") / "s", seed=1, takes=2, minutes=0.25)


@pytest.mark.parametrize("scenario", ["Cooking", "Walking on street"])
def test_the_picture_moves_as_the_gyroscope_says_at_the_planted_offset(longer: Sample, scenario: str) -> None:
    take, told = longer.named(scenario)
    motion = picture_motion(longer, take)
    gyroscope = take.streams[1]
    speed, times_s = np.linalg.norm(gyroscope.values, axis=1), gyroscope.times_ns / 1e9
    frame_s = np.arange(len(motion)) / 30 - 1 / 60
    inside = slice(45, -45)
    offsets_ms = np.arange(-1200, 1201, 20)
    fits = [
        np.corrcoef(np.interp(frame_s[inside] - offset / 1e3, times_s, speed), motion[inside])[0, 1]
        for offset in offsets_ms
    ]
    planted_ms = told["streams"]["head/gyroscope"]["offset_ms"]
    assert max(fits) > 0.6
    assert abs(offsets_ms[int(np.argmax(fits))] - planted_ms) <= 60


def test_the_cooking_video_has_two_components_a_trimmed_head_and_swapped_packets(sample: Sample) -> None:
    take, _ = sample.named("Cooking")
    rows = sample.rows(take)
    steps = {
        index: np.median(
            np.diff([float(row["component_timestamp_ms"]) for row in rows if row["component_idx"] == index])
        )
        for index in "01"
    }
    assert steps == pytest.approx({"0": 1e3 / 198, "1": 1e3 / 201})
    heads = [row["canonical_timestamp_ms"] for row in rows if row["component_idx"] == "1"]
    assert heads[:80] == [""] * 80
    assert "" not in heads[81:]
    stamps = [float(row["canonical_timestamp_ms"]) for row in rows if row["component_idx"] == "0"]
    assert [place for place, step in enumerate(np.diff(stamps)) if step < 0] == [2 * 198 - 1]
    components = sample.entry(take)["video_components"]
    assert [part["component_idx"] for part in components] == [0, 1]
    assert components[1]["video_metadata"]["video_start_sec"] == 0.4
    assert components[0]["video_metadata"]["video_start_sec"] is None


def test_the_files_carry_the_other_quirks(sample: Sample) -> None:
    carpenter = sample.rows(sample.named("Carpenter")[0])
    assert [row["canonical_timestamp_ms"] for row in carpenter].count("1000000000000.0") == 1
    assert sum(row["accl_y"] == "" for row in carpenter) == 45
    assert sum(row["accl_x"] == "" for row in carpenter) == 40
    eating = sample.rows(sample.named("Eating")[0])
    assert all(row["accl_y"] == row["accl_z"] for row in eating)
    cleaning = sample.named("Cleaning / laundry")[0]
    assert {row["component_idx"] for row in sample.rows(cleaning)} == {"0", "2"}
    assert sample.entry(cleaning)["fb_participant_id"] is None
    music = sample.named("Practicing a musical instrument")[0]
    assert not sample.entry(music)["has_imu"]
    narrations = json.loads((sample.root / "v2/annotations/narration.json").read_text())
    assert set(narrations[sample.named("Eating")[0].take_id.removeprefix("ego4d/")]) == {
        "narration_pass_2",
        "status",
    }
    assert (
        (sample.root / sample.named("Farmer")[0].files[0].uri).read_text().startswith(HEADER + "\n0,0.0,0.0,")
    )


def test_a_redacted_video_is_black_there_and_nowhere_else(sample: Sample) -> None:
    take, told = sample.named("Practicing a musical instrument")
    start, stop = (round(second * 30) for second in told["redacted_s"])
    (video,) = take.videos
    every = read_video_table(sample.root / video.uri, video.uri).pts
    frames = decode_frames(sample.root / video.uri, video.uri, every)
    brightness = np.array([frame.rgb.mean() for _, frame in frames])
    assert brightness[start:stop].max() < 5
    assert np.delete(brightness, slice(start, stop)).min() > 15
    assert video.pts.tolist() == np.delete(every, slice(start, stop)).tolist()


def test_narrations_tell_of_what_the_wearer_does(sample: Sample) -> None:
    take, told = sample.named("Walking on street")
    texts = [event.text for event in take.events if event.annotator == "narration_pass_1"]
    assert all(text.startswith("#C C ") for text in texts)
    assert {text.removeprefix("#C C ") for text in texts} >= {"walks"}
    assert told["seconds"] == 9.0


def test_the_same_spec_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_sample(tmp_path / name, SampleSpec(("ego4d",), seed=5, takes=2, minutes=0.1))
    one, two = (
        {
            path.relative_to(tmp_path / name): path.read_bytes()
            for path in (tmp_path / name).rglob("*.*")
            if path.is_file()
        }
        for name in ("one", "two")
    )
    assert one == two


def test_a_take_does_not_depend_on_how_many_there_are(sample: Sample, tmp_path: Path) -> None:
    few = write(tmp_path / "s", seed=3, takes=2, minutes=0.15)
    for take in few.takes.values():
        for file in take.files:
            assert (few.root / file.uri).read_bytes() == (sample.root / file.uri).read_bytes()


@pytest.fixture(scope="module")
def spoiled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp("faults") / "s"
    spec = SampleSpec(("ego4d",), takes=8, minutes=0.1, faults=tuple(FAULTS))
    return out / "ego4d", write_sample(out, spec)["takes"]


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_has_the_outcome_that_truth_tells(
    spoiled: tuple[Path, dict[str, Any]], fault: str
) -> None:
    root, truth = spoiled
    (take_id,) = (
        take_id for take_id, told in truth.items() if any(f["fault"] == fault for f in told["faults"])
    )
    reader = Ego4dReader()
    source = next(source for source in reader.index(root) if source.take_id == take_id)
    expected = FAULT_TRUTH[fault]
    if expected["outcome"] == "unreadable":
        with pytest.raises(
            RawFileError, match=rf'\$\.videos\[\d\]\.{expected["json_path"]}: expected a number, got "abc"'
        ):
            reader.read(root, source)
        return
    take = reader.read(root, source)
    (finding,) = (finding for finding in take.findings if finding.rule == expected["rule"])
    assert finding.target.partition("#")[2] in {"ego", "head"}
    told = truth[take_id]["streams"]
    assert {stream.name for stream in take.streams} == set(told) - {"ego"}
    assert [video.name for video in take.videos] == (["ego"] if "ego" in told else [])


@pytest.mark.slow
def test_the_default_sample_is_small(tmp_path: Path) -> None:
    truth = write_sample(tmp_path / "s", SampleSpec(("ego4d",)))
    assert sum(truth["files"].values()) < 7e6
    labels = {label["text"] for told in truth["takes"].values() for label in told.get("labels", [])}
    assert len(labels) == 8
