"""The subcommand plan: what a run would do, why, and at what cost."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click
from rich.markup import escape

from sensorloom.flows.commands.embed import embed_facts
from sensorloom.flows.commands.raw import DATASETS, dataset_folders
from sensorloom.flows.commands.shared import (
    Session,
    human_bytes,
    naming,
    out,
    pass_session,
    print_facts,
    shared_options,
)
from sensorloom.ingest.take import counted

if TYPE_CHECKING:
    from sensorloom.flows.changes import Changes
    from sensorloom.flows.config import Config
    from sensorloom.flows.plan import IngestPlan
    from sensorloom.store.repository import Repository

__all__ = ["plan"]

EXIT_DONE = 0


@click.command()
@click.option(
    "--raw", required=True, metavar="DIR", help=f"Parent of the data sets' folders ({', '.join(DATASETS)})"
)
@shared_options
@pass_session
def plan(session: Session, raw: str) -> int:
    """Show what a run would do, why, and at what cost. Reads no raw data."""
    from sensorloom.flows.plan import open_if_there, plan_ingest
    from sensorloom.ingest.digest import DigestCache

    config = session.config
    repo = open_if_there(config.store.url)
    plans = [
        plan_ingest(name, folder, repo, config, DigestCache.default())
        for name, folder in dataset_folders(raw)
    ]
    facts: dict[str, Any] = {planned.dataset: _plan_facts(planned) for planned in plans}
    facts["embed"] = embed_facts(session.config, Path(raw)) if repo is not None else None
    changes = {} if repo is None else _changed_recipes(repo, config)
    facts["views"] = {view: dict(fields) for view, fields in changes.items()}

    def lines() -> None:
        _print_plans(plans, facts["embed"])
        _print_views(changes)

    print_facts(session, facts, lines)
    return EXIT_DONE


def _changed_recipes(repo: Repository, config: Config) -> dict[str, Changes]:
    """Return by view the fields of its recipe that the run would change."""
    from sensorloom.flows.recipes import changed_recipes

    head = repo.head(config.store.ref)
    return {} if head is None else changed_recipes(repo, repo.resolve(head.snapshot), config)


def _print_views(changes: dict[str, Changes]) -> None:
    from sensorloom.flows.changes import changes_in_words

    for view, fields in changes.items():
        told = changes_in_words(fields)
        out.print(f"[bold]{escape(view)}[/]: would be built anew by another recipe: {escape(told)}")


def _plan_facts(planned: IngestPlan) -> dict[str, Any]:
    pending = sum(take.source.num_bytes for take in planned.pending)
    ratio = planned.stored_bytes_per_raw_byte
    return {
        "takes": len(planned.takes),
        "reasons": dict(sorted(Counter(take.reason for take in planned.takes).items())),
        "raw_bytes_to_read": pending,
        "stored_bytes_expected": None if ratio is None else round(pending * ratio),
        "pending": [
            {"take_id": take.source.take_id, "reason": take.reason, "raw_bytes": take.source.num_bytes}
            for take in planned.pending
        ],
        "absent": list(planned.absent),
        "not_downloaded": list(planned.not_downloaded()),
    }


def _print_plans(plans: list[IngestPlan], embed: dict[str, Any] | None) -> None:
    for planned in plans:
        _print_plan(planned)
    if embed is None:
        out.print("[bold]embed[/]: known once takes are ingested; `sensorloom embed --dry-run` tells then")
    elif "skipped" in embed:
        out.print(f"[bold]embed[/]: nothing: {escape(embed['skipped'])}")
    else:
        out.print(
            f"[bold]embed[/] with {escape(embed['encoder'])}, of the takes in the store: about {embed['frames']:,}"
            f" frames of {embed['video_hours']:.2f} hours of video; then what is ingested now"
        )


def _print_plan(planned: IngestPlan) -> None:
    facts = _plan_facts(planned)
    reasons = ", ".join(f"{count} {reason}" for reason, count in facts["reasons"].items())
    expected = facts["stored_bytes_expected"]
    size = (
        "size in the store unknown before the first run"
        if expected is None
        else f"about {human_bytes(expected)} in the store"
    )
    out.print(
        f"[bold]{planned.dataset}[/]: {counted(facts['takes'], 'take')} ({reasons});"
        f" {human_bytes(facts['raw_bytes_to_read'])} to read, {size}"
    )
    for take in planned.pending:
        out.print(f"  {escape(take.source.take_id)}  {human_bytes(take.source.num_bytes)}  {take.reason}")
    for take_id in planned.absent:
        out.print(f"  {escape(take_id)}  not under the raw root; stays in the store")
    if missing := planned.not_downloaded():
        out.print(f"  listed in the metadata but not on disk, skipped: {escape(naming(missing))}")
