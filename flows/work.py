"""How stages are run over many takes: on the configured engine, heard as they go, their records found again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Generic, TypeVar

from sensorloom.flows.config import Config
from sensorloom.flows.engine import Outcome, Workers, open_engine, parse_engine, run_all
from sensorloom.flows.errors import ConfigError, RunError
from sensorloom.store.manifest import WorkRecord
from sensorloom.store.repository import Repository

__all__ = ["Listeners", "Progress", "check_engine", "find_records", "head_id", "run_tasks"]

T = TypeVar("T")
R = TypeVar("R")

Progress = Callable[[str, int, int], None]
"""Called with the name of what was just done, how many are done, and of how many, which is never 0."""


@dataclass(frozen=True, slots=True)
class Listeners(Generic[R]):
    """Who hears of each item as it is done: how far the work is, and what came of it."""

    on_progress: Progress | None = None
    on_result: Callable[[R], None] | None = None


def check_engine(config: Config) -> None:
    """Raise `ConfigError` for an unknown engine, and for workers that could not reach the store."""
    engine = parse_engine(config.engine.spec)
    if engine.kind != "serial" and config.store.url.startswith("memory://"):
        raise ConfigError(
            f"engine.spec = {config.engine.spec!r} needs a store that other processes reach, and {config.store.url}"
            " lives in this process alone; use the engine serial, or a directory or bucket for the store"
        )


def run_tasks(
    fn: Callable[[T], R],
    tasks: list[T],
    config: Config,
    listeners: Listeners[R],
    *,
    name: Callable[[T], str],
    workers: Workers | None = None,
) -> list[R]:
    """Run `fn` over `tasks` on `workers` or the configured engine; the first that raises ends it with `RunError`."""
    results: list[R] = []

    def on_done(outcome: Outcome[T, R]) -> None:
        if outcome.error is not None or outcome.result is None:
            raise RunError(
                f"{name(outcome.item)}: {outcome.error}. Nothing was published; mend it and run the same"
                f" command again, which does only what is left. {outcome.trace}".rstrip()
            )
        results.append(outcome.result)
        if listeners.on_result is not None:
            listeners.on_result(outcome.result)
        if listeners.on_progress is not None:
            listeners.on_progress(name(outcome.item), len(results), len(tasks))

    if tasks:
        opened = open_engine(parse_engine(config.engine.spec)) if workers is None else nullcontext(workers)
        with opened as there:
            run_all(there, fn, tasks, on_done=on_done, name=name)
    return results


def find_records(repo: Repository, keys: Sequence[str]) -> tuple[WorkRecord, ...]:
    """Return the records that workers wrote. Raises `RunError` where one is not there any more."""
    records = [repo.find_work(key) for key in keys]
    missing = [key for key, record in zip(keys, records, strict=True) if record is None]
    if missing:
        raise RunError(
            f"work records vanished from {repo.url} during the run: {', '.join(missing)}; was it collected meanwhile?"
        )
    return tuple(record for record in records if record is not None)


def head_id(repo: Repository, ref: str) -> str | None:
    """Return the id of the ref's newest snapshot, None before one."""
    head = repo.head(ref)
    return None if head is None else head.snapshot
