"""The encoder of texts that the vectors of a view are of, opened again by its fingerprint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sensorloom.embed.encoder import EncoderSpec, Identity
from sensorloom.embed.errors import EmbedError
from sensorloom.ingest.digest import file_digest
from sensorloom.training.errors import RunError

__all__ = ["TextEncoder", "check_text_encoder", "open_text_encoder"]

_FIELDS = ("weights", "architecture", "tokenizer", "precision", "normalisation")
"""Of a fingerprint, what decides the vectors of texts; the rest is of pictures."""
_GENERATED = EncoderSpec(model="generated")


class TextEncoder(Protocol):
    """The part of an `embed.encoder.Encoder` that texts need."""

    @property
    def identity(self) -> Identity:
        """What the encoder is."""

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encode texts to float32[n, D], of any length."""


def check_text_encoder(identity: Identity, fingerprint: Mapping[str, Any] | str | None) -> None:
    """Raise RunError unless `identity` gives texts the vectors that `fingerprint` tells of, that of a view's vectors.

    What concerns pictures alone, such as the decoder, may differ.
    """
    wanted = _told(fingerprint)
    differ = [field for field in _FIELDS if identity.fingerprint.get(field) != wanted.get(field)]
    if differ:
        raise RunError(
            f"texts must be encoded by the encoder of the vectors that are there ({_who(wanted)}), and {identity.name} "
            f"differs from it in {', '.join(differ)} ({_who(identity.fingerprint)}); name the former as embed.model "
            "and embed.pretrained, as when the store was embedded"
        )


def open_text_encoder(
    fingerprint: Mapping[str, Any] | str | None,
    *,
    spec: EncoderSpec | None = None,
    device: str = "cpu",
) -> TextEncoder:
    """Open the encoder of `fingerprint`, that of a view's vectors: the one that `spec` names, or the generated one.

    Raises RunError that says what to do where it is neither, or is not at hand (its weights are not in the cache and
    cannot be fetched, its folder is gone, the embed extra is not installed).
    """
    try:
        return _open(_told(fingerprint), spec, device)
    except ModuleNotFoundError as error:
        raise RunError(
            f"texts are encoded with {error.name}, which the base install leaves out: pip install"
            " 'sensorloom[ingest,embed]', or leave out what needs texts encoded anew (zero-shot, transfer)"
        ) from error


def _open(wanted: Mapping[str, Any], spec: EncoderSpec | None, device: str) -> TextEncoder:
    # Here, since a trainer may evaluate without this package.
    from sensorloom.embed.clip import identify, load_encoder

    refused: list[tuple[EncoderSpec, Exception]] = []
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
            f"the vectors are of an encoder that nobody named here ({_who(wanted)}); set embed.model and "
            "embed.pretrained as when the store was embedded, or leave out what needs texts encoded anew (zero-shot, "
            "transfer)"
        )
    raise RunError(
        f"the encoder {candidate.model} {candidate.pretrained}".rstrip() + f" is of no use here: {reason}"
    ) from reason


def _told(fingerprint: Mapping[str, Any] | str | None) -> Mapping[str, Any]:
    if isinstance(fingerprint, Mapping) and "weights" in fingerprint:
        return fingerprint
    if not fingerprint:
        raise RunError(
            "there are no vectors of texts or videos that tell which encoder texts are for; leave out what needs texts "
            "encoded anew (zero-shot, transfer)"
        )
    raise RunError(
        f"the view keeps only a digest of its encoder ({fingerprint!r}), by which it cannot be found; run "
        "`sensorloom build` again, and train on what it makes"
    )


def _who(fingerprint: Mapping[str, Any]) -> str:
    return f"weights {str(fingerprint.get('weights'))[:12]}, {fingerprint.get('precision')}"


def _sha256_of(path: Path) -> str:
    return file_digest(path).sha256
