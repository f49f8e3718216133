"""Subcommands that tell where things come from: trace, diff, and a take to look at in Rerun."""

from __future__ import annotations

import difflib
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click
from rich.markup import escape

from sensorloom.flows.changes import changes_in_words
from sensorloom.flows.commands.shared import (
    Session,
    human_bytes,
    out,
    pass_session,
    print_facts,
    print_table,
    shared_options,
)
from sensorloom.flows.errors import ConfigError
from sensorloom.ingest.take import NS_PER_S, counted

if TYPE_CHECKING:
    from sensorloom.flows.audit.report_takes import SyncFacts
    from sensorloom.flows.differences.facts import Difference, TakeChange, ViewDifference
    from sensorloom.flows.trace_facts import Trace, TracedView

__all__ = ["diff", "rerun", "trace"]

EXIT_DONE = 0
_SHOWN_TAKES = 20  # on the terminal; `--json` has them all
_DIGITS = 12
_MARKS = {"added": "+", "removed": "-", "changed": "~"}


@click.command()
@click.argument("window_id")
@click.option(
    "--view", default="", metavar="VIEW", help="Only as this view holds it  [default: every view that does]"
)
@click.option("--at", default="", metavar="REF|ID", help="Of this snapshot  [default: the latest]")
@click.option(
    "--raw",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The data set's folder, or its parent: name the raw rows too",
)
@shared_options
@pass_session
def trace(session: Session, window_id: str, view: str, at: str, raw: Path | None) -> int:
    """Tell where a window comes from: raw files and frames, clocks, resampling, encoder, texts, split, findings."""
    from sensorloom.flows.config import audit_rules
    from sensorloom.flows.trace import trace_window
    from sensorloom.store.repository import Repository

    config = session.config
    repo = Repository.open(config.store.url)
    found = trace_window(
        repo,
        repo.resolve(at or config.store.ref),
        window_id,
        ref=config.store.ref,
        view=view,
        rules=audit_rules(config),
    )
    if raw is not None:
        from sensorloom.flows.trace_raw import with_rows

        found = with_rows(found, raw)
    print_facts(session, asdict(found), lambda: _print_trace(found, has_raw=raw is not None))
    return EXIT_DONE


@click.command()
@click.argument("a", default="")
@click.argument("b", default="main")
@shared_options
@pass_session
def diff(session: Session, a: str, b: str) -> int:
    """Show which takes and windows came, went or changed from snapshot A to B, and why; by default, the last commit."""
    from sensorloom.flows.differences.difference import compare_snapshots
    from sensorloom.store.repository import Repository

    repo = Repository.open(session.config.store.url)
    before, after = repo.resolve(a or f"{b}~1"), repo.resolve(b)
    tables = {table: asdict(change) for table, change in repo.diff(before, after).tables.items()}
    found = compare_snapshots(repo, before, after, ref=session.config.store.ref)
    facts = {"a": before.id, "b": after.id, "tables": tables, **asdict(found)}

    def lines() -> None:
        _print_diff(found, tables)
        if not a:
            out.print("[dim]of the last commit alone; a run makes several: `sensorloom log` lists them[/]")

    print_facts(session, facts, lines)
    return EXIT_DONE


@click.command()
@click.argument("take_id")
@click.option(
    "--out", "path", required=True, metavar="FILE", type=click.Path(path_type=Path), help="New file, take.rrd"
)
@click.option("--at", default="", metavar="REF|ID", help="Of this snapshot  [default: the latest]")
@click.option(
    "--raw", type=click.Path(path_type=Path), metavar="DIR", help="The data set's folder, for videos"
)
@shared_options
@pass_session
def rerun(session: Session, take_id: str, path: Path, at: str, raw: Path | None) -> int:
    """Write an aligned take as a recording for the Rerun viewer (needs the rerun extra): `rerun FILE` opens it."""
    from sensorloom.align.stage import load_aligned
    from sensorloom.flows.recording import write_recording
    from sensorloom.store.repository import Repository

    config = session.config
    repo = Repository.open(config.store.url)
    shards = {
        shard.key: shard for shard in repo.manifest(repo.resolve(at or config.store.ref), "streams").shards
    }
    if take_id not in shards:
        near = ", ".join(difflib.get_close_matches(take_id, shards, n=3, cutoff=0.0))
        raise ConfigError(
            f"the store has no take {take_id!r}" + (f"; the nearest are {near}" if near else "")
        )
    take = load_aligned(repo.open_arrays(shards[take_id]))
    files = {video.name: raw / video.uri for video in take.videos} if raw else {}
    videos = {name: file for name, file in files.items() if file.is_file()}
    write_recording(take, path, videos)
    facts = {
        "take_id": take_id,
        "path": str(path),
        "num_bytes": path.stat().st_size,
        "videos": sorted(videos),
    }
    print_facts(session, facts, lambda: out.print(f"{escape(str(path))}: {human_bytes(path.stat().st_size)}"))
    return EXIT_DONE


