"""The text stage: distinct texts in, each encoded once; buckets of text vectors out."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from sensorloom.embed.checked import ensure_golden, golden_key, ready_encoder
from sensorloom.embed.encoder import Identity
from sensorloom.embed.errors import EncoderError
from sensorloom.embed.records import merge_rows, text_arrays
from sensorloom.embed.vectors import normalise
from sensorloom.store.manifest import JSON, Shard, WorkRecord, work_key
from sensorloom.store.repository import Repository

__all__ = ["TextTask", "embed_golden", "embed_texts", "merge_texts", "text_key"]

STAGE = "texts"
CODE_VERSION = 1


@dataclass(frozen=True, slots=True)
class TextTask:
    """What a worker needs to encode a chunk of texts, by id."""

    store_url: str
    identity: Identity
    device: str
    batch_size: int | None
    texts: tuple[tuple[str, str], ...]
    golden: Shard | None = None


def text_key(encoder: str, fingerprint: Mapping[str, Any], ids: Sequence[str]) -> str:
    """Return the key of the work that gives the vectors of the texts with these ids, rising, by an encoder."""
    return work_key(STAGE, CODE_VERSION, list(ids), [encoder, dict(fingerprint)])


def embed_texts(task: TextTask) -> str:
    """Encode a chunk of texts and return the key of the work, a shard of their ids, vectors and norms.

    Raises as `embed_takes` does.
    """
    texts = sorted(task.texts)
    ids = [text_id for text_id, _ in texts]
    repo, key = Repository.open(task.store_url), text_key(task.identity.name, task.identity.fingerprint, ids)
    if repo.find_work(key) is None:
        raw = ready_encoder(repo, task).encode_texts([text for _, text in texts])
        what = f"{task.identity.name}: texts {ids[0][:12]} to {ids[-1][:12]}" if ids else "no texts"
        arrays = text_arrays(ids, *normalise(raw, dim=task.identity.dim, what=what))
        attributes: dict[str, JSON] = {
            "encoder": task.identity.name,
            "fingerprint": dict(task.identity.fingerprint),
        }
        shard = repo.write_arrays("texts", arrays, rows=len(ids), attributes=attributes, work=key)
        repo.record_work(WorkRecord(key, STAGE, task.identity.name, (shard,), {}))
    return key


def embed_golden(task: TextTask) -> str:
    """Have the golden vectors of a task's encoder filed; return the key of that work. Raises as `embed_texts` does."""
    ensure_golden(Repository.open(task.store_url), task)
    return golden_key(task.identity)


def merge_texts(
    repo: Repository, bucket: str, shards: Sequence[Shard | None], wanted: Collection[str]
) -> Shard:
    """Write a bucket of text vectors, exactly the `wanted` ids, of the shards that have them; earlier shards win.

    Raises `EmbedError` for an id that none has, `EncoderError` where the shards are not of one encoder.
    """
    parts = [repo.open_arrays(shard) for shard in shards if shard is not None]
    encoders = [(part.attributes["encoder"], part.attributes["fingerprint"]) for part in parts]
    if not encoders or any(encoder != encoders[0] for encoder in encoders):
        names = ", ".join(str(name) for name, _ in encoders) or "none"
        raise EncoderError(f"text vectors of one encoder make a bucket, these shards are of: {names}")
    arrays, (name, fingerprint) = merge_rows(parts, wanted), encoders[0]
    return repo.write_arrays(
        bucket,
        arrays,
        rows=len(arrays["ids"]),
        attributes={"encoder": name, "fingerprint": fingerprint},
        work=text_key(str(name), cast("Mapping[str, Any]", fingerprint), sorted(set(wanted))),
    )
