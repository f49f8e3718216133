"""The law every frozen encoder keeps; an encoder's tests inherit it and say how it is loaded."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sensorloom.embed.encoder import Encoder
from sensorloom.embed.vectors import TOLERANCE_COSINE, agree, normalise

TEXTS = (
    "C opens the drawer",
    "",
    " \t\n",
    "first line\nsecond line",
    "word " * 2000,
    "a" * 10_000,
    "😀👩‍👩‍👧 turns 🏳️‍🌈",
    "هو يفتح الباب ثم يغلقه",
    "\u202eright to left\u202c",
    "bell \x07 nul \x00 escape \x1b",
    "lone \ud800 surrogate",
    "<b>&amp; \ufffd</b>",
)


def pictures(encoder: Encoder, count: int, seed: int = 0) -> np.ndarray:
    """Return pictures uint8[count, H, W, 3] that differ coarsely, as scenes do, and finely."""
    preprocess, rng = encoder.identity.preprocess, np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (count, 4, 4, 3))
    rows = np.arange(preprocess.height_px) * 4 // preprocess.height_px
    columns = np.arange(preprocess.width_px) * 4 // preprocess.width_px
    scenes = coarse[:, rows][:, :, columns]
    return np.clip(scenes + rng.integers(-20, 21, scenes.shape), 0, 255).astype(np.uint8)


class EncoderContract:
    @pytest.fixture
    def encoder(self) -> Encoder:
        """An encoder with a batch size from 2 to 16."""
        raise NotImplementedError

    def test_what_it_is_can_be_kept_as_json(self, encoder):
        identity = encoder.identity
        assert json.loads(json.dumps(identity.fingerprint)) == identity.fingerprint
        assert set(identity.fingerprint) == {
            "weights", "architecture", "preprocessing", "precision", "normalisation", "tokenizer",
        }  # fmt: skip
        assert 2 <= encoder.batch_size <= 16

    @pytest.mark.parametrize("extra", [-1, 0, 1])
    @pytest.mark.parametrize("batches", [0, 1, 2])
    def test_any_number_of_pictures_is_encoded(self, encoder, batches, extra):
        count = max(0, batches * encoder.batch_size + extra)
        vectors = encoder.encode_images(pictures(encoder, count))
        assert (vectors.dtype, vectors.shape) == (np.float32, (count, encoder.identity.dim))
        normalise(vectors, dim=encoder.identity.dim, what="pictures")

    def test_vectors_keep_their_length(self, encoder):
        for raw in (encoder.encode_images(pictures(encoder, 5)), encoder.encode_texts(TEXTS)):
            assert np.ptp(np.linalg.norm(raw, axis=1)) > 1e-3

    def test_different_pictures_have_different_vectors(self, encoder):
        vectors = encoder.encode_images(pictures(encoder, 6))
        assert len(np.unique(vectors.round(3), axis=0)) == 6

    def test_the_same_pictures_have_the_same_vectors(self, encoder):
        pixels = pictures(encoder, encoder.batch_size + 2)
        before = pixels.copy()
        first = encoder.encode_images(pixels)
        assert np.array_equal(encoder.encode_images(pixels), first)
        assert np.array_equal(pixels, before)

    def test_a_vector_does_not_depend_on_what_is_beside_it(self, encoder):
        pixels = pictures(encoder, 2 * encoder.batch_size + 1)
        together = encoder.encode_images(pixels)
        order = np.random.default_rng(1).permutation(len(pixels))
        assert np.array_equal(encoder.encode_images(pixels[order]), together[order])
        for k in (0, 1, len(pixels) - 1):
            assert np.array_equal(encoder.encode_images(pixels[k : k + 1])[0], together[k])

    def test_vectors_returned_stay_as_they_are(self, encoder):
        first = encoder.encode_images(pictures(encoder, 3))
        kept = first.copy()
        encoder.encode_images(pictures(encoder, 3, seed=1))
        assert np.array_equal(first, kept)

    def test_pictures_may_lie_in_memory_in_any_way(self, encoder):
        pixels = pictures(encoder, 4)
        expected = encoder.encode_images(pixels)
        flipped = np.ascontiguousarray(pixels[:, :, ::-1])[:, :, ::-1]
        flipped.flags.writeable = False
        assert np.array_equal(encoder.encode_images(flipped), expected)

    def test_what_is_no_picture_is_refused(self, encoder):
        pixels = pictures(encoder, 2)
        with pytest.raises(TypeError, match="pixels must be uint8, got float32"):
            encoder.encode_images(pixels.astype(np.float32))
        with pytest.raises(ValueError, match="pixels must have shape"):
            encoder.encode_images(pixels[:, 1:])
        with pytest.raises(ValueError, match="pixels must have shape"):
            encoder.encode_images(pixels[0])

    @pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
    def test_any_text_is_encoded(self, encoder, text):
        (vector,) = encoder.encode_texts([text])
        assert (vector.dtype, vector.shape) == (np.float32, (encoder.identity.dim,))
        assert np.isfinite(vector).all()
        assert np.linalg.norm(vector) > 0

    def test_no_texts_have_no_vectors(self, encoder):
        vectors = encoder.encode_texts([])
        assert (vectors.dtype, vectors.shape) == (np.float32, (0, encoder.identity.dim))

    def test_a_text_does_not_depend_on_what_is_beside_it(self, encoder):
        together = encoder.encode_texts(TEXTS)
        order = np.random.default_rng(1).permutation(len(TEXTS))
        assert np.array_equal(encoder.encode_texts([TEXTS[k] for k in order]), together[order])
        for k, text in enumerate(TEXTS):
            assert np.array_equal(encoder.encode_texts([text])[0], together[k])

    def test_a_long_text_counts_up_to_its_last_token(self, encoder):
        long, longer, other = "turns left " * 400, "turns left " * 400 + "and stops", "turns right " * 400
        first, second, third = encoder.encode_texts([long, longer, other])
        assert np.array_equal(first, second)
        assert agree(first[None], third[None]) < TOLERANCE_COSINE
