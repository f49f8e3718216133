"""One audit of one snapshot at work: its views, its takes, what is shown of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from sensorloom.align.rules import Rule
from sensorloom.flows.audit.asked import Asked
from sensorloom.flows.audit.details import findings_of, take_facts, windows_of, with_pages
from sensorloom.flows.audit.findings import (
    BREAK_RULE,
    clipped_by_take,
    found_rows,
    frame_of,
    load_findings,
    rows_of,
    rule_facts,
    seconds_by_take,
    waived,
)
from sensorloom.flows.audit.pages import DrawTask, PageTask, draw_windows
from sensorloom.flows.audit.report import Report, RuleFacts, ViewFacts
from sensorloom.flows.audit.report_takes import PairFacts, StreamFacts, TakeFacts, TakeSync, ViewWindows
from sensorloom.flows.audit.report_windows import WindowPicture
from sensorloom.flows.audit.run import TakeAudits, audit_takes
from sensorloom.flows.audit.scope import check_take, narrowed, views_asked
from sensorloom.flows.audit.sync import Pairs, sync_of
from sensorloom.flows.audit.tables import ViewTable, open_view, windows_by_take
from sensorloom.flows.audit.take import AuditTask
from sensorloom.flows.audit.takes import dataset_facts, load_takes
from sensorloom.flows.audit.vectors import ViewTask, audit_view, judge_together
from sensorloom.flows.audit.verdict import judge
from sensorloom.flows.audit.views import view_facts
from sensorloom.flows.audit.windows import WindowsOf, WorstWindow
from sensorloom.flows.audit.worst import Worst, distinct, to_draw
from sensorloom.flows.audit.worst_first import worst_first
from sensorloom.flows.config import Config, audit_rules, waivers
from sensorloom.flows.engine import Workers
from sensorloom.flows.freshness import outdated_views
from sensorloom.flows.take_ids import dataset_of
from sensorloom.flows.work import Listeners, Progress, run_tasks
from sensorloom.ingest.take import Finding
from sensorloom.store.manifest import Snapshot
from sensorloom.store.repository import Repository

__all__ = ["Audit", "Gathered"]

_AT_A_TIME = 64
"""What pages tell of so many takes is in memory at once."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """A report, and what else is known of the takes in it."""

    report: Report
    takes: pl.DataFrame
    findings: pl.DataFrame
    tables: tuple[ViewTable, ...]
    audits: TakeAudits


@dataclass(frozen=True, slots=True)
class _Told:
    """What the audits of all takes come to."""

    findings: pl.DataFrame
    syncs: Mapping[str, TakeSync]
    pairs: tuple[PairFacts, ...]
    worst: Worst


@dataclass(frozen=True, slots=True)
class Audit:
    """One audit: `listen` gives a listener of progress for each of its steps."""

    repo: Repository
    snapshot: Snapshot
    config: Config
    workers: Workers
    listen: Callable[[str], Progress]

    def gather(self, asked: Asked) -> Gathered:
        """Gather all facts; raises `ConfigError` where the snapshot lacks the view or the take."""
        takes, found = load_takes(self.repo, self.snapshot), load_findings(self.repo, self.snapshot)
        rules, names = audit_rules(self.config), views_asked(self.snapshot, asked)
        tables = tuple(open_view(self.repo, self.snapshot, name) for name in names)
        check_take(asked, takes, tables, self.snapshot)
        views, of_views = self._look_at_views(tables, (takes, found), rules)
        if asked.views:
            takes, found = narrowed(tables, takes, found)
        audits = self._audit_takes(takes, tables, rules, clipped_by_take(found))
        told = _gather_takes(audits)
        judged = waived(found, waivers(self.config))
        findings = pl.concat([judged, of_views, told.findings]).sort(
            "take_id", "stage", "view", "target", "rule", "sentence"
        )
        facts = rule_facts(findings, rules)
        listed = take_facts(takes, findings, tables, told.syncs)
        report = Report(
            snapshot_id=self.snapshot.id,
            datasets=tuple(
                replace(one, verdict=judge(one, *_concerning(one.dataset, views, facts, told.pairs)))
                for one in dataset_facts(takes, findings, views, seconds_by_take(found, BREAK_RULE))
            ),
            rules=facts,
            views=views,
            takes=with_pages(listed, self._shown(listed, audits, asked)),
            pairs=told.pairs,
            worst=self._draw(told.worst, tables, asked),
        )
        return Gathered(report, takes, findings, tables, audits)

    def _shown(self, takes: Sequence[TakeFacts], audits: TakeAudits, asked: Asked) -> set[str]:
        """Return the takes that get a page: the one that was asked for, else the worst of those that were measured."""
        if asked.take is not None:
            return {asked.take} if asked.take in audits else set()
        measured = sorted((take for take in takes if take.take_id in audits), key=worst_first)
        pages = self.config.audit.take_pages
        return {take.take_id for take in (measured if pages == "all" else measured[:pages])}

    def page_tasks(self, gathered: Gathered, asked: Asked) -> tuple[int, Iterator[PageTask]]:
        """Return how many pages were asked for, and one after the other what a worker needs to make each."""
        shown = [take for take in gathered.report.takes if take.page is not None]
        views = windows_of(gathered.tables)
        some = (shown[start : start + _AT_A_TIME] for start in range(0, len(shown), _AT_A_TIME))
        return len(shown), (
            task for takes in some for task in self._page_tasks(gathered, asked, takes, views)
        )

    def _page_tasks(
        self,
        gathered: Gathered,
        asked: Asked,
        shown: Sequence[TakeFacts],
        views: Mapping[str, tuple[ViewWindows, ...]],
    ) -> Iterator[PageTask]:
        ids = [take.take_id for take in shown]
        findings = findings_of(gathered.findings, ids)
        rows = {row["take_id"]: row for row in gathered.takes.filter(pl.col("take_id").is_in(ids)).to_dicts()}
        audits = {take_id: gathered.audits[take_id] for take_id in ids}
        worst = {take_id: distinct(audit.worst) for take_id, audit in audits.items()}
        drawn = {task.take_id: task for task in self._draw_tasks(worst, gathered.tables, asked)}
        for take in shown:
            row = rows[take.take_id]
            yield PageTask(
                drawn=drawn[take.take_id],
                report_id=self.snapshot.id,
                facts=take,
                origin=row["origin"] or "recorded",
                streams=tuple(StreamFacts(**stream) for stream in row["streams"]),
                syncs=audits[take.take_id].syncs,
                findings=findings.get(take.take_id, ()),
                views=views.get(take.take_id, ()),
            )

    def _look_at_views(
        self,
        tables: Sequence[ViewTable],
        of_takes: tuple[pl.DataFrame, pl.DataFrame],
        rules: Mapping[str, Rule],
    ) -> tuple[tuple[ViewFacts, ...], pl.DataFrame]:
        """Return the facts of every view, and what the audit found in their rows and vectors."""
        ordered = tuple(rules[name] for name in sorted(rules))
        tasks = [
            ViewTask(
                self.repo.url,
                table.view,
                self.repo.manifest(self.snapshot, f"windows:{table.view}").shards,
                table.tensors,
                ordered,
            )
            for table in tables
        ]
        audits = {
            audit.health.view: audit
            for audit in run_tasks(
                audit_view,
                tasks,
                self.config,
                Listeners(self.listen("views")),
                name=lambda task: task.view,
                workers=self.workers,
            )
        }
        outdated = outdated_views(self.repo, self.snapshot)
        views, found = [], [rows_of((), "", "")]
        together = judge_together([audits[table.view] for table in tables], rules)
        for table in tables:
            facts = view_facts(table, *of_takes, audits[table.view], rules)
            views.append(replace(facts, outdated=table.view in outdated))
            own = [finding for finding in together if finding.target == table.view]
            found.append(_rows_of_view(table, [*audits[table.view].findings, *own]))
        return tuple(views), pl.concat(found)

    def _audit_takes(
        self,
        takes: pl.DataFrame,
        tables: Sequence[ViewTable],
        rules: Mapping[str, Rule],
        clipped: Mapping[str, tuple[Finding, ...]],
    ) -> TakeAudits:
        """Audit those of `takes` that have streams in the snapshot."""
        windows: dict[str, list[WindowsOf]] = defaultdict(list)
        for table in tables:
            for take_id, some in windows_by_take(table):
                windows[take_id].append(some)
        streams, frames = (self.repo.manifest(self.snapshot, table) for table in ("streams", "frames"))
        ordered = tuple(rules[name] for name in sorted(rules))
        tasks = [
            AuditTask(
                self.repo.url,
                take_id,
                shard,
                frames.get(take_id),
                tuple(windows.get(take_id, ())),
                ordered,
                clipped=clipped.get(take_id, ()),
            )
            for take_id in takes["take_id"]
            if (shard := streams.get(take_id)) is not None
        ]
        return audit_takes(tasks, self.config, workers=self.workers, on_progress=self.listen("takes"))

    def _draw(self, worst: Worst, tables: Sequence[ViewTable], asked: Asked) -> tuple[WindowPicture, ...]:
        tasks = self._draw_tasks(dict(worst.by_take()), tables, asked)
        drawn = draw_windows(tasks, self.config, self.workers, self.listen("worst windows"))
        return tuple(sorted(drawn, key=lambda one: (one.dataset, -one.score, one.take_id, one.start_s)))

    def _draw_tasks(
        self, windows: Mapping[str, Sequence[WorstWindow]], tables: Sequence[ViewTable], asked: Asked
    ) -> list[DrawTask]:
        streams, frames = (self.repo.manifest(self.snapshot, table) for table in ("streams", "frames"))
        raw = None if asked.raw is None else str(asked.raw.resolve())
        return [
            DrawTask(self.repo.url, take_id, shard, frames.get(take_id), some, raw)
            for take_id, some in to_draw(windows, tables).items()
            if (shard := streams.get(take_id)) is not None
        ]


def _gather_takes(audits: TakeAudits) -> _Told:
    """Go through the takes once; in memory stands one of them."""
    pairs, worst = Pairs(), Worst()
    syncs: dict[str, TakeSync] = {}
    rows: list[dict[str, Any]] = []
    for audit in audits:
        pairs.add(audit)
        worst.add(audit.take_id, audit.worst)
        syncs[audit.take_id] = sync_of(audit.syncs)
        rows += found_rows(audit.findings, audit.take_id, dataset_of(audit.take_id))
    return _Told(frame_of(rows), syncs, pairs.facts(), worst)


def _rows_of_view(table: ViewTable, findings: Sequence[Finding]) -> pl.DataFrame:
    """Return what was found in a view, of the take that it is about where it is about one."""
    takes, datasets = set(table.windows["take_id"]), ", ".join(table.datasets)
    by_take: dict[str, list[Finding]] = defaultdict(list)
    for finding in findings:
        owner = finding.target.partition("#")[0]
        by_take[owner if owner in takes else ""].append(finding)
    rows = [
        rows_of(told, take_id, dataset_of(take_id) if take_id else datasets, table.view)
        for take_id, told in by_take.items()
    ]
    return pl.concat([rows_of((), "", ""), *rows])


def _concerning(
    dataset: str, views: Sequence[ViewFacts], rules: Sequence[RuleFacts], pairs: Sequence[PairFacts]
) -> tuple[list[ViewFacts], list[RuleFacts], list[PairFacts]]:
    """Return the views, rules and pairs of streams that concern a data set; a view may be of several."""
    return (
        [view for view in views if dataset in view.datasets],
        [rule for rule in rules if dataset in rule.dataset.split(", ")],
        [pair for pair in pairs if pair.dataset == dataset],
    )
