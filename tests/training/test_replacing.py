"""A file is there whole, or as it was."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sensorloom.training.replacing import replacing, write_whole


def test_a_file_is_replaced_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "facts.json"
    write_whole(path, "old\n")
    with replacing(path) as partial:
        partial.write_text("new")
        assert path.read_bytes() == b"old\n"
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_what_fails_half_way_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "facts.json"
    write_whole(path, "old")
    with pytest.raises(UnicodeEncodeError, match="surrogates not allowed"):
        write_whole(path, "new\ud800")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_text_is_on_the_disk_before_it_gets_its_name_and_the_name_thereafter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fsync: Callable[[int], None]
) -> None:
    path = tmp_path / "facts.json"
    write_whole(path, "old")
    synced: list[tuple[bool, str]] = []

    def note(handle: int) -> None:
        fsync(handle)
        synced.append((os.path.samestat(os.fstat(handle), tmp_path.stat()), path.read_text()))

    monkeypatch.setattr(os, "fsync", note)
    write_whole(path, "newer")
    assert synced == [(False, "old"), (True, "newer")]
    assert path.read_text() == "newer"


def test_writers_of_one_file_in_one_process_keep_apart(tmp_path: Path) -> None:
    path = tmp_path / "facts.json"
    with replacing(path) as first, replacing(path) as second:
        first.write_text("one")
        second.write_text("two")
    assert path.read_text() == "one"  # the later of the two to end
    assert list(tmp_path.iterdir()) == [path]
