"""What a pass over the luma pictures keeps of them, also of pictures that went through H.264."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sensorloom.embed.facts import FACTS_PER_FRAME_BYTES, LUMA_SHORT_SIDE_PX, FactsCollector, FrameFacts
from sensorloom.ingest.miniature.movements import MOVEMENTS
from sensorloom.ingest.miniature.seeding import generator
from sensorloom.ingest.miniature.video import Encoding, write_video
from sensorloom.ingest.miniature.wearer import head, plan_wearer
from sensorloom.ingest.video import decode_frames, read_video_table
from tests.embed.moving_pictures import look

FOCAL_PX = 125.0
SIZE_PX = (120, 160)
SECONDS = 10.0
NAMES = {"motion", "motion_valid", "agreement", "residual", "brightness", "contrast"}
NAMES |= {"is_black", "is_frozen", "is_decoded"}


def facts_of(pictures, rows=None, num_rows=None, times_s=None) -> FrameFacts:
    """Return the facts of pictures at 10 a second, or at `times_s`."""
    collector = FactsCollector()
    rows = list(range(len(pictures))) if rows is None else rows
    times_s = np.array(rows) / 10 if times_s is None else times_s
    for row, picture, time_s in zip(rows, pictures, times_s, strict=True):
        collector.push(row, picture, time_s)
    return collector.finish(num_rows or rows[-1] + 1)


def through_h264(folder: Path, pictures, *, every=3, crf=32) -> list[np.ndarray]:
    """Write grey pictures at 30 frames/s, and decode every third as the pipeline does, to luma alone."""
    path = folder / "film.mp4"
    times_ns = np.rint(np.arange(len(pictures)) * 1e9 / 30).astype(np.int64)
    with path.open("wb") as file:
        rgb = (np.repeat(picture[:, :, None], 3, axis=2) for picture in pictures)
        write_video(file, rgb, times_ns, Encoding(crf=crf))
    pts = read_video_table(path, "film").pts[::every]
    frames = decode_frames(path, "film", pts, short_side_px=0, luma_short_side_px=LUMA_SHORT_SIDE_PX)
    return [frame.luma for _, frame in frames if frame.luma is not None]


def seen_by(yaw, pitch, roll) -> list[np.ndarray]:
    """Return what a head camera sees: a turn to the right moves the picture left, along the tilted horizon."""
    east, south = FOCAL_PX * yaw, -FOCAL_PX * pitch
    right = -(np.cos(roll) * east + np.sin(roll) * south)
    down = -(np.cos(roll) * south - np.sin(roll) * east)
    return [look(*one, seed=3, size_px=SIZE_PX) for one in zip(right, down, roll, strict=True)]


def swaying(rate_rad_s: float, num: int) -> list[np.ndarray]:
    """Return what a head that stands sees, with a sway of this size (root mean square)."""
    rng, time_s = np.random.default_rng(8), np.arange(num) / 30

    def angle(size: float) -> np.ndarray:
        waves = zip(rng.uniform(0.2, 0.8, 5), rng.uniform(0, 2 * np.pi, 5), strict=True)
        return sum(
            size * np.sqrt(2 / 5) / (2 * np.pi * f) * np.sin(2 * np.pi * f * time_s + p) for f, p in waves
        )

    return seen_by(angle(rate_rad_s), angle(0.6 * rate_rad_s), angle(0.35 * rate_rad_s))


@pytest.fixture(scope="module")
def filmed(tmp_path_factory):
    """Film 10 s of a generated wearer at crf 32: the facts at 10 a second, and the wearer."""
    wearer = plan_wearer(generator("facts", 1), SECONDS, list(MOVEMENTS.values()))
    yaw, pitch, roll = head(wearer, np.arange(0, SECONDS, 1 / 30)).yaw_pitch_roll_rad.T
    # The head's axes are forward, left, up; the camera's right, down, forward.
    lumas = through_h264(tmp_path_factory.mktemp("filmed"), seen_by(-yaw, -pitch, roll))
    return facts_of(lumas), wearer


def best_lag(facts: FrameFacts, column: int, wearer, axis: int) -> tuple[float, float]:
    """Return the best correlation of a column of motion with the head's turn in each step, and its lag in ms."""
    fine_s = np.arange(-0.5, SECONDS + 0.5, 0.005)
    turned = np.cumsum(head(wearer, fine_s).rotation_rad_s[:, axis]) * 0.005
    ends_s = np.flatnonzero(facts.motion_valid) / 10
    lags_s = np.arange(-0.3, 0.3, 0.005)
    found = []
    for lag_s in lags_s:
        steps = np.diff(
            [np.interp(ends_s + lag_s + since_s, fine_s, turned) for since_s in (-0.1, 0)], axis=0
        )
        found.append(abs(np.corrcoef(facts.motion[facts.motion_valid, column], steps[0])[0, 1]))
    best = int(np.argmax(found))
    return found[best], 1000 * lags_s[best]


