"""Classes as texts: the words of each class, and their vectors by the very encoder that a run was trained against.

Axes: C classes of the view · P texts of one class · D width of the vectors.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sensorloom.embed.clip import identify, load_encoder
from sensorloom.embed.encoder import EncoderSpec, Identity
from sensorloom.embed.errors import EmbedError
from sensorloom.training.contrast import unit
from sensorloom.training.errors import RunError
from sensorloom.training.prompts import prompts_of

__all__ = [
    "ClassTexts",
    "SayClasses",
    "TextEncoder",
    "Wording",
    "check_text_encoder",
    "encode_class_texts",
    "open_text_encoder",
    "words_of",
]

Wording = Literal["names", "prompts"]
"""AURA-MFM says a class by its bare name [methods §2.7], PRIMUS by phrases, averaged, without a template [§1.7]."""

SayClasses = Callable[[Wording], "ClassTexts"]
"""Gives the texts of a view's classes: `partial(encode_class_texts, classes, encoder)`."""

_FIELDS = ("weights", "architecture", "tokenizer", "precision")
"""Of a fingerprint, what decides the vectors of texts; the rest is of pictures."""
_GENERATED = EncoderSpec(model="generated")


class TextEncoder(Protocol):
    """The part of an `embed.encoder.Encoder` that texts need."""

    @property
    def identity(self) -> Identity:
        """What the encoder is."""

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encode texts to float32[n, D], of any length."""


@dataclass(frozen=True, slots=True)
class ClassTexts:
    """The `texts` of each class and one vector for each, float32[C, D] of length 1: the direction of their mean.

    The vector of each text is made of length 1 before the mean [methods §1.2]. `encoder` names who encoded them.
    """

    classes: tuple[str, ...]
    wording: Wording
    texts: tuple[tuple[str, ...], ...]
    vector_CD: Tensor
    encoder: str

    def __post_init__(self) -> None:
        if self.vector_CD.ndim != 2 or not len(self.classes) == len(self.texts) == len(self.vector_CD):
            raise ValueError(
                f"{len(self.classes)} classes need as many lists of texts and vectors [C, D], got {len(self.texts)} "
                f"and {list(self.vector_CD.shape)}"
            )

    @property
    def width(self) -> int:
        """Width D of the vectors."""
        return self.vector_CD.shape[1]


def words_of(classes: Sequence[str], wording: Wording) -> tuple[tuple[str, ...], ...]:
    """Return the texts of each class; raises RunError for a class without prompts, ValueError for another wording."""
    if wording not in get_args(Wording):
        raise ValueError(f"wording must be one of {', '.join(get_args(Wording))}, got {wording!r}")
    if wording == "names":
        return tuple((name,) for name in classes)
    return tuple(prompts_of(name) for name in classes)


def encode_class_texts(classes: Sequence[str], encoder: TextEncoder, wording: Wording) -> ClassTexts:
    """Encode the texts of `classes`, all in one call.

    Raises RunError where there are no classes, for a class without prompts and where an encoder gives vectors that
    have no direction.
    """
    if not classes:
        raise RunError("there are no classes to say in words: the view has no labels; choose a view that has")
    texts, name = words_of(classes, wording), encoder.identity.name
    flat = [text for of_class in texts for text in of_class]
    rows_PD = torch.from_numpy(np.asarray(encoder.encode_texts(flat), np.float32))
    of_classes = torch.split(unit(rows_PD), [len(some) for some in texts])
    mean_CD = torch.stack([of_class_PD.mean(dim=0) for of_class_PD in of_classes])
    lost = [at for at, row_D in enumerate(mean_CD) if not (row_D.isfinite().all() and row_D.any())]
    if lost:
        raise RunError(
            f"encoder {name} gives the texts of class {classes[lost[0]]!r} vectors without a direction: "
            f"{mean_CD[lost[0]][:3].tolist()}, … on average; check its weights"
        )
    return ClassTexts(tuple(classes), wording, texts, unit(mean_CD), name)


def check_text_encoder(identity: Identity, fingerprint: Mapping[str, Any] | str | None) -> None:
    """Raise RunError unless `identity` gives texts the vectors that `fingerprint` tells of, that of a view's vectors.

    What concerns pictures alone, such as the decoder, may differ.
    """
    wanted = _told(fingerprint)
    differ = [field for field in _FIELDS if identity.fingerprint.get(field) != wanted.get(field)]
    if differ:
        raise RunError(
            "the texts of classes must be encoded by the encoder that the run was trained against "
            f"({_who(wanted)}), and {identity.name} differs from it in {', '.join(differ)} "
            f"({_who(identity.fingerprint)}); name the former as embed.model and embed.pretrained, as when the store "
            "was embedded"
        )


def open_text_encoder(
    fingerprint: Mapping[str, Any] | str | None,
    *,
    spec: EncoderSpec | None = None,
    device: str = "cpu",
) -> TextEncoder:
    """Open the encoder of `fingerprint`, that of a view's vectors: the one that `spec` names, or the generated one.

    Raises RunError that says what to do where it is neither, or is not at hand (its weights are not in the cache and
    cannot be fetched, its folder is gone).
    """
    wanted, refused = _told(fingerprint), []
    for candidate in ([] if spec is None else [spec]) + [_GENERATED]:
        asked = replace(candidate, precision=wanted.get("precision", candidate.precision))
        try:
            identity = identify(asked, sha256_of=_sha256_of)
            check_text_encoder(identity, wanted)
            return load_encoder(identity, device=device, batch_size=None)
        except (EmbedError, RunError) as error:
            refused.append((candidate, error))
    candidate, reason = refused[0]
    if spec is None:
        raise RunError(
            f"the run was trained against the vectors of an encoder that nobody named here ({_who(wanted)}); set "
            "embed.model and embed.pretrained as when the store was embedded, or leave out what needs the texts of "
            "classes (zero-shot, transfer)"
        )
    raise RunError(
        f"the encoder {candidate.model} {candidate.pretrained}".rstrip() + f" is of no use here: {reason}"
    ) from reason


def _told(fingerprint: Mapping[str, Any] | str | None) -> Mapping[str, Any]:
    if isinstance(fingerprint, Mapping) and "weights" in fingerprint:
        return fingerprint
    if not fingerprint:
        raise RunError(
            "the run was trained without vectors of texts or videos, so there is no encoder to say its classes with; "
            "leave out what needs the texts of classes (zero-shot, transfer)"
        )
    raise RunError(
        f"the view that the run was trained on keeps only a digest of its encoder ({fingerprint!r}), by which it "
        "cannot be found; run `sensorloom build` again and train on what it makes"
    )


def _who(fingerprint: Mapping[str, Any]) -> str:
    return f"weights {str(fingerprint.get('weights'))[:12]}, {fingerprint.get('precision')}"


def _sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
