"""Prefect tasks: one stage each, without logic of their own.

What passes through Prefect is names, ids and counts; the takes go to the engine, not to Prefect. A task is safe to
repeat, as every stage is: what was finished left its record in the store. That record, not Prefect's, is the cache.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast
from uuid import UUID

from prefect import task
from prefect.artifacts import create_markdown_artifact, create_progress_artifact, update_progress_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State

from sensorloom.flows.audit.asked import Asked
from sensorloom.flows.audit.audit import audit_store, fails
from sensorloom.flows.config import load_config
from sensorloom.flows.embedding import embed_store, why_not_embed
from sensorloom.flows.errors import RunError
from sensorloom.flows.runs import build_views, ingest_dataset
from sensorloom.flows.summary import Summary, audit_summary, build_summary, embed_summary, ingest_summary
from sensorloom.flows.work import Progress
from sensorloom.store.errors import ContentionError, StorageError

__all__ = ["Facts", "Settings", "audit_task", "build_task", "embed_task", "ingest_task"]

Facts = dict[str, Any]
"""What a task hands on: JSON, and small."""
Settings = dict[str, str]
"""Dotted keys of the configuration and their values, on top of `./sensorloom.toml`."""

PASSING = (RunError, StorageError, ContentionError)
"""What may be gone a minute later: a worker that died, a network or disk that failed, a busy store."""
RETRY_DELAYS_S = [10.0, 60.0]


def _may_pass(_task: Any, _run: Any, state: State[Any]) -> bool:
    return isinstance(state.result(raise_on_failure=False), PASSING)


@task(
    task_run_name="ingest {dataset}",
    cache_policy=NO_CACHE,
    retries=len(RETRY_DELAYS_S),
    retry_delay_seconds=RETRY_DELAYS_S,
    retry_condition_fn=_may_pass,
)
def ingest_task(dataset: str, raw: str, settings: Settings) -> Facts:
    """Ingest one data set under `raw`."""
    config = load_config(None, settings)
    return _tell(
        f"ingest-{dataset}",
        ingest_summary(ingest_dataset(dataset, raw, config=config, on_progress=_progress())),
    )


@task(
    cache_policy=NO_CACHE,
    retries=len(RETRY_DELAYS_S),
    retry_delay_seconds=RETRY_DELAYS_S,
    retry_condition_fn=_may_pass,
)
def embed_task(settings: Settings, *, only_if_chosen: bool = False) -> Facts:
    """Embed what is new; with `only_if_chosen` nothing, where there is nothing to embed or no encoder to do it."""
    config = load_config(None, settings)
    skipped = why_not_embed(config) if only_if_chosen else None
    if skipped is not None:
        return {"skipped": skipped}
    return _tell("embed", embed_summary(embed_store(config, on_progress=_progress())))


@task(
    cache_policy=NO_CACHE,
    retries=len(RETRY_DELAYS_S),
    retry_delay_seconds=RETRY_DELAYS_S,
    retry_condition_fn=_may_pass,
)
def build_task(views: list[str], settings: Settings) -> Facts:
    """Build the named views, or all whose data is there."""
    config = load_config(None, settings)
    return _tell("build", build_summary(build_views(views, config=config, on_progress=_progress())))


@task(cache_policy=NO_CACHE)
def audit_task(view: str | None, out: str | None, fail_on: str | None, settings: Settings) -> Facts:
    """Write the report of the head; the facts say how many reasons the gate has to fail."""
    config = load_config(None, settings)
    progress = _progress()
    report, paths = audit_store(
        config,
        Asked(() if view is None else (view,)),
        Path(out or config.audit.out),
        on_progress=lambda _: progress,
    )
    return _tell(
        "audit", audit_summary(report, str(paths.page), fails(report, fail_on or config.audit.fail_on))
    )


def _tell(key: str, summary: Summary) -> Facts:
    create_markdown_artifact(summary.markdown, key=key)
    return summary.facts


def _progress() -> Progress:
    """Return a listener that moves a progress bar on the run's page, at most once for each percent."""
    bar: list[UUID] = []
    shown = 0

    def on_progress(name: str, done: int, of: int) -> None:
        nonlocal shown
        percent = 100 * done // of
        if percent == shown:
            return
        shown = percent
        if bar:
            update_progress_artifact(bar[0], progress=percent, description=name)
        else:
            # A coroutine only where the caller is one.
            bar.append(cast("UUID", create_progress_artifact(progress=percent, description=name)))

    return on_progress
