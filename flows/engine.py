"""What runs the takes: this process, a pool of processes, or a Dask cluster, behind one `Executor`.

The function and its items must be picklable: a module-level function and small frozen records. A worker that
dies takes only the work in hand with it; finished work left its record in the store, so the same command run
again does the rest.
"""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
import re
import traceback
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Executor, Future, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from operator import itemgetter
from typing import Any, Generic, Literal, ParamSpec, TypeVar

from sensorloom import SensorloomError
from sensorloom.flows.errors import ConfigError, RunError
from sensorloom.flows.memory import keep_freed_memory
from sensorloom.flows.processes import ONE_THREAD, ProcessPool

__all__ = ["Engine", "Outcome", "Workers", "open_engine", "parse_engine", "run_all"]

CONNECT_TIMEOUT_S = 5
GPU = "GPU"
"""The resource by which a Dask worker says that it has a graphics card to itself."""

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Engine:
    """What runs the takes: `workers` None is one per core, `address` None a Dask cluster on this machine."""

    kind: Literal["serial", "processes", "dask"]
    workers: int | None = None
    address: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T, R]):
    """What became of one item: its `result`, or the `error` in words (with the `trace` of a defect)."""

    item: T
    result: R | None
    error: str | None = None
    trace: str = ""


class Workers(Executor):
    """An executor that knows its `num_workers`, and how many calls `in_flight` keep them all busy.

    It lives as long as the `with open_engine(...)` block that made it.
    """

    def __init__(self, inner: Executor, num_workers: int, in_flight: int) -> None:
        self.num_workers = num_workers
        self.in_flight = in_flight
        self._inner = inner

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Schedule `fn(*args, **kwargs)` and return its future."""
        return self._inner.submit(fn, *args, **kwargs)


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
def open_engine(engine: Engine, *, on_gpus: bool = False) -> Iterator[Workers]:
    """Start `engine`, yield its executor, and stop it whatever happens.

    With `on_gpus` the work goes to those Dask workers alone that were started with `--resources GPU=1`, one call at a
    time each. Raises `ConfigError` where Dask is not installed, `RunError` where a Dask address does not answer or no
    worker there has a GPU.
    """
    if engine.kind == "serial":
        keep_freed_memory()
        yield Workers(_Inline(), num_workers=1, in_flight=1)
    elif engine.kind == "processes":
        count = engine.workers or os.cpu_count() or 1
        with ProcessPool(count) as pool:
            yield Workers(pool, num_workers=count, in_flight=2 * count)
    else:
        with _dask_client(engine.address) as client:
            count = _num_gpus(client) if on_gpus else _num_threads(client)
            resources = {GPU: 1} if on_gpus else None
            executor = client.get_executor(pure=False, resources=resources)
            yield Workers(executor, num_workers=count, in_flight=2 * count)


def run_all(
    workers: Workers,
    fn: Callable[[T], R],
    items: Iterable[T],
    *,
    on_done: Callable[[Outcome[T, R]], None] | None = None,
    name: Callable[[T], str] = str,
) -> list[Outcome[T, R]]:
    """Call `fn` on every item; return the outcomes in the order of the items, however they came in.

    At most `workers.in_flight` items are submitted at a time, so thousands of takes never sit in a scheduler.
    `on_done` hears of each outcome as it comes, in this thread. What `fn` raises becomes an outcome with an
    error, and the others go on. Raises `RunError` that names (by `name`) the items in hand when a worker or
    the cluster was lost.
    """
    queue = iter(enumerate(items))
    in_hand: dict[Future[_Answer], tuple[int, T]] = {}
    outcomes: dict[int, Outcome[T, R]] = {}
    try:
        while True:
            for place, item in islice(queue, workers.in_flight - len(in_hand)):
                in_hand[workers.submit(_answer, fn, item)] = (place, item)
            if not in_hand:
                return [outcomes[place] for place in sorted(outcomes)]
            for future in wait(in_hand, return_when=FIRST_COMPLETED).done:
                place, item = in_hand[future]
                outcome: Outcome[T, R] = _outcome(item, future, name)
                outcomes[place] = outcome
                del in_hand[future]
                if on_done is not None:
                    on_done(outcome)
    except BrokenExecutor as error:
        # The pool cannot tell whose process died; items start in order, so it is one of the first not done.
        running = sorted(in_hand.values(), key=itemgetter(0))[: workers.num_workers]
        raise RunError(_lost(error, [name(item) for _, item in running])) from error
    finally:
        for future in in_hand:
            future.cancel()


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a worker sends back: bytes and text, which always travel.

    An exception whose constructor wants more than a message breaks a process pool when it is unpickled, and a result
    that does not pickle hangs a Dask client.
    """

    pickled: bytes
    error: str | None = None
    trace: str = ""


