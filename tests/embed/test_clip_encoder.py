"""A loaded CLIP encoder: the law of encoders, open_clip's own vectors, and memory that runs out."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torchvision.transforms import Compose, Normalize, ToTensor

from sensorloom.embed import clip_encoder
from sensorloom.embed.clip import identify, load_encoder
from sensorloom.embed.clip_encoder import ClipEncoder, Tower
from sensorloom.embed.encoder import EncoderSpec
from sensorloom.embed.errors import DeviceError, EncoderError, VectorError
from sensorloom.embed.vectors import TOLERANCE_COSINE, agree, normalise
from tests.embed.encoder_contract import TEXTS, EncoderContract, pictures
from tests.embed.tiny_clip import DIM, SIDE_PX, write_model

CPU = torch.device("cpu")


def sha256_of(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "Tiny CLIP"
    write_model(folder)
    return folder


def load(folder, batch_size=8, **spec):
    identity = identify(EncoderSpec(f"local-dir:{folder}", **spec), sha256_of=sha256_of)
    return load_encoder(identity, device="cpu", batch_size=batch_size)


@pytest.fixture(scope="module")
def in_float32(folder):
    return load(folder)


@pytest.fixture(scope="module")
def in_bfloat16(folder):
    return load(folder, batch_size=3, precision="bf16")


class TestClipEncoder(EncoderContract):
    @pytest.fixture
    def encoder(self, in_float32):
        return in_float32


class TestClipEncoderInBfloat16(EncoderContract):
    @pytest.fixture
    def encoder(self, in_bfloat16):
        return in_bfloat16


@pytest.mark.parametrize(("width_px", "height_px"), [(97, 61), (61, 97), (48, 48), (333, 50), (31, 47)])
def test_vectors_are_those_of_a_plain_loop_with_open_clip(folder, in_float32, width_px, height_px):
    model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    model.eval()
    resize = Compose([step for step in preprocess.transforms if not isinstance(step, Normalize)][:-1])
    coarse = np.random.default_rng(width_px).integers(0, 256, (9, 6, 5, 3), dtype=np.uint8)
    films = [
        Image.fromarray(picture).resize((width_px, height_px), Image.Resampling.BICUBIC) for picture in coarse
    ]
    with torch.inference_mode():
        plain = torch.cat([model.encode_image(preprocess(film)[None]) for film in films]).numpy()
    vectors = in_float32.encode_images(np.stack([np.asarray(resize(film)) for film in films]))
    assert agree(vectors, plain) >= TOLERANCE_COSINE
    # Random weights make vectors alike, so that a cosine says little: the difference must be far below theirs.
    assert np.abs(vectors - plain).max() < 1e-4 * np.abs(plain[1:] - plain[:-1]).max()


def test_texts_are_those_of_a_plain_loop_with_open_clip(folder, in_float32):
    model = open_clip.create_model(f"local-dir:{folder}").eval()
    tokenizer = open_clip.get_tokenizer(f"local-dir:{folder}")
    with torch.inference_mode():
        plain = torch.cat([model.encode_text(tokenizer([text])) for text in TEXTS]).numpy()
    np.testing.assert_allclose(in_float32.encode_texts(TEXTS), plain, atol=1e-5)


def test_vectors_agree_across_batch_sizes_and_precisions(folder, in_float32, in_bfloat16):
    encoder = in_float32
    pixels = pictures(encoder, 33)
    expected, texts = encoder.encode_images(pixels), encoder.encode_texts(TEXTS)
    for batch_size in (1, 32):
        other = ClipEncoder(encoder.identity, encoder._tower, batch_size=batch_size)
        assert agree(other.encode_images(pixels), expected) >= TOLERANCE_COSINE
        assert agree(other.encode_texts(TEXTS), texts) >= TOLERANCE_COSINE
    for other in (in_bfloat16, load(folder, precision="fp16")):
        assert agree(other.encode_images(pixels), expected) >= 0.999
        assert not np.array_equal(other.encode_images(pixels), expected)


def test_a_text_is_cut_by_tokens_with_the_end_token_kept(in_float32):
    exact, cut, inside = in_float32.encode_texts(["a " * 75, "a " * 75 + "zebra", "a " * 74 + "zebra"])
    assert np.array_equal(exact, cut)
    assert not np.array_equal(exact, inside)


def test_weights_that_give_nan_give_vectors_that_are_refused(folder, tmp_path):
    state = load_file(folder / "open_clip_model.safetensors")
    state["visual.proj"][0, 0] = torch.nan
    save_file(state, tmp_path / "diverged.safetensors")
    encoder = load(folder, pretrained=str(tmp_path / "diverged.safetensors"))
    raw = encoder.encode_images(pictures(encoder, 3))
    with pytest.raises(VectorError, match=r"tiny-clip\.diverged: 3 of 3 vectors .*check the weights for NaN"):
        normalise(raw, dim=DIM, what=encoder.identity.name)


def test_the_encoder_is_left_to_no_training(in_float32):
    model = in_float32._tower.model
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_weights_that_changed_since_they_were_identified_are_refused(folder, tmp_path):
    copy = tmp_path / "tiny.safetensors"
    copy.write_bytes((folder / "open_clip_model.safetensors").read_bytes())
    identity = identify(EncoderSpec(f"local-dir:{folder}", str(copy)), sha256_of=sha256_of)
    state = load_file(copy)
    state["visual.proj"] += 1
    save_file(state, copy)
    with pytest.raises(
        EncoderError,
        match=rf"tiny-clip\.tiny is not what it was identified as: weights is {sha256_of(copy)}, was [0-9a-f]{{64}}\.",
    ):
        load_encoder(identity, device="cpu", batch_size=1)


ERRORS = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
    RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"),
    RuntimeError("HIP out of memory"),
]


class FakeModel:
    """Towers that return what they are given, and run out of memory above so many rows."""

    def __init__(self, fits=100, error=None):
        self.fits, self.error, self.sizes = fits, error or ERRORS[0], []

    def encode_image(self, image):
        self.sizes.append(len(image))
        if len(image) > self.fits:
            raise self.error
        return image.flatten(1)

    def encode_text(self, text):
        return self.encode_image(text[:, :1].float() + torch.zeros(1, 3 * SIDE_PX * SIDE_PX))


def tokenize(texts):
    return torch.tensor([[len(text)] * 77 for text in texts])


@pytest.fixture
def fake(folder):
    identity = identify(EncoderSpec(f"local-dir:{folder}"), sha256_of=sha256_of)
    identity = replace(identity, dim=3 * SIDE_PX * SIDE_PX)

    def encoder(model, batch_size):
        return ClipEncoder(identity, Tower(model, tokenize, CPU), batch_size=batch_size)

    return encoder


def test_pixels_reach_the_tower_as_torchvision_prepares_them(fake):
    encoder = fake(FakeModel(), 4)
    preprocess = encoder.identity.preprocess
    prepare = Compose([ToTensor(), Normalize(preprocess.mean, preprocess.std)])
    pixels = pictures(encoder, 5)
    expected = np.stack([prepare(Image.fromarray(picture)).flatten().numpy() for picture in pixels])
    assert np.array_equal(encoder.encode_images(pixels), expected)


def test_every_pass_has_the_same_size(fake):
    model = FakeModel()
    encoder = fake(model, 4)
    encoder.encode_images(pictures(encoder, 9))
    encoder.encode_texts(["a", "b"])
    assert model.sizes == [4, 4, 4, 4]


@pytest.mark.parametrize("error", ERRORS, ids=range(3))
def test_the_batch_size_is_found_by_trial_where_one_is_needed(fake, monkeypatch, error):
    monkeypatch.setattr(clip_encoder, "needs_trial", lambda device: True)
    model = FakeModel(11, error)
    assert fake(model, None).batch_size == 8
    assert model.sizes[:3] == [32, 16, 8]


def test_the_cpu_starts_without_a_trial_and_halves_when_memory_runs_out(fake):
    model = FakeModel(11)
    encoder = fake(model, None)
    assert (encoder.batch_size, model.sizes) == (32, [])
    encoder.encode_images(pictures(encoder, 9))
    assert (encoder.batch_size, model.sizes) == (8, [32, 16, 8, 8])


@pytest.mark.parametrize("error", ERRORS, ids=range(3))
def test_memory_that_runs_out_later_halves_the_batch_and_nothing_is_lost(fake, error):
    model = FakeModel(error=error)
    encoder = fake(model, 8)
    pixels = pictures(encoder, 20)
    expected = encoder.encode_images(pixels)
    model.sizes.clear()
    model.fits = 3
    assert np.array_equal(encoder.encode_images(pixels), expected)
    assert encoder.batch_size == 2
    assert model.sizes == [8, 4] + [2] * 10
    assert encoder.encode_texts(["", "four"])[:, 0].tolist() == [0, 4]


@pytest.mark.parametrize("batch_size", [None, 4])
def test_a_device_too_small_for_one_picture_is_refused(fake, batch_size):
    with pytest.raises(
        DeviceError, match="cpu: not enough memory for a single picture of 48 by 48 px, or a single t"
    ):
        fake(FakeModel(0), batch_size).encode_texts(["a"])


def test_other_errors_are_not_taken_for_a_lack_of_memory(fake):
    model = FakeModel(0, RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        fake(model, 4).encode_texts(["a"])
    assert model.sizes == [4]


def test_a_batch_size_below_one_is_refused(fake):
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        fake(FakeModel(), 0)
