"""The canonical video of an Ego4D take: start, rate, length, damage, through the reader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sensorloom.ingest.errors import RawFileError
from sensorloom.ingest.take import Take
from tests.ingest.ego4d_raw import entry, found, imu_rows, mp4, read_one, rules, write, write_tree
from tests.ingest.test_video import remuxed


def read(tmp_path: Path, video: bytes, **changes: Any) -> Take:
    return read_one(write_tree(tmp_path, entry(**changes), imu_rows(), video))


def test_frame_i_is_shown_at_i_thirtieths_of_a_second(tmp_path: Path) -> None:
    take = read(tmp_path, mp4())
    (video,), (anchors,) = take.videos, take.anchors
    assert (video.name, video.view, video.rendition) == ("ego", "ego", "540ss")
    assert (video.width_px, video.height_px, video.is_stereo) == (32, 32, False)
    assert (anchors.source, anchors.target) == (video.clock, "canonical")
    np.testing.assert_array_equal(anchors.source_ns, video.times_ns)
    assert anchors.target_ns.tolist() == [round(frame * 1e9 / 30) for frame in range(120)]
    assert "30 frames/s" in anchors.rule
    assert rules(take) == {"narration-missing"}


def test_a_start_other_than_zero_is_told_and_frame_0_is_time_0(tmp_path: Path) -> None:
    take = read(tmp_path, mp4(start_s=0.5))
    (anchors,) = take.anchors
    assert anchors.source_ns[0] == 500_000_000
    assert anchors.target_ns[0] == 0
    assert found(take, "video-start").numbers["start_ms"] == 500
    assert "video-rate" not in rules(take)


def test_stamps_that_contradict_30_frames_a_second_are_believed(tmp_path: Path) -> None:
    take = read(tmp_path, mp4(fps=29.0), video_metadata=None)
    (anchors,) = take.anchors
    assert (anchors.source_ns.tolist(), anchors.target_ns.tolist()) == ([0], [0])
    told = found(take, "video-rate")
    assert told.numbers["first_frame"] == 15  # 15 / 29 - 15 / 30 s is the first beyond half a frame
    assert told.numbers["largest_off_ms"] == pytest.approx(1e3 * (115 / 29 - 115 / 30), abs=0.1)


@pytest.mark.parametrize("fps", [30.0, 30000 / 1001])
def test_a_drift_of_less_than_half_a_frame_is_no_contradiction(tmp_path: Path, fps: float) -> None:
    assert "video-rate" not in rules(read(tmp_path, mp4(fps=fps)))


def test_frames_that_the_metadata_does_not_count_are_told(tmp_path: Path) -> None:
    take = read(tmp_path, mp4(3.0), video_metadata={"num_frames": 120})
    told = found(take, "video-length")
    assert told.numbers == {
        "frames": 90,
        "duration_s": 3.0,
        "claimed_duration_s": 4.0,
        "claimed_frames": 120,
    }
    assert told.sentence == "the file has 90 frames (3 s), the metadata says 120 frames and 4 s"


def test_a_duration_alone_is_compared_too(tmp_path: Path) -> None:
    take = read(tmp_path, mp4(3.0), video_metadata={"num_frames": None})
    assert found(take, "video-length").sentence == "the file has 90 frames (3 s), the metadata says 4 s"


def test_a_video_cut_in_the_middle_is_read_up_to_the_cut(tmp_path: Path) -> None:
    whole = mp4(index_first=True)
    take = read(tmp_path, whole[: len(whole) // 2])
    told = found(take, "video-cut")
    (video,) = take.videos
    assert 0 < len(video.pts) < 120
    assert told.numbers["lost_frames"] == 120 - len(video.pts)
    assert "video-length" not in rules(take)
    assert len(take.streams) == 2


@pytest.mark.parametrize("lost_bytes", range(2000, 8000, 500))
def test_frames_behind_a_hole_of_a_cut_video_are_numbered_by_their_stamps(
    tmp_path: Path, lost_bytes: int
) -> None:
    take = read(tmp_path, mp4(index_first=True)[:-lost_bytes])
    (video,), (anchors,) = take.videos, take.anchors
    assert found(take, "video-cut").numbers["lost_frames"] > 0
    assert anchors.target_ns.tolist() == [round(round(time * 30e-9) * 1e9 / 30) for time in video.times_ns]
    assert "video-rate" not in rules(take)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (mp4()[:2000], "has no index of its frames"),
        (mp4(0.0), "no frames"),
        (b"text", "v2/video_540ss/a.mp4"),
    ],
)
def test_a_video_that_cannot_be_read_leaves_the_imu(tmp_path: Path, data: bytes, message: str) -> None:
    take = read(tmp_path, data)
    told = found(take, "unreadable-file")
    assert (told.target, told.severity) == ("ego4d/a#ego", "error")
    assert message in told.sentence
    assert take.videos == ()
    assert take.anchors == ()
    assert len(take.streams) == 2


def test_without_a_sound_file_nothing_is_read(tmp_path: Path) -> None:
    with pytest.raises(RawFileError, match=r"ego4d/a: none of its files can be read; v2/video_540ss/a\.mp4"):
        read_one(write_tree(tmp_path, entry(), None, b"text"))


def test_frames_before_the_first_that_decodes_keep_their_numbers(tmp_path: Path) -> None:
    write(tmp_path / "whole.mp4", mp4(keyframe_every=24))
    headless = remuxed(tmp_path / "whole.mp4", tmp_path / "headless.mp4", lambda index, _: index > 0)
    take = read(tmp_path / "raw", headless.read_bytes())
    lost = int(found(take, "undecodable-frames").numbers["frames"])
    (anchors,) = take.anchors
    assert lost > 0
    assert anchors.target_ns[0] == round(lost * 1e9 / 30)
    assert "video-rate" not in rules(take)


def _shown_as_the_one_before(index: int, packet: Any) -> None:
    if index == 7:
        packet.pts -= round(1 / 30 / packet.time_base)


def test_frames_behind_one_that_was_left_out_as_repeated_are_numbered_by_their_stamps(tmp_path: Path) -> None:
    write(tmp_path / "whole.mp4", mp4())
    doubled = remuxed(tmp_path / "whole.mp4", tmp_path / "doubled.mp4", _shown_as_the_one_before)
    take = read(tmp_path / "raw", doubled.read_bytes())
    assert found(take, "repeated-frames").numbers["frames"] == 1
    (video,), (anchors,) = take.videos, take.anchors
    assert anchors.target_ns.tolist() == [round(round(time * 30e-9) * 1e9 / 30) for time in video.times_ns]
    assert "video-rate" not in rules(take)


def test_stereo_is_kept(tmp_path: Path) -> None:
    take = read(tmp_path, mp4(), is_stereo=True)
    assert take.videos[0].is_stereo
    assert take.facts["is_stereo"] == "true"


def redacted(*spans_s: tuple[float, float]) -> dict[str, Any]:
    spans = [{"start_sec": start_s, "end_sec": stop_s} for start_s, stop_s in spans_s]
    return {"has_redacted_regions": True, "redacted_intervals": spans}


@pytest.mark.parametrize("start_s", [0.0, 0.5])
def test_redacted_frames_are_blank_and_so_no_pictures(tmp_path: Path, start_s: float) -> None:
    take = read(tmp_path, mp4(start_s=start_s), **redacted((1.0, 1.5), (3.0334, 3.25), (-1.0, 0.0667)))
    told = found(take, "redacted")
    assert (told.target, told.severity) == ("ego4d/a", "note")
    assert dict(told.numbers) == {"count": 3, "total_s": pytest.approx(0.7833), "frames": 15 + 7 + 2}
    assert told.sentence.endswith("0.7833 s in all redacted; the video is blank there, 24 frames left out")
    assert take.facts["redacted_s"] == "1 to 1.5, 3.0334 to 3.25, 0 to 0.0667"
    (video,), (anchors,) = take.videos, take.anchors
    seen = [*range(2, 30), *range(45, 91), *range(98, 120)]
    shown_ns = [round(frame * 1e9 / 30) + round(start_s * 1e9) for frame in seen]
    assert np.abs(video.times_ns - shown_ns).max() < 1e6  # ticks of the file
    whole = dict(zip(anchors.source_ns.tolist(), anchors.target_ns.tolist(), strict=True))
    assert len(whole) == 120
    assert [whole[time_ns] for time_ns in video.times_ns.tolist()] == [round(i * 1e9 / 30) for i in seen]
    assert len(video.pts) == len(video.times_ns)
    assert "video-length" not in rules(take)


def test_redacted_frames_of_a_video_of_another_rate_are_told_by_their_stamps(tmp_path: Path) -> None:
    take = read(tmp_path, mp4(fps=20.0), **redacted((1.0, 1.5)))
    assert found(take, "redacted").numbers["frames"] == 10
    assert np.round(take.videos[0].times_ns[[19, 20]] / 1e9, 3).tolist() == [0.95, 1.5]


def test_a_video_that_is_redacted_all_over_is_none(tmp_path: Path) -> None:
    take = read(tmp_path / "1", mp4(), **redacted((0.0, 4.0)))
    assert (take.videos, take.anchors) == ((), ())
    (error,) = (finding for finding in take.findings if finding.severity == "error")
    assert (error.target, error.rule) == ("ego4d/a#ego", "redacted")
    assert len(take.streams) == 2
    problem = (
        r"none of its files can be read; v2/video_540ss/a\.mp4: all 120 frames lie in redacted intervals"
    )
    with pytest.raises(RawFileError, match=problem):
        read_one(write_tree(tmp_path / "2", entry(**redacted((0.0, 4.0))), None, mp4(start_s=0.5)))


def test_redacted_regions_without_intervals_are_a_warning(tmp_path: Path) -> None:
    take = read(tmp_path, mp4(), **redacted())
    told = found(take, "redacted")
    assert told.severity == "warning"
    assert "the metadata does not say when" in told.sentence
    assert len(take.videos[0].pts) == 120


def test_redacted_intervals_are_told_without_a_video(tmp_path: Path) -> None:
    take = read_one(write_tree(tmp_path, entry(**redacted((1.0, 1.5))), imu_rows()))
    assert dict(found(take, "redacted").numbers) == {"count": 1, "total_s": 0.5}


def test_the_smaller_rendition_is_read_where_both_are_there(tmp_path: Path) -> None:
    root = write_tree(tmp_path, entry(), imu_rows(), mp4())
    write(root / "v2/full_scale/a.mp4", mp4(2.0))
    take = read_one(root)
    assert take.facts["rendition"] == take.videos[0].rendition == "540ss"
    assert [file.uri for file in take.files] == ["v2/imu/a.csv", "v2/video_540ss/a.mp4"]
    (root / "v2/video_540ss/a.mp4").unlink()
    take = read_one(root)
    assert take.facts["rendition"] == take.videos[0].rendition == "full"
    assert len(take.videos[0].pts) == 60
