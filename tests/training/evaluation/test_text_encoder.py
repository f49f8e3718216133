"""Which encoder may give the vectors of texts, and how it is opened."""

from __future__ import annotations

import sys
from functools import partial

import pytest
import torch

from sensorloom.embed.clip import identify
from sensorloom.embed.encoder import EncoderSpec
from sensorloom.ingest.digest import file_digest
from sensorloom.training.errors import RunError
from sensorloom.training.evaluation.class_texts import encode_class_texts
from sensorloom.training.evaluation.text_encoder import check_text_encoder, open_text_encoder
from tests.training.labelled_benches import FINGERPRINT, PlantedTexts


def test_texts_are_encoded_by_the_encoder_of_the_run_alone() -> None:
    """What concerns pictures alone may differ: texts do not pass it."""
    check_text_encoder(
        PlantedTexts({"a": [1.0]}).identity, {**FINGERPRINT, "resize": "swscale", "decoder": "9"}
    )
    for field in ("weights", "architecture", "tokenizer", "precision", "normalisation"):
        other = PlantedTexts({"a": [1.0]}, **{field: "other"})
        with pytest.raises(
            RunError, match=f"planted differs from it in {field} .* name the former as embed.model"
        ):
            check_text_encoder(other.identity, FINGERPRINT)


@pytest.mark.parametrize("fingerprint", [None, {}, ""])
def test_a_run_without_vectors_has_no_words(fingerprint) -> None:
    with pytest.raises(RunError, match="no vectors of texts or videos that tell which encoder"):
        open_text_encoder(fingerprint)


@pytest.mark.parametrize("fingerprint", ["ab12", {"digest": "ab12"}])
def test_a_digest_names_no_encoder(fingerprint) -> None:
    with pytest.raises(
        RunError, match=r"keeps only a digest of its encoder .*ab12.* run `sensorloom build` again"
    ):
        open_text_encoder(fingerprint)


def generated_fingerprint() -> dict[str, object]:
    return dict(
        identify(EncoderSpec("generated"), sha256_of=lambda path: file_digest(path).sha256).fingerprint
    )


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


def test_an_encoder_that_is_not_installed_is_told_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fingerprint = generated_fingerprint()
    monkeypatch.setitem(sys.modules, "open_clip", None)
    with pytest.raises(
        RunError, match=r"encoded with open_clip, .*pip install 'sensorloom\[ingest,embed\]', or leave"
    ):
        open_text_encoder(fingerprint)
