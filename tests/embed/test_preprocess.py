"""Pictures on their way into a tower, against open_clip's own transform; and what the fast path must share with it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import PIL
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorloom.embed.preprocess import (
    Preprocess,
    choose_backend,
    decode_px,
    resize_fingerprint,
    to_tower,
)
from sensorloom.ingest.video import as_decoded, scaler_version

PLAIN = Preprocess(32, 32, "shortest", "bicubic", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
SIZES = [
    (48, 64),
    (64, 48),
    (33, 57),
    (57, 33),
    (101, 37),
    (32, 32),
    (32, 45),
    (45, 32),
    (20, 31),
    (7, 100),
    (224, 225),
]


def noise(height, width):
    return np.random.default_rng(height * 1000 + width).integers(0, 256, (height, width, 3), np.uint8)


def open_clips(rgb, preprocess):
    """What open_clip makes of a picture, before mean and std (here 0 and 1), back in grey levels."""
    from open_clip.transform import image_transform

    transform = image_transform(
        (preprocess.height_px, preprocess.width_px),
        is_train=False,
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        resize_mode=preprocess.mode,
        interpolation=preprocess.interpolation,
        fill_color=preprocess.fill,
    )
    scaled = transform(PIL.Image.fromarray(rgb)).numpy().transpose(1, 2, 0) * 255
    return np.round(scaled).astype(np.uint8)


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
@pytest.mark.parametrize("target", [(32, 32), (24, 40), (41, 23)])
@pytest.mark.parametrize("mode", ["shortest", "longest", "squash"])
def test_the_reference_is_open_clips_transform_byte_for_byte(mode, target, interpolation):
    preprocess = replace(
        PLAIN, height_px=target[0], width_px=target[1], mode=mode, interpolation=interpolation, fill=77
    )
    for size in SIZES:
        found = to_tower(noise(*size), preprocess, "pil")
        assert (found.shape, found.dtype) == ((*target, 3), np.uint8)
        np.testing.assert_array_equal(found, open_clips(noise(*size), preprocess), err_msg=str(size))


@settings(deadline=None, max_examples=60)
@given(st.integers(8, 300), st.integers(8, 300), st.sampled_from([16, 21, 32]))
def test_any_size_gives_open_clips_picture(height, width, side):
    preprocess = replace(PLAIN, height_px=side, width_px=side)
    rgb = noise(height, width)
    np.testing.assert_array_equal(to_tower(rgb, preprocess, "pil"), open_clips(rgb, preprocess))


def test_a_view_with_padded_rows_is_as_good_as_a_copy():
    padded = noise(48, 80)[:, :61]
    np.testing.assert_array_equal(to_tower(padded, PLAIN, "pil"), to_tower(padded.copy(), PLAIN, "pil"))


def smooth(height, width):
    """Slow colours with a marked middle, which every crop must keep in place."""
    y, x = np.mgrid[0:height, 0:width]
    rgb = np.stack([255 * x / width, 255 * y / height, 128 + 100 * np.sin(8 * x / width)], axis=2)
    rgb[height // 3 : height // 2, width // 3 : width // 2] = (250, 240, 200)
    return rgb.astype(np.uint8)


@pytest.mark.parametrize("size", [(448, 796), (796, 448), (180, 320), (181, 323), (64, 64), (225, 224)])
def test_the_fast_path_shows_the_same_part_of_the_picture(size):
    """A crop that is off by one pixel would differ by more: see the second assertion."""
    rgb, preprocess = smooth(*size), replace(PLAIN, height_px=56, width_px=56)
    fast = to_tower(as_decoded(rgb, decode_px(preprocess, "swscale")), preprocess, "swscale").astype(float)
    slow = to_tower(as_decoded(rgb, None), preprocess, "pil").astype(float)
    assert fast.shape == slow.shape == (56, 56, 3)
    here = np.abs(fast - slow)[2:-2, 2:-2].mean()
    for step in ((0, 1), (1, 0), (0, -1), (-1, 0)):
        assert here < np.abs(np.roll(fast, step, (0, 1)) - slow)[2:-2, 2:-2].mean() - 0.3
    assert here < 2.5


def test_a_picture_of_another_size_is_refused_by_the_fast_path():
    with pytest.raises(
        ValueError, match=r"of 57 by 33 px reached a tower of 32 px; decode it at a short side of 32 px"
    ):
        to_tower(noise(33, 57), PLAIN, "swscale")


def test_the_fast_path_serves_what_it_can_do():
    assert choose_backend(PLAIN, "swscale") == "swscale"
    assert choose_backend(PLAIN, "pil") == "pil"
    for other in (
        replace(PLAIN, mode="longest"),
        replace(PLAIN, mode="squash"),
        replace(PLAIN, interpolation="bilinear"),
        replace(PLAIN, width_px=40),
    ):
        assert choose_backend(other, "swscale") == "pil"
    assert (decode_px(PLAIN, "swscale"), decode_px(PLAIN, "pil")) == (32, None)


def test_the_fingerprint_names_what_resizes_and_its_version():
    assert resize_fingerprint("pil", PLAIN) == f"PIL bicubic, Pillow {PIL.__version__}"
    assert resize_fingerprint("swscale", PLAIN) == f"swscale bicubic, {scaler_version()}"
    bilinear = replace(PLAIN, interpolation="bilinear")
    assert resize_fingerprint("pil", bilinear).startswith("PIL bilinear, ")
