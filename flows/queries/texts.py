"""The encoder of the texts of a query: the very one whose vectors a view carries, held against its golden texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sensorloom.flows.chosen_encoder import choose_spec
from sensorloom.flows.config import Config
from sensorloom.flows.errors import ConfigError
from sensorloom.flows.stored_encoders import ENCODERS
from sensorloom.store.manifest import Snapshot
from sensorloom.store.repository import Repository

__all__ = ["EncodeText", "text_encoder"]

EncodeText: TypeAlias = Callable[[str], NDArray[np.float32]]


def text_encoder(
    config: Config, repo: Repository, snapshot: Snapshot, name: str, fingerprint: Mapping[str, Any] | str
) -> EncodeText:
    """Load the encoder `name`, with which `fingerprint` goes, and return what encodes a text to float32[D].

    Which files it is made of `[embed]` says, as it did when the store was embedded; a generated store needs nothing.
    Raises `ConfigError` where that is another encoder, none, or the embed extra is not installed, and `EncoderError`
    where it gives other vectors than the store has.
    """
    from sensorloom.training.errors import RunError
    from sensorloom.training.evaluation.golden_texts import check_golden_texts
    from sensorloom.training.evaluation.text_encoder import open_text_encoder

    spec = choose_spec(config, frozenset({"generated"}))
    try:
        encoder = open_text_encoder(fingerprint, spec=spec, device=config.embed.device)
    except RunError as error:
        raise ConfigError(str(error)) from error
    row = repo.manifest(snapshot, ENCODERS).get(name)
    check_golden_texts(name, None if row is None else repo.open_arrays(row), encoder.encode_texts)
    return partial(_encode, encoder.encode_texts)


def _encode(encode: Callable[[list[str]], NDArray[np.float32]], text: str) -> NDArray[np.float32]:
    vector: NDArray[np.float32] = encode([text])[0]
    return vector
