"""What an earlier call left in the folder of a reproduction, read back from its facts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sensorloom.flows.errors import ConfigError
from sensorloom.flows.reproduction.origin import differences
from sensorloom.flows.reproduction.tables import FewShot, RunTables, table_from_json

__all__ = ["Kept", "kept"]


@dataclass(frozen=True, slots=True)
class Kept:
    """The snapshot that was begun on, what was left out of it, and the runs that are done and still there, by name."""

    snapshot_id: str
    trouble: tuple[str, ...]
    runs: Mapping[str, RunTables]


def kept(facts: Path, name: str, settings: Mapping[str, str], origin: Mapping[str, Any]) -> Kept | None:
    """Return what the file `facts` tells of the reproduction `name`, None where it is not there.

    Raises ConfigError where it cannot be read, or tells of another table, other settings or another origin.
    """
    if not facts.exists():
        return None
    try:
        told = json.loads(facts.read_text(encoding="utf-8"))
        there = (told["reproduction"], told["settings"])
        changed = differences(told["origin"], origin)
        found = Kept(str(told["snapshot_id"]), _sentences(told["trouble"]), dict(_runs(told, facts.parent)))
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"cannot read {facts}, which is damaged or of another version: {error!r}; remove it, the runs beside it "
            "are kept"
        ) from error
    if there != (name, dict(settings)):
        raise ConfigError(
            f"{facts.parent} holds {there[0]} with settings {there[1]}, not {name} with {dict(settings)}; name another "
            "folder by --out"
        )
    if changed:
        raise ConfigError(
            f"{facts.parent} holds {name} of something else: {'; '.join(changed)}. Give what it was begun with, or "
            "another folder by --out"
        )
    return found


def _sentences(told: Any) -> tuple[str, ...]:
    if not isinstance(told, list):
        raise TypeError(f"trouble is no list but {told!r}")
    return tuple(str(sentence) for sentence in told)


def _runs(told: Mapping[str, Any], folder: Path) -> Iterator[tuple[str, RunTables]]:
    for run in told["runs"]:
        found = RunTables(
            name=run["name"],
            run=run["run"],
            tables=tuple(table_from_json(table) for table in run["tables"]),
            points=tuple(FewShot(**point) for point in run["points"]),
            left_out=dict(run["left_out"]),
        )
        if not run["failure"] and (folder / found.run).is_dir():
            yield found.name, found
