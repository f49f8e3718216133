"""Run the audit of many takes on the engine, each from what is remembered where nothing of it has changed."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

from sensorloom.embed.cores import own_cores
from sensorloom.flows.audit.cache import AuditCache, audit_key, decode, encode
from sensorloom.flows.audit.take import AuditTask, Part, TakeAudit, audit_parts, joined
from sensorloom.flows.config import Config
from sensorloom.flows.engine import Engine, Workers, open_engine, parse_engine
from sensorloom.flows.work import Listeners, Progress, run_tasks

__all__ = ["TakeAudits", "audit_takes", "open_workers"]

MIN_PARALLEL_S = 1800.0
"""Seconds of takes from which on it pays to start processes: each imports for about a second."""


class TakeAudits:
    """The audits of takes in the order of their ids, held compressed: thousands of takes stay some ten megabytes."""

    def __init__(self, packed: Mapping[str, Mapping[Part, bytes]]) -> None:
        self._packed = dict(sorted(packed.items()))

    def __iter__(self) -> Iterator[TakeAudit]:
        return (self[take_id] for take_id in self._packed)

    def __getitem__(self, take_id: str) -> TakeAudit:
        parts = sorted(self._packed[take_id].items())
        return joined(decode(zlib.decompress(data)) for _, data in parts)

    def __contains__(self, take_id: object) -> bool:
        return take_id in self._packed

    def __len__(self) -> int:
        return len(self._packed)


@dataclass(frozen=True, slots=True)
class _Packed:
    """The parts of one take's audit, with the keys that they are remembered by."""

    take_id: str
    parts: tuple[tuple[Part, str, bytes], ...]


def open_workers(config: Config, seconds: float) -> AbstractContextManager[Workers]:
    """Open what runs an audit of so many `seconds` of takes.

    It is the engine that was chosen; where none was, a process for each core once there is enough to do, as an audit
    writes nothing but its report.
    """
    if "spec" in config.engine.model_fields_set or config.store.url.startswith("memory://"):
        return open_engine(parse_engine(config.engine.spec))
    cores = own_cores()
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
    """Audit of every take of `tasks` the parts that are not remembered. Raises `RunError` as `run_tasks` does."""
    cache = cache or AuditCache.default()
    packed: dict[str, dict[Part, bytes]] = {}
    pending: list[AuditTask] = []
    for task in tasks:
        found = {part: cache.find(audit_key(task, part)) for part in task.parts}
        packed[task.take_id] = {part: zlib.compress(data) for part, data in found.items() if data is not None}
        missing = tuple(part for part, data in found.items() if data is None)
        if missing:
            pending.append(replace(task, parts=missing))

    def keep(result: _Packed) -> None:
        for part, key, data in result.parts:
            packed[result.take_id][part] = data
            cache.keep(key, zlib.decompress(data))

    listeners = Listeners(on_progress, keep)
    run_tasks(_audit, pending, config, listeners, name=lambda task: task.take_id, workers=workers)
    if pending:
        cache.forget()
    return TakeAudits(packed)


def _audit(task: AuditTask) -> _Packed:
    """Audit one take in a worker: what comes back is bytes, written to no disk that the caller may not see."""
    parts = audit_parts(task).items()
    return _Packed(
        task.take_id,
        tuple((part, audit_key(task, part), zlib.compress(encode(audit))) for part, audit in parts),
    )
