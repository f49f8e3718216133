"""What a run says of itself to Prefect: a few small facts, and a Markdown page for people. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from sensorloom.flows.audit.report import Report
from sensorloom.flows.audit.verdict import ANSWERS

if TYPE_CHECKING:
    from sensorloom.align.stage import Failed
    from sensorloom.flows.outcomes import BuildReport, EmbedReport, IngestReport

__all__ = ["MAX_ROWS", "Summary", "audit_summary", "build_summary", "embed_summary", "ingest_summary"]

MAX_ROWS = 100
"""Artifacts live in the server's database: a table stops here and says how many rows it leaves out."""

_MARKS = re.compile(r"[\\`*\[\]!~|]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
"""What Markdown reads in a line; an underscore inside a word is none of it."""


@dataclass(frozen=True, slots=True)
class Summary:
    """`facts` are JSON and small whatever the size of the run; `markdown` is the artifact."""

    facts: dict[str, Any]
    markdown: str


def ingest_summary(report: IngestReport) -> Summary:
    """Summarise an ingest run: counts, and which takes failed why."""
    facts = {
        "dataset": report.dataset,
        "snapshot_id": report.snapshot_id,
        "committed": report.committed,
        "takes": report.takes,
        "unchanged": report.unchanged,
        "ingested": report.ingested,
        "resumed": report.resumed,
        "failed": len(report.failed),
        "absent": len(report.absent),
        "dropped": len(report.absent) if report.pruned else 0,
        "not_downloaded": len(report.not_downloaded),
    }
    lines = [f"# Ingest of {_text(report.dataset)}", "", *_facts(facts), *_failures(report.failed)]
    return Summary(facts, "\n".join(lines))


def embed_summary(report: EmbedReport) -> Summary:
    """Summarise an embed run: counts, and which takes failed why."""
    facts = {
        "encoder": report.encoder,
        "snapshot_id": report.snapshot_id,
        "committed": report.committed,
        "takes": report.takes,
        "unchanged": report.unchanged,
        "embedded": report.embedded,
        "resumed": report.resumed,
        "failed": len(report.failed),
        "withheld": report.withheld,
        "superseded": len(report.superseded),
        "frames": report.frames,
        "lost_frames": report.lost_frames,
        "texts": report.texts,
        "new_texts": report.new_texts,
    }
    lines = [f"# Embedding with {_text(report.encoder)}", "", *_facts(facts), *_failures(report.failed)]
    return Summary(facts, "\n".join(lines))


def build_summary(report: BuildReport) -> Summary:
    """Summarise a build run: windows by view, and what became of each."""
    facts = {
        "snapshot_id": report.snapshot_id,
        "committed": report.committed,
        "built": report.built,
        "unchanged": report.unchanged,
        "windows": dict(report.windows),
        "changes": {view: change.words for view, change in report.changes.items()},
    }
    shown = {name: value for name, value in facts.items() if name not in ("windows", "changes")}
    rows = [(view, f"{count:,}", report.changes[view].words) for view, count in report.windows.items()]
    table = _table(("view", "windows", "change"), rows)
    return Summary(facts, "\n".join(["# Build", "", *_facts(shown), "", *table]))


def audit_summary(report: Report, page: str, reasons: Sequence[str]) -> Summary:
    """Summarise an audit: the verdict on each data set, why the gate failed if it did, and where the report lies."""
    facts = {
        "snapshot_id": report.snapshot_id,
        "page": page,
        "verdicts": {facts.dataset: facts.verdict.level for facts in report.datasets},
        "gate_failed": len(reasons),
    }
    verdicts = [
        (
            facts.dataset,
            ANSWERS[facts.verdict.level],
            " ".join(reason.sentence for reason in facts.verdict.reasons),
        )
        for facts in report.datasets
    ]
    lines = ["# Audit", "", f"The report lies at {_text(page)}.", ""]
    lines += _table(("data set", "can I train on this?", "why"), verdicts)
    if reasons:
        lines += ["", "## The gate failed", "", *_table(("why",), [(reason,) for reason in reasons])]
    return Summary(facts, "\n".join(lines))


def _failures(failed: Sequence[Failed]) -> list[str]:
    failures = [(failure.take_id, failure.message) for failure in failed]
    return ["", "## Takes that failed", "", *_table(("take", "why"), failures)] if failures else []


def _facts(facts: dict[str, Any]) -> list[str]:
    return [f"- {name.replace('_', ' ')}: {_text(value)}" for name, value in facts.items()]


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [
        _row(columns),
        _row(["---"] * len(columns)),
        *(_row([_text(cell) for cell in row]) for row in rows[:MAX_ROWS]),
    ]
    if len(rows) > MAX_ROWS:
        lines += ["", f"… and {len(rows) - MAX_ROWS:,} more, in the report."]
    return lines


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _text(value: object) -> str:
    """Return a value so that nothing in it is Markdown's or HTML's to read."""
    return _MARKS.sub(r"\\\g<0>", escape(" ".join(str(value).split()), quote=False))
