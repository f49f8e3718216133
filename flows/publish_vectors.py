"""What an embed run puts into the next snapshot, as a pure plan against whatever the head is by then."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Any, cast

import pyarrow as pa
import pyarrow.compute as pc

from sensorloom.embed.errors import EmbedError
from sensorloom.embed.keys import facts_key, vectors_key
from sensorloom.embed.texts import merge_texts, text_key
from sensorloom.flows.embed_plan import Wanted
from sensorloom.flows.encoders import current_vectors, made_of
from sensorloom.flows.freshness import by_bucket
from sensorloom.flows.stored_encoders import ENCODERS, stored_encoder
from sensorloom.flows.tables import merge_rows
from sensorloom.ingest.video import decoder_version
from sensorloom.store.changes import Base, Drop, Put
from sensorloom.store.errors import ConflictError
from sensorloom.store.manifest import Shard, WorkRecord, work_key
from sensorloom.store.repository import Repository

__all__ = ["EMBED", "PublishVectors", "drop_encoder"]

EMBED = "embed"
"""What decoding found lies in the findings under `embed.<bucket>`."""


@dataclass(frozen=True, slots=True)
class PublishVectors:
    """Put the vectors of one encoder into the snapshot, with the frame facts, findings and texts of its takes.

    `vectors` and `facts` are work records of takes embedded now, `new_texts` shards of text vectors that the head may
    lack, `golden` is the encoder's own shard. Afterwards this encoder's tables hold what was made of the takes as they
    stand, and nothing else; of takes that left the store no table of any encoder holds anything.
    """

    repo: Repository
    wanted: Wanted
    golden: Shard | None
    vectors: Mapping[str, WorkRecord]
    facts: Mapping[str, WorkRecord]
    new_texts: tuple[Shard, ...]

    def __call__(self, base: Base) -> Iterator[Put | Drop]:
        """Plan against `base`. Raises `ConflictError` where another run published texts since this one looked."""
        streams, name = base.manifest("streams").shards, self.wanted.name
        vectors = current_vectors(streams, base.manifest(f"vectors:{name}"), self.wanted.fingerprint)
        made = (record.shards[0] for record in self.vectors.values())
        vectors |= made_of(streams, made, lambda shard: vectors_key(shard.digest, self.wanted.fingerprint))
        yield from _changes(base, f"vectors:{name}", vectors)
        yield from self._encoder(base, there=bool(vectors))
        yield from self._facts(base, streams)
        embedded: dict[str, Set[str]] = {name: vectors.keys()}
        embedded |= {
            other: _embedded_by(self.repo, base, other) for other in _encoders(base) if other != name
        }
        for other in embedded.keys() - {name}:
            yield from _without_the_gone(base, f"vectors:{other}", streams)
        texts = self._texts(base, set().union(*embedded.values()))
        yield from _put_rows(self.repo, base, "texts", texts)
        for other, takes in embedded.items():
            yield from self._text_vectors(base, other, _ids_of(texts.values(), takes))

    def _encoder(self, base: Base, *, there: bool) -> Iterator[Put | Drop]:
        if not there:
            yield Drop(ENCODERS, self.wanted.name)
        elif self.golden is not None and self._fingerprint(base) is None:
            # Where it is the same, the golden vectors of another machine, equal to a tolerance, stand.
            yield Put(ENCODERS, self.golden)

    def _fingerprint(self, base: Base) -> Mapping[str, Any] | None:
        """Return the fingerprint of the snapshot's encoder of this name, where it is the one of this run."""
        held = base.manifest(ENCODERS).get(self.wanted.name)
        ours = dict(self.wanted.identity.fingerprint)
        return ours if held is not None and _fingerprint_of(self.repo, held) == ours else None

    def _facts(self, base: Base, streams: tuple[Shard, ...]) -> Iterator[Put | Drop]:
        decoder, held = decoder_version(), base.manifest("frames").shards

        def key(shard: Shard) -> str:
            return facts_key(shard.digest, decoder)

        made = made_of(streams, (record.shards[0] for record in self.facts.values()), key)
        facts = made_of(streams, held, key) | made
        yield from _changes(base, "frames", facts)
        gone = {shard.key for shard in held} - facts.keys()
        touched = by_bucket(sorted(gone | made.keys()), lambda take: take)
        findings = {
            f"{EMBED}.{bucket}": merge_rows(
                "findings",
                _read(self.repo, base, "findings", f"{EMBED}.{bucket}"),
                takes,
                [row for take in takes if take in made for row in self.facts[take].rows["findings"]],
            )
            for bucket, takes in touched.items()
        }
        yield from _put_rows(self.repo, base, "findings", findings)

    def _texts(self, base: Base, embedded: Set[str]) -> dict[str, pa.Table]:
        """Return the rows of the `texts` table by bucket: those of takes that some encoder has embedded as they are."""
        now = by_bucket([take for take in sorted(embedded) if take in self.vectors], lambda take: take)
        buckets = {shard.key for shard in base.manifest("texts").shards} | now.keys()
        tables = {}
        for bucket in sorted(buckets):
            old = _read(self.repo, base, "texts", bucket)
            takes = now.get(bucket, [])
            gone = set(() if old is None else old["take_id"].unique().to_pylist()) - embedded
            rows = [row for take in takes for row in self.vectors[take].rows["texts"]]
            tables[bucket] = merge_rows("texts", old, {*gone, *takes}, rows)
        return tables

    def _text_vectors(self, base: Base, encoder: str, wanted: set[str]) -> Iterator[Put | Drop]:
        table, held = f"texts:{encoder}", base.manifest(ENCODERS).get(encoder)
        is_ours = encoder == self.wanted.name
        fingerprint = self._fingerprint(base) if is_ours else held and _fingerprint_of(self.repo, held)
        new = self.new_texts if is_ours else ()
        ids = by_bucket(sorted(wanted), lambda text_id: text_id)
        for bucket, ids_of_bucket in ids.items():
            old = base.manifest(table).get(bucket) if fingerprint else None
            if old is not None and fingerprint and old.work == text_key(encoder, fingerprint, ids_of_bucket):
                continue
            try:
                yield Put(table, merge_texts(self.repo, bucket, (old, *new), ids_of_bucket))
            except EmbedError as error:
                raise ConflictError(
                    f"texts were published while encoder {encoder} was embedding ({error}); the same command again does"
                    " what is left"
                ) from error
        yield from (Drop(table, shard.key) for shard in base.manifest(table).shards if shard.key not in ids)


