"""The embed run: plan, decode and encode what is new, encode the texts that are new, publish in one commit."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

from sensorloom import __version__
from sensorloom.embed.clip import identify
from sensorloom.embed.encoder import EncoderSpec
from sensorloom.embed.keys import full_fingerprint
from sensorloom.embed.preprocess import choose_backend
from sensorloom.embed.stage import Embedded, Failed
from sensorloom.flows.chosen_encoder import choose_spec
from sensorloom.flows.commands.raw import dataset_folders
from sensorloom.flows.config import Config
from sensorloom.flows.embed_job import EmbedJob
from sensorloom.flows.embed_plan import EmbedPlan, Wanted, plan_embed
from sensorloom.flows.errors import ConfigError
from sensorloom.flows.outcomes import EmbedReport
from sensorloom.flows.publish_vectors import PublishVectors, drop_encoder
from sensorloom.flows.stored_encoders import ENCODERS
from sensorloom.flows.take_sizes import with_pictures_or_texts
from sensorloom.flows.work import Progress, check_engine, head_id
from sensorloom.ingest.digest import DigestCache, file_digest
from sensorloom.ingest.take import counted
from sensorloom.store.manifest import Snapshot
from sensorloom.store.repository import Repository
from sensorloom.store.transaction import Commit

__all__ = ["drop_vectors", "embed_store", "plan_of_store", "why_not_embed"]


def plan_of_store(
    repo: Repository, config: Config, *, raw: Path | None = None, cache: DigestCache | None = None
) -> EmbedPlan:
    """Return what an embed run would do. Decodes nothing, loads no model.

    `raw` is the parent of data sets' folders, which counts before where the last ingest of each read it. Raises
    `ConfigError` for an empty store, a `raw` without any such folder, or where no encoder is chosen, `EncoderError`
    where it cannot be had.
    """
    _check_installed()
    snapshot = _head(repo, config)
    takes = with_pictures_or_texts(repo, snapshot)
    spec = choose_spec(config, frozenset(take.origin for take in takes.values()))
    wanted = _want(spec, config, cache or DigestCache.default())
    roots = {} if raw is None else {name: folder.absolute() for name, folder in dataset_folders(str(raw))}
    return plan_embed(repo, snapshot, wanted, takes, ref=config.store.ref, roots=roots)


def why_not_embed(config: Config) -> str | None:
    """Return why a run that does everything would embed nothing; None where it embeds."""
    repo = Repository.open(config.store.url)
    origins = frozenset(take.origin for take in with_pictures_or_texts(repo, _head(repo, config)).values())
    if not origins:
        return "no take has a video or a text"
    try:
        _check_installed()
        choose_spec(config, origins)
    except ConfigError as error:
        return str(error)
    return None


def _check_installed() -> None:
    if find_spec("open_clip") is None:
        raise ConfigError("embedding needs the embed extra: pip install 'sensorloom[ingest,embed]'")


def _head(repo: Repository, config: Config) -> Snapshot:
    head = repo.head(config.store.ref)
    if head is None:
        raise ConfigError(
            f"{config.store.url} holds no takes yet; run `sensorloom ingest DATASET --raw DIR` first"
        )
    return repo.resolve(head.snapshot)


def _want(spec: EncoderSpec, config: Config, cache: DigestCache) -> Wanted:
    identity = identify(spec, sha256_of=partial(_sha256, cache))
    if config.embed.name:
        identity = replace(identity, name=config.embed.name)
    backend = choose_backend(identity.preprocess, config.embed.resize)
    return Wanted(identity, backend, full_fingerprint(identity, backend))


def _sha256(cache: DigestCache, path: Path) -> str:
    """Return the digest of a file of weights, remembered by size and time as raw files are."""
    known = cache.find((path,)).get(path)
    if known is None:
        known = file_digest(path)
        cache.remember({path: known})
    return known.sha256


def embed_store(
    config: Config,
    *,
    raw: Path | None = None,
    on_progress: Progress | None = None,
    cache: DigestCache | None = None,
) -> EmbedReport:
    """Embed what is new or changed in the head and publish it in one commit.

    Takes whose files are gone, changed or unreadable are reported; the others go on. Raises as `plan_of_store` does
    before anything is decoded, `RunError` where a worker was lost or vectors are unfit to be kept: then nothing is
    published, and a rerun does only what is left.
    """
    started = time.monotonic()
    check_engine(config)
    cache = cache or DigestCache.default()
    repo = Repository.open(config.store.url)
    plan = plan_of_store(repo, config, raw=raw, cache=cache)
    job = EmbedJob(repo, config, plan, cache)
    publish: PublishVectors | None = None
    done: list[Embedded] = []
    failed: list[Failed] = []
    embedded_s = 0.0
    if not plan.is_idle:
        with job.workers() as workers:
            done, failed = job.embed(workers, on_progress)
            embedded_s = time.monotonic() - started
            # What replaces vectors does so as a whole, or those that stand would be lost with the takes that failed.
            if not (failed and plan.replaces):
                publish = job.publisher(workers, done)
    frames = sum(result.frames for result in done)
    rate = frames / embedded_s if frames else None
    commit = None if publish is None else _commit(publish, plan, config, rate)
    held = _tables(repo, config, plan.wanted.name)
    return EmbedReport(
        encoder=plan.wanted.name,
        dim=plan.wanted.identity.dim,
        takes=len(plan.takes) + len(plan.unchanged),
        unchanged=len(plan.unchanged),
        embedded=sum(not result.reused for result in done),
        resumed=sum(result.reused for result in done),
        failed=tuple(sorted(failed, key=lambda failure: failure.take_id)),
        withheld=bool(failed and plan.replaces),
        superseded=tuple(
            take.take_id for take in plan.takes if held.streams.get(take.take_id) != take.streams.digest
        ),
        frames=frames,
        lost_frames=0 if publish is None else _lost_frames(publish),
        texts=held.num_texts,
        new_texts=0 if publish is None else sum(shard.rows for shard in publish.new_texts),
        seconds=time.monotonic() - started,
        frames_per_s=rate,
        snapshot_id=head_id(repo, config.store.ref),
        committed=bool(commit and commit.created),
    )


def _commit(publish: PublishVectors, plan: EmbedPlan, config: Config, frames_per_s: float | None) -> Commit:
    provenance: dict[str, Any] = {
        "command": "embed",
        "sensorloom": __version__,
        "encoder": plan.wanted.name,
        "fingerprint": dict(plan.wanted.fingerprint),
        "frames_per_s": frames_per_s,
    }
    message = f"embed with {plan.wanted.name}: {counted(len(publish.vectors), 'take')}"
    return publish.repo.commit(publish, message=message, provenance=provenance, ref=config.store.ref)


@dataclass(frozen=True, slots=True)
class _Held:
    """What the head holds: by take the digest of its streams, and of how many texts an encoder's vectors."""

    streams: Mapping[str, str]
    num_texts: int


