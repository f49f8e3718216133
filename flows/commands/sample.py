"""The subcommand sample: generated miniature raw trees."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import rich_click as click
from rich.markup import escape

from sensorloom.flows.commands.raw import DATASETS
from sensorloom.flows.commands.shared import (
    Session,
    err,
    out,
    pass_session,
    print_facts,
    print_table,
    shared_options,
)
from sensorloom.flows.errors import ConfigError
from sensorloom.ingest.take import NS_PER_S, counted

__all__ = ["sample"]

EXIT_DONE = 0


@click.command()
@click.argument("directory", metavar="OUT", required=False, type=click.Path(path_type=Path))
@click.option(
    "--datasets", default=",".join(DATASETS), show_default=True, help="Which data sets, separated by commas"
)
@click.option("--seed", default=0, show_default=True, help="Same seed, same bytes")
@click.option("--takes", type=click.IntRange(1), help="At most so many takes of each data set")
@click.option(
    "--minutes",
    type=click.FloatRange(min=0.1),
    help="Length of each take in minutes; one of PAMAP2 is shared out among up to twelve activities",
)
@click.option("--faults", default="", help="Faults to plant, separated by commas; `list` shows them")
@shared_options
@pass_session
def sample(
    session: Session,
    directory: Path | None,
    datasets: str,
    seed: int,
    takes: int | None,
    minutes: float | None,
    faults: str,
) -> int:
    """Write generated miniature raw trees, in each data set's exact download layout.

    OUT/<dataset>/… and OUT/truth.json, which says what was planted. For trying sensorloom without a licence.
    """
    from sensorloom.ingest.miniature.sample import FAULTS, write_sample
    from sensorloom.ingest.miniature.spec import SampleSpec

    if faults == "list":
        rows = list(FAULTS.items())
        print_facts(session, dict(rows), lambda: print_table("Faults", ("fault", "what it plants"), rows))
        return EXIT_DONE
    if directory is None:
        raise ConfigError("where to? `sensorloom sample OUT` writes to the folder OUT")
    spec = SampleSpec(_names(datasets), seed, takes, minutes, _names(faults))
    truth = write_sample(directory, spec)
    print_facts(session, truth, lambda: _print_sample(truth, directory))
    return EXIT_DONE


def _print_sample(truth: dict[str, Any], directory: Path) -> None:
    from sensorloom.align.named_views import VIEWS

    out.print(
        f"Generated {counted(len(truth['takes']), 'take')} under {escape(str(directory))};"
        f" what was planted: {escape(str(directory / 'truth.json'))}"
    )
    for dataset in truth["spec"]["datasets"]:
        takes = [take for take in truth["takes"].values() if take["dataset"] == dataset and "labels" in take]
        needed_s = min(view.length_s for view in VIEWS.values() if view.classes and dataset in view.datasets)
        short = sum(_longest_label_s(take) < needed_s for take in takes)
        if short:
            err.print(
                f"[bold yellow]short[/] {dataset}: {short} of {counted(len(takes), 'take')} without a label that lasts"
                f" for the {needed_s:g} s of a window of the labelled views; raise --minutes for more of these"
            )


def _longest_label_s(take: dict[str, Any]) -> float:
    return max((label["stop_ns"] - label["start_ns"] for label in take["labels"]), default=0) / NS_PER_S


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())
