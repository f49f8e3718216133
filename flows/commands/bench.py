"""Subcommands that measure: this project beside what people use instead, in one run, as ratios.

The contenders live in `benchmarks/` of a source checkout: their peers are no dependencies of the project.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import rich_click as click

import sensorloom
from sensorloom.flows.commands.shared import (
    Session,
    err,
    pass_session,
    print_facts,
    print_table,
    shared_options,
)
from sensorloom.flows.errors import ConfigError, RunError

__all__ = ["bench", "report", "rounds_option", "source_folder", "threads_option", "work_option"]

_Command = TypeVar("_Command", bound=Callable[..., Any])

EXIT_DONE, EXIT_SETUP = 0, 2
_INGEST_DRIVERS = {"pamap2": "ingest", "vrs": "ingest_vrs", "ego4d": "ingest_ego4d", "takes": "ingest_takes"}
_AUDIT_PARTS = ("faults", "speed")
_STREAM_DRIVERS = {"epochs": "stream", "remote": "stream_remote", "trainer": "stream_trainer"}


def work_option(command: Any) -> Any:
    """Add `--work DIR`."""
    help_text = "Folder for generated data (kept) and stores (removed)  [default: the user's cache]"
    return click.option(
        "--work", type=click.Path(file_okay=False, path_type=Path), metavar="DIR", help=help_text
    )(command)


def _part_option(names: Iterable[str]) -> Callable[[_Command], _Command]:
    return click.option(
        "--part",
        "parts",
        multiple=True,
        type=click.Choice(list(names)),
        help="Only this part; may be given again  [default: all of them]",
    )


rounds_option = click.option(
    "--rounds",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    help="Turns of each contender; medians are reported",
)

threads_option = click.option(
    "--threads", type=click.IntRange(1), default=2, show_default=True, help="Cores of every contender"
)


@click.group()
def bench() -> None:
    """Measure against what people use instead, in one run.

    Every contender runs in its own process, pinned to the same cores, in turns. Both must have done the
    same work, or the bench fails. Run it on a quiet machine.
    """


@bench.command()
@click.option(
    "--minutes",
    type=click.FloatRange(min=2),
    default=63.0,
    show_default=True,
    help="Length of the generated PAMAP2 recording; 63 are about 140 MB, one real subject file",
)
@_part_option(_INGEST_DRIVERS)
@rounds_option
@work_option
@shared_options
@pass_session
def ingest(session: Session, minutes: float, parts: tuple[str, ...], rounds: int, work: Path | None) -> int:
    """Raw files to the store on one core, against what people use.

    pamap2: text to committed windows, against pandas + scipy. vrs: IMU records of an Aria recording, against
    projectaria-tools and pyvrs. ego4d: IMU text, against pandas. takes: a take of ten minutes, and what one take
    costs among ten and among a thousand.
    """
    options = {name: ["--rounds", str(rounds)] for name in parts or _INGEST_DRIVERS}
    if "pamap2" in options:
        options["pamap2"] += ["--minutes", str(minutes)]
    return report(session, "ingest", {_INGEST_DRIVERS[name]: given for name, given in options.items()}, work)


@bench.command()
@click.option(
    "--windows",
    type=click.IntRange(256),
    default=40_000,
    show_default=True,
    help="Windows in the generated store; 40,000 are about 1 GB",
)
@threads_option
@click.option(
    "--peers",
    default="all",
    show_default=True,
    metavar="all|none|NAME,…",
    help="Among lance, hf_arrow, litdata, mds, webdataset; `make peers` installs them",
)
@click.option(
    "--part",
    "parts",
    multiple=True,
    type=click.Choice(list(_STREAM_DRIVERS)),
    default=("epochs",),
    show_default=True,
    help="May be given again for more than one",
)
@rounds_option
@work_option
@shared_options
@pass_session
def stream(session: Session, /, peers: str, parts: tuple[str, ...], work: Path | None, **amounts: int) -> int:
    """Shuffled batches: as fast as memory, from an object store, for a trainer.

    epochs: batches of 256 against memcpy, a naive Dataset + DataLoader, and Lance, Hugging Face datasets, LitData,
    MosaicML MDS and WebDataset, each at its own best settings. remote: a store in S3 behind a slow link, through the
    shard cache, against the same store here. trainer: what steps of the CNN-GRU at batch 512 wait for data.
    """
    given = [text for name, amount in amounts.items() for text in (f"--{name}", str(amount))]
    options = {part: [*given, *(("--peers", peers) if part == "epochs" else ())] for part in parts}
    return report(session, "stream", {_STREAM_DRIVERS[part]: each for part, each in options.items()}, work)


@bench.command()
@click.option(
    "--windows",
    type=click.IntRange(1000),
    default=100_000,
    show_default=True,
    help="Windows of the generated split",
)
@click.option(
    "--batch", type=click.IntRange(2), default=1024, show_default=True, help="Windows of a global batch"
)
@rounds_option
@work_option
@shared_options
@pass_session
def shuffle(session: Session, windows: int, batch: int, rounds: int, work: Path | None) -> int:
    """How well each shuffle mixes: all of 64 shards, blocks of 1, 4, 8 and 16 of them, none.

    Displacement is how far a window moves, as a share of the epoch; it cannot tell a block shuffle from a full one.
    Mixing is how evenly a batch draws on shards and on takes: 0 from one only, 1 as by chance.
    """
    options = ["--windows", str(windows), "--batch", str(batch), "--rounds", str(rounds)]
    return report(session, "shuffle", {"shuffle": options}, work)


@bench.command()
@click.option(
    "--minutes",
    type=click.FloatRange(min=0.2),
    default=1.0,
    show_default=True,
    help="Length of the generated film that is decoded",
)
@threads_option
@click.option(
    "--frames",
    type=click.IntRange(1),
    default=128,
    show_default=True,
    help="Pictures to encode; a multiple of the batch size, or padding is measured too",
)
@click.option(
    "--batch", type=click.IntRange(1), default=32, show_default=True, help="Pictures of one forward pass"
)
@click.option("--device", default="cpu", show_default=True, help="Where to encode: cpu, cuda or cuda:N")
@click.option("--large", is_flag=True, help="Decode a film of 3840 by 2160 px too")
@rounds_option
@work_option
@shared_options
@pass_session
def embed(session: Session, /, rounds: int, work: Path | None, large: bool, **amounts: float | str) -> int:
    """Video files to vectors, against bare loops: decode + resize, the pipeline, memory.

    Decoding against the tightest PyAV loop with the same scaler, decoding with no conversion, and PyAV to PIL; the
    pipeline against encoding ready tensors with ViT-B-32, whose weights are random.
    """
    options = ["--rounds", str(rounds), *(["--large"] if large else [])]
    for name, amount in amounts.items():
        options += [f"--{name}", str(amount)]
    return report(session, "embed", {"embed": options}, work)


@bench.command()
@click.option(
    "--hours",
    type=click.FloatRange(min=0.1),
    default=10.0,
    show_default=True,
    help="Hours of generated takes to audit, ten minutes each; ten are about 600 MB",
)
@_part_option(_AUDIT_PARTS)
@rounds_option
@work_option
@shared_options
@pass_session
def audit(session: Session, hours: float, parts: tuple[str, ...], rounds: int, work: Path | None) -> int:
    """What the audit catches, whom it accuses, and what it costs.

    faults: plants every fault that there is in generated trees, and audits the same trees without them; prints the
    table of what was planted against what was caught. speed: audits ten hours of IMU at 200 Hz with body joints and
    facts of frames on two cores, and times one pair of streams of a take of ten minutes.
    """
    options = ["--hours", str(hours), "--rounds", str(rounds)]
    options += [text for part in parts for text in ("--part", part)]
    return report(session, "audit", {"audit": options}, work)


def source_folder() -> Path:
    """Return `benchmarks/` of the source checkout; raises `ConfigError` without one."""
    folder = Path(sensorloom.__file__).parent / "benchmarks"
    if not (folder / "harness.py").is_file():
        raise ConfigError(
            f"the benchmarks are not beside the package ({folder}): they come with the source, not with "
            "an installed wheel; in a checkout run pip install -e '.[test]'"
        )
    return folder


def report(session: Session, name: str, drivers: Mapping[str, list[str]], work: Path | None) -> int:
    """Run each driver with its arguments and print their numbers as one table after their own, or one flat object."""
    numbers: dict[str, float] = {}
    meaning: dict[str, str] = {}
    tables: list[Mapping[str, Any]] = []
    quiet = session.as_json or not err.is_terminal
    for driver, arguments in drivers.items():
        answer = _drive(driver, [*arguments, "--work", str(work or _cache())], quiet=quiet)
        numbers |= answer["numbers"]
        meaning |= answer["meaning"]
        tables += answer.get("tables") or ()
    rows = [(key, value, meaning[key]) for key, value in numbers.items()]

    def show() -> None:
        for table in tables:
            print_table(table["title"], tuple(table["columns"]), [tuple(row) for row in table["rows"]])
        print_table(f"bench {name}", ("measure", "value", "meaning"), rows)

    print_facts(session, numbers, show)
    return EXIT_DONE


def _drive(name: str, arguments: list[str], *, quiet: bool) -> Mapping[str, Any]:
    """Run the driver `name` and return what it printed.

    Raises `ConfigError` where something is not installed, `RunError` where a contender crashed or
    contenders disagree.
    """
    command = [
        sys.executable,
        str(source_folder() / f"{name}.py"),
        *arguments,
        *(["--quiet"] if quiet else []),
    ]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)  # noqa: S603 - our own script, no shell
    try:
        answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, json.JSONDecodeError):
        raise RunError(
            f"bench {name} ended with exit code {done.returncode} and no result; its own message stands above"
        ) from None
    if "error" in answer:
        raise (ConfigError if done.returncode == EXIT_SETUP else RunError)(f"bench {name}: {answer['error']}")
    return answer


def _cache() -> Path:
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return home / "sensorloom" / "bench"