def drop_encoder(repo: Repository, name: str, base: Base) -> Iterator[Drop | Put]:
    """Take out all vectors of an encoder, and the texts that no other has."""
    for table in (f"vectors:{name}", f"texts:{name}"):
        yield from (Drop(table, shard.key) for shard in base.manifest(table).shards)
    yield Drop(ENCODERS, name)
    others = [_embedded_by(repo, base, other) for other in _encoders(base) if other != name]
    embedded: set[str] = set().union(*others)
    for shard in base.manifest("texts").shards:
        rows = repo.read_table(shard)
        gone = set(rows["take_id"].unique().to_pylist()) - embedded
        if gone:
            yield from _put_rows(repo, base, "texts", {shard.key: merge_rows("texts", rows, gone, ())})


def _encoders(base: Base) -> list[str]:
    return [shard.key for shard in base.manifest(ENCODERS).shards]


def _fingerprint_of(repo: Repository, row: Shard) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", repo.open_arrays(row).attributes["fingerprint"])


def _embedded_by(repo: Repository, base: Base, encoder: str) -> Set[str]:
    """Return the takes that the snapshot has vectors of an encoder of, made of their streams as they stand."""
    row, vectors = base.manifest(ENCODERS).get(encoder), base.manifest(f"vectors:{encoder}")
    if row is None or not vectors.shards:
        return set()
    fingerprint = stored_encoder(repo, row, vectors).fingerprint
    return current_vectors(base.manifest("streams").shards, vectors, fingerprint).keys()


def _changes(base: Base, table: str, after: Mapping[str, Shard]) -> Iterator[Put | Drop]:
    """Make `after` the shards of a table."""
    yield from (Put(table, shard) for shard in after.values())
    yield from (Drop(table, shard.key) for shard in base.manifest(table).shards if shard.key not in after)


def _without_the_gone(base: Base, table: str, streams: Iterable[Shard]) -> Iterator[Drop]:
    there = {shard.key for shard in streams}
    yield from (Drop(table, shard.key) for shard in base.manifest(table).shards if shard.key not in there)


def _put_rows(repo: Repository, base: Base, table: str, rows: Mapping[str, pa.Table]) -> Iterator[Put | Drop]:
    """Write rows by shard key; what nothing is left of goes, as if it had never been there."""
    for key, shard_rows in rows.items():
        if shard_rows.num_rows:
            yield Put(table, repo.write_table(key, shard_rows, work=work_key("publish", 1, table, None)))
        elif base.manifest(table).get(key) is not None:
            yield Drop(table, key)


def _read(repo: Repository, base: Base, table: str, key: str) -> pa.Table | None:
    shard = base.manifest(table).get(key)
    return None if shard is None else repo.read_table(shard)


def _ids_of(tables: Iterable[pa.Table], takes: Collection[str]) -> set[str]:
    """Return the ids of the texts of `takes`."""
    chosen = pa.array(sorted(takes), pa.string())
    kept = (table.filter(pc.is_in(table["take_id"], value_set=chosen)) for table in tables)
    return {text_id for table in kept for text_id in table["text_id"].unique().to_pylist()}
