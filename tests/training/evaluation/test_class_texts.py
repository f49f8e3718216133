"""The words of classes and their vectors."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sensorloom.align.named_views import VIEWS
from sensorloom.training.errors import RunError
from sensorloom.training.evaluation import class_texts
from sensorloom.training.evaluation.class_texts import ClassTexts, encode_class_texts, words_of
from sensorloom.training.evaluation.prompts import PROMPTS, prompts_of
from tests.training.labelled_benches import PlantedTexts


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
