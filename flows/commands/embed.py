"""The subcommand embed: frames and texts to the vectors of a frozen encoder."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click
from rich.markup import escape

from sensorloom.flows.commands.shared import (
    Session,
    err,
    human_bytes,
    naming,
    out,
    pass_session,
    prepare_for_torch,
    print_commit,
    print_facts,
    shared_options,
)
from sensorloom.flows.pages.words import duration
from sensorloom.ingest.take import counted

if TYPE_CHECKING:
    from sensorloom.flows.config import Config
    from sensorloom.flows.embed_plan import EmbedPlan, PlannedEmbedding
    from sensorloom.flows.outcomes import EmbedReport

__all__ = ["embed", "embed_all", "embed_facts", "print_embed"]

EXIT_DONE, EXIT_SOME_FAILED = 0, 3
_SECONDS_PER_HOUR = 3600
_OWN_REASONS = ("facts are missing", "done, not published")


@click.command()
@click.option(
    "--raw",
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Parent of the data sets' folders  [default: where the last ingest of each read it]",
)
@click.option("--dry-run", is_flag=True, help="Say how much there is to do, and embed nothing")
@click.option("--explain", is_flag=True, help="Say of each take why it would be embedded, and embed nothing")
@click.option(
    "--drop", metavar="NAME", help="Take all vectors of this encoder out of the store, and embed nothing"
)
@shared_options
@pass_session
def embed(session: Session, raw: Path | None, dry_run: bool, explain: bool, drop: str | None) -> int:
    """Encode video frames and texts with a frozen encoder; takes that are done are never done again.

    The encoder is chosen by embed.model and embed.pretrained: `--set embed.pretrained=openai` is ViT-B-32 as
    published. Needs the embed extra. Views that `build` cuts afterwards carry the vectors.
    """
    if drop is not None:
        return _drop(session, drop)
    if not (dry_run or explain):
        report = embed_all(session, raw)
        print_facts(session, asdict(report), lambda: print_embed(report))
        return EXIT_SOME_FAILED if report.failed else EXIT_DONE
    plan = _plan(session, raw)
    facts = _facts(plan, with_takes=explain)
    print_facts(session, facts, lambda: _print_plan(plan, facts, with_takes=explain))
    return EXIT_DONE


def _drop(session: Session, encoder: str) -> int:
    from sensorloom.flows.embedding import drop_vectors

    commit = drop_vectors(session.config, encoder)
    facts = {"dropped": encoder, "snapshot_id": commit.snapshot_id, "committed": commit.created}
    print_facts(session, facts, lambda: print_commit(commit.snapshot_id, commit.created))
    return EXIT_DONE


def embed_all(session: Session, raw: Path | None) -> EmbedReport:
    """Run the stage with a progress bar of frames."""
    prepare_for_torch(session)
    from sensorloom.flows.embedding import embed_store

    with session.progress("embed") as on_progress:
        return embed_store(session.config, raw=raw, on_progress=on_progress)


def print_embed(report: EmbedReport) -> None:
    """Print what an embed run did."""
    counts = {"embedded": report.embedded, "already done": report.resumed, "unchanged": report.unchanged}
    work = ", ".join(f"{count} {what}" for what, count in {**counts, "failed": len(report.failed)}.items())
    rate = "" if report.frames_per_s is None else f", {report.frames_per_s:.1f} frames/s"
    out.print(
        f"[bold]{escape(report.encoder)}[/] ({report.dim} numbers a vector): {counted(report.takes, 'take')}: {work};"
        f" {counted(report.frames, 'frame')}, {report.new_texts} of {counted(report.texts, 'text')} new"
        f" ({report.seconds:.1f} s{rate})"
    )
    print_commit(report.snapshot_id, report.committed)
    for failure in report.failed:
        err.print(f"[bold red]failed[/] {escape(failure.take_id)}: {escape(failure.message)}")
    if report.withheld:
        err.print(
            "[bold yellow]nothing published[/] these vectors would replace those in the store, and the failed takes"
            " would lose theirs; what was done is kept: mend the takes and run the same command again"
        )
    if report.lost_frames:
        err.print(
            f"[bold yellow]masked[/] {counted(report.lost_frames, 'frame')} without a sound picture;"
            " `sensorloom audit` tells more"
        )
    if report.superseded:
        out.print(
            f"ingested again meanwhile, run `sensorloom embed` again: {escape(naming(report.superseded))}"
        )


def _plan(session: Session, raw: Path | None) -> EmbedPlan:
    from sensorloom.flows.embedding import plan_of_store
    from sensorloom.store.repository import Repository

    config = session.config
    return plan_of_store(Repository.open(config.store.url), config, raw=raw)


def embed_facts(config: Config, raw: Path) -> dict[str, Any] | None:
    """Return what an embed run of the head would do, why it would do nothing, or None before there is a head."""
    from sensorloom.flows.embedding import plan_of_store, why_not_embed
    from sensorloom.store.repository import Repository

    repo = Repository.open(config.store.url)
    if repo.head(config.store.ref) is None:
        return None
    skipped = why_not_embed(config)
    return {"skipped": skipped} if skipped else _facts(plan_of_store(repo, config, raw=raw), with_takes=False)


def _facts(plan: EmbedPlan, *, with_takes: bool) -> dict[str, Any]:
    seconds = None if plan.frames_per_s is None else plan.frames / plan.frames_per_s
    facts: dict[str, Any] = {
        "encoder": plan.wanted.name,
        "dim": plan.wanted.identity.dim,
        "fingerprint": dict(plan.wanted.fingerprint),
        "takes": len(plan.takes) + len(plan.unchanged),
        "unchanged": len(plan.unchanged),
        "reasons": plan.reasons,
        "gone": list(plan.gone),
        "unreachable": plan.unreachable,
        "frames": plan.frames,
        "video_hours": sum(take.size.video_s for take in plan.takes) / _SECONDS_PER_HOUR,
        "raw_bytes_to_read": sum(take.size.raw_bytes for take in plan.takes),
        "stored_bytes_expected": plan.stored_bytes,
        "seconds_expected": seconds,
    }
    if with_takes:
        facts["pending"] = [_take_facts(take) for take in plan.takes]
    return facts


def _take_facts(take: PlannedEmbedding) -> dict[str, Any]:
    return {
        "take_id": take.take_id,
        "reason": take.reason,
        "differs": {name: list(fields) for name, fields in take.differs.items()},
        "frames": take.frames,
    }


def _print_plan(plan: EmbedPlan, facts: dict[str, Any], *, with_takes: bool) -> None:
    reasons = ", ".join(f"{count} {reason}" for reason, count in facts["reasons"].items())
    if plan.gone:
        reasons += f"{', ' if reasons else ''}{len(plan.gone)} to take out: {naming(plan.gone)}"
    out.print(
        f"[bold]{escape(plan.wanted.name)}[/]: {counted(facts['takes'], 'take')} with videos or texts,"
        f" {facts['unchanged']} unchanged; {escape(reasons) or 'nothing to do'}"
    )
    if not plan.takes:
        return
    expected = facts["seconds_expected"]
    time = (
        "no run yet tells how fast"
        if expected is None
        else f"about {duration(expected)} by the last run's pace"
    )
    out.print(
        f"  {facts['frames']:,} frames of {facts['video_hours']:.2f} hours of video,"
        f" {human_bytes(facts['raw_bytes_to_read'])} to read,"
        f" {human_bytes(facts['stored_bytes_expected'])} in the store; {time}"
    )
    for dataset, count in plan.unreachable.items():
        err.print(
            f"[bold yellow]not there[/] the raw files of {counted(count, 'take')} of {dataset}; give the parent of a"
            f" folder named {dataset} with --raw"
        )
    for take in plan.takes if with_takes else ():
        beside = "" if take.reason in _OWN_REASONS else _beside(take)
        out.print(f"  {escape(take.take_id)}  about {counted(take.frames, 'frame')}  {take.reason}{beside}")


def _beside(take: PlannedEmbedding) -> str:
    """Say how the vectors of the take that the store has differ from those asked for."""
    told = (
        f"{name} differs in {', '.join(fields)}" if fields else f"{name} was made of other frames"
        for name, fields in take.differs.items()
    )
    return "".join(f"; {escape(words)}" for words in told)
