"""What `evaluate` does with a run without labels: judge it, print it beside the papers, write its page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from sensorloom.flows.commands.judging_options import chosen_protocols, chosen_tune
from sensorloom.flows.commands.paper_table import print_paper_table
from sensorloom.flows.commands.shared import Session, out, print_facts, print_table
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
    """Judge the run in the folder `run`, print it, and write its facts and page beside it or where it was asked."""
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
        for table in tables:
            print_paper_table(table)
        _print_left_out(found)
        out.print(f"{escape(str(paths.page))} shows all of it", highlight=False)

    written = {"page": str(paths.page), "facts": str(paths.facts)}
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
    rows = [
        (
            f"{score.query} → {score.key}",
            score.variant,
            score.r1,
            score.r10,
            score.chance["r10"],
            score.mrr,
            score.chance["mrr"],
            score.candidates,
        )
        for score in found.retrieval
    ]
    if rows:
        columns = ("", "what is right", "R@1", "R@10", "chance", "MRR", "chance", "candidates")
        print_table(f"Retrieval on split {found.split!r} of {found.view}", columns, rows)
    for judged in found.views:
        _print_classes(judged)


def _print_classes(judged: ClassifiedView) -> None:
    rows: list[tuple[Any, ...]] = [
        (score.protocol, score.head.kind, score.macro_f1, score.accuracy) for score in judged.scores
    ]
    if rows:
        chance = judged.scores[0].chance
        rows.append(("guess", "most frequent class", chance.majority_macro_f1, chance.majority_accuracy))
        rows.append(("guess", "every class alike", chance.uniform_macro_f1, chance.uniform_accuracy))
        print_table(f"Classes of {judged.view}: {judged.data}", ("", "by", "macro-F1", "accuracy"), rows)
    if judged.pretrained_takes:
        verb = "was" if judged.pretrained_takes == 1 else "were"
        takes = counted(judged.pretrained_takes, "take")
        out.print(f"[yellow]{takes} of {escape(judged.view)} {verb} pretrained on[/]")
    for split, count in judged.without_sensors.items():
        verbs = "has no sensor and is" if count == 1 else "have no sensor and are"
        words = f"{counted(count, 'labelled window')} of split {split!r} of {judged.view} {verbs} left out"
        out.print(f"[yellow]{escape(words)}[/]")


def _print_left_out(found: Evaluation) -> None:
    told = {**found.left_out, **found.not_judged}
    for judged in found.views:
        told |= {f"{name} on {judged.view}": reason for name, reason in judged.left_out.items()}
    for name, reason in told.items():
        out.print(f"[dim]Not judged: {escape(name)}: {escape(reason)}[/]")
