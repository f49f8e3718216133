"""Subcommands that prepare data: ingest, build, audit, run; `sample` and `embed` have modules of their own."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click
from rich.markup import escape

from sensorloom.flows.audit.asked import Asked
from sensorloom.flows.commands.embed import embed_all, print_embed
from sensorloom.flows.commands.raw import DATASETS, dataset_folders, videos_folder
from sensorloom.flows.commands.shared import (
    Session,
    err,
    naming,
    out,
    pass_session,
    print_commit,
    print_facts,
    shared_options,
)
from sensorloom.flows.errors import GateError
from sensorloom.flows.split_words import how_to_fill
from sensorloom.ingest.take import counted

if TYPE_CHECKING:
    from sensorloom.flows.config_sections import SplitConfig
    from sensorloom.flows.outcomes import BuildReport, IngestReport

__all__ = ["audit", "build", "ingest", "run"]

EXIT_DONE, EXIT_GATE, EXIT_SOME_FAILED = 0, 1, 3


@click.command()
@click.argument("dataset", type=click.Choice(DATASETS))
@click.option("--raw", required=True, metavar="DIR", help="The data set's own folder, as downloaded")
@click.option(
    "--prune", is_flag=True, help="Drop takes that are no longer under DIR; `build` then drops their windows"
)
@shared_options
@pass_session
def ingest(session: Session, dataset: str, raw: str, prune: bool) -> int:
    """Read and align what is new or changed, and publish it in one commit."""
    report = _ingest(session, dataset, raw, prune=prune)
    print_facts(session, asdict(report), lambda: _print_ingest(report))
    if report.outdated_views and not session.as_json:
        views = ", ".join(report.outdated_views)
        out.print(
            f"built from other takes or vectors than there are now, run `sensorloom build`: {escape(views)}"
        )
    return EXIT_SOME_FAILED if report.failed else EXIT_DONE


@click.command()
@click.argument("views", nargs=-1, metavar="[VIEW …]")
@click.option("--encoder", metavar="NAME", help="Whose vectors views carry, where the store has several")
@shared_options
@pass_session
def build(session: Session, views: tuple[str, ...], encoder: str | None) -> int:
    """Cut windows with the vectors of their frames and texts: all views whose data is there, or those named."""
    if encoder is not None:
        session.settings["build.encoder"] = json.dumps(encoder)
    with _told_when_held_back(session, {}):
        report = _build(session, list(views))
    print_facts(session, asdict(report), lambda: _print_build(report, session.config.split))
    return EXIT_DONE


@click.command()
@click.option("--view", metavar="VIEW", help="Only this view")
@click.option("--out", "directory", metavar="DIR", help="Where the report goes  [default: report]")
@click.option(
    "--fail-on",
    type=click.Choice(("error", "warning", "never")),
    help="Exit with 1 when a finding or leak of this severity stands",
)
@click.option(
    "--raw",
    metavar="DIR",
    help=f"Show frames of the worst windows, from the parent of the data sets' folders ({', '.join(DATASETS)})",
)
@click.option(
    "--take-pages", metavar="N|all", help="How many takes get a page, the worst first  [default: 100]"
)
@click.option("--take", metavar="TAKE_ID", help="Write the page of this take, and of no other")
@shared_options
@pass_session
def audit(
    session: Session,
    view: str | None,
    directory: str | None,
    fail_on: str | None,
    raw: str | None,
    take_pages: str | None,
    take: str | None,
) -> int:
    """Measure clocks, windows and vectors, and write the report.

    report/index.html and report/takes/ are to look at; audit.json, findings.parquet and sync.parquet to script against.
    """
    if take_pages is not None:
        session.settings["audit.take_pages"] = take_pages
    if fail_on is not None:
        session.settings["audit.fail_on"] = json.dumps(fail_on)
    views = () if view is None else (view,)
    return _audit(session, Asked(views, None if raw is None else videos_folder(raw), take), directory)


@click.command()
@click.option(
    "--raw", required=True, metavar="DIR", help=f"Parent of the data sets' folders ({', '.join(DATASETS)})"
)
@shared_options
@pass_session
def run(session: Session, raw: str) -> int:
    """Do all of it: ingest every data set under DIR, embed, build every view, write the report."""
    ingested = []
    for name, folder in dataset_folders(raw):
        ingested.append(_ingest(session, name, str(folder)))
        if not session.as_json:  # at once: what is said then stands, whatever becomes of the rest
            _print_ingest(ingested[-1])
    embedded = _embed(session, Path(raw))
    if "encoder" in embedded and not session.config.build.encoder:
        session.settings["build.encoder"] = json.dumps(embedded["encoder"])
    facts = {"ingest": [asdict(report) for report in ingested], "embed": embedded}
    with _told_when_held_back(session, facts):
        built = _build(session, [])
    print_facts(session, {**facts, "build": asdict(built)}, lambda: _print_build(built, session.config.split))
    gate = _audit(session, Asked(), None, quiet=session.as_json)
    some_failed = any(report.failed for report in ingested) or bool(embedded.get("failed"))
    return gate or (EXIT_SOME_FAILED if some_failed else EXIT_DONE)


def _ingest(session: Session, dataset: str, raw: str, *, prune: bool = False) -> IngestReport:
    from sensorloom.flows.runs import ingest_dataset

    with session.progress(f"ingest {dataset}") as on_progress:
        return ingest_dataset(dataset, raw, config=session.config, on_progress=on_progress, prune=prune)


def _embed(session: Session, raw: Path) -> dict[str, Any]:
    """Embed where an encoder is there to do it; return what was done, or why nothing was."""
    from sensorloom.flows.embedding import why_not_embed

    skipped = why_not_embed(session.config)
    if skipped is None:
        report = embed_all(session, raw)
        if not session.as_json:
            print_embed(report)
        return asdict(report)
    if not session.as_json:
        out.print(f"[bold]embed[/]: skipped: {escape(skipped)}")
    return {"skipped": skipped}


def _build(session: Session, views: list[str]) -> BuildReport:
    from sensorloom.flows.runs import build_views

    with session.progress("build") as on_progress:
        return build_views(views, config=session.config, on_progress=on_progress)


@contextmanager
def _told_when_held_back(session: Session, facts: Mapping[str, Any]) -> Iterator[None]:
    """Print with `--json` the facts so far, and those of the gate where it stops the build; the error goes on."""
    try:
        yield
    except GateError as error:
        if session.as_json:
            print_facts(session, {**facts, "gate": asdict(error.gate)}, lambda: None)
        raise


def _audit(session: Session, asked: Asked, directory: str | None, *, quiet: bool = False) -> int:
    from sensorloom.flows.audit.audit import audit_store, fails, to_json
    from sensorloom.flows.audit.verdict import verdict_lines

    config = session.config
    with session.progress("audit") as on_progress:
        report, paths = audit_store(
            config,
            asked,
            Path(directory or config.audit.out),
            on_progress=lambda step: lambda item, done, of: on_progress(f"{step}: {item}", done, of),
        )
    reasons = fails(report, config.audit.fail_on)

    def lines() -> None:
        for line in verdict_lines(report):
            out.print(f"can I train on it? {escape(line)}")
        out.print(f"Report: {escape(str(paths.page))}")

    if not quiet:
        print_facts(session, to_json(report), lines)
    for reason in reasons:
        err.print(f"[bold red]gate[/] {escape(reason)}")
    return EXIT_GATE if reasons else EXIT_DONE


def _print_ingest(report: IngestReport) -> None:
    rate = report.raw_bytes / 1e6 / max(report.seconds, 1e-9)
    counts = {"ingested": report.ingested, "already done": report.resumed, "unchanged": report.unchanged}
    work = ", ".join(f"{count} {what}" for what, count in {**counts, "failed": len(report.failed)}.items())
    cost = f"{report.seconds:.1f} s" + (f", {rate:.0f} MB/s" if report.ingested else "")
    out.print(f"[bold]{report.dataset}[/]: {counted(report.takes, 'take')}: {work} ({cost})")
    print_commit(report.snapshot_id, report.committed)
    for failure in report.failed:
        err.print(f"[bold red]failed[/] {escape(failure.take_id)}: {escape(failure.message)}")
    if report.errors:
        told = ", ".join(f"{rule} ({counted(takes, 'take')})" for rule, takes in report.errors.items())
        err.print(f"[bold yellow]errors found[/] {escape(told)}; `sensorloom audit` tells more")
    if report.absent:
        fate = "dropped" if report.pruned else "kept (`sensorloom ingest --prune` drops them)"
        out.print(f"no longer under the raw root, {fate}: {escape(naming(report.absent))}")
    if report.not_downloaded:
        out.print(f"listed in the metadata but not on disk, skipped: {escape(naming(report.not_downloaded))}")


def _print_build(report: BuildReport, split: SplitConfig) -> None:
    for name, count in report.windows.items():
        change = report.changes[name].words
        out.print(f"[bold]{name}[/]: {counted(count, 'window')}, {escape(change)}")
        if not count:
            err.print(
                f"[bold yellow]empty[/] {name}: `sensorloom audit --view {name}` tells why no window was kept"
            )
    if report.unfilled:
        told = ", ".join(f"{name} ({', '.join(splits)})" for name, splits in report.unfilled.items())
        err.print(f"[bold yellow]splits without windows[/] {escape(told)}: {escape(how_to_fill(split))}")
    print_commit(report.snapshot_id, report.committed)
