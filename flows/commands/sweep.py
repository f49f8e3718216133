"""The subcommand sweep: many runs of one recipe, compared."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click
from rich.markup import escape

from sensorloom.flows.commands.judging_options import chosen_protocols, chosen_tune
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
from sensorloom.flows.sweeps.grid import NAMED, Grid, asked_grid, named_grid
from sensorloom.ingest.take import counted

if TYPE_CHECKING:
    from sensorloom.flows.config import Config
    from sensorloom.flows.sweeps.files import SweepPaths
    from sensorloom.flows.sweeps.report import SweepReport
    from sensorloom.flows.sweeps.sweep import Judge

__all__ = ["sweep"]

EXIT_DONE, EXIT_ALL_FAILED, EXIT_SOME_FAILED = 0, 1, 3
_SPLIT = "test"
_COLUMNS = 4
"""Scores of the table on the terminal; the page has them all."""


@click.command()
@click.argument("recipe", required=False)
@click.option(
    "--over", multiple=True, metavar="KEY=A,B,C", help="Train with each value; may be given again for a grid"
)
@click.option("--named", type=click.Choice(list(NAMED)), help="A sweep that the papers leave open")
@click.option(
    "--seeds", type=click.IntRange(1), default=3, show_default=True, help="Train each point so many times"
)
@click.option(
    "--protocols",
    metavar="A,B",
    help="Evaluate each run by these, as `evaluate` does, or by all; without, its validation scores are compared",
)
@click.option(
    "--on", "views", multiple=True, metavar="VIEW", help="Evaluate on this view with labels; may be repeated"
)
@click.option("--split", help="Which split `--protocols` score  [default: test]")
@click.option(
    "--fit", multiple=True, metavar="KEY=VALUE", help="Change how `--protocols` fit classifiers: epochs, …"
)
@click.option("--out", "directory", metavar="DIR", help="Folder of the sweep  [default: runs/sweep-NAME]")
@shared_options
@pass_session
def sweep(
    session: Session,
    /,
    recipe: str | None,
    over: tuple[str, ...],
    named: str | None,
    directory: str | None,
    **judging: Any,
) -> int:
    """Train RECIPE with every choice of settings, some seeds each, and draw what becomes of its scores.

    `sensorloom sweep jepa --over semantic_weight=0,0.1,0.5`, or `--named objective-ablation`. Every point is a run as
    `train` makes it; the same command given again does only what is left. `--set` changes all points alike.
    """
    from sensorloom.flows.curve_files import earlier_curves
    from sensorloom.flows.sweeps.files import write_sweep_files
    from sensorloom.flows.sweeps.report import to_json
    from sensorloom.flows.sweeps.sweep import FACTS, SweepOrder, run_sweep

    session.settings, settings = split_settings(session.settings)
    grid = _grid(recipe, over, named, settings)
    config = session.config
    folder = Path(directory or Path(config.train.out) / f"sweep-{grid.name}")
    prepare_for_torch(session)
    seeds = judging.pop("seeds")
    order = SweepOrder(grid, seeds, settings, config.store.url, folder, _judge(config, grid, **judging))
    earlier = earlier_curves(folder / FACTS)
    with session.progress(f"sweep {grid.name}") as on_progress:
        report = run_sweep(order, on_progress)
    paths = write_sweep_files(report, folder, earlier)
    facts = {**to_json(report), "page": str(paths.page), "curves": [str(path) for path in paths.curves]}
    print_facts(session, facts, lambda: _print(report, paths))
    return _exit_code(report)


def _grid(recipe: str | None, over: tuple[str, ...], named: str | None, settings: dict[str, str]) -> Grid:
    if named is not None:
        if over:
            raise ConfigError(f"--named {named} says what is varied; leave out --over")
        return named_grid(named, recipe)
    if recipe is None:
        raise ConfigError(
            "which recipe? Give one with --over key=a,b,c; `sensorloom train --list` names them"
        )
    return asked_grid(recipe, over, settings)


def _judge(
    config: Config,
    grid: Grid,
    *,
    protocols: str | None,
    views: tuple[str, ...],
    split: str | None,
    fit: tuple[str, ...],
) -> Judge:
    from sensorloom.flows.sweeps.judges import asked_of, by_protocols, by_validation
    from sensorloom.training.configs import SupervisedConfig
    from sensorloom.training.recipes import make_recipe

    if protocols is None:
        for option, value in {"--on": views, "--split": split, "--fit": fit}.items():
            if value:
                raise ConfigError(
                    f"{option} says how to evaluate, but not by what; add --protocols linear-probe, say"
                )
        return by_validation()
    for variant in grid.variants:
        if isinstance(make_recipe(variant.recipe), SupervisedConfig):
            raise ConfigError(
                f"recipe {variant.recipe} trains a classifier from labels, which --protocols cannot judge; drop it"
            )
    asked = asked_of(config, chosen_protocols(protocols), views, chosen_tune(fit))
    return by_protocols(config, split or _SPLIT, asked, fit)


def _exit_code(report: SweepReport) -> int:
    from sensorloom.flows.sweeps.report import failures

    for sentence in failures(report):
        err.print(f"[bold red]error[/] {escape(sentence)}")
    failed = [point for point in report.points if point.failure]
    if not failed:
        return EXIT_DONE
    return EXIT_ALL_FAILED if len(failed) == len(report.points) else EXIT_SOME_FAILED


def _print(report: SweepReport, paths: SweepPaths) -> None:
    from sensorloom.flows.sweeps.report import means, shown_scores, verdicts

    by_name = {(each.line, each.x, each.score): each.words() for each in means(report)}
    scores = shown_scores(report)[:_COLUMNS]
    rows = [
        (variant.line, variant.x, *(by_name.get((variant.line, variant.x, score), "-") for score in scores))
        for variant in report.grid.variants
    ]
    print_table(
        report.grid.question,
        ("", report.grid.x_label, *(score.replace(", ", "\n") for score in scores)),
        rows,
    )
    out.print(
        f"[dim]{escape(report.data)}; judged by {escape(report.judged_by)}; {counted(len(report.seeds), 'seed')}[/]"
    )
    for sentence in verdicts(report):
        out.print(escape(sentence))
    if "generated" in report.data:
        out.print("[dim]On generated data: this says nothing about the real data sets.[/]")
    out.print(f"Page: {escape(str(paths.page))}")
