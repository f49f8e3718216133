"""Subcommands that look at a store and keep it: show, log, verify, gc."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import rich_click as click
from rich.markup import escape

from sensorloom.flows.commands.shared import (
    Session,
    err,
    human_bytes,
    out,
    pass_session,
    print_facts,
    print_table,
    shared_options,
)
from sensorloom.flows.pages.words import count, error_words
from sensorloom.ingest.take import counted

if TYPE_CHECKING:
    from sensorloom.store.manifest import Ref

__all__ = ["gc", "log", "show", "verify"]

EXIT_DONE, EXIT_GATE = 0, 1


@click.command()
@click.argument("name", metavar="[REF|ID]", default="")
@shared_options
@pass_session
def show(session: Session, name: str) -> int:
    """Show what a snapshot holds: takes, hours, windows by view and split, findings by rule."""
    from sensorloom.flows.facts import snapshot_facts
    from sensorloom.store.repository import Repository

    config = session.config
    repo = Repository.open(config.store.url)
    facts = snapshot_facts(repo, repo.resolve(name or config.store.ref))
    print_facts(session, facts, lambda: _print_snapshot(facts))
    return EXIT_DONE


@click.command()
@click.argument("ref", default="")
@shared_options
@pass_session
def log(session: Session, ref: str) -> int:
    """List the commits of a ref, newest first."""
    from sensorloom.store.repository import Repository

    config = session.config
    entries = Repository.open(config.store.url).log(ref or config.store.ref)
    rows = [(entry.sequence, entry.snapshot[:12], entry.time, entry.message) for entry in entries]
    facts = {"log": [_ref_facts(entry) for entry in entries]}
    print_facts(session, facts, lambda: print_table("", ("#", "snapshot", "time", "message"), rows))
    return EXIT_DONE


@click.command()
@shared_options
@pass_session
def verify(session: Session) -> int:
    """Recompute every digest and count that a ref reaches, and name what is broken."""
    from sensorloom.store.repository import Repository

    with session.progress("verify") as on_progress:
        report = Repository.open(session.config.store.url).verify(
            lambda done, total: on_progress("", done, total)
        )

    def lines() -> None:
        for problem in report.problems:
            err.print(f"[bold red]broken[/] {escape(str(problem))}")
        if report.is_empty:
            out.print("no commit yet: nothing to verify")
            return
        counts = report.counts
        held = f"{count(counts['shards'], 'shard')}, {count(counts['rows'], 'row')}, {human_bytes(counts['bytes'])}"
        out.print(
            f"every digest and count holds: {held}"
            if report.ok
            else f"{len(report.problems)} broken of {held}"
        )

    facts = {
        "ok": report.ok,
        "counts": dict(report.counts),
        "problems": [asdict(problem) for problem in report.problems],
    }
    print_facts(session, facts, lines)
    return EXIT_DONE if report.ok else EXIT_GATE


@click.command()
@click.option("--dry-run", is_flag=True, help="Only list what would go")
@shared_options
@pass_session
def gc(session: Session, dry_run: bool) -> int:
    """Remove what no ref, fresh work record or live lease reaches."""
    from sensorloom.store.repository import Repository

    report = Repository.open(session.config.store.url).collect_garbage(dry_run=dry_run)
    facts = {
        "dry_run": dry_run,
        "num_bytes": report.num_bytes,
        "removed": [asdict(item) for item in report.removed],
    }
    verb = "would remove" if dry_run else "removed"
    print_facts(
        session,
        facts,
        lambda: out.print(f"{verb} {count(len(report.removed), 'object')}, {human_bytes(report.num_bytes)}"),
    )
    return EXIT_DONE


def _ref_facts(entry: Ref) -> dict[str, Any]:
    names = ("name", "sequence", "snapshot", "parent", "time", "message")
    return {**{name: getattr(entry, name) for name in names}, "provenance": dict(entry.provenance)}


def _print_snapshot(facts: dict[str, Any]) -> None:
    out.print(f"[bold]snapshot[/] {facts['snapshot_id']}")
    print_table("Takes", ("data set", "takes"), list(facts["takes"].items()))
    generated = facts["origins"].get("generated", 0)
    if generated:
        takes = counted(sum(facts["takes"].values()), "take")
        out.print(f"[dim]{generated} of {takes} generated, not recorded.[/]")
    print_table(
        "Hours", ("stream", "hours"), [(kind, float(hours)) for kind, hours in facts["hours"].items()]
    )
    rows = [
        (view, split, count) for view, splits in facts["views"].items() for split, count in splits.items()
    ]
    print_table("Windows", ("view", "split", "windows"), rows)
    encodings = [
        (view, held["imu_type"], held["layout"], error_words(held["imu_type"], held["worst_error"]))
        for view, held in facts["encodings"].items()
    ]
    print_table("IMU", ("view", "stored as", "layout", "worst error"), encodings)
    if facts["encoders"]:
        encoders = [
            (name, held["dim"], held["takes"], held["frames"], held["texts"])
            for name, held in facts["encoders"].items()
        ]
        print_table("Vectors", ("encoder", "width", "takes", "frames", "texts"), encoders)
    print_table("Findings", ("rule", "count"), list(facts["findings"].items()))
    print_table("Tables", ("table", "rows"), list(facts["tables"].items()))
