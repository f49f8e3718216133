"""A file is there whole, or as it was."""

from __future__ import annotations

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
