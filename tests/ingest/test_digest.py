from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from sensorloom.ingest.digest import DigestCache, check_unchanged, file_digest, on_disk
from sensorloom.ingest.errors import CacheError, RawFileError
from sensorloom.ingest.source import FileRef

OLD_NS = 1_600_000_000_000_000_000


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    path = tmp_path / "raw.dat"
    path.write_bytes(b"signal")
    os.utime(path, ns=(OLD_NS, OLD_NS))
    return path


@pytest.fixture
def cache(tmp_path: Path) -> DigestCache:
    return DigestCache(tmp_path / "cache" / "digests.sqlite")


def test_a_digest_is_the_sha256_of_the_bytes(raw):
    assert file_digest(raw).sha256 == hashlib.sha256(b"signal").hexdigest()


def test_an_unchanged_file_is_remembered(raw, cache):
    cache.remember({raw: file_digest(raw)})
    assert cache.find((raw,)) == {raw: file_digest(raw)}


def test_another_size_or_time_is_forgotten(raw, cache):
    cache.remember({raw: file_digest(raw)})
    os.utime(raw, ns=(OLD_NS, OLD_NS + 1))
    assert cache.find((raw,)) == {}


def test_a_file_replaced_by_an_equal_looking_one_is_forgotten(raw, cache):
    cache.remember({raw: file_digest(raw)})
    other = raw.with_name("other")
    other.write_bytes(b"SIGNAL")
    os.utime(other, ns=(OLD_NS, OLD_NS))
    other.replace(raw)
    assert cache.find((raw,)) == {}


def test_a_file_overwritten_in_place_and_set_back_in_time_is_forgotten(raw, cache):
    cache.remember({raw: file_digest(raw)})
    inode = raw.stat().st_ino
    raw.write_bytes(b"SIGNAL")
    os.utime(raw, ns=(OLD_NS, OLD_NS))
    assert raw.stat().st_ino == inode
    assert cache.find((raw,)) == {}


def test_a_digest_is_remembered_for_the_bytes_it_was_taken_of(raw, cache):
    digest = file_digest(raw)
    raw.write_bytes(b"another signal")
    os.utime(raw, ns=(OLD_NS, OLD_NS))
    cache.remember({raw: digest})
    assert cache.find((raw,)) == {}
    with pytest.raises(RawFileError, match=r"raw\.dat: changed while it was being read; run again"):
        check_unchanged(raw, digest)


def test_a_file_name_that_is_no_text_is_remembered(tmp_path, cache):
    raw = tmp_path / os.fsdecode(b"caf\xe9.dat")
    raw.write_bytes(b"signal")
    os.utime(raw, ns=(OLD_NS, OLD_NS))
    cache.remember({raw: file_digest(raw)})
    assert cache.find((raw,)) == {raw: file_digest(raw)}


def test_a_cache_that_is_no_database_says_what_to_do(raw, tmp_path):
    path = tmp_path / "digests.sqlite"
    path.write_bytes(b"not a database, but long enough to be taken for one")
    with pytest.raises(
        CacheError, match=r"digests\.sqlite: cannot be used .*delete it, or set XDG_CACHE_HOME"
    ):
        DigestCache(path).find((raw,))


def test_a_cache_that_cannot_be_made_says_what_to_do(raw):
    with pytest.raises(CacheError, match=r"raw\.dat/digests\.sqlite: cannot be used .*File exists"):
        DigestCache(raw / "digests.sqlite").remember({raw: file_digest(raw)})


def test_a_file_modified_just_now_is_not_trusted(raw, cache):
    os.utime(raw)
    cache.remember({raw: file_digest(raw)})
    assert cache.find((raw,)) == {}


def test_a_vanished_file_is_not_found(raw, cache):
    cache.remember({raw: file_digest(raw)})
    raw.unlink()
    assert cache.find((raw,)) == {}


def test_members_of_one_archive_share_its_file(tmp_path):
    files = (FileRef("a.zip!x.csv", 1), FileRef("a.zip!y.csv", 1), FileRef("b.csv", 1))
    assert on_disk(tmp_path, files) == (tmp_path / "a.zip", tmp_path / "b.csv")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(RawFileError, match=r"gone\.dat: cannot be read: No such file"):
        file_digest(tmp_path / "gone.dat")


def test_a_directory_in_the_files_place_is_named(tmp_path):
    with pytest.raises(RawFileError, match=r"cannot be read: Is a directory"):
        file_digest(tmp_path)


def test_a_file_that_changes_while_it_is_read_is_refused(raw, monkeypatch):
    digest = hashlib.file_digest

    def touch_then_digest(file, name):
        os.utime(raw, ns=(OLD_NS, OLD_NS + 5))
        return digest(file, name)

    monkeypatch.setattr(hashlib, "file_digest", touch_then_digest)
    with pytest.raises(RawFileError, match=r"raw\.dat: changed while it was being read"):
        file_digest(raw)
