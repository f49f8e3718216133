"""What an embed run would do and why, before a single frame is decoded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from sensorloom.embed.encoder import Identity
from sensorloom.embed.facts import FACTS_PER_FRAME_BYTES
from sensorloom.embed.keys import differing_fields, facts_key, vectors_key
from sensorloom.embed.preprocess import ResizeBackend
from sensorloom.flows.encoders import current_vectors
from sensorloom.flows.errors import ConfigError
from sensorloom.flows.stored_encoders import ENCODERS, StoredEncoder, stored_encoders
from sensorloom.flows.take_sizes import TakeSize
from sensorloom.ingest.video import decoder_version
from sensorloom.store.manifest import Shard, Snapshot
from sensorloom.store.repository import Repository

__all__ = [
    "EmbedPlan",
    "EmbedReason",
    "PlannedEmbedding",
    "Wanted",
    "plan_embed",
]

EmbedReason = Literal["new", "take changed", "encoder changed", "facts are missing", "done, not published"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """The encoder of a run: what it is, how pictures come to its size, and all that its vectors depend on."""

    identity: Identity
    backend: ResizeBackend
    fingerprint: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Name under which the store holds its vectors."""
        return self.identity.name


@dataclass(frozen=True, slots=True)
class PlannedEmbedding:
    """A take to be embedded, why, and how much there is of it.

    `differs` names, by encoder in the store that has vectors of the take, the fields of the fingerprint that differ.
    """

    take_id: str
    streams: Shard
    reason: EmbedReason
    differs: Mapping[str, tuple[str, ...]]
    size: TakeSize

    @property
    def frames(self) -> int:
        """Frames to decode, about; none where a run that was killed had done it."""
        return 0 if self.reason == "done, not published" else self.size.frames


@dataclass(frozen=True, slots=True)
class EmbedPlan:
    """The takes with videos or texts: those to embed, and those that stand."""

    snapshot: Snapshot
    wanted: Wanted
    takes: tuple[PlannedEmbedding, ...]
    unchanged: tuple[str, ...]
    gone: tuple[str, ...]
    """Takes that the store has vectors or frame facts of, and that are not in it any more."""
    roots: Mapping[str, Path]
    frames_per_s: float | None
    """Of the last run with this encoder, None before one."""
    golden: Shard | None = None
    """The encoder's golden vectors where the snapshot has them."""
    text_vectors: tuple[Shard, ...] = ()
    """The vectors of texts that it gave before."""

    @property
    def replaces(self) -> bool:
        """Whether the store has vectors under this encoder's name that are not of the same fingerprint."""
        return any(take.differs.get(self.wanted.name) for take in self.takes)

    def root_of(self, take_id: str) -> Path | None:
        """Return the folder of the take's data set; None where nobody told or it is not there any more."""
        root = self.roots.get(take_id.partition("/")[0])
        return root if root is not None and root.is_dir() else None

    @property
    def unreachable(self) -> dict[str, int]:
        """Takes to embed whose raw files are nowhere, by data set."""
        lost = (take.take_id for take in self.takes if self.root_of(take.take_id) is None)
        return dict(sorted(Counter(take_id.partition("/")[0] for take_id in lost).items()))

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to embed, nothing to take out, and the encoder's own row is there."""
        return not self.takes and not self.gone and (self.golden is not None or not self.unchanged)

    @property
    def frames(self) -> int:
        """Frames to decode, about."""
        return sum(take.frames for take in self.takes)

    @property
    def stored_bytes(self) -> int:
        """Bytes that the vectors and facts of those frames will take."""
        return self.frames * (2 * self.wanted.identity.dim + _VECTOR_EXTRA_BYTES + FACTS_PER_FRAME_BYTES)

    @property
    def reasons(self) -> dict[str, int]:
        """Takes by reason."""
        return dict(sorted(Counter(take.reason for take in self.takes).items()))


_VECTOR_EXTRA_BYTES = 8 + 4 + 1  # pts, norm and mask beside each vector


