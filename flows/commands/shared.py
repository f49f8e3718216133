"""What every subcommand has: the global options, one way to print facts, one progress bar."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

import rich_click as click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from sensorloom.flows.config import Config, load_config
from sensorloom.flows.memory import keep_freed_memory
from sensorloom.ingest.take import counted

__all__ = [
    "Session",
    "human_bytes",
    "naming",
    "pass_session",
    "prepare_for_torch",
    "print_commit",
    "print_facts",
    "print_table",
    "shared_options",
]

Command = TypeVar("Command", bound=Callable[..., Any])

_LOG_EVERY_S = 10
_NAMED = 5  # takes of a list on the terminal; `--json` has them all
_PIPED_WIDTH = 120  # columns, where no terminal says its own

out = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else _PIPED_WIDTH)
err = Console(stderr=True, highlight=False, soft_wrap=True)


@dataclass(slots=True)
class Session:
    """The global options of one invocation, wherever on the command line they stood."""

    config_path: Path | None = None
    as_json: bool = False
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def config(self) -> Config:
        """The configuration with every override applied. Raises `ConfigError`."""
        return load_config(self.config_path, self.settings)

    @contextmanager
    def progress(self, title: str) -> Iterator[Callable[[str, int, int], None]]:
        """Tell on standard error how far the work is: by a bar, without a terminal by lines, with `--json` not.

        Of the processes that torchrun starts the first tells.
        """
        if self.as_json or os.environ.get("RANK", "0") != "0":
            yield _say_nothing
            return
        if not err.is_terminal:
            yield _say_now_and_then(title)
            return
        columns = (
            SpinnerColumn(),
            TextColumn("[bold]{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[item]}", style="dim"),
        )
        with Progress(*columns, console=err, transient=True) as bar:
            task = bar.add_task(title, total=None, item="")
            yield lambda item, done, total: bar.update(task, completed=done, total=total, item=item)


def _say_nothing(item: str, done: int, total: int) -> None:
    pass


def _say_now_and_then(title: str) -> Callable[[str, int, int], None]:
    """Return a progress listener for logs: a line at once, one every ten seconds, and one at the end."""
    err.print(title, markup=False)
    said_s = time.monotonic()

    def say(item: str, done: int, total: int) -> None:
        nonlocal said_s
        if done == total or time.monotonic() - said_s >= _LOG_EVERY_S:
            said_s = time.monotonic()
            err.print(f"{title}: {done} of {total} {item}".rstrip(), markup=False)

    return say


pass_session = click.make_pass_decorator(Session, ensure=True)


def shared_options(command: Command) -> Command:
    """Add the global options, so that they may stand before or after the subcommand."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def _keep_path(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
    if value is not None:
        ctx.ensure_object(Session).config_path = Path(value)


def _keep_json(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        ctx.ensure_object(Session).as_json = True


def _keep(key: str) -> Callable[[click.Context, click.Parameter, str | None], None]:
    def keep(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
        if value is not None:
            ctx.ensure_object(Session).settings[key] = json.dumps(value)

    return keep


def _keep_settings(ctx: click.Context, _: click.Parameter, values: tuple[str, ...]) -> None:
    for value in values:
        key, separator, text = value.partition("=")
        if not separator or not key:
            raise click.BadParameter(f"{value!r} is not of the form section.key=value")
        ctx.ensure_object(Session).settings[key.strip()] = text.strip()


_OPTIONS = (
    click.option(
        "--config",
        metavar="FILE",
        callback=_keep_path,
        expose_value=False,
        help="Configuration  [default: ./sensorloom.toml if there]",
    ),
    click.option(
        "--store",
        metavar="URL",
        callback=_keep("store.url"),
        expose_value=False,
        help="Directory, s3://bucket/prefix or memory://name  [default: sensorloom-store]",
    ),
    click.option(
        "--engine",
        metavar="SPEC",
        callback=_keep("engine.spec"),
        expose_value=False,
        help="serial, processes[:N] or dask[:ADDRESS]  [default: serial]",
    ),
    click.option(
        "--set",
        metavar="KEY=VALUE",
        multiple=True,
        callback=_keep_settings,
        expose_value=False,
        help="Override any key of the configuration; may be repeated",
    ),
    click.option(
        "--json",
        is_flag=True,
        callback=_keep_json,
        expose_value=False,
        help="Print facts as JSON on standard output",
    ),
)


def print_facts(session: Session, facts: Mapping[str, Any], lines: Callable[[], None]) -> None:
    """Print `facts` as JSON where it was asked for, else what `lines` prints for a reader."""
    if session.as_json:
        sys.stdout.write(json.dumps(facts, indent=2, ensure_ascii=False) + "\n")
    else:
        lines()


def print_table(title: str, columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
    """Print a small table; numbers are set to the right. Text is printed as it is, never as markup."""
    table = Table(
        title=Text(title, style="bold"),
        title_justify="left",
        box=None,
        pad_edge=False,
        padding=(0, 3, 0, 0),
    )
    for index, column in enumerate(columns):
        numeric = bool(rows) and all(isinstance(row[index], int | float) for row in rows)
        table.add_column(
            # What is too long goes on in the next line: an id that is cut is of no use.
            Text(column),
            justify="right" if numeric else "left",
            header_style="dim",
            overflow="fold",
        )
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    out.print(table)


def _cell(value: object) -> Text:
    if isinstance(value, float):
        return Text(f"{value:,.3f}".rstrip("0").rstrip("."))
    return Text(f"{value:,}" if isinstance(value, int) else str(value))


def naming(take_ids: Sequence[str]) -> str:
    """Return how many takes, and the names of the first few: "12 takes: a, b, c, d, e …"."""
    more = " …" if len(take_ids) > _NAMED else ""
    return f"{counted(len(take_ids), 'take')}: {', '.join(take_ids[:_NAMED])}{more}"


def prepare_for_torch(session: Session) -> None:
    """Load torch, which takes seconds, so that its threads sleep while they wait, unless told otherwise.

    Call it before anything else that imports torch. Threads that spin slow a small model many times over on a busy
    machine, and take the cores that decode. Freed memory is kept, too: activations are made and dropped in every step;
    returned to the system, they cost some thousand page faults a step.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    keep_freed_memory()
    with session.progress("load torch"):
        import_module("torch")


def print_commit(snapshot_id: str | None, committed: bool) -> None:
    """Print which snapshot a run leaves behind."""
    if snapshot_id is None:
        out.print("nothing to commit: the store is empty")
    else:
        out.print(
            f"committed snapshot {snapshot_id[:12]}"
            if committed
            else f"nothing changed: snapshot {snapshot_id[:12]} stands"
        )


def human_bytes(count: float) -> str:
    """Return bytes in the unit a person would choose."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
