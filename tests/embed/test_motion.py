"""Global motion of pictures that moved as told."""

from __future__ import annotations

import numpy as np
import pytest

from sensorloom.embed.motion import Motion, motion_between
from tests.embed.moving_pictures import SIZE_PX, look

SHORT_PX = min(SIZE_PX)
SHIFTS_PX = [(0.3, 0.0), (-0.5, 0.25), (3.7, -2.2), (-11.4, 6.1), (20.3, 9.0), (-32.0, -3.0), (31.5, 14.0)]


def errors(found: Motion, right_px=0.0, down_px=0.0, turn_rad=0.0) -> tuple[float, float]:
    """Return how far the motion is off, in pixels and in rad."""
    off_px = np.hypot(found.right * SHORT_PX - right_px, found.down * SHORT_PX - down_px)
    return float(off_px), abs(found.turn_rad - turn_rad)


@pytest.mark.parametrize("shift_px", SHIFTS_PX)
def test_a_shift_is_found_to_a_fraction_of_a_pixel(shift_px):
    found = motion_between(look(), look(*shift_px))
    off_px, off_rad = errors(found, *shift_px)
    assert found.is_sound
    assert off_px < 0.05
    assert off_rad < 0.001
    assert found.agreement > 0.95


@pytest.mark.parametrize("turn_rad", [-0.15, -0.06, 0.004, 0.03, 0.12])
@pytest.mark.parametrize("shift_px", [(0.0, 0.0), (8.0, -5.0)])
def test_a_turn_is_found_beside_the_shift(turn_rad, shift_px):
    off_px, off_rad = errors(motion_between(look(), look(*shift_px, turn_rad)), *shift_px, turn_rad)
    assert off_px < 0.05
    assert off_rad < 0.001


def test_signs_are_those_of_the_content():
    """Pixels of a picture that is moved by whole ones, without any rendering: right, down, against the clock."""
    wide = look(size_px=(192, 192))
    assert motion_between(wide[40:136, 40:136], wide[40:136, 36:132]).right == pytest.approx(4 / 96, abs=5e-4)
    assert motion_between(wide[40:136, 40:136], wide[37:133, 40:136]).down == pytest.approx(3 / 96, abs=5e-4)
    assert (
        np.argmax(np.rot90(np.arange(9).reshape(3, 3) == 5)) == 1
    )  # what was right of the middle is above it
    turns = [motion_between(wide, look(turn_rad=turn, size_px=(192, 192))).turn_rad for turn in (0.05, 0.1)]
    assert turns == pytest.approx([0.05, 0.1], abs=1e-3)
    quarter = motion_between(np.rot90(look(turn_rad=-np.pi / 2 + 0.05, size_px=(192, 192))), wide)
    assert quarter.turn_rad == pytest.approx(-0.05, abs=1e-3)


@pytest.mark.parametrize("size_px", [(96, 96), (96, 128), (128, 96), (97, 171), (32, 33)])
def test_any_shape_of_picture_does(size_px):
    found = motion_between(look(size_px=size_px), look(2.5, -1.5, 0.02, size_px=size_px))
    assert np.hypot(found.right * min(size_px) - 2.5, found.down * min(size_px) + 1.5) < 0.15
    assert found.turn_rad == pytest.approx(0.02, abs=0.003)


def test_backwards_is_the_opposite():
    here, there = look(), look(9.3, -4.2)
    forth, back = motion_between(here, there), motion_between(there, here)
    assert back.right == pytest.approx(-forth.right, abs=5e-4)
    assert back.down == pytest.approx(-forth.down, abs=5e-4)
    assert back.turn_rad == pytest.approx(-forth.turn_rad, abs=5e-4)


def test_median_error_over_many_motions_with_noise():
    """A noise of 3 grey levels is more than H.264 at crf 32 leaves after the picture is made small."""
    rng = np.random.default_rng(4)
    off = []
    for seed in range(24):
        motion = (*rng.normal(0, [8, 5]), rng.normal(0, 0.03))
        found = motion_between(look(seed=seed % 4, noise=3.0), look(*motion, seed=seed % 4, noise=3.0))
        assert found.is_sound
        off.append(errors(found, *motion))
    off_px, off_rad = np.median(off, axis=0)
    assert off_px < 0.1
    assert off_rad < 0.002


