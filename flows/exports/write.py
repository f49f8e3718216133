"""The writing of an export: files of a fair size for each split, and facts and a guide beside them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from sensorloom.flows.exports.export import ExportPlan
from sensorloom.flows.exports.facts import Tally, export_facts
from sensorloom.flows.exports.folder import appearing_whole
from sensorloom.flows.exports.formats import SUFFIXES, Format
from sensorloom.flows.exports.guide import guide
from sensorloom.flows.exports.windows import Windows, read_windows
from sensorloom.store.repository import Repository

__all__ = ["export_view"]

# What readers of such files take for a good size: each is read by one worker.
_FILE_BYTES = 256 << 20

Progress = Callable[[str, int, int], None]


class _File(Protocol):
    def write(self, windows: Windows) -> None: ...

    def close(self) -> None: ...


def export_view(
    repo: Repository, plan: ExportPlan, out: Path, on_progress: Progress | None = None
) -> dict[str, Any]:
    """Write the files of `plan` to the folder `out` and return what was written, as `out/export.json` tells it.

    The folder appears whole or not at all; equal windows give equal bytes. In memory stands about one shard, whatever
    the size of the view. Raises `ConfigError` where `out` is taken, `RunError` where another export is writing to it or
    the disk fails, `StoreError` where a shard cannot be read.
    """
    with appearing_whole(out) as folder:
        (folder / "data").mkdir()
        facts = export_facts(repo, plan, _write(repo, plan, folder / "data", on_progress))
        text = json.dumps(facts, indent=2, ensure_ascii=False) + "\n"
        (folder / "export.json").write_text(text, encoding="utf-8")
        (folder / "README.md").write_text(guide(facts), encoding="utf-8")
    return facts


def _write(repo: Repository, plan: ExportPlan, folder: Path, on_progress: Progress | None) -> Tally:
    """Write the data files; return what was in them."""
    tally, total, done = Tally(), sum(plan.windows.values()), 0
    splits = {split: _Split(folder, split, plan.request.format) for split in plan.windows}
    try:
        for shards in plan.shards:
            for split, windows in read_windows(repo, shards, plan.arrays, tuple(plan.windows)):
                splits[split].write(windows)
                tally.add(windows)
                done += len(windows)
                if on_progress is not None:
                    on_progress(split, done, total)
    finally:
        for files in splits.values():
            files.close()
    tally.files = {split: files.name() for split, files in splits.items()}
    return tally


@dataclass(slots=True)
class _Split:
    """The files of one split, written one after the other."""

    folder: Path
    split: str
    format: Format
    rows: list[int] = field(default_factory=list)
    """Windows of each file."""
    file: _File | None = None
    num_bytes: int = 0

    def write(self, windows: Windows) -> None:
        """Add the windows to the last file, or to a new one where that is large enough."""
        if self.num_bytes >= _FILE_BYTES:
            self.close()
        if self.file is None:
            self.file = _create(self.format, self._path(len(self.rows)))
            self.rows.append(0)
        self.file.write(windows)
        self.rows[-1] += len(windows)
        self.num_bytes += windows.num_bytes

    def close(self) -> None:
        """End the last file."""
        if self.file is not None:
            self.file.close()
        self.file, self.num_bytes = None, 0

    def name(self) -> dict[str, tuple[int, int]]:
        """Put into each file's name how many there are, as Hugging Face has it; return windows and bytes by name."""
        named = {}
        for number, rows in enumerate(self.rows):
            name = f"{self.split}-{number:05d}-of-{len(self.rows):05d}.{SUFFIXES[self.format]}"
            path = self._path(number).rename(self.folder / name)
            named[name] = (rows, path.stat().st_size)
        return named

    def _path(self, number: int) -> Path:
        return self.folder / f"{self.split}-{number:05d}.{SUFFIXES[self.format]}"


def _create(kind: Format, path: Path) -> _File:
    """Open a new file; what writes it is imported only where it is asked for."""
    if kind == "webdataset":
        from sensorloom.flows.exports.webdataset import TarFile

        return TarFile(path)
    from sensorloom.flows.exports.parquet import ParquetFile

    return ParquetFile(path)
