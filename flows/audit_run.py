"""Run the audit of many takes on the engine, each from what is remembered where nothing of it has changed."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from sensorloom.flows.audit_cache import AuditCache, audit_key, decode, encode
from sensorloom.flows.audit_take import AuditTask, TakeAudit, audit_take
from sensorloom.flows.config import Config
from sensorloom.flows.engine import Engine, Workers, open_engine, parse_engine
from sensorloom.flows.work import Listeners, Progress, run_tasks

__all__ = ["TakeAudits", "audit_takes", "open_workers"]

MIN_PARALLEL_S = 1800.0
"""Seconds of takes from which on it pays to start processes: each imports for about a second."""


class TakeAudits:
    """The audits of takes in the order of their ids, held compressed: thousands of takes stay some ten megabytes."""

    def __init__(self, packed: dict[str, bytes]) -> None:
        self._packed = dict(sorted(packed.items()))

    def __iter__(self) -> Iterator[TakeAudit]:
        return (decode(zlib.decompress(data)) for data in self._packed.values())

    def __getitem__(self, take_id: str) -> TakeAudit:
        return decode(zlib.decompress(self._packed[take_id]))

    def __contains__(self, take_id: object) -> bool:
        return take_id in self._packed

    def __len__(self) -> int:
        return len(self._packed)


@dataclass(frozen=True, slots=True)
class _Packed:
    take_id: str
    key: str
    data: bytes


def open_workers(config: Config, seconds: float) -> AbstractContextManager[Workers]:
    """Open what runs an audit of so many `seconds` of takes.

    It is the engine that was chosen; where none was, a process for each core once there is enough to do, as an audit
    writes nothing but its report.
    """
    if "spec" in config.engine.model_fields_set or config.store.url.startswith("memory://"):
        return open_engine(parse_engine(config.engine.spec))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    parallel = cores > 1 and seconds >= MIN_PARALLEL_S
    return open_engine(Engine("processes", cores) if parallel else Engine("serial"))


def audit_takes(
    tasks: Sequence[AuditTask],
    config: Config,
    *,
    cache: AuditCache | None = None,
    workers: Workers | None = None,
    on_progress: Progress | None = None,
) -> TakeAudits:
    """Audit every take of `tasks` that is not remembered as it is. Raises `RunError` as `run_tasks` does."""
    cache = cache or AuditCache.default()
    packed: dict[str, bytes] = {}
    pending: list[AuditTask] = []
    for task in tasks:
        data = cache.find(audit_key(task))
        if data is None:
            pending.append(task)
        else:
            packed[task.take_id] = zlib.compress(data)

    def keep(result: _Packed) -> None:
        packed[result.take_id] = result.data
        cache.keep(result.key, zlib.decompress(result.data))

    listeners = Listeners(on_progress, keep)
    run_tasks(_audit, pending, config, listeners, name=lambda task: task.take_id, workers=workers)
    if pending:
        cache.forget()
    return TakeAudits(packed)


def _audit(task: AuditTask) -> _Packed:
    """Audit one take in a worker: what comes back is bytes, written to no disk that the caller may not see."""
    return _Packed(task.take_id, audit_key(task), zlib.compress(encode(audit_take(task))))
