"""What `evaluate` does with a run without labels: judge it, print what a screen holds of it, write facts and page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape

from sensorloom.flows.commands.evaluation_head import print_head
from sensorloom.flows.commands.judging_options import chosen_protocols, chosen_tune
from sensorloom.flows.commands.not_judged import print_not_judged
from sensorloom.flows.commands.shared import Session, out, print_facts
from sensorloom.flows.errors import ConfigError
from sensorloom.ingest.take import counted

if TYPE_CHECKING:
    from sensorloom.flows.config import Config
    from sensorloom.training.evaluation.judged import ClassifiedView, Evaluation
    from sensorloom.training.evaluation.judging import Asked

__all__ = ["Judging", "judge_run"]


@dataclass(frozen=True, slots=True)
class Judging:
    """What the command line asks of an evaluation; nothing for what is usual."""

    views: tuple[str, ...] = ()
    protocols: str = ""
    seeds: int = 1
    fit: tuple[str, ...] = ()
    out: Path | None = None

    def is_usual(self) -> bool:
        """Return whether nothing was asked for."""
        return self == Judging()


def judge_run(session: Session, run: Path, split: str, judging: Judging) -> None:
    """Judge the run in the folder `run`, write its facts and page beside it or where it was asked, print the main."""
    from sensorloom.flows.evaluation_page import evaluation_facts, write_evaluation
    from sensorloom.training.evaluation.judge import evaluate_run
    from sensorloom.training.evaluation.paper_tables import paper_tables

    asked = _asked(session.config, judging)
    store = session.config.store.url if "store.url" in session.settings else None
    with session.progress(f"evaluate {run}") as on_progress:
        found = evaluate_run(run, split, asked=asked, store=store, on_progress=on_progress)
    tables = paper_tables([found])
    paths = write_evaluation(found, tables, judging.out or run)

    def lines() -> None:
        _print_scores(found)
        _print_left_out(found)
        if found.unfinished:
            out.print(f"[yellow]The run was stopped before its end: {escape(found.unfinished)}[/]")
        if paths.earlier:
            kept = " and ".join(str(path) for path in paths.earlier)
            out.print(
                f"[yellow]An earlier evaluation, with scores that this one lacks, is kept: {escape(kept)}[/]"
            )
        out.print(f"Page, with all of it beside the papers: {escape(str(paths.page))}")
        out.print(f"Facts: {escape(str(paths.facts))}")

    written = {
        "page": str(paths.page),
        "facts": str(paths.facts),
        "earlier": [str(path) for path in paths.earlier],
    }
    print_facts(session, {**evaluation_facts(found, tables), "written": written}, lines)


def _asked(config: Config, judging: Judging) -> Asked:
    """Return what to judge by. Raises `ConfigError` for a protocol or a setting that nobody knows."""
    from sensorloom.flows.chosen_encoder import named_spec
    from sensorloom.training.errors import RunError
    from sensorloom.training.evaluation.judging import Asked

    protocols, tune = chosen_protocols(judging.protocols), chosen_tune(judging.fit)
    try:
        return Asked(
            protocols=protocols,
            views=judging.views,
            spec=named_spec(config),
            tune=tune,
            seeds=judging.seeds,
        )
    except RunError as error:
        raise ConfigError(str(error)) from error


def _print_scores(found: Evaluation) -> None:
    out.print(f"[bold]{escape(found.name)}[/] on {escape(found.data)}")
    print_head(found)
    for judged in found.views:
        _print_data(judged)
    for scale in found.scales:
        _print_pretrained(scale.view, scale.pretrained_takes)


def _print_data(judged: ClassifiedView) -> None:
    out.print(f"[dim]{escape(judged.view)}: {escape(judged.data)}[/]")
    _print_pretrained(judged.view, judged.pretrained_takes)
    for split, count in judged.without_sensors.items():
        verbs = "has no sensor and is" if count == 1 else "have no sensor and are"
        words = f"{counted(count, 'labelled window')} of split {split!r} of {judged.view} {verbs} left out"
        out.print(f"[yellow]{escape(words)}[/]")


def _print_pretrained(view: str, takes: int) -> None:
    if takes:
        verb = "was" if takes == 1 else "were"
        out.print(f"[yellow]{counted(takes, 'take')} of {escape(view)} {verb} pretrained on[/]")


def _print_left_out(found: Evaluation) -> None:
    told = dict(found.left_out)
    for judged in found.views:
        told |= {f"{name} on {judged.view}": reason for name, reason in judged.left_out.items()}
    print_not_judged(told)
    if found.not_judged:
        views = ", ".join(found.not_judged)
        out.print(
            f"[dim]Views that this run cannot be judged on, for reasons that the page names: {escape(views)}[/]"
        )
