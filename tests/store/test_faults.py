"""Dying, racing, a full disk, lost replies: what is published stays whole, and a rerun goes on."""

import errno
import importlib.util
import os
import subprocess
import sys
from itertools import count
from pathlib import Path

import pytest

from sensorloom.store.errors import StoreWriteError
from sensorloom.store.repository import Repository
from sensorloom.store.retention import RetentionPolicy

HERE = Path(__file__).parent
NOW = RetentionPolicy(work_age_s=0, grace_s=0)


@pytest.fixture(scope="module")
def crash_writer():
    spec = importlib.util.spec_from_file_location("crash_writer", HERE / "crash_writer.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def failure_of(call):
    """Return the message of the write error that `call` raises, or None."""
    try:
        call()
    except StoreWriteError as error:
        return str(error)
    return None


def test_a_writer_may_die_at_every_step(tmp_path, monkeypatch, crash_writer, commit, put_table, values_of):
    monkeypatch.setattr(os, "fsync", lambda _: None)
    base = Repository.open(str(tmp_path / "base"), create=True)
    first = commit(base, put_table(base, "01", [1])).snapshot_id
    (tmp_path / "out").mkdir()
    script = [sys.executable, str(HERE / "crash_writer.py"), base.url, str(tmp_path / "out")]
    steps = int(subprocess.run(script, check=True, capture_output=True, text=True, timeout=120).stdout)
    assert steps > 60
    finished = Repository.open(str(tmp_path / "out" / str(steps))).resolve("main").id
    published = []
    for step in range(1, steps):
        repo = Repository.open(str(tmp_path / "out" / str(step)))
        report = repo.verify()
        assert report.ok, (step, report.problems)
        assert repo.resolve(first).id == first
        assert values_of(repo, first) == {"01": [1]}
        published.append(repo.resolve("main").id)
        assert published[-1] in (first, finished)
        assert crash_writer.work_and_commit(repo.url) == finished
        assert repo.verify().ok
        assert len(repo.log()) == 2
        repo.collect_garbage(policy=NOW)
        assert repo.verify().ok
        assert list(Path(repo.url, "partial").iterdir()) == []
    # The commit is one step: everything before it shows the old snapshot, everything after it the new one.
    assert published == sorted(published, key=lambda id_: id_ == finished)
    assert {first, finished} == set(published)


def test_processes_that_race_all_land(local_repo, values_of):
    script = [sys.executable, str(HERE / "race_writer.py"), local_repo.url]
    writers = [subprocess.Popen([*script, name, "6"]) for name in "ab"]
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0]
    assert set(values_of(local_repo)) == {f"{name}/{i}" for name in "ab" for i in range(6)}
    assert len(local_repo.log()) == 12
    assert local_repo.verify().ok


@pytest.mark.parametrize("call", ["write", "fsync", "replace", "link"])
def test_a_disk_that_fills_at_any_moment_shows_nothing(
    local_repo, call, monkeypatch, commit, put_table, put_arrays, values_of
):
    first = commit(local_repo, put_table(local_repo, "01", [1]))
    real = getattr(os, call)
    for allowed in count():
        made = count()

        def full(*args, made=made, allowed=allowed):
            if next(made) >= allowed:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(*args)

        with monkeypatch.context() as patch:
            patch.setattr(os, call, full)
            failure = failure_of(
                lambda: commit(local_repo, put_table(local_repo, "02", [2]), put_arrays(local_repo, "x"))
            )
        if failure is None:
            break
        assert "[Errno 28] No space left on device; nothing of it is visible" in failure
        assert f"in store {local_repo.url}: " in failure
        assert list(Path(local_repo.url, "partial").iterdir()) == []
        if call != "fsync":
            assert local_repo.head() == first.ref
        assert local_repo.verify().ok
    assert allowed > 0
    assert values_of(local_repo) == {"01": [1], "02": [2]}


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_failing_or_lost_reply_at_any_write_is_harmless(
    repo, hooked, when, commit, put_table, put_arrays, values_of
):
    first = commit(repo, put_table(repo, "01", [1]))
    outcomes = []
    for fail_at in count():
        made = count()

        def lose(operation, key, made=made, fail_at=fail_at):
            if next(made) == fail_at:
                raise StoreWriteError(f"reply lost at {operation} {key}")

        flaky = hooked(repo, **{when: lose})
        failure = failure_of(
            lambda flaky=flaky: outcomes.append(
                commit(flaky, put_table(flaky, "02", [2]), put_arrays(flaky, "x"))
            )
        )
        if failure is None:
            break
        assert "reply lost at" in failure
        assert repo.head() == first.ref
        assert repo.verify().ok
        assert len(repo.log()) <= 2
    assert len(repo.log()) == 2
    assert values_of(repo) == {"01": [1], "02": [2]}
    assert outcomes[0].ref == repo.head()


@pytest.mark.parametrize("error", [StoreWriteError("reply lost"), None])
def test_our_own_ref_is_recognised_when_its_reply_is_lost(repo, hooked, error, commit, put_table):
    from sensorloom.store.objects import Objects

    def lose(operation, key):
        if key.startswith("refs/") and error:
            raise error

    losing = hooked(repo, after=lose)
    if error is None:
        # A client that repeats a request whose reply was lost is told that the object exists.
        objects: Objects = losing._objects
        objects.create = lambda key, data: (objects.inner.create(key, data), False)[1]
    outcome = commit(losing, put_table(repo, "01", [1]))
    assert outcome.created
    assert outcome.ref == repo.head()
    assert len(repo.log()) == 1


def test_a_lease_that_cannot_be_given_back_does_not_undo_a_commit(repo, hooked, commit, put_table):
    def fail(operation, key):
        if operation == "delete":
            raise StoreWriteError("no")

    assert commit(hooked(repo, before=fail), put_table(repo, "01", [1])).created
