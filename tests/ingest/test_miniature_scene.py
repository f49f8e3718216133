"""Generated pictures move as told: measured from the pictures, also after encoding and decoding them."""

from __future__ import annotations

import hashlib
from itertools import pairwise

import numpy as np
import pytest

from sensorloom.ingest.miniature.scene import Camera, redact, render_person, render_view
from sensorloom.ingest.miniature.video import write_video
from sensorloom.ingest.video import decode_frames, read_video_table

CAMERA = Camera(224, 224, 150.0)
STILL = np.zeros(1)


def grey(picture):
    return picture.mean(axis=2)


def view(yaw=0.0, pitch=0.0, roll=0.0, camera=CAMERA, seed="test"):
    angles = [np.array([angle], np.float64) for angle in (yaw, pitch, roll)]
    return next(render_view(camera, *angles, seed))


def shift_px(before, after):
    """How far the content moved to the right and down between two pictures, by phase correlation."""
    window = np.outer(np.hanning(before.shape[0]), np.hanning(before.shape[1]))
    spectra = [np.fft.rfft2((picture - picture.mean()) * window) for picture in (before, after)]
    cross = np.conj(spectra[0]) * spectra[1]
    # Only what the world has: nothing in it is finer than 8 px.
    frequency = np.hypot(np.fft.fftfreq(before.shape[0])[:, None], np.fft.rfftfreq(before.shape[1])[None])
    peak = np.fft.irfft2(cross / (np.abs(cross) + 1e-9) * np.exp(-200 * frequency**2), before.shape)
    row, column = np.unravel_index(peak.argmax(), peak.shape)
    return vertex(peak[row], column), vertex(peak[:, column], row)


def vertex(values, at):
    left, middle, right = values[[at - 1, at, (at + 1) % len(values)]]
    place = at + (left - right) / (left - 2 * middle + right) / 2
    return place - len(values) if place > len(values) / 2 else place


@pytest.fixture(scope="module")
def turning(tmp_path_factory):
    """A head that turns about all three axes for 4 s: the angles, and what its encoded video shows."""
    time_s = np.arange(120) / 30
    rng = np.random.default_rng(5)

    def angle(size_rad):
        waves = zip(rng.uniform(0.3, 2.5, 5), rng.uniform(0, 2 * np.pi, 5), strict=True)
        return size_rad * sum(np.sin(2 * np.pi * rate * time_s + phase) for rate, phase in waves)

    yaw, pitch, roll = angle(0.08), angle(0.05), angle(0.02)
    path = tmp_path_factory.mktemp("turning") / "aria01.mp4"
    with path.open("wb") as file:
        write_video(file, render_view(CAMERA, yaw, pitch, roll, "take"), (time_s * 1e9).astype(np.int64))
    pts = read_video_table(path, "aria01").pts
    pictures = [grey(frame.rgb) for _, frame in decode_frames(path, "aria01", pts)]
    moved = np.array([shift_px(*pair) for pair in pairwise(pictures)])
    return {"yaw": (np.diff(yaw), -moved[:, 0]), "pitch": (np.diff(pitch), moved[:, 1])}


@pytest.mark.parametrize("axis", ["yaw", "pitch"])
def test_motion_measured_from_decoded_frames_is_the_heads(turning, axis):
    turned, moved = turning[axis]
    by_lag = {lag: np.corrcoef(turned[2:-2], np.roll(moved, -lag)[2:-2])[0, 1] for lag in (-2, -1, 0, 1, 2)}
    assert by_lag[0] > 0.95
    assert max(by_lag, key=by_lag.get) == 0
    assert np.polyfit(turned, moved, 1)[0] == pytest.approx(CAMERA.focal_px, rel=0.08)


@pytest.mark.parametrize(
    ("turn", "moved"),
    [({"yaw": 0.04}, (-6, 0)), ({"pitch": 0.04}, (0, 6)), ({"yaw": -0.02, "pitch": 0.01}, (3, 1.5))],
)
def test_yaw_right_moves_the_picture_left_and_pitch_up_moves_it_down(turn, moved):
    assert shift_px(grey(view()), grey(view(**turn))) == pytest.approx(moved, abs=0.25)


@pytest.mark.parametrize("step_px", [0.125, 0.25, 0.5])
def test_parts_of_a_pixel_count(step_px):
    before, after = (
        grey(view()),
        grey(view(yaw=-step_px / CAMERA.focal_px, pitch=step_px / 2 / CAMERA.focal_px)),
    )
    down, right = np.gradient((before + after) / 2)
    moved = np.linalg.lstsq(np.stack([right.ravel(), down.ravel()], 1), (before - after).ravel(), rcond=None)[
        0
    ]
    assert moved == pytest.approx((step_px, step_px / 2), abs=0.02 + 1 / 16)