@pytest.mark.parametrize("seed", range(6))
def test_something_else_that_moves_before_the_camera_is_let_go(seed):
    """A sixth of the picture is an object that moves against the rest."""
    shift_px = (6.3, -3.4)
    before, after = look(seed=seed), look(*shift_px, seed=seed)
    held = look(seed=77)[:50, :50]
    before[30:80, 60:110] = held
    after[38:88, 50:100] = held
    found = motion_between(before, after)
    off_px, off_rad = errors(found, *shift_px)
    assert off_px < 0.1
    assert off_rad < 0.002
    assert 0.5 < found.agreement < 0.9
    assert found.residual > 5


def test_light_is_no_motion():
    before = look()
    after = np.clip(look(5.2, 1.1).astype(float) * 0.7 + 40, 0, 255).astype(np.uint8)
    found = motion_between(before, after)
    assert errors(found, 5.2, 1.1)[0] < 0.1
    assert found.residual < 2


def test_walking_forward_is_no_motion_of_the_head():
    """A zoom of 4 % leaves shift and turn alone."""
    from scipy import ndimage

    big = look(size_px=(192, 340)).astype(float)
    zoomed = ndimage.affine_transform(
        big, np.eye(2) / 1.04, offset=np.array([95.5, 169.5]) * (1 - 1 / 1.04), order=3
    )
    before, after = (np.clip(one, 0, 255).astype(np.uint8)[48:144, 85:255] for one in (big, zoomed))
    found = motion_between(before, after)
    off_px, off_rad = errors(found)
    assert found.is_sound
    assert off_px < 0.05
    assert off_rad < 0.001


def test_the_same_picture_has_not_moved():
    found = motion_between(look(), look())
    assert (found.right, found.down, found.turn_rad, found.residual) == (0, 0, 0, 0)
    assert found.agreement == 1
    assert found.is_sound


@pytest.mark.parametrize("level", [0, 128, 255])
def test_nothing_is_told_of_a_flat_picture(level):
    flat = np.full(SIZE_PX, level, np.uint8)
    noisy = np.clip(flat + np.random.default_rng(0).normal(0, 0.5, SIZE_PX), 0, 255).astype(np.uint8)
    for pair in ((flat, flat), (flat, look()), (look(), flat), (noisy, flat)):
        found = motion_between(*pair)
        assert not found.is_sound
        assert (found.right, found.down, found.turn_rad) == (0, 0, 0)


def test_nothing_is_told_of_stripes_that_could_slide_along_themselves():
    stripes = np.broadcast_to(look()[:, :1], SIZE_PX).copy()
    assert not motion_between(stripes, np.roll(stripes, 2, axis=0)).is_sound


@pytest.mark.parametrize("seed", range(6))
def test_a_cut_is_no_motion(seed):
    found = motion_between(look(seed=seed), look(seed=seed + 10))
    assert not found.is_sound
    assert found.agreement < 0.4
    assert found.residual > 10


def test_what_moves_before_a_camera_that_stands_is_what_is_left():
    """The residual grows with what moves, and the picture as a whole stays."""
    disc = np.hypot(*np.ogrid[-15:16, -15:16]) < 14
    left = []
    for step_px in (0, 2, 6, 12):
        pictures = [look(), look()]
        for picture, at in zip(pictures, (40, 40 + step_px), strict=True):
            picture[30:61, at : at + 31][disc] = 250
        found = motion_between(*pictures)
        assert errors(found)[0] < 0.02
        left.append(found.residual)
    assert left == sorted(left)
    assert left[0] == 0
    assert left[-1] > 2


def test_a_picture_too_small_or_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r"luma picture has shape \(31, 64\); at least 32 px a side"):
        motion_between(np.zeros((31, 64), np.uint8), np.zeros((31, 64), np.uint8))
    with pytest.raises(
        ValueError, match=r"pictures of \(96, 170\) and \(96, 128\) px: one camera has one size"
    ):
        motion_between(look(), look(size_px=(96, 128)))
