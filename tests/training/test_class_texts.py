"""The words of classes, their vectors, and which encoder may give them."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch

from sensorloom.align.view import VIEWS
from sensorloom.embed.encoder import EncoderSpec
from sensorloom.training import class_texts
from sensorloom.training.class_texts import (
    ClassTexts,
    check_text_encoder,
    encode_class_texts,
    open_text_encoder,
    words_of,
)
from sensorloom.training.errors import RunError
from sensorloom.training.prompts import PROMPTS, prompts_of
from tests.training.labelled_benches import FINGERPRINT, PlantedTexts


@pytest.mark.parametrize(
    "view", [view for view in VIEWS.values() if view.classes], ids=lambda view: view.name
)
def test_every_class_of_every_view_has_five_to_eight_phrases_of_its_own(view) -> None:
    """Methods §1.7: 5 to 8 hand-written phrases per class, no template."""
    phrases = words_of(view.classes, "prompts")
    assert all(5 <= len(of_class) <= 8 for of_class in phrases)
    flat = [phrase for of_class in phrases for phrase in of_class]
    assert all(phrase == phrase.strip() and 8 < len(phrase) < 77 for phrase in flat)
    assert all(len(set(of_class)) == len(of_class) for of_class in phrases)
    assert len(set(phrases)) == len(view.classes), "two classes said alike cannot be told apart"


def test_no_prompts_are_for_a_class_that_no_view_has() -> None:
    assert set(PROMPTS) == {name for view in VIEWS.values() for name in view.classes}


def test_bare_names_are_the_names_as_they_stand() -> None:
    """Methods §2.7: text = bare class names, no template."""
    assert words_of(("Bike Repair", "Dance"), "names") == (("Bike Repair",), ("Dance",))


def test_a_class_without_prompts_is_named() -> None:
    with pytest.raises(RunError, match="class 'flying' has no prompts; say classes by their bare names"):
        prompts_of("flying")
    with pytest.raises(ValueError, match="wording must be one of names, prompts, got 'songs'"):
        words_of(("a",), "songs")


def test_a_class_is_the_direction_of_the_mean_of_its_unit_vectors(monkeypatch) -> None:
    """Methods §1.2 and §1.7: each text is L2-normalised, then the phrases are averaged; long vectors count no more."""
    monkeypatch.setattr(class_texts, "prompts_of", {"up": ("a", "b"), "down": ("c",)}.__getitem__)
    encoder = PlantedTexts({"a": [100.0, 0.0], "b": [0.0, 0.5], "c": [-3.0, 4.0]})
    texts = encode_class_texts(("up", "down"), encoder, "prompts")
    half = 0.5**0.5
    assert torch.allclose(texts.vector_CD, torch.tensor([[half, half], [-0.6, 0.8]]))
    assert (texts.classes, texts.texts, texts.width) == (("up", "down"), (("a", "b"), ("c",)), 2)
    assert (texts.wording, texts.encoder) == ("prompts", "planted")
    assert encoder.asked == [["a", "b", "c"]], "one call: an encoder loads a batch of texts at a time"


def test_what_cannot_be_said_is_told() -> None:
    with pytest.raises(RunError, match="there are no classes to say in words"):
        encode_class_texts((), PlantedTexts({"a": [1.0]}), "names")
    for vector in ([0.0, 0.0], [np.nan, 1.0]):
        with pytest.raises(RunError, match="texts of class 'a' vectors without a direction"):
            encode_class_texts(("a",), PlantedTexts({"a": vector}), "names")
    with pytest.raises(
        ValueError, match=r"2 classes need as many lists of texts and vectors \[C, D\], got 1 and"
    ):
        ClassTexts(("a", "b"), "names", (("a",),), torch.ones(2, 3), "e")


def test_texts_are_encoded_by_the_encoder_of_the_run_alone() -> None:
    """What concerns pictures alone may differ: texts do not pass it."""
    check_text_encoder(
        PlantedTexts({"a": [1.0]}).identity, {**FINGERPRINT, "resize": "swscale", "decoder": "9"}
    )
    for field in ("weights", "architecture", "tokenizer", "precision"):
        other = PlantedTexts({"a": [1.0]}, **{field: "other"})
        with pytest.raises(
            RunError, match=f"planted differs from it in {field} .* name the former as embed.model"
        ):
            check_text_encoder(other.identity, FINGERPRINT)


@pytest.mark.parametrize("fingerprint", [None, {}, ""])
def test_a_run_without_vectors_has_no_words(fingerprint) -> None:
    with pytest.raises(RunError, match="trained without vectors of texts or videos, so there is no encoder"):
        open_text_encoder(fingerprint)


@pytest.mark.parametrize("fingerprint", ["ab12", {"digest": "ab12"}])
def test_a_digest_names_no_encoder(fingerprint) -> None:
    with pytest.raises(
        RunError, match=r"keeps only a digest of its encoder .*ab12.* run `sensorloom build` again"
    ):
        open_text_encoder(fingerprint)


def generated_fingerprint() -> dict[str, object]:
    return dict(class_texts.identify(EncoderSpec("generated"), sha256_of=class_texts._sha256_of).fingerprint)


def test_the_generated_encoder_is_opened_without_being_named() -> None:
    pytest.importorskip("open_clip")
    encoder = open_text_encoder({**generated_fingerprint(), "resize": "pil"})
    assert encoder.identity.name == "generated"
    texts = encode_class_texts(("Cooking", "Dance"), encoder, "names")
    assert texts.vector_CD.shape == (2, encoder.identity.dim)
    assert torch.allclose(texts.vector_CD.norm(dim=1), torch.ones(2))
    again = encode_class_texts(("Dance", "Cooking"), encoder, "names")
    assert torch.allclose(again.vector_CD.flip(0), texts.vector_CD, atol=1e-6)


def test_an_encoder_that_is_not_at_hand_is_told_with_what_to_do(tmp_path) -> None:
    pytest.importorskip("open_clip")
    with pytest.raises(RunError, match=r"nobody named here \(weights abababababab, fp32\); set embed.model"):
        open_text_encoder(FINGERPRINT)
    gone = partial(open_text_encoder, FINGERPRINT, spec=EncoderSpec(f"local-dir:{tmp_path / 'gone'}"))
    with pytest.raises(RunError, match=r"is of no use here: .*gone: is no folder"):
        gone()
    with pytest.raises(RunError, match=r"the encoder generated is of no use here: .*differs from it in"):
        open_text_encoder(FINGERPRINT, spec=EncoderSpec("generated"))