def test_a_camera_tilted_clockwise_turns_the_picture_against_the_clock():
    camera = Camera(225, 225, 150.0)  # odd, so that a quarter turn takes pixel to pixel
    upright, tilted = view(camera=camera), view(roll=np.pi / 2, camera=camera)
    difference = np.abs(np.rot90(upright, 1).astype(int) - tilted)
    # The centre lies between pixels of a grid eight times finer.
    assert difference.mean() < 1.5
    assert np.abs(np.rot90(upright, -1).astype(int) - tilted).mean() > 10


def test_the_world_wraps_around_without_a_seam():
    around = 512 / CAMERA.focal_px
    assert np.abs(view().astype(int) - view(yaw=around, pitch=-3 * around)).max() <= 2
    yaw = np.linspace(0, around, 9)
    for picture in render_view(CAMERA, yaw, 2 * yaw, 0 * yaw, "test"):
        assert max(np.abs(np.diff(grey(picture), axis=axis)).max() for axis in (0, 1)) < 12


def test_pictures_have_the_cameras_size_and_enough_contrast():
    picture = view(camera=Camera(160, 90, 100.0))
    assert picture.shape == (90, 160, 3)
    assert picture.dtype == np.uint8
    assert picture.flags.c_contiguous
    assert grey(view()).std() > 15


def test_pictures_depend_on_the_seed_and_on_nothing_else():
    assert not np.array_equal(view(seed="a"), view(seed="b"))
    pictures = list(render_view(CAMERA, *np.array([[0.0, 0.1], [0.0, 0.2], [0.0, 0.3]]), "a"))
    np.testing.assert_array_equal(pictures[0], view(seed="a"))
    np.testing.assert_array_equal(pictures[1], view(0.1, 0.2, 0.3, seed="a"))


def test_bytes_are_the_same_on_every_machine():
    """The world is made of whole numbers; a change here changes every generated video."""
    assert hashlib.sha256(view(seed="golden").tobytes()).hexdigest()[:16] == "7f543637b05ad155"


def test_angles_of_one_length_are_needed():
    with pytest.raises(ValueError, match="zip"):
        list(render_view(CAMERA, np.zeros(2), np.zeros(2), np.zeros(3), "a"))


def test_what_changes_about_a_person_follows_the_steps_of_the_hands(tmp_path):
    """Also in the encoded video, which is all that the pipeline sees."""
    time_s = np.arange(150) / 30
    steps_px = 4 * np.abs(np.sin(2 * np.pi * 0.4 * time_s)) * (time_s > 0.5)
    path = tmp_path / "cam01.mp4"
    with path.open("wb") as file:
        write_video(file, render_person(320, 240, steps_px, "take"), (time_s * 1e9).astype(np.int64))
    pts = read_video_table(path, "cam01").pts
    pictures = [grey(frame.rgb) for _, frame in decode_frames(path, "cam01", pts)]
    # Root mean square: a keyframe redraws the whole background a little, which a mean would hear louder than a hand.
    energy = np.array([np.sqrt(np.mean((after - before) ** 2)) for before, after in pairwise(pictures)])
    by_lag = {
        lag: np.corrcoef(steps_px[1:][3:-3], np.roll(energy, -lag)[3:-3])[0, 1] for lag in (-2, -1, 0, 1, 2)
    }
    assert by_lag[0] > 0.95
    assert max(by_lag, key=by_lag.get) == 0


def test_a_person_at_rest_is_a_still_picture():
    first, second = render_person(160, 120, np.zeros(2), "a")
    np.testing.assert_array_equal(first, second)
    moved = list(render_person(160, 120, np.full(2, 3.0), "a"))[1]
    changed = np.argwhere((first != moved).any(axis=2))
    assert 0 < len(changed) < 1500
    assert first.max() > 230
    assert first.shape == (120, 160, 3)


@pytest.mark.parametrize(("width_px", "height_px"), [(96, 160), (160, 96), (64, 64)])
def test_the_hands_go_round_once_and_stay_in_the_picture(width_px, height_px):
    circle_px = 2 * np.pi * 0.12 * min(width_px, height_px)
    pictures = np.array(list(render_person(width_px, height_px, np.full(16, circle_px / 16), "a")), np.int64)
    np.testing.assert_array_equal(pictures[-1], next(render_person(width_px, height_px, np.zeros(1), "a")))
    changes = np.ptp(pictures, axis=0).max(axis=2) > 30
    assert changes.any()
    border = [changes[0], changes[-1], changes[:, 0], changes[:, -1]]
    assert not any(edge.any() for edge in border)


def test_redacted_frames_are_black_and_keep_their_place():
    pictures = list(render_person(64, 48, np.ones(4), "a"))
    shown = list(redact(iter(pictures), np.array([False, True, True, False])))
    np.testing.assert_array_equal(shown[0], pictures[0])
    np.testing.assert_array_equal(shown[3], pictures[3])
    assert [picture.max() for picture in shown[1:3]] == [0, 0]
    assert {picture.shape for picture in shown} == {(48, 64, 3)}