@pytest.mark.parametrize(("column", "axis"), [(0, 2), (1, 1), (2, 0)], ids=["yaw", "pitch", "roll"])
def test_motion_is_the_heads_turn_and_tells_when(filmed, column, axis):
    """Head axes: x forward (roll), y left (pitch), z up (yaw)."""
    facts, wearer = filmed
    assert facts.motion_valid.mean() > 0.95
    best, lag_ms = best_lag(facts, column, wearer, axis)
    assert best > 0.9
    assert abs(lag_ms) < 33


def test_what_is_said_of_a_head_that_moves(filmed):
    facts, _ = filmed
    assert facts.is_decoded.all()
    assert not facts.is_frozen.any()
    assert not facts.is_black.any()
    assert np.median(facts.agreement[1:]) > 0.9
    assert np.ptp(facts.brightness) > 0


def test_the_first_frame_has_not_moved():
    facts = facts_of([look(), look(4.0)])
    assert facts.motion_valid.tolist() == [False, True]
    assert facts.motion[0].tolist() == [0, 0, 0]
    np.testing.assert_allclose(facts.motion[1], [4 / 96, 0, 0], atol=5e-4)
    assert facts.agreement[0] == facts.residual[0] == 0


def test_the_frame_after_a_gap_has_no_motion_and_the_gap_has_no_facts():
    pictures = [look(4.0 * row) for row in (0, 1, 3, 4)]
    facts = facts_of(pictures, rows=[0, 1, 3, 4], num_rows=6)
    assert facts.motion_valid.tolist() == [False, True, False, False, True, False]
    assert facts.is_decoded.tolist() == [True, True, False, True, True, False]
    assert facts.motion[~facts.motion_valid].any() == False  # noqa: E712
    assert facts.brightness[[2, 5]].tolist() == facts.contrast[[2, 5]].tolist() == [0, 0]
    assert (facts.brightness[[0, 1, 3, 4]] > 20).all()


def test_a_picture_of_another_shape_begins_anew():
    pictures = [look(4.0 * row) for row in range(2)] + [
        look(4.0 * row, size_px=(170, 96)) for row in range(2)
    ]
    facts = facts_of(pictures)
    assert facts.motion_valid.tolist() == [False, True, False, True]
    assert facts.agreement[2] == facts.residual[2] == 0
    assert facts.is_decoded.all()
    assert not facts_of([look()] * 7 + [look(size_px=(170, 96))] * 7).is_frozen.any()


def test_frames_more_than_150_ms_apart_do_not_follow_one_another():
    facts = facts_of([look(4.0 * row) for row in range(5)], times_s=[0, 0.1, 0.25, 0.41, 0.5])
    assert facts.motion_valid.tolist() == [False, True, True, False, True]
    assert not facts_of([look()] * 30, times_s=np.arange(30) * 0.2).is_frozen.any()


def test_brightness_and_contrast_are_mean_and_standard_deviation():
    picture = look()
    facts = facts_of([picture])
    assert facts.brightness[0] == pytest.approx(picture.mean(), rel=1e-6)
    assert facts.contrast[0] == pytest.approx(picture.std(), rel=1e-6)


def test_redacted_pictures_are_black_and_neither_frozen_nor_in_motion(tmp_path):
    pictures = swaying(0.5, 90)
    pictures[30:72] = [np.zeros_like(pictures[0])] * 42
    facts = facts_of(through_h264(tmp_path, pictures))
    assert np.flatnonzero(facts.is_black).tolist() == list(range(10, 24))
    assert not facts.is_frozen.any()
    assert not facts.motion_valid[10:25].any()
    assert facts.motion_valid[[1, 9, 25, 29]].all()


