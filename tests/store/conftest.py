"""Stores to test against: every backend, and objects that fail on demand."""

import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pytest

from sensorloom.store.address import open_objects
from sensorloom.store.manifest import Shard, work_key
from sensorloom.store.objects import Buffer, ObjectInfo, Objects
from sensorloom.store.repository import Repository
from sensorloom.store.transaction import Put

WORK = work_key("test", 1, "inputs", "settings")


class HookedObjects(Objects):
    """Objects that call `before` and `after` (operation, key) around every change; a hook may raise."""

    def __init__(self, inner: Objects, before=lambda *_: None, after=lambda *_: None) -> None:
        self.inner, self.before, self.after = inner, before, after
        self.url = inner.url

    def find(self, key: str) -> Buffer | None:
        return self.inner.find(key)

    def chunks(self, key: str) -> Iterator[Buffer]:
        return self.inner.chunks(key)

    def head(self, key: str) -> ObjectInfo | None:
        return self.inner.head(key)

    def walk(self, prefix: str) -> Iterator[ObjectInfo]:
        return self.inner.walk(prefix)

    def path(self, key: str):
        return self.inner.path(key)

    def create(self, key: str, data: Buffer) -> bool:
        self.before("create", key)
        created = self.inner.create(key, data)
        self.after("create", key)
        return created

    def put_all(self, items: Sequence[tuple[str, Buffer]]) -> None:
        for key, data in items:
            self.before("put", key)
            self.inner.put(key, data)
            self.after("put", key)

    def refresh(self, key: str, data: Buffer) -> None:
        self.before("refresh", key)
        self.inner.refresh(key, data)
        self.after("refresh", key)

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            self.before("delete", key)
            self.inner.delete([key])
            self.after("delete", key)


@pytest.fixture
def memory_url() -> str:
    return f"memory://{uuid.uuid4().hex}"


@pytest.fixture(params=["local", "memory", "s3"])
def url(request: pytest.FixtureRequest) -> str:
    """The address of an empty place, on each backend in turn."""
    if request.param == "local":
        return str(request.getfixturevalue("tmp_path") / "store")
    return request.getfixturevalue(f"{request.param}_url")


@pytest.fixture
def objects(url: str) -> Objects:
    return open_objects(url)


@pytest.fixture
def repo(url: str) -> Repository:
    """An empty store on each backend in turn."""
    return Repository.open(url, create=True)


@pytest.fixture
def local_repo(tmp_path) -> Repository:
    """An empty store in a directory."""
    return Repository.open(str(tmp_path / "store"), create=True)


@pytest.fixture
def memory_repo(memory_url: str) -> Repository:
    """An empty store in memory."""
    return Repository.open(memory_url, create=True)


@pytest.fixture
def hooked() -> Callable[..., Repository]:
    """Return a function: store, hooks → the same store through objects that call them."""

    def make(repo: Repository, **hooks) -> Repository:
        return Repository(HookedObjects(open_objects(repo.url), **hooks))

    return make


@pytest.fixture
def work() -> str:
    return WORK


@pytest.fixture
def put_table() -> Callable[..., Put]:
    """Return a function that writes a one-column table and returns its `Put`."""

    def put(repo: Repository, key: str, values: Sequence[int], table: str = "takes", work: str = WORK) -> Put:
        return Put(table, repo.write_table(key, pa.table({"value": pa.array(values, pa.int64())}), work=work))

    return put


@pytest.fixture
def put_arrays() -> Callable[..., Put]:
    """Return a function that writes a nested array shard and returns its `Put`."""

    def put(repo: Repository, key: str, rows: int = 3, table: str = "streams", work: str = WORK) -> Put:
        arrays = {
            "chest/values": np.arange(rows * 6, dtype=np.float32).reshape(rows, 6),
            "times_ns": np.arange(rows, dtype=np.int64),
        }
        shard = repo.write_arrays(key, arrays, rows=rows, attributes={"key": key}, work=work)
        return Put(table, shard)

    return put


@pytest.fixture
def commit() -> Callable[..., object]:
    """Return a function that commits fixed changes without ever sleeping."""

    def run(repo: Repository, *changes, message: str = "test", ref: str = "main"):
        return repo.commit(
            lambda _: changes, message=message, provenance={"run": "r1"}, ref=ref, pause=lambda _: None
        )

    return run


@pytest.fixture
def values_of() -> Callable[[Repository, str], dict[str, list[int]]]:
    """Return a function: store, revision → key → values of table `takes`."""

    def read(repo: Repository, revision: str = "main", table: str = "takes") -> dict[str, list[int]]:
        shards: Sequence[Shard] = repo.manifest(repo.resolve(revision), table).shards
        return {shard.key: repo.read_table(shard)["value"].to_pylist() for shard in shards}

    return read
