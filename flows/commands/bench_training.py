"""Subcommands of bench that measure what training costs beside its arithmetic, and what a query costs."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from sensorloom.flows.commands.bench import bench, report, rounds_option, threads_option, work_option
from sensorloom.flows.commands.shared import Session, pass_session, shared_options

__all__ = ["bench", "query", "train"]


@bench.command("train")
@click.option(
    "--recipes",
    default="all",
    show_default=True,
    metavar="all|NAME,…",
    help="As of `sensorloom train --list`",
)
@click.option(
    "--batch",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Windows of a batch; 0: 64 on a CPU, on a GPU the recipe's own",
)
@click.option(
    "--block", type=click.IntRange(1), default=8, show_default=True, help="Steps of a turn that are timed"
)
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where to train",
)
@threads_option
@rounds_option
@work_option
@shared_options
@pass_session
def train(session: Session, /, work: Path | None, **given: int | str) -> int:
    """What training costs beside its arithmetic: steps/s through `train` over those of a bare loop.

    The loop reads a store of generated windows of the recipe's view, draws and augments, checks and logs; the bare loop
    steps over one batch that is ready on the device, augmented already. Both in one process, in turns. Generates up to
    two gigabytes on a GPU, some hundred megabytes else, one recipe at a time.
    """
    options = [text for name, value in given.items() for text in (f"--{name}", str(value))]
    return report(session, "train", {"train": options}, work)


@bench.command("query")
@click.option(
    "--windows",
    type=click.IntRange(100),
    default=250_000,
    show_default=True,
    help="Generated vectors to search",
)
@click.option("--width", type=click.IntRange(8), default=512, show_default=True, help="Values of a vector")
@click.option(
    "--threads", type=click.IntRange(1), default=1, show_default=True, help="Cores of every contender"
)
@rounds_option
@work_option
@shared_options
@pass_session
def query(session: Session, /, work: Path | None, **amounts: int) -> int:
    """How long one query takes: the ten nearest of a quarter of a million vectors, exactly, against NumPy."""
    options = [text for name, amount in amounts.items() for text in (f"--{name}", str(amount))]
    return report(session, "query", {"query": options}, work)
