"""What `evaluate` does with a run without labels: judge it, print it beside the papers, write its page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from string import ascii_lowercase
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from sensorloom.flows.commands.shared import Session, out, print_facts, print_table
from sensorloom.flows.errors import ConfigError
from sensorloom.ingest.take import counted

if TYPE_CHECKING:
    from sensorloom.embed.encoder import EncoderSpec
    from sensorloom.flows.config import Config
    from sensorloom.training.classification import Tune
    from sensorloom.training.judged import ClassifiedView, Evaluation
    from sensorloom.training.judging import Asked
    from sensorloom.training.paper_tables import PaperTable

__all__ = ["Judging", "judge_run"]

_FIT = {"learning_rate": float, "weight_decay": float, "batch_size": int, "epochs": int}
_EVERYTHING = "all"
_NOBODY_CHOSE = "auto"


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
    from sensorloom.training.evaluation import evaluate_run
    from sensorloom.training.paper_tables import paper_tables

    asked = _asked(session.config, judging)
    store = session.config.store.url if "store.url" in session.settings else None
    with session.progress(f"evaluate {run}") as on_progress:
        found = evaluate_run(run, split, asked=asked, store=store, on_progress=on_progress)
    tables = paper_tables([found])
    paths = write_evaluation(found, tables, judging.out or run)

    def lines() -> None:
        _print_scores(found)
        for table in tables:
            _print_table(table)
        _print_left_out(found)
        out.print(f"{escape(str(paths.page))} shows all of it", highlight=False)

    written = {"page": str(paths.page), "facts": str(paths.facts)}
    print_facts(session, {**evaluation_facts(found, tables), "written": written}, lines)


def _asked(config: Config, judging: Judging) -> Asked:
    """Return what to judge by. Raises `ConfigError` for a protocol or a setting that nobody knows."""
    from sensorloom.training.errors import RunError
    from sensorloom.training.judging import ALL, USUAL, Asked

    chosen: Sequence[str] = tuple(name.strip() for name in judging.protocols.split(",") if name.strip())
    spec, tune = _spec(config), _tune(judging.fit)
    try:
        return Asked(
            protocols=ALL if chosen == (_EVERYTHING,) else tuple(dict.fromkeys(chosen)) or USUAL,
            views=judging.views,
            spec=spec,
            tune=tune,
            seeds=judging.seeds,
        )
    except RunError as error:
        raise ConfigError(f"--protocols: {error}") from error


def _spec(config: Config) -> EncoderSpec | None:
    """Return the encoder that the configuration names, None where it names none; only the former needs its extra."""
    if config.embed.model == _NOBODY_CHOSE and not config.embed.pretrained:
        return None
    from sensorloom.flows.chosen_encoder import choose_spec

    return choose_spec(config, frozenset())


def _tune(settings: Sequence[str]) -> Tune | None:
    """Return what changes the settings of each fit by `key=value`s. Raises `ConfigError` for another key or value."""
    changes: dict[str, Any] = {}
    for setting in settings:
        key, _, text = setting.partition("=")
        if key not in _FIT:
            raise ConfigError(f"--fit {setting}: no such setting of a fit; known: {', '.join(_FIT)}")
        try:
            changes[key] = _FIT[key](text)
        except ValueError as error:
            kind = "a whole number" if _FIT[key] is int else "a number"
            raise ConfigError(f"--fit {setting}: {key} must be {kind}, got {text!r}") from error
    return (lambda fit: replace(fit, **changes)) if changes else None


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


def _print_table(table: PaperTable) -> None:
    """Print a table of a paper; what rows were measured on stands below it, by letter."""
    from sensorloom.training.paper_tables import number_words

    letters = dict(zip(dict.fromkeys(row.measured_on for row in table.rows), ascii_lowercase, strict=False))
    doubts = dict.fromkeys(row.doubt for row in table.rows if row.doubt)
    marks = {doubt: f" {'*' * number}" for number, doubt in enumerate(doubts, start=1)}
    rows: list[tuple[Any, ...]] = []
    for task, group in groupby(table.rows, key=lambda row: row.task):
        if task:
            rows.append((task, *("" for _ in table.columns), ""))
        rows += [
            (
                f"  {row.name}{marks.get(row.doubt, '')}",
                *(number_words(number) for number in row.numbers),
                letters.get(row.measured_on, row.measured_on),
            )
            for row in group
        ]
    columns = ("", *(name.replace(" ", "\n", 1) for name in table.columns), "on")
    print_table(f"{table.source}: {table.title}", columns, rows)
    told = [f"{letter}: {words}" for words, letter in letters.items()]
    remarks = (f"{mark.strip()} {doubt}" for doubt, mark in marks.items())
    for line in (*told, *remarks, *table.notes):
        out.print(f"[dim]{escape(line)}[/]")


def _print_left_out(found: Evaluation) -> None:
    told = {**found.left_out, **found.not_judged}
    for judged in found.views:
        told |= {f"{name} on {judged.view}": reason for name, reason in judged.left_out.items()}
    for name, reason in told.items():
        out.print(f"[dim]Not judged: {escape(name)}: {escape(reason)}[/]")
