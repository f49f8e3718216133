"""Subcommands that train and evaluate."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click
from rich.markup import escape

from sensorloom.flows.commands.evaluation import Judging, judge_run
from sensorloom.flows.commands.pretraining import report_pretraining, speed_facts, speed_words
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
from sensorloom.flows.config import split_settings
from sensorloom.flows.errors import ConfigError

if TYPE_CHECKING:
    from sensorloom.training.evaluate import EvalResult
    from sensorloom.training.run import RunResult

__all__ = ["evaluate", "train"]

EXIT_DONE = 0
EXIT_INTERRUPTED = 130


@click.command()
@click.argument("recipe", required=False)
@click.option("--list", "list_recipes", is_flag=True, help="List the recipes and what each trains")
@click.option("--out", "directory", metavar="DIR", help="Folder of the run  [default: runs/RECIPE]")
@click.option("--resume", is_flag=True, help="Go on where the run in DIR stopped, with its settings")
@shared_options
@pass_session
def train(
    session: Session, recipe: str | None, list_recipes: bool, directory: str | None, resume: bool
) -> int:
    """Train RECIPE on the store and score it on held-out windows. `--set epochs=5` changes a setting of the recipe.

    Ends with a table. With labels: this run, chance, and the published numbers with the data each was measured on.
    Without: the losses, and how well one modality finds another, beside chance.
    """
    prepare_for_torch(session)
    from sensorloom.training.recipes import RECIPES, make_recipe
    from sensorloom.training.settings import apply_settings

    if list_recipes:
        rows = {name: (make.__doc__ or "").strip().splitlines()[0] for name, make in RECIPES.items()}
        print_facts(
            session, rows, lambda: print_table("Recipes", ("recipe", "what it does"), list(rows.items()))
        )
        return EXIT_DONE
    if recipe is None:
        raise ConfigError(f"which recipe? Known: {', '.join(RECIPES)}; `sensorloom train --list` says more")
    from sensorloom.training.configs import SupervisedConfig
    from sensorloom.training.evaluate import evaluate as score
    from sensorloom.training.record import load_record
    from sensorloom.training.run import train as run
    from sensorloom.training.streaming.ranks import find_ranks

    session.settings, of_recipe = split_settings(session.settings)
    config = session.config
    folder = Path(directory or Path(config.train.out) / recipe)
    earlier = load_record(folder) if resume else None
    if resume and earlier is None:
        raise ConfigError(f"there is no run to resume in {folder}; leave out --resume to start one")
    if earlier is not None and earlier.config.recipe != recipe:
        raise ConfigError(
            f"the run in {folder} is of recipe {earlier.config.recipe}, not {recipe}; name its own"
        )
    settings = apply_settings(earlier.config if earlier else make_recipe(recipe), of_recipe)
    leads = find_ranks()[0] == 0  # of the processes that torchrun starts, one speaks
    try:
        with session.progress(f"train {recipe}") as on_progress:
            result = run(settings, config.store.url, folder, resume=resume, progress=on_progress)
    except KeyboardInterrupt:
        if leads:
            _say_interrupted(recipe, folder, was_begun=load_record(folder) is not None)
        return EXIT_INTERRUPTED
    if not leads:
        return EXIT_DONE
    if not isinstance(settings, SupervisedConfig):
        report_pretraining(session, result)
        return EXIT_DONE
    _report(session, score(folder, store=config.store.url), result)
    return EXIT_DONE


def _say_interrupted(recipe: str, folder: Path, *, was_begun: bool) -> None:
    command = f"sensorloom train {recipe} --out {shlex.quote(str(folder))} --resume"
    then = f"go on with `{command}`" if was_begun else "nothing was saved yet"
    err.print(f"interrupted; {escape(then)}")


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--split", default="test", show_default=True, help="Which split to score")
@click.option(
    "--on",
    "views",
    metavar="VIEW",
    multiple=True,
    help="A view with labels, or of longer windows with texts  [default: all that fit]",
)
@click.option(
    "--protocols",
    metavar="A,B",
    default="",
    help="retrieval, offsets, scales, missing, zero-shot, linear-probe, transfer, few-shot, positions, fine-tune, "
    "from-scratch, or all  [default: all but the last two, which train whole encoders]",
)
@click.option(
    "--seeds",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="How often each classifier is fitted",
)
@click.option(
    "--fit",
    metavar="KEY=VALUE",
    multiple=True,
    help="Change how classifiers are fitted: learning_rate, batch_size, …",
)
@click.option(
    "--out",
    "folder",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Where facts and page go  [default: RUN]",
)
@shared_options
@pass_session
def evaluate(
    session: Session,
    run: Path,
    split: str,
    views: tuple[str, ...],
    protocols: str,
    seeds: int,
    fit: tuple[str, ...],
    folder: Path | None,
) -> int:
    """Score the best weights of a run on a split, by the protocols of the papers, beside their numbers.

    A run with labels by its own classifier. One without by retrieval on its own view, in three variants, and by the
    classes of every view whose windows fit its encoder; the costly protocols only where `--protocols` names them. Its
    facts go to RUN/evaluation-SPLIT.json, a page of all to RUN/evaluation-SPLIT.html; earlier ones with scores that
    these lack are kept under a number.
    """
    prepare_for_torch(session)
    from sensorloom.training.configs import SupervisedConfig
    from sensorloom.training.evaluate import evaluate as score
    from sensorloom.training.record import read_record

    record = read_record(run)
    judging = Judging(views, protocols, seeds, fit, folder)
    if not isinstance(record.config, SupervisedConfig) or not judging.is_usual():
        judge_run(session, run, split, judging)
        return EXIT_DONE
    store = session.config.store.url if "store.url" in session.settings else None
    _report(session, score(run, split, store=store))
    return EXIT_DONE


def _report(session: Session, result: EvalResult, trained: RunResult | None = None) -> None:
    """Print the scores beside chance and published numbers; of a run just `trained` also its verdict and speed."""
    from sensorloom.training.evaluation.comparison import compare
    from sensorloom.training.guessing import class_verdict

    comparison = compare(result)
    rows = [(row.name, row.macro_f1, row.accuracy, row.measured_on) for row in comparison.rows]
    verdict = class_verdict(
        result.accuracy, result.chance.majority_accuracy, result.num_examples, result.split
    )
    sentences = [each for each in (verdict, *(trained.notes if trained else ())) if each]

    def lines() -> None:
        print_table(comparison.title, ("", "macro-F1", "accuracy", "measured on"), rows)
        for sentence in sentences:
            out.print(f"[yellow]{escape(sentence)}[/]")
        for note in comparison.notes:
            out.print(f"[dim]{escape(note)}[/]")
        if trained:
            out.print(speed_words(trained))

    facts = {
        **result.facts(),
        "comparison": [asdict(row) for row in comparison.rows],
        "verdict": [verdict] if verdict else [],
    }
    if trained:
        facts |= {"steps": trained.steps, "notes": list(trained.notes), **speed_facts(trained)}
    print_facts(session, facts, lines)