def _tables(repo: Repository, config: Config, encoder: str) -> _Held:
    snapshot = _head(repo, config)
    streams = {shard.key: shard.digest for shard in repo.manifest(snapshot, "streams").shards}
    return _Held(streams, repo.manifest(snapshot, f"texts:{encoder}").rows)


def drop_vectors(config: Config, encoder: str) -> Commit:
    """Take all vectors of `encoder` out of the head. Raises `ConfigError` where it has none."""
    repo = Repository.open(config.store.url)
    names = sorted(shard.key for shard in repo.manifest(_head(repo, config), ENCODERS).shards)
    if encoder not in names:
        raise ConfigError(
            f"the store has no vectors of {encoder!r}, only of {', '.join(names) or 'no encoder'}"
        )
    return repo.commit(
        partial(drop_encoder, repo, encoder),
        message=f"drop the vectors of {encoder}",
        provenance={"command": "embed --drop", "sensorloom": __version__, "dropped": encoder},
        ref=config.store.ref,
    )


def _lost_frames(publish: PublishVectors) -> int:
    findings = [row for record in publish.facts.values() for row in record.rows["findings"]]
    numbers = [number for row in findings for number in cast("list[dict[str, Any]]", row["numbers"])]
    return sum(round(number["value"]) for number in numbers if number["name"] == "frames")
