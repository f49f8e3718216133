"""The encoder of the texts of a query: the very one whose vectors a view carries, told by its fingerprint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sensorloom.flows.config import Config
from sensorloom.flows.encoders import choose_spec
from sensorloom.flows.errors import ConfigError
from sensorloom.flows.stored_encoders import ENCODERS
from sensorloom.ingest.digest import file_digest
from sensorloom.store.manifest import Snapshot
from sensorloom.store.repository import Repository

__all__ = ["EncodeText", "text_encoder"]

EncodeText: TypeAlias = Callable[[str], NDArray[np.float32]]
_OF_TEXTS = ("weights", "architecture", "precision", "normalisation", "tokenizer")
"""What of a fingerprint the vector of a text depends on."""


def text_encoder(
    config: Config, repo: Repository, snapshot: Snapshot, name: str, fingerprint: Mapping[str, Any] | str
) -> EncodeText:
    """Load the encoder `name`, with which `fingerprint` goes, and return what encodes a text to float32[D].

    Which files it is made of `[embed]` says, as it did when the store was embedded; a generated store needs nothing.
    Raises `ConfigError` where these are of another encoder, or the embed extra is not installed; `EncoderError` where
    it cannot be loaded, or gives other vectors than the store has.
    """
    from sensorloom.embed.clip import identify, load_encoder

    if isinstance(fingerprint, str):
        raise ConfigError(
            f"the view keeps only a digest of encoder {name!r}, by which it cannot be found; run `sensorloom build`"
            " again"
        )
    spec = replace(
        choose_spec(config, frozenset({"generated"})), precision=fingerprint.get("precision", "fp32")
    )
    identity = identify(spec, sha256_of=lambda path: file_digest(path).sha256)
    differing = [field for field in _OF_TEXTS if identity.fingerprint.get(field) != fingerprint.get(field)]
    if differing:
        raise ConfigError(
            f"the vectors are those of encoder {name!r}, the configuration names {identity.name!r}, which differs in"
            f" {', '.join(differing)}; name the encoder as when the store was embedded: --set embed.model=MODEL --set"
            " embed.pretrained=TAG|FILE, or in sensorloom.toml"
        )
    encoder = load_encoder(identity, device=config.embed.device, batch_size=1)
    _check(repo, snapshot, name, encoder.encode_texts)
    return partial(_encode, encoder.encode_texts)


def _encode(encode: Callable[[list[str]], NDArray[np.float32]], text: str) -> NDArray[np.float32]:
    vector: NDArray[np.float32] = encode([text])[0]
    return vector


def _check(
    repo: Repository, snapshot: Snapshot, name: str, encode: Callable[[list[str]], NDArray[np.float32]]
) -> None:
    """Raise `EncoderError` where the encoder gives other vectors of the golden texts than those in the store."""
    from sensorloom.embed.errors import EncoderError
    from sensorloom.embed.golden import GOLDEN_TEXTS
    from sensorloom.embed.vectors import TOLERANCE_COSINE, agree

    shard = repo.manifest(snapshot, ENCODERS).get(name)
    golden = None if shard is None else repo.open_arrays(shard)
    if golden is None or len(golden["golden/text_vectors"]) != len(GOLDEN_TEXTS):
        return
    cosine = agree(encode(list(GOLDEN_TEXTS)), golden["golden/text_vectors"])
    if not cosine >= TOLERANCE_COSINE:
        raise EncoderError(
            f"encoder {name} gives other vectors of texts than those in the store: cosine {cosine:.6f} of golden texts,"
            f" where at least {TOLERANCE_COSINE} is promised; its weights are the same, so look at the versions of"
            " torch and open_clip, and at the device"
        )
