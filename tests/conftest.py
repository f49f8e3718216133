"""What every test needs: a cache of its own, an S3 server, and the real recordings where they are present."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parents[1]

# A busy machine is no fault of an example.
settings.register_profile("without-deadline", deadline=None)
settings.load_profile("without-deadline")

_FSYNC = os.fsync
"""The call itself, before tests are kept from waiting for it."""

# They take longest: begun last, one of them would leave a worker alone at the end.
FIRST = (
    "flows/test_embedding.py",
    "training/test_parallel_runs.py",
    "flows/test_runs.py",
    "training/test_recipes_train.py",
    "training/test_run.py",
    "training/test_stream_remote.py",
    "training/test_stream_processes.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first; workers take files in this order."""
    items.sort(key=lambda item: not item.path.as_posix().endswith(FIRST))


@pytest.fixture(scope="session")
def caches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("caches")


@pytest.fixture(scope="session", autouse=True)
def interrupts() -> None:
    """Let Ctrl-C be heard here and in the programs that tests start; a shell has its background jobs ignore it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


# Both patch for themselves: `monkeypatch` of a test is to be undone before its `tmp_path` is taken away.
@pytest.fixture(autouse=True)
def own_cache(caches: Path) -> Iterator[None]:
    """Keep what is remembered of test files out of the user's cache; the folder is made by whoever remembers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(caches / uuid.uuid4().hex))
        yield


@pytest.fixture(autouse=True)
def no_wait_for_the_disk() -> Iterator[None]:
    """Sync by looking at the open file alone: no test cuts the power, and thousands of syncs take minutes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", os.fstat)
        yield


@pytest.fixture
def fsync() -> Callable[[int], None]:
    """The call that waits for the disk, for tests of syncing itself."""
    return _FSYNC


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real recordings made by others; its place may be given by SENSORLOOM_REAL_DATA."""
    folder = Path(os.environ.get("SENSORLOOM_REAL_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real recordings at {folder}; set SENSORLOOM_REAL_DATA")
    return folder


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """An S3 server on loopback."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="session")
def s3_environment(s3_endpoint: str) -> dict[str, str]:
    """The environment that reaches the server."""
    return {
        "AWS_ENDPOINT_URL": s3_endpoint,
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
    }


@pytest.fixture(scope="session")
def s3_client(s3_environment: dict[str, str]) -> Iterator[Any]:
    """A client of the server, made once: it reads a long description of S3."""
    import boto3

    with pytest.MonkeyPatch.context() as patch:
        for name, value in s3_environment.items():
            patch.setenv(name, value)
        client = boto3.client("s3")
    yield client
    client.close()


@pytest.fixture
def s3_url(s3_client: Any, s3_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> str:
    """A fresh bucket, with the environment that reaches it."""
    for name, value in s3_environment.items():
        monkeypatch.setenv(name, value)
    bucket = f"bucket-{uuid.uuid4().hex[:12]}"
    s3_client.create_bucket(Bucket=bucket)
    return f"s3://{bucket}/some/prefix"


@pytest.fixture(scope="session")
def faulty_server_module() -> ModuleType:
    """The module of the server that spoils answers."""
    path = ROOT / "tests" / "store" / "faulty_server.py"
    spec = importlib.util.spec_from_file_location("faulty_server", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # A dataclass looks its own module up.
    sys.modules["faulty_server"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def faulty(
    s3_url: str, s3_endpoint: str, faulty_server_module: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    """A server before the S3 server, through which `s3_url` is reached; it spoils what it is told to."""
    server = faulty_server_module.FaultyServer(s3_endpoint)
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    yield server
    server.close()


@pytest.fixture(scope="session")
def cached_bytes() -> Callable[[Path], int]:
    """Return a function: folder of a shard cache → bytes of all files in it, while others use it."""
    from sensorloom.store.locks import FileLock

    def measure(folder: Path) -> int:
        if not folder.exists():
            return 0
        # Nobody makes room meanwhile, so nothing is counted that was gone when the next came; a file that moves
        # is counted once.
        sizes: dict[int, int] = {}
        with FileLock.take(folder / "lock"):
            for parent, _, names in os.walk(folder):
                for name in names:
                    with contextlib.suppress(FileNotFoundError):
                        status = Path(parent, name).stat()
                        sizes[status.st_ino] = status.st_size
        return sum(sizes.values())

    return measure
