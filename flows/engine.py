"""What runs the takes: this process, a pool of processes, or a Dask cluster, behind one `Executor`.

The function and its items must be picklable by reference: a module-level function and small frozen records. A worker that dies takes
only the work in hand with it; finished work left its record in the store, so the same command run again does the rest.
"""

from __future__ import annotations

import logging
import os
import re
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Executor, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, Generic, Literal, ParamSpec, TypeVar

from sensorloom import SensorloomError
from sensorloom.flows.errors import ConfigError, RunError
from sensorloom.flows.processes import ONE_THREAD, ProcessPool

__all__ = ["Engine", "Outcome", "Workers", "open_engine", "parse_engine", "run_all"]

CONNECT_TIMEOUT_S = 10

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Engine:
    """What runs the takes; `workers` None means one per core, `address` None a Dask cluster on this machine."""

    kind: Literal["serial", "processes", "dask"]
    workers: int | None = None
    address: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T, R]):
    """What became of one item: its `result`, or the `error` in words (with its `trace` where it is a defect)."""

    item: T
    result: R | None
    error: str | None = None
    trace: str = ""


class Workers(Executor):
    """An executor that knows how many calls it runs at once."""

    def __init__(self, inner: Executor, num_workers: int) -> None:
        self.num_workers = num_workers
        self._inner = inner

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Schedule `fn(*args, **kwargs)` and return its future."""
        return self._inner.submit(fn, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Stop the workers; with `cancel_futures` what has not started never will."""
        self._inner.shutdown(wait=wait, cancel_futures=cancel_futures)


def parse_engine(spec: str) -> Engine:
    """Return the engine that `serial`, `processes[:N]` or `dask[:ADDRESS]` names; raises `ConfigError`."""
    kind, colon, rest = spec.partition(":")
    if spec == "serial":
        return Engine("serial")
    if kind == "dask" and (rest or not colon):
        return Engine("dask", address=rest or None)
    if kind == "processes" and re.fullmatch(r"(:[1-9][0-9]{0,3})?", colon + rest):
        return Engine("processes", workers=int(rest) if rest else None)
    forms = "serial, processes, processes:4, dask, dask:tcp://host:8786"
    raise ConfigError(f"unknown engine {spec!r}; an engine is one of these forms: {forms}")


@contextmanager
def open_engine(spec: str) -> Iterator[Workers]:
    """Start the engine `spec`, yield its executor, and stop it whatever happens.

    Raises `ConfigError` for a bad spec or where Dask is not installed, `RunError` where a Dask address does not answer.
    """
    engine = parse_engine(spec)
    if engine.kind == "serial":
        yield Workers(_Inline(), 1)
    elif engine.kind == "processes":
        count = engine.workers or os.cpu_count() or 1
        with ProcessPool(count) as pool:
            yield Workers(pool, count)
    else:
        with _dask_client(engine.address) as client:
            yield Workers(client.get_executor(pure=False), max(1, sum(client.nthreads().values())))


def run_all(
    workers: Workers,
    fn: Callable[[T], R],
    items: Iterable[T],
    *,
    on_done: Callable[[Outcome[T, R]], None] | None = None,
    name: Callable[[T], str] = str,
) -> list[Outcome[T, R]]:
    """Call `fn` on every item; return the outcomes in the order of the items, whatever the order they came in.

    Two items a worker are in flight at a time, so thousands of takes never sit in a scheduler. `on_done` hears of each outcome as it
    comes, in this thread. What `fn` raises becomes an outcome with an error, and the others go on. Raises `RunError` that
    names (by `name`) the items in hand when a worker or the cluster was lost.
    """
    queue = iter(enumerate(items))
    bound = 2 * workers.num_workers if workers.num_workers > 1 else 1
    in_hand: dict[Future[_Attempt[R]], tuple[int, T]] = {}
    outcomes: dict[int, Outcome[T, R]] = {}
    try:
        while True:
            for place, item in islice(queue, bound - len(in_hand)):
                in_hand[workers.submit(_attempt, fn, item)] = (place, item)
            if not in_hand:
                return [outcomes[place] for place in sorted(outcomes)]
            for future in wait(in_hand, return_when=FIRST_COMPLETED).done:
                place, item = in_hand[future]
                outcomes[place] = outcome = _outcome(item, future)
                del in_hand[future]
                if on_done is not None:
                    on_done(outcome)
    except _LostError as error:
        raise RunError(_lost(error, [name(item) for _, item in sorted_by_place(in_hand)], workers.num_workers)) from error
    finally:
        for future in in_hand:
            future.cancel()
