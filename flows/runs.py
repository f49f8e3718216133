"""The runs behind the command line and the flows: plan, submit, commit, report. Plain functions over plain values."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sensorloom import __version__
from sensorloom.align.named_views import VIEWS
from sensorloom.align.split import SPLITS, SplitPolicy
from sensorloom.align.stage import Failed, Ingested, IngestTask, ingest_take
from sensorloom.align.view import View
from sensorloom.embed.build import BuildTask, Built, build_bucket, build_key
from sensorloom.flows.changes import ViewBuild, view_change
from sensorloom.flows.config import Config
from sensorloom.flows.encoders import EncoderShards, encoder_for_build
from sensorloom.flows.errors import ConfigError
from sensorloom.flows.freshness import by_bucket, outdated_views
from sensorloom.flows.outcomes import BuildReport, IngestReport
from sensorloom.flows.plan import IngestPlan, open_if_there, plan_ingest
from sensorloom.flows.publish import PublishTakes, PublishView, view_streams
from sensorloom.flows.recipes import stored_build
from sensorloom.flows.remember import remembering
from sensorloom.flows.view_words import splits_of
from sensorloom.flows.views import resolve_view
from sensorloom.flows.work import Listeners, Progress, check_engine, find_records, head_id, run_tasks
from sensorloom.ingest.digest import DigestCache
from sensorloom.ingest.take import counted
from sensorloom.store.manifest import Manifest, Shard, WorkRecord
from sensorloom.store.repository import Repository
from sensorloom.store.transaction import Commit

__all__ = ["build_views", "ingest_dataset", "split_policy"]


def ingest_dataset(
    dataset: str,
    raw: str,
    *,
    config: Config,
    on_progress: Progress | None = None,
    cache: DigestCache | None = None,
    prune: bool = False,
) -> IngestReport:
    """Ingest what is new or changed under `raw` and publish it in one commit.

    Takes that are no longer under `raw` stay in the store, or leave the snapshot with `prune`.
    Takes that cannot be read are reported and recorded as findings; the others go on. Raises `LayoutError` when
    the tree is not of this data set, which makes no store, `ConfigError` for a bad setting, `RunError` when a
    worker was lost or the store refused a write: then nothing is published, and a rerun does only what is left.
    """
    started = time.monotonic()
    check_engine(config)  # before anything is read
    cache = cache or DigestCache.default()
    plan = plan_ingest(dataset, Path(raw), open_if_there(config.store.url), config, cache)
    repo = Repository.open(config.store.url, create=True)  # not before there is something to put in
    with remembering(plan, cache) as remember:
        done, failed = _ingest_all(repo, plan, config, Listeners(on_progress, remember))
    publish = _publisher(repo, plan, (done, failed), dropped=plan.absent if prune else ())
    commit = _publish_takes(publish, plan, config)
    return IngestReport(
        dataset=dataset,
        takes=len(plan.takes),
        unchanged=len(plan.unchanged),
        ingested=sum(not result.reused for result in done),
        resumed=sum(result.reused for result in done),
        failed=tuple(sorted(failed, key=lambda failure: failure.take_id)),
        absent=plan.absent,
        not_downloaded=plan.not_downloaded(plan.absent if prune else ()),
        pruned=prune,
        errors=_errors(publish.records),
        outdated_views=_outdated(repo, config.store.ref),
        raw_bytes=sum(take.source.num_bytes for take in plan.pending),
        seconds=time.monotonic() - started,
        snapshot_id=commit.snapshot_id if commit else head_id(repo, config.store.ref),
        committed=bool(commit and commit.created),
    )


def _errors(records: tuple[WorkRecord, ...]) -> dict[str, int]:
    rules = (
        {str(row["rule"]) for row in record.rows["findings"] if row["severity"] == "error"}
        for record in records
    )
    return dict(sorted(Counter(rule for found in rules for rule in found).items()))


def _outdated(repo: Repository, ref: str) -> tuple[str, ...]:
    head = repo.head(ref)
    return () if head is None else outdated_views(repo, repo.resolve(head.snapshot))


def _ingest_all(
    repo: Repository, plan: IngestPlan, config: Config, listeners: Listeners[Ingested | Failed]
) -> tuple[list[Ingested], list[Failed]]:
    # Whole addresses: a worker on a cluster need not share our working directory.
    root = str(plan.root.resolve())
    tasks = [IngestTask(repo.url, root, take.source, plan.settings, take.digests) for take in plan.pending]
    results = run_tasks(ingest_take, tasks, config, listeners, name=lambda task: task.source.take_id)
    done = sorted(
        (result for result in results if isinstance(result, Ingested)), key=lambda result: result.take_id
    )
    return done, [result for result in results if isinstance(result, Failed)]


def _publisher(
    repo: Repository,
    plan: IngestPlan,
    results: tuple[list[Ingested], list[Failed]],
    dropped: tuple[str, ...],
) -> PublishTakes:
    done, failed = results
    records = find_records(repo, [result.work for result in done])
    return PublishTakes(
        repo,
        records,
        tuple(failed),
        plan.head_work,
        plan.dataset,
        plan.forgotten,
        dropped,
        plan.not_downloaded(dropped),
    )


def _publish_takes(publish: PublishTakes, plan: IngestPlan, config: Config) -> Commit | None:
    if not (
        publish.records or publish.failures or publish.forgotten or publish.dropped or publish.not_downloaded
    ):
        return None
    provenance: dict[str, Any] = {
        "command": "ingest",
        "dataset": plan.dataset,
        "raw": str(plan.root.absolute()),
        "sensorloom": __version__,
        "settings": asdict(plan.settings),
    }
    counts = {"failed": len(publish.failures), "dropped": len(publish.dropped)}
    message = f"ingest {plan.dataset}: {counted(len(publish.records), 'take')}"
    message += "".join(f", {count} {what}" for what, count in counts.items() if count)
    return publish.repo.commit(publish, message=message, provenance=provenance, ref=config.store.ref)


def build_views(views: list[str], *, config: Config, on_progress: Progress | None = None) -> BuildReport:
    """Build `views` (all whose data sets are in the store when empty) from the head and publish each in one commit.

    Views with cameras or texts carry the vectors of the store's encoder, or of the one chosen where it has several.
    Raises `ConfigError` for an unknown view, one that was asked for whose data sets are not in the store, an encoder
    that is not there, or an empty store; `SettingsError` for a split that contradicts itself; `ConflictError` when
    takes were published meanwhile; `RunError` as `ingest_dataset` does; `GateError` where `audit.gate_build` keeps what
    was built from being published.
    """
    started = time.monotonic()
    check_engine(config)
    policy = split_policy(config)  # before anything is built
    repo = Repository.open(config.store.url)
    head = repo.head(config.store.ref)
    if head is None:
        raise ConfigError(
            f"{config.store.url} holds no takes yet; run `sensorloom ingest DATASET --raw DIR` first"
        )
    snapshot = repo.resolve(head.snapshot)
    streams = repo.manifest(snapshot, "streams")
    encoder = encoder_for_build(repo, snapshot, config)
    chosen = [_resolve_with_data(name, config, streams) for name in views] or _buildable(streams, config)
    views_built = _build_each(repo, chosen, (policy, streams, encoder), config, on_progress)
    if config.audit.gate_build != "never":
        from sensorloom.flows.build_gate import check_gate  # no other build needs what measures takes

        held = list(views_built)  # all of them before any is published
        check_gate(repo, [publish for publish, _ in held], config)
        views_built = iter(held)
    windows, changes, unfilled, built, unchanged = {}, {}, {}, 0, 0
    for publish, fresh in views_built:
        name, records = publish.view.name, publish.records
        commit = _publish_view(repo, publish, config.store.ref)
        before = stored_build(repo, snapshot, name)
        after = ViewBuild(asdict(publish.view), {bucket: record.key for bucket, record in records.items()})
        changes[name] = view_change(before, after, committed=commit.created)
        windows[name] = sum(len(record.rows["windows"]) for record in records.values())
        if windows[name] and (empty := _unfilled(repo, commit.snapshot_id, name, policy)):
            unfilled[name] = empty
        built, unchanged = built + fresh, unchanged + len(records) - fresh
    return BuildReport(
        windows=windows,
        built=built,
        unchanged=unchanged,
        seconds=time.monotonic() - started,
        snapshot_id=head_id(repo, config.store.ref),
        committed=any(change.committed for change in changes.values()),
        changes=changes,
        unfilled=unfilled,
    )


def _unfilled(repo: Repository, snapshot_id: str, view: str, policy: SplitPolicy) -> tuple[str, ...]:
    """Return the splits with a share of more than nothing that a published view has no windows in."""
    there = splits_of(repo, repo.resolve(snapshot_id), view)
    shares = zip(SPLITS, policy.fractions, strict=True)
    return tuple(split for split, share in shares if share and split not in there)


def _build_each(
    repo: Repository,
    views: list[View],
    inputs: tuple[SplitPolicy, Manifest, EncoderShards | None],
    config: Config,
    on_progress: Progress | None,
) -> Iterator[tuple[PublishView, int]]:
    """Build one view after the other; yield what publishes each, and how many of its buckets were new."""
    policy, streams, encoder = inputs
    for view in views:
        shards = view_streams(streams, view)
        records, fresh = _build_all(repo, _build_tasks(repo, view, shards, encoder), config, on_progress)
        yield PublishView(repo, view, records, policy, shards, encoder), fresh


def split_policy(config: Config) -> SplitPolicy:
    """Return the split policy that the configuration asks for. Raises `SettingsError` when it contradicts itself."""
    split = config.split
    return SplitPolicy(split.policy, split.seed, split.fractions, tuple(split.val), tuple(split.test))


def _resolve_with_data(name: str, config: Config, streams: Manifest) -> View:
    view = resolve_view(name, config)
    if not view_streams(streams, view):
        present = sorted({shard.key.partition("/")[0] for shard in streams.shards})
        raise ConfigError(
            f"view {name} is cut from {' and '.join(view.datasets)}, the store holds {', '.join(present) or 'no take'}"
            " only; ingest it first"
        )
    return view


def _buildable(streams: Manifest, config: Config) -> list[View]:
    names = [*VIEWS, *(name for name in config.views if name not in VIEWS)]
    return [view for name in names if view_streams(streams, view := resolve_view(name, config))]


def _build_tasks(
    repo: Repository, view: View, streams: tuple[Shard, ...], encoder: EncoderShards | None
) -> list[BuildTask]:
    buckets = by_bucket(streams, lambda shard: shard.key)
    return [
        BuildTask(
            repo.url, view, bucket, tuple(shards), None if encoder is None else encoder.of_takes(shards)
        )
        for bucket, shards in buckets.items()
    ]


def _build_all(
    repo: Repository, tasks: list[BuildTask], config: Config, on_progress: Progress | None
) -> tuple[dict[str, WorkRecord], int]:
    """Build the buckets of a view without a work record; return the record of each, and how many were new."""
    records = {
        task.bucket: repo.find_work(build_key(asdict(task.view), task.streams, task.encoder))
        for task in tasks
    }
    pending = [task for task in tasks if records[task.bucket] is None]
    results: list[Built] = run_tasks(
        build_bucket,
        pending,
        config,
        Listeners(on_progress),
        name=lambda task: f"{task.view.name}, bucket {task.bucket}",
    )
    for result, record in zip(results, find_records(repo, [result.work for result in results]), strict=True):
        records[result.bucket] = record
    return {bucket: record for bucket, record in records.items() if record is not None}, len(pending)


def _publish_view(repo: Repository, publish: PublishView, ref: str) -> Commit:
    provenance: dict[str, Any] = {
        "command": "build",
        "sensorloom": __version__,
        "view": asdict(publish.view),
        "encoder": None if publish.encoder is None else publish.encoder.encoder.name,
        "split": asdict(publish.policy),
    }
    return repo.commit(publish, message=f"build {publish.view.name}", provenance=provenance, ref=ref)
