"""The subcommand reproduce: a table or figure of a paper, from raw data to numbers beside its own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click
from rich.markup import escape

from sensorloom.flows.commands.not_judged import print_not_judged
from sensorloom.flows.commands.paper_table import print_paper_tables
from sensorloom.flows.commands.shared import (
    Session,
    err,
    out,
    pass_session,
    prepare_for_torch,
    print_facts,
    shared_options,
)
from sensorloom.flows.config import split_settings
from sensorloom.flows.errors import ConfigError
from sensorloom.flows.reproduction.plans import REPRODUCTIONS, Reproduction, reproduction

if TYPE_CHECKING:
    from sensorloom.flows.reproduction.reproduce import Reproduced
    from sensorloom.training.evaluation.fitting import FitSettings

__all__ = ["reproduce"]

EXIT_DONE, EXIT_ALL_FAILED, EXIT_SOME_FAILED = 0, 1, 3
_QUICK = {"epochs": "4", "batch_size": "16", "learning_rate": "0.001"}
"""Settings for a few hundred windows; the recipes' own are for hundreds of thousands."""
_QUICK_OF = {"primus": {"queue_length": "128"}}
"""Of one recipe: PRIMUS's neighbours begin when its queue holds a quarter of its length."""
_QUICK_TREES: Mapping[str, tuple[int, float]] = {
    "egoexo4d": (26, 0.4),
    "ego4d": (8, 0.4),
    "pamap2": (9, 2.0),
    "realworld": (48, 0.5),
}
"""Takes and minutes of each that are generated."""
_QUICK_SPLIT = {"split.policy": "by-take", "split.fractions": "[0.6, 0.2, 0.2]", "split.seed": "2"}
"""By people, few takes would leave classes to score that nobody trained on; AURA-MFM splits by take too. With this seed
the takes of each data set fall into all three splits."""
_QUICK_EPOCHS, _QUICK_RATE = 5, 1e-3


@click.command()
@click.argument("name", metavar="TABLE", type=click.Choice(list(REPRODUCTIONS)))
@click.option(
    "--raw",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Parent of the data sets' folders, each as downloaded",
)
@click.option("--out", "directory", metavar="DIR", help="Folder of it  [default: runs/reproduce-TABLE]")
@click.option(
    "--quick",
    is_flag=True,
    help="Small settings; without --raw on data generated for it, with a store of its own",
)
@shared_options
@pass_session
def reproduce(session: Session, name: str, raw: Path | None, directory: str | None, quick: bool) -> int:
    """Ingest, embed, build, pretrain and evaluate for TABLE of a paper, and print it beside the paper's numbers.

    The same command given again does only what is left. Real data needs an encoder of videos and texts, such as `--set
    embed.pretrained=openai`; bare keys of `--set` change every run.
    """
    from sensorloom.flows.curve_files import earlier_curves
    from sensorloom.flows.prepare import check_raw

    plan = reproduction(name)
    session.settings, settings = split_settings(session.settings)
    folder = Path(directory or Path(session.config.train.out) / f"reproduce-{plan.name}")
    if quick:
        settings = {**_QUICK, **settings}
    trees = check_raw(raw, plan.datasets) if raw else _generated(session, plan, folder, quick=quick)
    prepare_for_torch(session)
    from sensorloom.flows.reproduction.files import write_reproduced
    from sensorloom.flows.reproduction.reproduce import FACTS, ReproduceOrder, to_json
    from sensorloom.flows.reproduction.reproduce import reproduce as make

    tune = _quick_fit if quick else None
    plan = _quickened(plan) if quick else plan
    earlier = earlier_curves(folder / FACTS)
    report = make(ReproduceOrder(plan, session.config, trees, folder, settings, tune), session.progress)
    page = write_reproduced(report, folder, earlier)
    print_facts(session, {**to_json(report), "page": str(page)}, lambda: _print(report, page))
    return _exit_code(report)


def _generated(session: Session, plan: Reproduction, folder: Path, *, quick: bool) -> dict[str, Path]:
    """Generate the raw trees of `plan` below `folder` and let its store be there too; return where the trees are."""
    if not quick:
        raise ConfigError(
            f"from which data? Give --raw DIR, which holds {' and '.join(plan.datasets)} as downloaded, or --quick for "
            "a small run on generated data"
        )
    from sensorloom.ingest.miniature.sample import write_sample
    from sensorloom.ingest.miniature.spec import SampleSpec

    for name in plan.datasets:
        if not (folder / "raw" / name).is_dir():
            takes, minutes = _QUICK_TREES[name]
            with session.progress(f"generate {name}") as on_progress:
                on_progress("", 0, 1)
                write_sample(folder / "raw" / name, SampleSpec((name,), takes=takes, minutes=minutes))
    for key, value in {"store.url": json.dumps(str(folder / "store")), **_QUICK_SPLIT}.items():
        session.settings.setdefault(key, value)
    return {name: folder / "raw" / name / name for name in plan.datasets}


def _quickened(plan: Reproduction) -> Reproduction:
    runs = (replace(run, settings={**_QUICK_OF.get(run.recipe, {}), **run.settings}) for run in plan.runs)
    return replace(plan, runs=tuple(runs))


def _quick_fit(settings: FitSettings) -> FitSettings:
    return replace(settings, epochs=min(settings.epochs, _QUICK_EPOCHS), learning_rate=_QUICK_RATE)


def _exit_code(report: Reproduced) -> int:
    failed = [run for run in report.runs if run.failure]
    for sentence in report.trouble:
        err.print(f"[bold yellow]left out[/] {escape(sentence)}")
    for run in failed:
        err.print(f"[bold red]error[/] {escape(run.name)} failed: {escape(run.failure)}")
    if failed:
        return EXIT_ALL_FAILED if len(failed) == len(report.runs) else EXIT_SOME_FAILED
    left_out = report.trouble or any(run.left_out for run in report.runs)
    return EXIT_SOME_FAILED if left_out else EXIT_DONE


def _print(report: Reproduced, page: Path) -> None:
    from sensorloom.flows.reproduction.reproduce import FACTS

    print_paper_tables(report.tables)
    for note in report.plan.notes:
        out.print(f"[dim]{escape(note)}[/]")
    print_not_judged(
        {f"{run.name}, {name}": why for run in report.runs for name, why in run.left_out.items()}
    )
    out.print(f"[dim]{escape(report.data)}[/]")
    if "generated" in report.data:
        out.print("[dim]On generated data: this says nothing about the real data sets.[/]")
    out.print(f"Page: {escape(str(page))}\nFacts: {escape(str(page.with_name(FACTS)))}")
