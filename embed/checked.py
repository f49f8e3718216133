"""An encoder ready for use: loaded once in a process, and checked against what the store holds of it.

Golden pictures and texts are encoded with every encoder. The store keeps what came out, so that a driver, a library or
a device that changes its vectors is found before any of them are mixed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sensorloom.embed.clip import load_encoder
from sensorloom.embed.encoder import Encoder, Identity
from sensorloom.embed.errors import EncoderError
from sensorloom.embed.golden import GOLDEN_TEXTS, golden_pictures, parity
from sensorloom.embed.preprocess import ResizeBackend, to_tower
from sensorloom.embed.vectors import TOLERANCE_COSINE, agree, normalise
from sensorloom.store.manifest import Shard, WorkRecord, work_key
from sensorloom.store.repository import Repository

__all__ = [
    "EncoderUse",
    "check_encoder",
    "ensure_golden",
    "golden_arrays",
    "golden_key",
    "golden_shard",
    "ready_encoder",
]

STAGE = "golden"
CODE_VERSION = 1

_loaded: dict[tuple[str, str, int | None], Encoder] = {}
"""The one encoder that this process holds, by weights and place: loading takes seconds and a device's memory."""
_passed: set[str] = set()
"""The checks that it has passed."""


class EncoderUse(Protocol):
    """The part of a task that says which encoder it needs, where, and the golden vectors that it must give."""

    @property
    def identity(self) -> Identity:
        """What the encoder is."""

    @property
    def device(self) -> str:
        """Where it runs."""

    @property
    def batch_size(self) -> int | None:
        """Pictures of one forward pass, None to be found by trial."""

    @property
    def golden(self) -> Shard | None:
        """Its shard of the `encoders` table, None where it is new to the store."""


def golden_key(identity: Identity) -> str:
    """Return the key of the work that makes the golden vectors of an encoder."""
    return work_key(STAGE, CODE_VERSION, identity.name, dict(identity.fingerprint))


def ready_encoder(repo: Repository, use: EncoderUse, backend: ResizeBackend = "pil") -> Encoder:
    """Return the encoder of this process, loaded where it is not there yet, and checked once.

    Where nobody has its golden vectors, or only those of another golden set, they are made and filed under
    `golden_key`. Raises `EncoderError` or `DeviceError` where it cannot be loaded, and as `check_encoder` does.
    """
    return _ready(repo, use, backend)[0]


def ensure_golden(repo: Repository, use: EncoderUse) -> Shard:
    """Return the encoder's golden shard, to be published with its vectors.

    Where all its vectors are reused no process has loaded it: only then, and only where nobody has filed its golden
    vectors, it is loaded and checked here. Raises as `ready_encoder` does.
    """
    record = repo.find_work(golden_key(use.identity))
    held = _published(use) or (record.shards[0] if record is not None else None)
    return held or _ready(repo, use, "pil")[1]


def golden_shard(repo: Repository, identity: Identity, encoder: Encoder) -> Shard:
    """Write the encoder's shard of the `encoders` table: who it is, and its golden vectors."""
    arrays = golden_arrays(encoder)
    return repo.write_arrays(
        identity.name,
        arrays,
        rows=len(arrays["golden/vectors"]),
        attributes={"name": identity.name, "dim": identity.dim, "fingerprint": dict(identity.fingerprint)},
        work=golden_key(identity),
    )


def golden_arrays(encoder: Encoder) -> dict[str, NDArray[Any]]:
    """Return the vectors of the golden pictures, prepared the reference way, and of the golden texts."""
    identity = encoder.identity
    pictures = np.stack([to_tower(picture, identity.preprocess, "pil") for picture in golden_pictures()])
    vectors, _ = normalise(
        encoder.encode_images(pictures), dim=identity.dim, what=f"{identity.name}: golden pictures"
    )
    texts, _ = normalise(
        encoder.encode_texts(GOLDEN_TEXTS), dim=identity.dim, what=f"{identity.name}: golden texts"
    )
    return {"golden/vectors": vectors, "golden/text_vectors": texts}


def check_encoder(
    encoder: Encoder, backend: ResizeBackend, golden: Mapping[str, NDArray[Any]] | None
) -> None:
    """Raise `EncoderError` where an encoder gives other vectors than `golden`, if any, or cannot do with `backend`."""
    if golden is not None:
        _check_golden(encoder, golden)
    if backend == "swscale":
        _check_resize(encoder)


def _ready(repo: Repository, use: EncoderUse, backend: ResizeBackend) -> tuple[Encoder, Shard]:
    """Return the encoder, and the shard of its golden vectors."""
    encoder, key = _load(use), golden_key(use.identity)
    record = repo.find_work(key)
    held = _published(use) or (record.shards[0] if record is not None else None)
    golden = held or golden_shard(repo, use.identity, encoder)
    if record is None:
        repo.record_work(WorkRecord(key, STAGE, use.identity.name, (golden,), {}))
    check = f"{backend} {golden.digest}"
    if check not in _passed:
        check_encoder(encoder, backend, None if held is None else repo.open_arrays(held))
        _passed.add(check)
    return encoder, golden


def _published(use: EncoderUse) -> Shard | None:
    """Return the golden shard that comes with the task, None where it is of another golden set."""
    if use.golden is None or use.golden.work != golden_key(use.identity):
        return None
    return use.golden


def _load(use: EncoderUse) -> Encoder:
    who = repr((use.identity.name, sorted(use.identity.fingerprint.items())))
    key = (who, use.device, use.batch_size)
    if key not in _loaded:
        _loaded.clear()
        _passed.clear()
        _loaded[key] = load_encoder(use.identity, device=use.device, batch_size=use.batch_size)
    return _loaded[key]


def _check_golden(encoder: Encoder, golden: Mapping[str, NDArray[Any]]) -> None:
    given, name = golden_arrays(encoder), encoder.identity.name
    for what, key in (("pictures", "golden/vectors"), ("texts", "golden/text_vectors")):
        held = golden[key]
        if held.shape != given[key].shape:
            raise EncoderError(
                f"encoder {name} gives {list(given[key].shape)} golden vectors of {what}, the store has"
                f" {list(held.shape)}; they cannot share a table: embed into another store"
            )
        cosine = agree(given[key], held)
        if cosine < TOLERANCE_COSINE:
            raise EncoderError(
                f"encoder {name} gives other vectors than those in the store: cosine {cosine:.6f} of golden {what},"
                f" where at least {TOLERANCE_COSINE} is promised; its weights are the same, so look at the versions of"
                " torch and of Pillow (which resizes the golden pictures), at the device and its driver, or embed into"
                " another store"
            )


def _check_resize(encoder: Encoder) -> None:
    found = parity(encoder.encode_images, encoder.identity.preprocess)
    if not found.holds:
        raise EncoderError(
            f"encoder {encoder.identity.name}: scaling pictures by swscale moves its vectors by"
            f" {100 * found.ratio:.2f} % of the distance between different pictures, 1 % is allowed; set"
            ' embed.resize = "pil"'
        )
