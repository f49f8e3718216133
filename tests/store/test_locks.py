"""Locks on files that others remove: never two at once, never on a file that is gone."""

import fcntl
from pathlib import Path

import pytest

from sensorloom.store.locks import FileLock


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "a.lock"


@pytest.fixture
def removed_once(path, monkeypatch):
    """Have another remove the file between its opening and its first lock."""
    real, calls = fcntl.flock, []

    def flock(descriptor, operation):
        calls.append(operation)
        if len(calls) == 1:
            path.unlink()
        return real(descriptor, operation)

    monkeypatch.setattr("sensorloom.store.locks.fcntl.flock", flock)


def test_a_lock_alone_keeps_all_others_out(path):
    with FileLock.take(path):
        assert FileLock.take_idle(path) is None
    with FileLock.take_idle(path):
        assert FileLock.take_idle(path) is None
    FileLock.take_idle(path).release()


def test_a_shared_lock_keeps_those_out_who_want_it_alone(path):
    first, second = FileLock.take(path, shared=True), FileLock.take(path, shared=True)
    first.release()
    first.release()
    assert FileLock.take_idle(path) is None
    second.release()
    alone = FileLock.take_idle(path)
    alone.share()
    FileLock.take(path, shared=True).release()
    assert FileLock.take_idle(path) is None
    alone.release()


def test_a_lock_that_nobody_refers_to_any_more_ends(path):
    lock = FileLock.take(path)
    del lock
    FileLock.take_idle(path).release()


def test_a_file_that_goes_while_one_waits_for_it_is_made_anew(path, removed_once):
    with FileLock.take(path, shared=True):
        assert path.exists()
        assert FileLock.take_idle(path) is None


def test_a_file_that_another_removes_is_not_idle(path, removed_once):
    assert FileLock.take_idle(path) is None


def test_removing_leaves_nothing_for_the_next(path):
    FileLock.take(path).remove()
    assert not path.exists()
    with FileLock.take(path) as lock:
        lock.write(b"12")
        lock.mark_used()
        assert path.read_bytes() == b"12"


def test_a_process_knows_the_files_that_it_has_locked_itself(path, tmp_path):
    other = tmp_path / "b.lock"
    with FileLock.take(path, shared=True):
        second = FileLock.take(other)
        assert {path, other} <= FileLock.open_here()
        second.release()
        assert other not in FileLock.open_here()
    assert path not in FileLock.open_here()


def test_a_link_is_refused_and_what_it_leads_to_left_alone(path, tmp_path):
    (tmp_path / "work").write_text("x")
    path.symlink_to(tmp_path / "work")
    for take in (FileLock.take, FileLock.take_idle):
        with pytest.raises(OSError, match=r"symbolic links.*a\.lock"):
            take(path)
    assert (tmp_path / "work").read_text() == "x"
