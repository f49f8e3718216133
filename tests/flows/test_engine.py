"""The engines keep one contract: same results, failures as values, a lost worker named."""

from __future__ import annotations

import math
import operator
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from sensorloom.flows.engine import Engine, Outcome, Workers, open_engine, parse_engine, run_all
from sensorloom.flows.errors import ConfigError, RunError


@pytest.mark.parametrize(
    ("spec", "engine"),
    [
        ("serial", Engine("serial")),
        ("processes", Engine("processes")),
        ("processes:3", Engine("processes", workers=3)),
        ("dask", Engine("dask")),
        ("dask:tcp://10.0.0.7:8786", Engine("dask", address="tcp://10.0.0.7:8786")),
    ],
)
def test_parse(spec: str, engine: Engine) -> None:
    assert parse_engine(spec) == engine


@pytest.mark.parametrize(
    "spec",
    [
        "",
        "threads",
        "Serial",
        "serial:2",
        "processes:",
        "processes:0",
        "processes:-1",
        "processes:x",
        "processes:1.5",
        "dask:",
    ],
)
def test_parse_refuses_and_lists_the_forms(spec: str) -> None:
    with pytest.raises(
        ConfigError,
        match=rf"unknown engine '{spec}'.*serial, processes, processes:4, dask, dask:tcp://host:8786",
    ):
        parse_engine(spec)


@pytest.fixture(scope="class")
def workers(request: pytest.FixtureRequest) -> Iterator[Workers]:
    with open_engine(parse_engine(request.cls.spec)) as workers:
        yield workers


class EngineContract:
    """What every engine does. A subclass gives the spec."""

    spec: str

    def test_runs_every_item_in_order(self, workers: Workers) -> None:
        outcomes = run_all(workers, math.sqrt, [float(n * n) for n in range(40)])
        assert [outcome.result for outcome in outcomes] == [float(n) for n in range(40)]
        assert [outcome.item for outcome in outcomes] == [float(n * n) for n in range(40)]

    def test_no_items(self, workers: Workers) -> None:
        assert run_all(workers, math.sqrt, []) == []

    def test_what_one_item_raises_is_a_value(self, workers: Workers) -> None:
        good, bad, after = run_all(workers, math.sqrt, [4.0, -1.0, 9.0])
        assert (good.result, good.error) == (2.0, None)
        assert (after.result, after.error) == (3.0, None)
        assert bad.result is None
        assert bad.error == "ValueError: math domain error"
        assert "Traceback" in bad.trace

    def test_an_expected_error_is_its_sentence(self, workers: Workers) -> None:
        (outcome,) = run_all(workers, parse_engine, ["threads"])
        assert outcome.error is not None
        assert outcome.error.startswith("unknown engine 'threads'")
        assert outcome.trace == ""

    def test_a_result_that_cannot_travel_is_a_value(self, workers: Workers) -> None:
        sound, stuck = run_all(workers, eval, ["1", "__import__('threading').Lock()"])
        assert sound.result == 1
        assert stuck.error is not None
        assert "cannot pickle '_thread.lock' object" in stuck.error

    def test_on_done_hears_of_every_outcome(self, workers: Workers) -> None:
        heard: list[Outcome[float, float]] = []
        outcomes = run_all(workers, math.sqrt, [1.0, -4.0, 9.0, 16.0, 25.0], on_done=heard.append)
        assert sorted(heard, key=lambda outcome: outcome.item) == sorted(
            outcomes, key=lambda outcome: outcome.item
        )

    def test_what_on_done_raises_ends_the_run(self, workers: Workers) -> None:
        def refuse(outcome: Outcome[float, float]) -> None:
            raise RunError("enough")

        with pytest.raises(RunError, match="enough"):
            run_all(workers, math.sqrt, [1.0, 4.0, 9.0], on_done=refuse)
        assert [outcome.result for outcome in run_all(workers, math.sqrt, [4.0])] == [2.0]

    def test_items_are_taken_as_they_are_needed(self, workers: Workers) -> None:
        """An endless source of items is not drained ahead of the workers."""
        taken: list[float] = []

        def endless() -> Iterator[float]:
            while True:
                taken.append(float(len(taken)))
                yield taken[-1]

        done: list[float] = []

        def stop(outcome: Outcome[float, float]) -> None:
            done.append(outcome.item)
            assert len(taken) <= len(done) + workers.in_flight
            if len(done) == 50:
                raise RunError("seen enough")

        with pytest.raises(RunError, match="seen enough"):
            run_all(workers, math.sqrt, endless(), on_done=stop)

    def test_is_an_executor(self, workers: Workers) -> None:
        assert workers.submit(operator.add, 2, 3).result() == 5
        with pytest.raises(ZeroDivisionError, match="division by zero"):
            workers.submit(operator.truediv, 2, 0).result()


