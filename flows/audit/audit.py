"""The audit: gather the facts of a snapshot, measure its takes, judge them, write the report.

Everything comes from one snapshot. Its tables tell what ingest, alignment and build found; the takes' own streams, and
what the embedding pass kept of their videos, are measured by workers. No raw file is read and no video decoded, but for
the few frames that a report shows where it is told where the videos lie. docs/audit-json.md describes the files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from sensorloom.flows.audit.asked import Asked
from sensorloom.flows.audit.details import page_of, with_pages
from sensorloom.flows.audit.files import ReportPaths, write_pages, write_report, write_tables
from sensorloom.flows.audit.gather import Audit, Gathered
from sensorloom.flows.audit.pages import make_pages
from sensorloom.flows.audit.report import Report, to_json
from sensorloom.flows.audit.run import open_workers
from sensorloom.flows.audit.takes import load_takes
from sensorloom.flows.audit.verdict import fails
from sensorloom.flows.config import Config
from sensorloom.flows.work import Progress
from sensorloom.store.manifest import Snapshot
from sensorloom.store.repository import Repository

__all__ = [
    "Asked",
    "ReportPaths",
    "audit_store",
    "fails",
    "gather",
    "open_audit",
    "to_json",
    "write_audit",
    "write_report",
]

Listen = Callable[[str], Progress]
"""Gives a listener for the step of this name."""


def audit_store(
    config: Config, asked: Asked, out: Path, *, on_progress: Listen | None = None
) -> tuple[Report, ReportPaths]:
    """Audit the head of the store and write the report into `out`.

    Raises `ConfigError` where the snapshot lacks the view or the take, `RunError` where a worker was lost or the report
    cannot be written.
    """
    repo = Repository.open(config.store.url)
    with open_audit(repo, repo.resolve(config.store.ref), config, on_progress) as audit:
        return write_audit(audit, audit.gather(asked), asked, out)


@contextmanager
def open_audit(
    repo: Repository, snapshot: Snapshot, config: Config, on_progress: Listen | None = None
) -> Iterator[Audit]:
    """Yield an audit of `snapshot` with what runs it."""
    seconds = float(load_takes(repo, snapshot)["seconds"].sum())
    with open_workers(config, seconds) as workers:
        yield Audit(repo, snapshot, config, workers, on_progress or _silent)


def write_audit(audit: Audit, gathered: Gathered, asked: Asked, out: Path) -> tuple[Report, ReportPaths]:
    """Write all files of a report into `out`; return the report as it stands there. Raises `RunError`."""
    write_tables(gathered.findings, gathered.audits, out)
    tasks = audit.page_tasks(gathered, asked)
    pages = make_pages(tasks, audit.config, audit.workers, audit.listen("pages of takes"))
    write_pages(pages, out, is_whole=asked.take is None)
    report = gathered.report if asked.take is None else _with_kept(gathered.report, out)
    return report, write_report(report, out)


def gather(
    repo: Repository, snapshot: Snapshot, *, view: str | None = None, config: Config | None = None
) -> Report:
    """Gather the facts of `snapshot`, of all its views or only of `view` and the data sets in it.

    Raises `ConfigError` where the snapshot lacks the view.
    """
    config = config or Config.model_validate({"store": {"url": repo.url}})
    with open_audit(repo, snapshot, config) as audit:
        return audit.gather(Asked(() if view is None else (view,))).report


def _with_kept(report: Report, out: Path) -> Report:
    """Return `report` with the pages that an earlier one left in `out`."""
    kept = {take.take_id for take in report.takes if (out / page_of(take.take_id)).is_file()}
    return replace(report, takes=with_pages(report.takes, kept))


def _silent(_: str) -> Progress:
    return lambda *_: None
