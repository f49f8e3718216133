"""The subcommand export: windows of a view as files that other tools read, and the encoder of a run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import rich_click as click
from rich.markup import escape

from sensorloom.flows.commands.export_encoder import encoder
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
from sensorloom.flows.exports.formats import COLUMNS, Format, told
from sensorloom.flows.exports.guide import notes
from sensorloom.ingest.take import counted

__all__ = ["export"]

EXIT_DONE = 0


@click.group()
def export() -> None:
    """Write what runs and reads without this project: windows of a view, or the encoder of a run."""


export.add_command(encoder)


def _view_options(command: Callable[..., int]) -> Callable[..., int]:
    for option in reversed(_VIEW_OPTIONS):
        command = option(command)
    return command


_VIEW_OPTIONS = (
    click.option("--view", required=True, metavar="VIEW", help="Windows of this view"),
    click.option(
        "--out", "directory", required=True, metavar="DIR", type=click.Path(path_type=Path), help="New folder"
    ),
    click.option("--split", metavar="NAME", help="Only this split  [default: all, each in files of its own]"),
    click.option(
        "--snapshot", metavar="REF|ID", default="", help="What to read  [default: the store's ref, main]"
    ),
    click.option(
        "--columns",
        metavar="NAMES",
        default="",
        help=f"Among {', '.join(COLUMNS)}, with commas; masks come along  [default: all that the view has]",
    ),
)


@export.command()
@_view_options
@shared_options
@pass_session
def webdataset(session: Session, /, **asked: Any) -> int:
    """Windows of a view as tar files with one sample a window (.npy and json); needs the export extra.

    DIR appears whole at the end, with README.md, which tells how to read it, and export.json. The same snapshot gives
    the same bytes.
    """
    return _export_view(session, "webdataset", **asked)


@export.command("hf-parquet")
@_view_options
@shared_options
@pass_session
def hf_parquet(session: Session, /, **asked: Any) -> int:
    """Windows of a view as Parquet that Hugging Face's `datasets.load_dataset("parquet", …)` reads, and polars.

    DIR appears whole at the end, with README.md, which tells how to read it, and export.json. The same snapshot gives
    the same bytes.
    """
    return _export_view(session, "hf-parquet", **asked)


def _export_view(
    session: Session,
    kind: Format,
    *,
    view: str,
    directory: Path,
    split: str | None,
    snapshot: str,
    columns: str,
) -> int:
    from sensorloom.flows.exports.export import ExportRequest, plan_export
    from sensorloom.flows.exports.write import export_view
    from sensorloom.store.repository import Repository

    config = session.config
    repo = Repository.open(config.store.url)
    request = ExportRequest(kind, view, snapshot or config.store.ref, split, _names(columns))
    plan = plan_export(repo, request)
    with session.progress(f"export {view}") as on_progress:
        facts = export_view(repo, plan, directory, on_progress)
    print_facts(session, facts, lambda: _print_export(facts, directory))
    return EXIT_DONE


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    unknown = [name for name in names if name not in COLUMNS]
    if unknown:
        raise ConfigError(f"unknown columns {', '.join(map(repr, unknown))}; known: {told(COLUMNS)}")
    return names


def _print_export(facts: dict[str, Any], directory: Path) -> None:
    share = "all" if facts["generated_takes"] == facts["takes"] else facts["generated_takes"]
    generated = f", {share} of them generated" if facts["generated_takes"] else ""
    out.print(
        f"[bold]{escape(facts['view'])}[/] of snapshot {facts['snapshot_id'][:12]} as {facts['format']}:"
        f" {counted(sum(facts['windows'].values()), 'window')} of {counted(facts['takes'], 'take')}{generated}"
    )
    rows = []
    for split, windows in facts["windows"].items():
        files = [file for file in facts["files"] if file["split"] == split]
        rows.append((split, windows, len(files), human_bytes(sum(file["bytes"] for file in files))))
    print_table("", ("split", "windows", "files", "size"), rows)
    print_table("", ("array", "of a window"), list(facts["arrays"].items()))
    for note in notes(facts):
        out.print(note)
    out.print(f"How to read it: {escape(str(directory / 'README.md'))}")
