"""The fast path against the reference on golden pictures, and the wrong paths that the comparison must catch."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from PIL import Image

from sensorloom.embed.golden import GOLDEN_TEXTS, Parity, compare, golden_pictures, parity
from sensorloom.embed.preprocess import Preprocess, to_tower
from sensorloom.ingest.video import as_decoded

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
PREPROCESS = Preprocess(64, 64, "shortest", "bicubic", MEAN, STD)


pytestmark = pytest.mark.usefixtures("one_thread")


def encoder(model):
    """An open_clip image tower as a function of pictures."""
    import torch

    mean, std = (torch.tensor(three)[:, None, None] for three in (MEAN, STD))

    def encode(pixels):
        with torch.no_grad():
            batch = torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2).float() / 255
            return model.eval().encode_image((batch - mean) / std).numpy()

    return encode


@pytest.fixture(scope="module")
def encode():
    """A small transformer of random weights."""
    import torch
    from open_clip.model import CLIP

    vision = {"image_size": 64, "layers": 3, "width": 96, "head_width": 32, "patch_size": 8}
    text = {"context_length": 77, "vocab_size": 64, "width": 32, "heads": 1, "layers": 1}
    with torch.random.fork_rng():
        torch.manual_seed(2)
        return encoder(CLIP(embed_dim=64, vision_cfg=vision, text_cfg=text))


@pytest.fixture(scope="module")
def frames():
    return [as_decoded(rgb, None) for rgb in golden_pictures()]


@pytest.fixture(scope="module")
def reference(frames):
    return np.stack([to_tower(rgb, PREPROCESS, "pil") for rgb in frames])


def resized(rgb, width, height, method=Image.Resampling.BICUBIC):
    return np.asarray(Image.fromarray(rgb.copy()).resize((width, height), method))


def aliased(rgb):
    """Bicubic over 4 by 4 neighbours wherever they are: the scaler of those who forget to smooth."""
    import torch

    height, width = (64 * side // min(rgb.shape[:2]) for side in rgb.shape[:2])
    planes = torch.from_numpy(rgb.copy()).permute(2, 0, 1)[None].float()
    scaled = torch.nn.functional.interpolate(planes, (height, width), mode="bicubic", antialias=False)
    picture = scaled.clamp(0, 255).round()[0].permute(1, 2, 0).numpy().astype(np.uint8)
    return to_tower(picture, PREPROCESS, "swscale")


def off_by_one(rgb):
    """The crop a pixel away along the long side, as a wrong rounding of its offset gives."""
    height, width = (64 * side // min(rgb.shape[:2]) for side in rgb.shape[:2])
    top, left = (max(round((side - 64) / 2) - 1, 0) for side in (height, width))
    return resized(rgb, width, height)[top : top + 64, left : left + 64]


def nearest(rgb):
    height, width = (64 * side // min(rgb.shape[:2]) for side in rgb.shape[:2])
    return to_tower(resized(rgb, width, height, Image.Resampling.NEAREST), PREPROCESS, "swscale")


WRONG = {
    "no antialias": aliased,
    "squash": lambda rgb: resized(rgb, 64, 64),
    "other crop": off_by_one,
    "nearest": nearest,
}


def test_the_fast_path_holds(encode):
    found = parity(encode, PREPROCESS)
    assert found.holds, found
    assert found.ratio < 0.002
    assert 0 < found.pixel_error[0] < 1.5


@pytest.mark.parametrize("path", WRONG)
def test_a_wrong_path_does_not_hold(encode, frames, reference, path):
    found = compare(encode, reference, np.stack([WRONG[path](rgb) for rgb in frames]))
    assert not found.holds, found
    assert found.ratio > 0.01


def test_the_reference_itself_holds_exactly(encode, reference):
    found = compare(encode, reference, reference)
    assert (found.pixel_error, found.distance_to_reference, found.ratio) == ((0.0, 0.0), 0.0, 0.0)


def test_vectors_that_are_all_alike_prove_nothing(reference):
    found = compare(lambda pixels: np.ones((len(pixels), 4), np.float32), reference, reference)
    assert found.ratio == float("inf")
    assert not found.holds


@pytest.mark.parametrize(
    ("pixel_error", "to_reference"), [((2.1, 9.0), 0.0), ((1.0, 129.0), 0.0), ((1.0, 9.0), 0.01)]
)
def test_each_bound_counts(pixel_error, to_reference):
    assert Parity((2.0, 128.0), 0.0099, 1.0).holds
    assert not Parity(pixel_error, to_reference, 1.0).holds


def test_golden_pictures_are_the_same_everywhere_and_mostly_not_square():
    pictures = golden_pictures()
    assert len(pictures) >= 8
    assert len({picture.shape for picture in pictures}) == len(pictures)
    assert sum(picture.shape[0] != picture.shape[1] for picture in pictures) >= len(pictures) - 1
    assert all(picture.min() == 0 and picture.max() == 255 for picture in pictures)
    digest = hashlib.sha256(b"".join(picture.tobytes() for picture in pictures)).hexdigest()
    assert digest == "fb836c09c9848cd145dd6e0c2d8a849c4a89750a6aab8bfb88a63a719a786c5d"


def test_golden_texts_are_different():
    assert len(set(GOLDEN_TEXTS)) == len(GOLDEN_TEXTS) >= 6


@pytest.mark.slow
def test_the_fast_path_holds_for_vit_b_32():
    import open_clip
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = open_clip.create_model("ViT-B-32", pretrained=None)
    found = parity(encoder(model), Preprocess(224, 224, "shortest", "bicubic", MEAN, STD))
    assert found.holds, found
    assert found.ratio < 0.002