class TestSerial(EngineContract):
    spec = "serial"

    def test_runs_in_this_process(self, workers: Workers) -> None:
        assert workers.submit(os.getpid).result() == os.getpid()

    def test_an_interrupt_is_not_swallowed(self, workers: Workers) -> None:
        def interrupt(_: int) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            run_all(workers, interrupt, [1])


class OutOfProcessContract(EngineContract):
    def test_runs_elsewhere(self, workers: Workers) -> None:
        assert workers.submit(os.getpid).result() != os.getpid()

    @pytest.mark.parametrize("variable", ["OMP_NUM_THREADS", "POLARS_MAX_THREADS", "OPENBLAS_NUM_THREADS"])
    def test_workers_are_born_single_threaded(self, workers: Workers, variable: str) -> None:
        assert workers.submit(os.getenv, variable).result() == "1"

    def test_polars_keeps_to_one_thread(self, workers: Workers) -> None:
        assert workers.submit(eval, "__import__('polars').thread_pool_size()").result() == 1


class TestProcesses(OutOfProcessContract):
    spec = "processes:2"

    def test_has_as_many_workers_as_asked_for(self, workers: Workers) -> None:
        assert workers.num_workers == 2

    def test_an_item_that_cannot_travel_is_a_value(self, workers: Workers) -> None:
        outcome, after = run_all(workers, str, [threading.Lock(), 7])
        assert outcome.error is not None
        assert "pickle" in outcome.error
        assert after.result == "7"

    def test_own_environment_stays(self, workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OMP_NUM_THREADS", "5")
        monkeypatch.delenv("POLARS_MAX_THREADS", raising=False)
        with open_engine(parse_engine("processes:1")) as others:
            assert others.submit(os.getenv, "OMP_NUM_THREADS").result() == "1"
        assert os.environ["OMP_NUM_THREADS"] == "5"
        assert "POLARS_MAX_THREADS" not in os.environ


def test_a_dead_process_names_the_work_in_hand() -> None:
    with (
        open_engine(parse_engine("processes:2")) as workers,
        pytest.raises(RunError, match=r"a worker was lost .* in hand: take 3.*run the same command again"),
    ):
        run_all(workers, os._exit, [3], name=lambda code: f"take {code}")


def test_workers_end_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    script = """
        import os, signal
        from sensorloom.flows.engine import open_engine, parse_engine
        if __name__ == "__main__":
            with open_engine(parse_engine("processes:1")) as workers:
                print(workers.submit(os.getpid).result(), flush=True)
                os.kill(os.getpid(), signal.SIGKILL)
    """
    path = tmp_path / "parent.py"
    path.write_text(textwrap.dedent(script))
    # The worker inherits the pipe: reading to its end returns only once both have gone.
    result = subprocess.run([sys.executable, path], capture_output=True, text=True, timeout=20)
    assert result.returncode == -signal.SIGKILL
    assert result.stdout.strip().isdecimal()


def test_dask_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dask", None)
    with pytest.raises(ConfigError, match=r"pip install 'sensorloom\[dask\]'"), open_engine(Engine("dask")):
        pass


@pytest.mark.slow
class TestDask(OutOfProcessContract):
    spec = "dask"


@pytest.mark.slow
def test_dask_at_an_address() -> None:
    from distributed import LocalCluster

    quiet = {"dashboard": False, "dashboard_address": "127.0.0.1:0"}
    with (
        LocalCluster(n_workers=1, threads_per_worker=2, scheduler_kwargs=quiet) as cluster,
        open_engine(parse_engine(f"dask:{cluster.scheduler_address}")) as workers,
    ):
        assert workers.num_workers == 2
        assert run_all(workers, math.sqrt, [4.0]) == [Outcome(4.0, 2.0)]
    with (
        LocalCluster(n_workers=0, scheduler_kwargs=quiet) as empty,
        pytest.raises(
            RunError, match=r"scheduler at tcp://.* has no workers; start one with `dask worker tcp://"
        ),
        open_engine(parse_engine(f"dask:{empty.scheduler_address}")),
    ):
        pass


def _worker_pid_after(_: int) -> int:
    return os.getpid()


@pytest.mark.slow
def test_work_on_gpus_goes_to_the_dask_workers_that_have_one() -> None:
    from distributed import LocalCluster

    quiet = {"dashboard": False, "dashboard_address": "127.0.0.1:0"}
    plain = {"n_workers": 2, "threads_per_worker": 1, "scheduler_kwargs": quiet}
    with LocalCluster(**plain) as cluster:
        spec = f"dask:{cluster.scheduler_address}"
        with (
            pytest.raises(RunError, match=r"no worker .* has a GPU; start one for each: .*--resources GPU=1"),
            open_engine(parse_engine(spec), on_gpus=True),
        ):
            pass
    # One GPU a worker is what a user's `dask worker --resources GPU=1` says of itself.
    with LocalCluster(**plain | {"n_workers": 1}, resources={"GPU": 1}) as cluster:
        cluster.new_spec = {
            "cls": cluster.new_spec["cls"],
            "options": cluster.new_spec["options"] | {"resources": {}},
        }
        cluster.scale(3)
        cluster.sync(cluster._correct_state)
        with open_engine(parse_engine(f"dask:{cluster.scheduler_address}"), on_gpus=True) as workers:
            assert workers.num_workers == 1
            pids = {outcome.result for outcome in run_all(workers, _worker_pid_after, list(range(20)))}
    assert len(pids) == 1


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nonsense", "gopher://there"])
def test_dask_that_does_not_answer(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sensorloom.flows.engine.CONNECT_TIMEOUT_S", 1)
    with (
        pytest.raises(
            RunError, match=rf"no Dask scheduler answers at {address} .*start one with `dask scheduler`"
        ),
        open_engine(Engine("dask", address=address)),
    ):
        pass


@pytest.mark.slow
def test_a_dead_dask_worker_names_the_work_in_hand() -> None:
    with (
        open_engine(parse_engine("dask")) as workers,
        pytest.raises(RunError, match=r"a worker was lost .* in hand: take 3.*KilledWorker"),
    ):
        run_all(workers, os._exit, [3], name=lambda code: f"take {code}")


@pytest.mark.slow
def test_a_dask_cluster_that_fails_to_stop_does_not_hide_the_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    """As happens, rarely, when a nanny is just replacing a lost worker."""
    from distributed.process import AsyncProcess

    async def join(process: AsyncProcess, timeout: float | None = None) -> None:
        raise AssertionError("can only join a started process")

    def lose_a_worker() -> None:
        with open_engine(parse_engine("dask")) as workers:
            assert workers.submit(int, "3").result() == 3
            monkeypatch.setattr(AsyncProcess, "join", join)
            raise RunError("lost with take 3")

    with pytest.raises(RunError, match="lost with take 3"):
        lose_a_worker()