def _print_trace(found: Trace, *, has_raw: bool) -> None:
    length_s = (found.stop_ns - found.start_ns) / NS_PER_S
    out.print(
        f"[bold]window[/] {escape(found.window_id)}: {length_s:g} s from {found.start_s:.3f} s of its timeline"
    )
    people = f"{found.participant_id}, capture {found.capture_id}, {found.origin}"
    out.print(f"[bold]take[/]   {escape(found.take_id)} ({escape(people)})")
    out.print("[bold]Raw files[/] below the data set's folder")
    for file in found.files:
        facts = f"{human_bytes(file.num_bytes):>9}  sha256 {file.sha256[:_DIGITS]}"
        out.print(f"  {facts}  {escape(file.uri)}")
    _print_ranges(found, has_raw=has_raw)
    out.print("[bold]Clocks[/] and the window's start on each")
    for clock in found.clocks:
        support = f"{counted(clock.num_anchors, 'anchor')}, {clock.residual_rms_ms:.3f} ms rms"
        moved = f"{clock.offset_ms:+,.3f} ms, {clock.drift_ppm:+.1f} ppm ({support})"
        out.print(f"  {escape(clock.clock)} {clock.start_ns:,} ns: {moved}: {escape(clock.rule)}")
    out.print("[bold]Clocks, as the signals tell[/]")
    for sync in found.syncs:
        out.print(f"  {escape(_told_by_signals(sync))}")
    first, stop = found.grid_samples
    settings = ", ".join(f"{name} {value}" for name, value in (found.resampling or {}).items())
    out.print(
        f"[bold]Resampling[/] samples {first} to {stop} of the {found.grid_rate_hz} Hz grid;"
        f" {escape(settings or 'no ref tells any more with which settings')}"
    )
    for view in found.views:
        _print_view(view)
    out.print("[bold]Findings[/] on the take")
    for finding in found.findings:
        rule = f"{finding.severity} {finding.rule} ({finding.stage})"
        out.print(f"  {escape(rule)} {escape(finding.target)}: {escape(finding.sentence)}")


def _told_by_signals(sync: SyncFacts) -> str:
    pair = f"{sync.second} against {sync.first} by {sync.method}: {sync.verdict}"
    if sync.offset_ms is None or sync.offset_ci_ms is None:
        return f"{pair} ({sync.reason})"
    way = "late" if sync.offset_ms > 0 else "early"
    return f"{pair}, stamped {way} by {abs(sync.offset_ms):.1f} ± {sync.offset_ci_ms:.1f} ms"


def _print_ranges(found: Trace, *, has_raw: bool) -> None:
    rows = [(row.stream, row.clock, f"{row.first} to {row.stop - 1} of {row.of}") for row in found.rows]
    if rows:
        print_table("Raw rows, from 0", ("stream", "clock", "rows"), rows)
    elif not has_raw:
        out.print("[dim]`--raw DIR` reads the take again and names the rows of its raw streams[/]")
    if found.frames:
        out.print("[bold]Frames[/] from 0")
    for one in found.frames:
        ticks = f"ticks {one.first_pts} to {one.last_pts} of {one.time_base}"
        out.print(
            f"  {escape(one.camera)} {one.first} to {one.stop - 1} of {one.of}, {ticks}: {escape(one.uri)}"
        )


def _print_view(view: TracedView) -> None:
    recipe = view.recipe
    out.print(
        f"[bold]view {escape(view.view)}[/]: row {view.row} of bucket {view.bucket},"
        f" tensors {view.tensors_digest[:_DIGITS]}; {recipe['rate_hz']} Hz, label {escape(view.label) or 'none'}"
    )
    out.print(f"  split {view.split}: {escape(view.split_reason)}")
    shares = ", ".join(f"{name} {share:.1%}" for name, share in view.coverage.items())
    out.print(f"  usable: {escape(shares)}")
    if view.built is not None:
        out.print(f"  built by {view.built.ref} #{view.built.sequence} of {view.built.time}")
    if view.encoder is not None:
        out.print(
            f"  encoder {escape(view.encoder)}, {recipe['pooling']}; {escape(_told(view.fingerprint))}".rstrip(
                "; "
            )
        )
    for text in view.texts:
        annotator = f" by {text['annotator']}" if text["annotator"] else ""
        out.print(
            f"  {text['source']} at {text['offset_ms']:+.0f} ms{escape(annotator)}: {escape(text['text'])}"
        )


def _told(fingerprint: Any) -> str:
    """Return the plain values of a fingerprint in one line; `--json` has it whole."""
    return ", ".join(
        f"{name} {value}"
        for name, value in fingerprint.items()
        if isinstance(value, str | int | float) and len(str(value)) <= 40
    )


def _print_diff(found: Difference, tables: dict[str, Any]) -> None:
    if not tables:
        out.print("the two snapshots are equal")
    _print_takes(found.takes)
    for view in found.views:
        _print_view_changes(view)
    for table, change in tables.items():
        shards = ", ".join(f"{len(change[kind])} {kind}" for kind in _MARKS if change[kind])
        out.print(f"[dim]{escape(table)}: {change['rows_delta']:+,} rows; shards: {shards}[/]")


def _print_takes(takes: tuple[TakeChange, ...]) -> None:
    for take in takes[:_SHOWN_TAKES]:
        out.print(f"{_MARKS[take.change]} take {escape(take.take_id)}: {escape('; '.join(take.why))}")
    if len(takes) > _SHOWN_TAKES:
        out.print(f"  and {counted(len(takes) - _SHOWN_TAKES, 'more take')}; `--json` names all")


def _print_view_changes(view: ViewDifference) -> None:
    out.print(f"{_MARKS[view.change]} view [bold]{escape(view.view)}[/]")
    for name in ("recipe", "encoder", "split"):
        if getattr(view, name):
            out.print(f"  {name}: {escape(changes_in_words(getattr(view, name)))}")
    if not view.windows:
        out.print("  no window differs: it was built anew from the same, or by other code")
    for group in view.windows:
        fields = f" ({', '.join(group.fields)})" if group.fields else ""
        out.print(
            f"  {_MARKS[group.change]} {counted(group.windows, 'window')} of {counted(group.takes, 'take')}"
            f"{escape(fields)}: {escape(group.why)}, as {escape(group.examples[0])}"
        )