def plan_embed(
    repo: Repository,
    snapshot: Snapshot,
    wanted: Wanted,
    takes: Mapping[str, TakeSize],
    *,
    ref: str,
    roots: Mapping[str, Path],
) -> EmbedPlan:
    """Compare `takes`, those with pictures or texts, with the vectors and frame facts of `snapshot`. Reads no raw data.

    `roots` are the folders of data sets, in place of those that the last ingest of each read. Raises `ConfigError`
    where vectors of other weights lie under the encoder's name.
    """
    streams = [shard for shard in repo.manifest(snapshot, "streams").shards if shard.key in takes]
    vectors = repo.manifest(snapshot, f"vectors:{wanted.name}")
    current = current_vectors(streams, vectors, wanted.fingerprint)
    facts = repo.manifest(snapshot, "frames")
    decoder = decoder_version()
    pending, unchanged = [], []
    others = _others(repo, snapshot)
    for shard in streams:
        stored = facts.get(shard.key)
        has_facts = stored is not None and stored.work == facts_key(shard.digest, decoder)
        if shard.key in current and has_facts:
            unchanged.append(shard.key)
            continue
        differs = _differs(others, shard.key, wanted)
        reason = _reason(shard.key in current, vectors.get(shard.key), differs.get(wanted.name, ()))
        keys = (vectors_key(shard.digest, wanted.fingerprint), facts_key(shard.digest, decoder))
        if all(repo.find_work(key) is not None for key in keys):
            reason = "done, not published"
        pending.append(PlannedEmbedding(shard.key, shard, reason, differs, takes[shard.key]))
    told = _tell_log(repo, ref, wanted.name)
    golden, text_vectors = _given_before(repo, snapshot, wanted.identity)
    return EmbedPlan(
        snapshot=snapshot,
        wanted=wanted,
        takes=tuple(pending),
        unchanged=tuple(unchanged),
        gone=tuple(sorted({shard.key for shard in (*vectors.shards, *facts.shards)} - takes.keys())),
        roots={**told.roots, **roots},
        frames_per_s=told.frames_per_s,
        golden=golden,
        text_vectors=text_vectors,
    )


def _given_before(
    repo: Repository, snapshot: Snapshot, identity: Identity
) -> tuple[Shard | None, tuple[Shard, ...]]:
    """Return the golden vectors and those of texts that the very encoder gave.

    Raises `ConfigError` where those under its name are of other weights, or of another width.
    """
    golden = repo.manifest(snapshot, ENCODERS).get(identity.name)
    if golden is None:
        return None, ()
    attributes = repo.open_arrays(golden).attributes
    theirs = cast("Mapping[str, Any]", attributes["fingerprint"])
    others = [
        f"{what} {_short(held)} there, {_short(ours)} here"
        for what, held, ours in (
            ("weights", theirs.get("weights"), identity.fingerprint["weights"]),
            ("width", attributes["dim"], identity.dim),
        )
        if held != ours
    ]
    if others:
        raise ConfigError(
            f"the store has vectors of another encoder under the name {identity.name} ({', '.join(others)}); give this"
            " one a name of its own (--set embed.name=…), or take the others out:"
            f" sensorloom embed --drop {identity.name}"
        )
    if theirs != dict(identity.fingerprint):
        return None, ()
    return golden, repo.manifest(snapshot, f"texts:{identity.name}").shards


def _short(value: object) -> str:
    """Return a number as it is, and a digest by its first digits."""
    return str(value)[:12]


@dataclass(frozen=True, slots=True)
class _Told:
    """What the log tells: where the last ingest of each data set read, and how fast the encoder last was."""

    roots: Mapping[str, Path]
    frames_per_s: float | None


def _tell_log(repo: Repository, ref: str, encoder: str) -> _Told:
    roots: dict[str, Path] = {}
    paces: list[float] = []
    for entry in repo.log(ref):  # newest first
        dataset, raw = entry.provenance.get("dataset"), entry.provenance.get("raw")
        if isinstance(dataset, str) and isinstance(raw, str):
            roots.setdefault(dataset, Path(raw))
        pace = entry.provenance.get("frames_per_s")
        if entry.provenance.get("encoder") == encoder and isinstance(pace, float) and pace > 0:
            paces.append(pace)
    return _Told(roots, paces[0] if paces else None)


def _reason(has_vectors: bool, held: Shard | None, fields: tuple[str, ...]) -> EmbedReason:
    if has_vectors:
        return "facts are missing"
    if held is None:
        return "new"
    return "encoder changed" if fields else "take changed"


@dataclass(frozen=True, slots=True)
class _Other:
    encoder: StoredEncoder
    takes: frozenset[str]


def _others(repo: Repository, snapshot: Snapshot) -> list[_Other]:
    """Return every encoder of the snapshot with the takes that it has vectors of."""
    return [
        _Other(encoder, frozenset(shard.key for shard in repo.manifest(snapshot, f"vectors:{name}").shards))
        for name, encoder in stored_encoders(repo, snapshot).items()
    ]


def _differs(others: list[_Other], take_id: str, wanted: Wanted) -> dict[str, tuple[str, ...]]:
    held = [other.encoder for other in others if take_id in other.takes]
    return {encoder.name: differing_fields(encoder.fingerprint, wanted.fingerprint) for encoder in held}