def test_a_dark_room_is_not_black():
    dark = (look().astype(np.uint16) // 24).astype(np.uint8)
    assert facts_of([dark, np.full_like(dark, 12)]).is_black.tolist() == [False, False]


@pytest.mark.parametrize("crf", [23, 32])
def test_a_camera_that_shows_one_picture_for_seconds_is_frozen(tmp_path, crf):
    pictures = swaying(0.6, 180)
    pictures[60:150] = [pictures[59]] * 90
    facts = facts_of(through_h264(tmp_path, pictures, crf=crf))
    frozen = np.flatnonzero(facts.is_frozen)
    assert set(range(22, 49)) <= set(frozen.tolist()) <= set(range(20, 50))


def live(picture, sigma, num) -> list[np.ndarray]:
    """Return a scene that stands, with the noise of a sensor."""
    noise = np.random.default_rng(2).normal(0, sigma, (num, *picture.shape))
    return list(np.clip(np.rint(picture + noise), 0, 255).astype(np.uint8))


@pytest.mark.parametrize("sigma", [0.3, 1.0, 3.0])
def test_a_camera_that_stands_and_whose_sensor_lives_is_not_frozen(sigma):
    facts = facts_of(live(look(), sigma, 40))
    assert facts.motion_valid[1:].all()
    assert not facts.is_frozen.any()


def test_noise_that_passes_the_codec_is_told_from_a_freeze(tmp_path):
    scene = look(seed=3, size_px=SIZE_PX)
    noisy = live(scene, 1.0, 120)
    assert not facts_of(through_h264(tmp_path, noisy, crf=18)).is_frozen.any()
    assert facts_of(through_h264(tmp_path, noisy[:1] * 120, crf=18)).is_frozen[1:].all()


def test_noise_in_the_dark_is_not_frozen():
    facts = facts_of(live(np.full((96, 170), 6.0), 1.5, 40))
    assert not facts.motion_valid.any()
    assert not facts.is_frozen.any()
    assert not facts.is_black.any()


def test_where_no_motion_can_be_told_a_flat_picture_alone_is_frozen():
    stripes = np.broadcast_to(look()[:, :1], (96, 170)).copy()
    assert not facts_of([stripes] * 20).is_frozen.any()
    assert facts_of([np.full((96, 170), 90, np.uint8)] * 20).is_frozen[1:].all()


@pytest.mark.parametrize("crf", [23, 32])
def test_a_scene_of_someone_who_stands_still_is_not_frozen(tmp_path, crf):
    """The generated wearer's sway while standing is 1.5 degrees a second."""
    assert not facts_of(through_h264(tmp_path, swaying(np.deg2rad(1.5), 180), crf=crf)).is_frozen.any()


def test_a_hand_that_moves_before_a_camera_that_stands_is_no_freeze():
    pictures = [look() for _ in range(30)]
    for row, picture in enumerate(pictures):
        picture[40:46, 20 + 2 * row : 26 + 2 * row] = 200
    assert not facts_of(pictures).is_frozen.any()


def test_a_second_of_the_same_is_frozen_and_less_is_not():
    def frozen_after(same: int) -> list[int]:
        pictures = [look(5.0), *[look()] * (same + 1), look(9.0)]
        return np.flatnonzero(facts_of(pictures).is_frozen).tolist()

    assert frozen_after(9) == []
    assert frozen_after(10) == list(range(2, 12))


def test_a_second_is_told_by_the_stamps():
    """Frames of a film of 7.5 a second: eight steps are a second, and seven are not."""
    times_s = np.arange(12) / 7.5

    def frozen_after(same: int) -> int:
        pictures = [look(3.0 * row) for row in range(11 - same)] + [look(50.0)] * (same + 1)
        return int(facts_of(pictures, times_s=times_s).is_frozen.sum())

    assert frozen_after(7) == 0
    assert frozen_after(8) == 8


def test_a_freeze_does_not_reach_over_a_gap():
    rows = [*range(8), *range(9, 17)]
    assert not facts_of([look()] * 16, rows=rows).is_frozen.any()


def test_no_frames_have_no_facts_and_names_are_the_stores():
    facts = FactsCollector().finish(0)
    assert set(facts.named) == NAMES
    assert facts.motion.shape == (0, 3)
    assert not FactsCollector().finish(3).is_decoded.any()
    assert sum(array.nbytes for array in FrameFacts.empty(10).named.values()) == 10 * FACTS_PER_FRAME_BYTES


def test_frames_come_in_order_and_no_more_than_there_are():
    collector = FactsCollector()
    collector.push(3, look(), 0.3)
    with pytest.raises(
        ValueError, match=r"the picture of frame 3 \(0\.400 s\) comes after that of frame 3 \(0\.3"
    ):
        collector.push(3, look(), 0.4)
    with pytest.raises(ValueError, match=r"the picture of frame 4 \(0\.300 s\) comes after"):
        collector.push(4, look(), 0.3)
    with pytest.raises(ValueError, match="frame 3 was pushed, and there are 3"):
        collector.finish(3)
