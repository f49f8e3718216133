"""Repositories in other processes: spawned, forked, pickled."""

import multiprocessing
import os
import pickle
import subprocess
import sys

import pytest

from sensorloom.store.errors import NotAStoreError, StorageError
from sensorloom.store.repository import Repository

# Python 3.12 and later warn of a fork beside threads; that the store survives one is what is tested here.
forks = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")


def head_of(repo, queue):
    try:
        queue.put(repo.head().snapshot)
    except Exception as error:
        queue.put(error)


def in_fork(repo):
    """Return what `head_of` finds in a forked child."""
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    child = context.Process(target=head_of, args=(repo, queue))
    child.start()
    child.join(30)
    assert child.exitcode == 0
    return queue.get()


SPAWNED = "import pickle, sys; print(pickle.load(sys.stdin.buffer).head().snapshot)"


def in_spawn(repo):
    """Return what a fresh interpreter reads from the pickled repository."""
    return subprocess.run(
        [sys.executable, "-c", SPAWNED],
        input=pickle.dumps(repo),
        capture_output=True,
        check=False,
        timeout=60,
    )


def test_a_repository_pickles_as_its_address(repo):
    again = pickle.loads(pickle.dumps(repo))
    assert again.url == repo.url
    assert repr(again) == f"Repository({repo.url!r})"


@forks
def test_local_stores_work_in_spawned_and_forked_processes(local_repo, commit, put_table):
    outcome = commit(local_repo, put_table(local_repo, "01", [1]))
    assert in_spawn(local_repo).stdout.decode().strip() == outcome.snapshot_id
    assert in_fork(local_repo) == outcome.snapshot_id


@forks
def test_bucket_stores_work_in_spawned_processes_and_refuse_forks(s3_url, commit, put_table):
    repo = Repository.open(s3_url, create=True)
    outcome = commit(repo, put_table(repo, "01", [1]))
    assert in_spawn(repo).stdout.decode().strip() == outcome.snapshot_id
    error = in_fork(repo)
    assert isinstance(error, StorageError)
    assert f"store {s3_url} was opened in process {os.getpid()} and cannot be used in its fork" in str(error)
    assert "'spawn' or 'forkserver'" in str(error)


def test_a_store_in_memory_stays_in_its_process(memory_repo):
    result = in_spawn(memory_repo)
    assert b"NotAStoreError: no sensorloom store at memory://" in result.stderr


def test_opening_is_the_same_in_any_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    repo = Repository.open("here", create=True)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert pickle.loads(pickle.dumps(repo)).url == repo.url
    with pytest.raises(NotAStoreError, match="no sensorloom store at"):
        Repository.open("here")


def test_importing_the_door_imports_none_of_the_heavy_libraries():
    heavy = ("polars", "pyarrow", "zarr", "obstore", "pandas")
    code = f"import sys, sensorloom.store.repository; print([m for m in {heavy} if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
