"""What the audit remembers: it is believed only as it was written, by the code that runs, and it stays bounded."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sensorloom.flows.audit import cache as audit_cache
from sensorloom.flows.audit.cache import AuditCache, audit_key
from sensorloom.flows.audit.code import MEASURING, code_digest, digest_of
from sensorloom.flows.audit.take import AuditTask
from sensorloom.store.manifest import Shard

KEY, OTHER = "a" * 64, "b" * 64
DATA = b'{"take_id": "pamap2/101", "offset_ms": 1.5}'
ROOT = Path(audit_cache.__file__).parents[2]


def task() -> AuditTask:
    return AuditTask(
        "memory://x", "pamap2/101", Shard("pamap2/101", "zarr", "1" * 64, 1, 1, "2" * 64), None, (), ()
    )


def test_what_is_kept_is_found(tmp_path: Path) -> None:
    cache = AuditCache(tmp_path / "audit")
    assert cache.find(KEY) is None
    cache.keep(KEY, DATA)
    assert (cache.find(KEY), cache.find(OTHER)) == (DATA, None)


@pytest.mark.parametrize(
    "broken",
    [b"", b"[]", b"{}", b"[" * 100_000, DATA, b"0" * 64 + b"\n" + DATA],
    ids=["empty", "array", "object", "nested", "unsealed", "wrong seal"],
)
def test_what_was_not_written_so_is_not_believed(tmp_path: Path, broken: bytes) -> None:
    cache = AuditCache(tmp_path)
    (tmp_path / KEY).write_bytes(broken)
    assert cache.find(KEY) is None
    cache.keep(KEY, DATA)
    assert cache.find(KEY) == DATA


def test_a_file_that_was_changed_cut_or_moved_is_not_believed(tmp_path: Path) -> None:
    cache = AuditCache(tmp_path)
    cache.keep(KEY, DATA)
    whole = (tmp_path / KEY).read_bytes()
    for broken in (whole.replace(b"1.5", b'"x"'), whole.replace(b"101", b"102"), whole[:-1], whole + b" "):
        assert broken != whole
        (tmp_path / KEY).write_bytes(broken)
        assert cache.find(KEY) is None
    (tmp_path / OTHER).write_bytes(whole)  # another take's, under this name
    assert cache.find(OTHER) is None


def test_what_nothing_asks_for_is_forgotten_first(tmp_path: Path) -> None:
    cache = AuditCache(tmp_path)
    for place, key in enumerate("abcd"):
        cache.keep(key, DATA)
        os.utime(tmp_path / key, (place, place))
    (tmp_path / ".e.123").write_bytes(DATA)  # of an audit that was killed while it wrote
    os.utime(tmp_path / ".e.123", (0.5, 0.5))
    assert cache.find("a") == DATA  # asked for just now
    size = (tmp_path / "a").stat().st_size
    cache.forget(2 * size)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "d"]
    cache.forget()
    assert len(list(tmp_path.iterdir())) == 2


def test_a_folder_that_is_not_there_has_nothing_to_forget(tmp_path: Path) -> None:
    AuditCache(tmp_path / "none").forget()
    assert not (tmp_path / "none").exists()


def test_other_code_has_another_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = audit_key(task(), "streams")
    assert audit_key(task(), "streams") == before
    monkeypatch.setattr(audit_cache, "code_digest", lambda: "other")
    assert audit_key(task(), "streams") != before


def test_every_byte_of_a_source_counts(tmp_path: Path) -> None:
    (tmp_path / "align/sync").mkdir(parents=True)
    source = tmp_path / "align/sync/fit.py"
    source.write_text("LIMIT = 1\n")
    (tmp_path / "one.py").write_text("ONE = 1\n")
    places = ("align", "one.py")
    digests = [digest_of(tmp_path, places)]
    source.write_text("LIMIT = 2\n")
    digests.append(digest_of(tmp_path, places))
    (tmp_path / "one.py").write_text("ONE = 2\n")
    digests.append(digest_of(tmp_path, places))
    source.rename(source.with_name("fitting.py"))
    digests.append(digest_of(tmp_path, places))
    assert len(set(digests)) == 4
    (tmp_path / "align/notes.txt").write_text("no source")
    assert digest_of(tmp_path, places) == digests[-1]


def test_all_that_measures_a_take_is_in_the_digest() -> None:
    """Of what a worker loads, only what reads raw files and shards is left out: it hands over the same arrays."""
    told = "import sys, sensorloom.flows.audit.take; print(*(m.__file__ for m in sys.modules.values()"
    told += " if m.__name__.startswith('sensorloom.') and m.__file__))"
    loaded = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True).stdout
    modules = {Path(name).relative_to(ROOT).as_posix() for name in loaded.split()}
    assert "align/sync/estimate.py" in modules
    packages = {"flows/__init__.py", "flows/audit/__init__.py"}
    measured = {name for name in modules - packages if not name.startswith(("ingest/", "store/"))}
    counted = {
        name for name in modules for place in MEASURING if name == place or name.startswith(f"{place}/")
    }
    assert measured - counted == set()
    assert all((ROOT / place).exists() for place in MEASURING)
    assert len(code_digest()) == 64
