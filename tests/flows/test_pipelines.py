"""The flows run the same runs as the command line, with a test server and with none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from sensorloom.flows.config import load_config
from sensorloom.flows.errors import ConfigError, RunError
from sensorloom.flows.runs import build_views, ingest_dataset
from sensorloom.ingest.miniature.sample import write_sample
from sensorloom.ingest.miniature.spec import SampleSpec
from sensorloom.store.errors import StoreReadError

pytestmark = pytest.mark.slow

QUIET = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_LOGGING_LEVEL": "WARNING",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
}


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("raw") / "sample"
    write_sample(out, SampleSpec(datasets=("pamap2", "realworld"), takes=3, minutes=0.5))
    return out


@pytest.fixture(scope="module")
def plain(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Snapshot id of the runs without Prefect."""
    config = load_config(None, {"store.url": str(tmp_path_factory.mktemp("plain") / "store")})
    for dataset in ("pamap2", "realworld"):
        ingest_dataset(dataset, str(raw / dataset), config=config)
    return str(build_views([], config=config).snapshot_id)


@pytest.fixture(scope="module")
def prefect_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_HOME", str(tmp_path_factory.mktemp("prefect")))
        for name, value in QUIET.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="module")
def server(prefect_home: None) -> Iterator[None]:
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=120):
        yield


def test_nightly_does_all_of_it_and_a_second_night_commits_nothing(
    server: None, raw: Path, plain: str, tmp_path: Path
) -> None:
    from prefect.client.orchestration import get_client

    from sensorloom.flows.pipelines import nightly

    arguments = {"raw": str(raw), "store": str(tmp_path / "store"), "out": str(tmp_path / "report")}
    first, second = nightly(**arguments), nightly(**arguments)
    assert first["audit"]["snapshot_id"] == plain
    assert (first["build"]["committed"], second["build"]["committed"]) == (True, False)
    assert {name: facts["failed"] for name, facts in first["ingest"].items()} == {"pamap2": 0, "realworld": 0}
    assert (tmp_path / "report" / "index.html").is_file()
    assert len(json.dumps(first)) < 5000
    with get_client(sync_client=True) as client:
        artifacts = client.request("POST", "/artifacts/filter", json={}).json()
    pages = {artifact["key"]: artifact["data"] for artifact in artifacts if artifact["key"]}
    assert pages["ingest-pamap2"].startswith("# Ingest of pamap2")
    assert pages["build"].startswith("# Build")
    assert "| data set | can I train on this? | why |" in pages["audit"]


def test_single_flows(server: None, raw: Path, tmp_path: Path) -> None:
    from sensorloom.flows.pipelines import audit_flow, build_flow, ingest_flow

    store = str(tmp_path / "store")
    assert ingest_flow("pamap2", str(raw / "pamap2"), store, engine="processes:2")["ingested"] == 3
    assert build_flow(["har-pamap2"], store)["windows"].keys() == {"har-pamap2"}
    assert audit_flow(store, view="har-pamap2", out=str(tmp_path / "report"))["verdicts"].keys() == {"pamap2"}
    with pytest.raises(RunError, match=r"the gate failed for [0-9]+ reasons; see .*index.html"):
        audit_flow(store, out=str(tmp_path / "report"), fail_on="note")


@pytest.mark.slow
def test_a_night_embeds_where_it_can(server: None, tmp_path: Path) -> None:
    from sensorloom.flows.pipelines import embed_flow, nightly

    write_sample(tmp_path / "raw", SampleSpec(("ego4d",), takes=2, minutes=0.1))
    arguments = {
        "raw": str(tmp_path / "raw"),
        "store": str(tmp_path / "store"),
        "out": str(tmp_path / "report"),
    }
    first, second = nightly(**arguments), nightly(**arguments)
    assert (first["embed"]["encoder"], first["embed"]["failed"]) == ("generated", 0)
    assert first["embed"]["embedded"] == second["embed"]["unchanged"] > 0
    assert not second["build"]["committed"]
    assert embed_flow(arguments["store"])["committed"] is False
    (tmp_path / "raw/GENERATED.txt").unlink()
    unmarked = nightly(**arguments | {"store": str(tmp_path / "other")})
    assert "no encoder is chosen" in unmarked["embed"]["skipped"]


def test_a_folder_without_data_sets(server: None, tmp_path: Path) -> None:
    from sensorloom.flows.pipelines import nightly

    with pytest.raises(
        ConfigError, match=r"holds no folder named pamap2 or realworld or ego4d or egoexo4d; give the parent"
    ):
        nightly(raw=str(tmp_path), store=str(tmp_path / "store"))


@pytest.mark.parametrize(
    ("error", "attempts"),
    [
        (StoreReadError("the network is away"), 2),
        (RunError("a worker was lost"), 2),
        (ConfigError("no such key"), 1),
    ],
)
def test_only_what_may_pass_is_tried_again(
    server: None, monkeypatch: pytest.MonkeyPatch, error: Exception, attempts: int
) -> None:
    from prefect import flow

    from sensorloom.flows import tasks

    calls = []

    def build_views(views, *, config, on_progress):
        calls.append(views)
        raise error

    monkeypatch.setattr(tasks, "build_views", build_views)
    once = tasks.build_task.with_options(retries=1, retry_delay_seconds=0)
    with pytest.raises(type(error), match=str(error)):
        flow(lambda: once(["har-pamap2"], {}), name="once")()
    assert len(calls) == attempts


def test_without_any_server(prefect_home: None, raw: Path, tmp_path: Path) -> None:
    script = """
        import json, sys
        from sensorloom.flows.pipelines import ingest_flow
        if __name__ == "__main__":
            print(json.dumps(ingest_flow("pamap2", sys.argv[1], sys.argv[2])))
    """
    path = tmp_path / "run.py"
    path.write_text(textwrap.dedent(script))
    environment = {key: value for key, value in os.environ.items() if key != "PREFECT_API_URL"}
    command = [sys.executable, str(path), str(raw / "pamap2"), str(tmp_path / "store")]
    result = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=240, cwd=tmp_path
    )
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout.splitlines()[-1])["ingested"] == 3