def _answer(fn: Callable[[T], R], item: T) -> _Answer:
    try:
        return _Answer(pickle.dumps(fn(item)))
    except SensorloomError as error:
        return _Answer(b"", str(error))
    except Exception as error:  # whatever the defect, it must not stop the other items
        return _Answer(b"", f"{type(error).__name__}: {error}", traceback.format_exc())


def _outcome(item: T, future: Future[_Answer], name: Callable[[T], str]) -> Outcome[T, R]:
    """Return what came of `item`. The future raises only for a lost worker or an item that cannot travel."""
    try:
        answer = future.result()
    except BrokenExecutor:
        raise
    except (Exception, CancelledError) as error:
        if isinstance(error, CancelledError) or type(error).__module__.startswith("distributed."):
            raise RunError(_lost(error, [name(item)])) from error
        trace = "".join(traceback.format_exception(error))
        return Outcome(item, None, f"{type(error).__name__}: {error}", trace)
    result: R | None = pickle.loads(answer.pickled) if answer.error is None else None  # noqa: S301 - our own workers'
    return Outcome(item, result, answer.error, answer.trace)


def _lost(error: BaseException, names: list[str]) -> str:
    return (
        f"a worker was lost (killed, or out of memory) with this work in hand: {', '.join(names)}. What was "
        "finished is recorded: run the same command again to do the rest, with fewer workers if memory ran "
        f"out. ({type(error).__name__}: {error})"
    )


class _Inline(Executor):
    """Runs each call at once, in this thread."""

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        future: Future[R] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # the future carries it to whoever asks for the result
            future.set_exception(error)
        return future


@contextmanager
def _dask_client(address: str | None) -> Iterator[Any]:
    """Connect to the cluster at `address`, or to a new one of single-threaded processes on this machine."""
    try:
        import dask
        from distributed import Client, LocalCluster
    except ImportError:
        raise ConfigError("the engine dask needs the dask extra: pip install 'sensorloom[dask]'") from None
    connect: Any = Client
    start_cluster: Any = LocalCluster
    if address is not None:
        _check_answers(address)
        with connect(address) as client:
            yield client
        return
    # Limits in the environment of the nanny reach a worker before it loads any library. Unless told
    # otherwise the scheduler's HTTP server takes port 8787, and warns when it cannot.
    quiet = {"dashboard": False, "dashboard_address": "127.0.0.1:0"}
    with dask.config.set({"distributed.nanny.pre-spawn-environ": dict(ONE_THREAD)}):
        cluster = start_cluster(threads_per_worker=1, scheduler_kwargs=quiet, silence_logs=logging.CRITICAL)
    try:
        with connect(cluster) as client:
            yield client
    finally:
        # A nanny that is just replacing a lost worker may fail to stop it ("can only join a started process").
        # Workers end with this process all the same, and the loss, not this, is what the caller must hear.
        with suppress(AssertionError):
            cluster.close()


def _num_threads(client: Any) -> int:
    count: int = sum(client.nthreads().values())
    if count == 0:
        address = client.scheduler.address
        raise RunError(
            f"the Dask scheduler at {address} has no workers; start one with `dask worker {address}`"
        )
    return count


def _num_gpus(client: Any) -> int:
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    count = sum(int(worker.get("resources", {}).get(GPU, 0)) for worker in workers)
    if count == 0:
        address = client.scheduler.address
        raise RunError(
            f"no worker of the Dask scheduler at {address} has a GPU; start one for each: `CUDA_VISIBLE_DEVICES=0"
            f" dask worker {address} --nthreads 1 --resources {GPU}=1`, or choose the engine serial"
        )
    return count


def _check_answers(address: str) -> None:
    """Raise `RunError` unless something listens at `address`.

    Asked before a `Client` is made: one that cannot connect lingers, and its finalizer may block the loop.
    """
    from distributed.comm.core import connect

    dial: Any = connect

    async def knock() -> None:
        comm = await dial(address, timeout=CONNECT_TIMEOUT_S)
        await comm.close()

    try:
        asyncio.run(knock())
    except (OSError, ValueError) as error:
        raise RunError(
            f"no Dask scheduler answers at {address} ({error}); start one with `dask scheduler`, "
            "or use the engine dask without an address for a cluster on this machine"
        ) from error
