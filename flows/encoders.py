"""Which frozen encoder of those that a store has a build means, and what the store has of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sensorloom.embed.build import BuildEncoder
from sensorloom.embed.keys import vectors_key
from sensorloom.flows.config import Config
from sensorloom.flows.errors import ConfigError
from sensorloom.flows.stored_encoders import StoredEncoder, stored_encoders
from sensorloom.store.manifest import Manifest, Shard, Snapshot
from sensorloom.store.repository import Repository

__all__ = [
    "EncoderShards",
    "current_vectors",
    "encoder_for_build",
    "encoder_shards",
    "made_of",
]


@dataclass(frozen=True, slots=True)
class EncoderShards:
    """What a snapshot has of one encoder: by take the vectors made of its streams as they stand, and those of texts."""

    encoder: StoredEncoder
    vectors: Mapping[str, Shard]
    texts: tuple[Shard, ...]

    def of_takes(self, streams: Iterable[Shard]) -> BuildEncoder:
        """Return what there is for the takes with these stream shards."""
        return BuildEncoder(
            name=self.encoder.name,
            fingerprint=dict(self.encoder.fingerprint),
            dim=self.encoder.dim,
            vectors=tuple(self.vectors.get(shard.key) for shard in streams),
            texts=self.texts,
        )


def encoder_shards(repo: Repository, snapshot: Snapshot, name: str) -> EncoderShards | None:
    """Return what `snapshot` has of the encoder `name`; None where it has nothing."""
    encoder = stored_encoders(repo, snapshot).get(name)
    if encoder is None:
        return None
    streams = repo.manifest(snapshot, "streams").shards
    vectors = current_vectors(streams, repo.manifest(snapshot, f"vectors:{name}"), encoder.fingerprint)
    return EncoderShards(encoder, vectors, repo.manifest(snapshot, f"texts:{name}").shards)


def encoder_for_build(repo: Repository, snapshot: Snapshot, config: Config) -> EncoderShards | None:
    """Return what the encoder has whose vectors views shall carry; None in a store without vectors.

    Raises `ConfigError` where the one that `build.encoder` names is not there, or several are and none is named.
    """
    names, asked = sorted(stored_encoders(repo, snapshot)), config.build.encoder
    if asked and asked not in names:
        raise ConfigError(
            f"build.encoder = {asked!r}: the store has vectors of {', '.join(names) or 'no encoder'};"
            " run `sensorloom embed` with it first"
        )
    if len(names) > 1 and not asked:
        raise ConfigError(
            f"the store has vectors of {', '.join(names)}; say whose views shall carry:"
            " sensorloom build --encoder NAME"
        )
    return encoder_shards(repo, snapshot, asked or names[0]) if names else None


def current_vectors(
    streams: Iterable[Shard], vectors: Manifest, fingerprint: Mapping[str, Any]
) -> dict[str, Shard]:
    """Return, by take, the shards of `vectors` that were made of the take's streams as they stand now."""
    return made_of(streams, vectors.shards, lambda shard: vectors_key(shard.digest, fingerprint))


def made_of(streams: Iterable[Shard], made: Iterable[Shard], key: Callable[[Shard], str]) -> dict[str, Shard]:
    """Return, by take, the shards of `made` whose work is the `key` of the take's stream shard."""
    by_take = {shard.key: shard for shard in made}
    found = ((shard, by_take.get(shard.key)) for shard in streams)
    return {shard.key: held for shard, held in found if held is not None and held.work == key(shard)}
