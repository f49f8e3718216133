"""Contenders in processes of their own, taking turns on the same cores; medians of what they measured.

A driver (`ingest.py`, `stream.py`) prints one JSON object: `{"numbers": {...}, "meaning": {...}, "tables": [...]}`, or
`{"error": "...", "kind": "setup" | "failed"}` with exit code 2 or 1. A table has `title`, `columns` and `rows`; most
drivers have none. A contender prints one flat JSON object.
Everything here is standard library: the driver stays small, so that a contender inherits no memory from it.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "POLARS_MAX_THREADS",
    "RAYON_NUM_THREADS",
)
_READ_BYTES = 1 << 22


class SetupError(Exception):
    """Something the bench needs is not here; the message says what to install or pass."""


class BenchFailedError(Exception):
    """A contender crashed, or two contenders did not do the same work: there is no number to report."""


@dataclass(frozen=True, slots=True)
class Contender:
    """A script of this folder and its arguments; `--work DIR` (fresh each time) is added.

    `python` runs it: the interpreter of the environment that its libraries are in.
    """

    name: str
    script: str
    arguments: tuple[str, ...] = ()
    python: str = sys.executable


@dataclass(frozen=True, slots=True)
class Turns:
    """How often the contenders take turns, on how many cores, under which folder, and who hears of it."""

    rounds: int
    threads: int
    folder: Path
    say: Callable[[str], None] = lambda _: None

    def play(self, contenders: Sequence[Contender]) -> dict[str, list[dict[str, float]]]:
        """Run every contender once a round, the order shifting by one; return their numbers by name.

        What the last round left in `folder/<name>` stays, for the driver to compare.
        """
        numbers: dict[str, list[dict[str, float]]] = {contender.name: [] for contender in contenders}
        for turn in range(self.rounds):
            shift = turn % len(contenders)
            for contender in (*contenders[shift:], *contenders[:shift]):
                work = self.folder / contender.name
                shutil.rmtree(work, ignore_errors=True)
                work.mkdir(parents=True)
                self.say(f"round {turn + 1} of {self.rounds}: {contender.name}")
                numbers[contender.name].append(_run(contender, work, self.threads))
        return numbers


def _run(contender: Contender, work: Path, threads: int) -> dict[str, float]:
    command = [contender.python, str(FOLDER / contender.script), *contender.arguments, "--work", str(work)]
    environment = os.environ | dict.fromkeys(_THREAD_VARIABLES, str(threads))
    # Dirty pages of the contender before would otherwise be written back during this one's turn.
    os.sync()
    done = subprocess.run(
        command,
        env=environment,
        capture_output=True,
        text=True,
        preexec_fn=lambda: _pin(threads),
        check=False,
    )
    if done.returncode:
        last = (done.stderr.strip() or "no message").splitlines()[-1]
        raise BenchFailedError(f"{contender.script} ended with exit code {done.returncode}: {last}")
    numbers: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return numbers


def _pin(threads: int) -> None:
    """Keep this process, and so all its threads to come, on `threads` cores, where the system can."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-threads:])


def medians(rounds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the median of every number over the rounds."""
    return {key: statistics.median(numbers[key] for numbers in rounds) for key in rounds[0]}


def same(name: str, ours: float, theirs: float, tolerance: float = 0.0) -> None:
    """Raise `BenchFailedError` unless two contenders agree on a number of their work within `tolerance`."""
    if not abs(ours - theirs) <= tolerance:
        raise BenchFailedError(
            f"the contenders did not do the same work: {name} is {ours:g} here and {theirs:g} there "
            f"(tolerance {tolerance:g}); no ratio of their times means anything"
        )


def warm(path: Path) -> int:
    """Read a file through, so that it lies in the page cache; return its size in bytes."""
    size = 0
    with path.open("rb", buffering=0) as file:
        while block := file.read(_READ_BYTES):
            size += len(block)
    return size


def need(*modules: str) -> None:
    """Raise `SetupError` for a peer that is not installed."""
    missing = ", ".join(name for name in modules if importlib.util.find_spec(name) is None)
    if missing:
        raise SetupError(
            f"the bench compares with {missing}, not installed here: pip install 'sensorloom[test]'"
        )


def emit(numbers: Mapping[str, float]) -> None:
    """Print a contender's numbers and its peak memory, as the last thing it does."""
    print(json.dumps({**numbers, "peak_mb": peak_bytes() / 1e6}))


def peak_bytes() -> int:
    """Return the peak resident memory of this process.

    On Linux the kernel's high-water mark of this address space: `getrusage` also counts what the parent had
    at the moment of the fork.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if platform.system() == "Darwin" else peak * 1024


@contextmanager
def stopwatch(into: dict[str, float], name: str) -> Iterator[None]:
    """Store the seconds that the block takes under `name`."""
    started = time.perf_counter()
    yield
    into[name] = time.perf_counter() - started


@contextmanager
def scratch(parent: Path) -> Iterator[Path]:
    """Yield a new folder under `parent` that is gone afterwards."""
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=parent, prefix="bench-") as folder:
        yield Path(folder)


def options(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with what every driver takes: `--rounds`, `--work`, `--quiet`."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--work", type=Path, required=True, help="folder for generated data (kept) and scratch (removed)"
    )
    parser.add_argument("--quiet", action="store_true")
    return parser


def generated(
    work: Path, name: str, script: str, arguments: Sequence[str], say: Callable[[str], None]
) -> Path:
    """Return `work/name`, generated by `script --out …` unless an earlier run has; it appears whole or not at all."""
    out = work / name
    if not out.exists():
        say(f"generating {name}, once")
        with scratch(work) as folder:
            made = folder / name
            Turns(1, 1, folder).play([Contender("sample", script, ("--out", str(made), *arguments))])
            made.rename(out)
    return out


def drive(
    run: Callable[
        [],
        tuple[Mapping[str, float], Mapping[str, str]]
        | tuple[Mapping[str, float], Mapping[str, str], Sequence[Mapping[str, Any]]],
    ],
) -> None:
    """Run a driver, print what it found, and exit with its code."""
    try:
        numbers, meaning, *tables = run()
        answer: dict[str, Any] = {
            "numbers": {key: float(f"{value:.6g}") for key, value in numbers.items()},
            "meaning": dict(meaning),
            "tables": list(tables[0]) if tables else [],
        }
        code = 0
    except SetupError as error:
        answer, code = {"error": str(error), "kind": "setup"}, 2
    except BenchFailedError as error:
        answer, code = {"error": str(error), "kind": "failed"}, 1
    print(json.dumps(answer))
    sys.exit(code)


def say(quiet: bool) -> Callable[[str], None]:
    """Return what tells a waiting person, on standard error, what is going on."""
    return (lambda _: None) if quiet else (lambda text: print(text, file=sys.stderr, flush=True))
