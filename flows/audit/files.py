"""The files of a report: the index, the facts, the tables, the pages of takes. Each is whole or not there at all."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from sensorloom.flows.audit.report import Report, to_json
from sensorloom.flows.audit.run import TakeAudits
from sensorloom.flows.audit.sync import SYNC, sync_rows
from sensorloom.flows.errors import RunError
from sensorloom.flows.page_files import resources
from sensorloom.flows.pages.report import render
from sensorloom.flows.tables import FINDINGS
from sensorloom.training.replacing import replacing, write_whole

__all__ = ["FOUND", "ReportPaths", "write_pages", "write_report", "write_tables"]

FOUND = FINDINGS.append(pa.field("view", pa.string()))
"""The table findings.parquet: all findings of the snapshot, and those of the audit."""

_TAKES_AT_A_TIME = 256
_PAGE = re.compile(r"[A-Za-z0-9._-]*-[0-9a-f]{8}\.html")


@dataclass(frozen=True, slots=True)
class ReportPaths:
    """Where the report lies."""

    page: Path
    facts: Path


def write_report(report: Report, directory: Path) -> ReportPaths:
    """Write `index.html` and `audit.json` into `directory`; raises `RunError`."""
    paths = ReportPaths(directory / "index.html", directory / "audit.json")
    style, script = resources()
    with _writing(directory):
        facts = json.dumps(to_json(report), ensure_ascii=False, indent=1, allow_nan=False)
        write_whole(paths.facts, facts + "\n")
        write_whole(paths.page, render(report, style=style, script=script))
    return paths


def write_tables(findings: pl.DataFrame, audits: TakeAudits, directory: Path) -> None:
    """Write `findings.parquet` and `sync.parquet` into `directory`, some takes at a time; raises `RunError`."""
    with _writing(directory):
        with replacing(directory / "findings.parquet") as partial:
            pq.write_table(findings.select(FOUND.names).to_arrow().cast(FOUND), partial)
        with replacing(directory / "sync.parquet") as partial, pq.ParquetWriter(partial, SYNC) as writer:
            takes = iter(audits)
            while some := list(islice(takes, _TAKES_AT_A_TIME)):
                rows = [row for audit in some for row in sync_rows(audit)]
                writer.write_table(pa.Table.from_pylist(rows, schema=SYNC))


def write_pages(pages: Iterable[tuple[str, str]], directory: Path, *, is_whole: bool) -> int:
    """Write the pages of takes below `directory` and return how many; raises `RunError`.

    Where they are the `is_whole` of the report, pages that an earlier report left there are removed.
    """
    written = set()
    with _writing(directory / "takes"):
        for place, text in pages:
            write_whole(directory / place, text)
            written.add(directory / place)
        if is_whole:
            for path in (directory / "takes").iterdir():
                if _PAGE.fullmatch(path.name) and path not in written:
                    path.unlink()
    return len(written)


@contextmanager
def _writing(directory: Path) -> Iterator[None]:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise RunError(f"cannot write the report to {directory}: {error.strerror or error}") from error
