"""The subcommand query: windows found by a text or by another window."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click
from rich.markup import escape

from sensorloom.flows.commands.shared import (
    Session,
    err,
    out,
    pass_session,
    prepare_for_torch,
    print_facts,
    print_table,
    shared_options,
)
from sensorloom.flows.errors import ConfigError, RunError
from sensorloom.flows.pages.words import count
from sensorloom.flows.queries.facts import Answer, Asked, Hit
from sensorloom.training.replacing import replacing

if TYPE_CHECKING:
    from sensorloom.flows.queries.query import Searcher

__all__ = ["query"]

EXIT_DONE = 0
_MODALITIES = ("imu", "video", "text", "mocap")
_USUAL_K = 10
_SAID = 36
"""Characters of what was said that a line of the table shows."""


@click.command()
@click.argument("text", default="")
@click.option("--window", metavar="ID", default="", help="Ask with a window instead of a text")
@click.option(
    "--by",
    type=click.Choice(_MODALITIES),
    help="By which vectors of the window  [default: its IMU with --run, else its video]",
)
@click.option(
    "--of",
    type=click.Choice(_MODALITIES),
    help="By which vectors windows are found  [default: imu with --run, else video]",
)
@click.option("--run", "run_dir", metavar="RUN", type=click.Path(path_type=Path), help="A pretrained run")
@click.option("--view", default="", help="Where to search  [default: that of the run, else the largest]")
@click.option("--split", help="Only this split  [default: all]")
@click.option("--k", type=int, help="How many windows  [default: 10]")
@click.option(
    "--out", "page", metavar="FILE", type=click.Path(path_type=Path), help="Write a page of pictures"
)
@click.option(
    "--raw",
    metavar="DIR",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="With video frames: where the data sets lie",
)
@click.option(
    "--serve", "port", metavar="PORT", type=click.IntRange(0, 65535), help="Answer a browser of this machine"
)
@shared_options
@pass_session
def query(session: Session, /, text: str, **given: Any) -> int:
    """Find windows by TEXT, or by another window: which stretch of which take, and what was said there.

    Without a run, texts are held against the vectors of videos (or `--of text`, of texts) in the store. With one, also
    against what it makes of IMU and body motion: `sensorloom query "climbs a wall" --run runs/primus`, or
    `--window ID --of mocap`. Of windows that overlap only the best is shown.
    """
    asked = _Given(text=text, **given)
    if asked.port is None and not text.strip() and not asked.window:
        raise ConfigError(
            'what to look for? `sensorloom query "a person climbs a wall"`, --window ID, or --serve PORT'
        )
    asked.check_serving()
    prepare_for_torch(session)
    searcher = _open(session, asked)
    if asked.port is not None:
        return _serve(session, searcher, asked.port, asked.raw)
    answer = searcher.answer(asked.query)
    if asked.page is not None:
        from sensorloom.flows.queries.page import page_of_answer

        _write(asked.page, page_of_answer(searcher, answer, raw=asked.raw))
    print_facts(session, asdict(answer), lambda: _print_answer(answer, asked.page))
    return EXIT_DONE


@dataclass(frozen=True, slots=True)
class _Given:
    """What stood on the command line."""

    text: str
    window: str
    by: str | None
    of: str | None
    run_dir: Path | None
    view: str
    split: str | None
    k: int | None
    page: Path | None
    raw: Path | None
    port: int | None

    def check_serving(self) -> None:
        """Raise `ConfigError` for what a server would leave unheard: its queries come from a browser."""
        if self.port is None:
            return
        if self.page is not None:
            raise ConfigError("--serve shows its own pages; leave --out out")
        unheard = {
            "TEXT": self.text,
            "--window": self.window,
            "--by": self.by,
            "--split": self.split,
            "--k": self.k,
        }
        names = [name for name, value in unheard.items() if value not in ("", None)]
        if names:
            raise ConfigError(f"--serve is asked in a browser; leave {', '.join(names)} out, and ask there")

    @property
    def kind(self) -> str:
        """What is looked for where nothing is said."""
        return "video" if self.run_dir is None else "imu"

    @property
    def query(self) -> Asked:
        by = self.by or (self.kind if self.window else "text")
        return Asked(
            self.of or self.kind,
            _USUAL_K if self.k is None else self.k,
            self.text,
            self.window,
            by,
            self.split,
        )


def _open(session: Session, given: _Given) -> Searcher:
    from sensorloom.flows.queries.query import OfRun, check_query, open_run, open_store

    config = session.config
    query = given.query if given.port is None else None
    if query is not None:
        check_query(query)
    if given.run_dir is None:
        return open_store(config, given.view, given.of or given.kind)
    store = config.store.url if "store.url" in session.settings else None
    with session.progress(f"open {given.run_dir}") as on_progress:
        return open_run(config, OfRun(given.run_dir, given.view, store), query, on_progress)


def _serve(session: Session, searcher: Searcher, port: int, raw: Path | None) -> int:
    from sensorloom.flows.queries.server import QueryServer

    if find_spec("open_clip") is None:
        extra = "pip install 'sensorloom[ingest,embed]'"
        err.print(
            f"[yellow]open_clip is not installed, so only windows can be asked with; for texts: {escape(extra)}[/]"
        )
    with QueryServer(searcher, port, raw=raw) as server:
        said = f"{server.address} answers on this machine; Ctrl+C ends it"
        print_facts(session, {"address": server.address}, lambda: out.print(escape(said)))
        sys.stdout.flush()
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            err.print("ended")
    return EXIT_DONE


def _write(page: Path, text: str) -> None:
    try:
        page.parent.mkdir(parents=True, exist_ok=True)
        with replacing(page) as partial:
            partial.write_text(text, encoding="utf-8", errors="replace")
    except OSError as error:
        raise RunError(f"cannot write {page}: {error.strerror}; name another file with --out") from error


def _print_answer(answer: Answer, page: Path | None) -> None:
    rows = [
        (
            f"{hit.rank}{'*' if hit.is_query else ''}",
            f"{hit.score:.3f}",
            hit.window_id,
            f"{hit.start_s:.2f}",
            f"{hit.stop_s:.2f}",
            hit.split,
            _said(hit),
        )
        for hit in answer.hits
    ]
    title = f"{answer.asked.text or answer.asked.window_id} in vectors of {answer.asked.of}"
    print_table(
        _plain(title), ("", "score", "window", "from s", "to s", "split", "what was said there"), rows
    )
    where = f"{count(answer.windows, 'window')} of view {answer.view} in {answer.search_ms:.1f} ms"
    how = f"by the run {answer.run}" if answer.run else f"by encoder {answer.encoder}"
    out.print(f"[dim]{escape(f'Searched {where}, {how}.')}[/]")
    if any(hit.is_query for hit in answer.hits):
        out.print("[dim]* the window asked with, or one that overlaps it.[/]")
    if answer.generated:
        out.print(f"[dim]{answer.generated}[/]")
    if page is not None:
        out.print(f"Pictures: {escape(str(page))}")


def _said(hit: Hit) -> str:
    """Return the words that matched, else those that were said there, in one line."""
    words = hit.matched if hit.texts and hit.matched in {text.text for text in hit.texts} else ""
    said = " ".join(
        _plain(words or "; ".join(dict.fromkeys(text.text for text in hit.texts)) or hit.label).split()
    )
    return said if len(said) <= _SAID else f"{said[: _SAID - 1]}…"


def _plain(text: str) -> str:
    """Return text without what would steer a terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
