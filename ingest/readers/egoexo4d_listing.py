"""Which takes `takes.json` lists, and what in it is none: an entry without a name, or with another's name or uid."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sensorloom.ingest.errors import RawFileError
from sensorloom.ingest.jsonfile import Node, read_json

__all__ = ["Listed", "list_takes"]

_TAKES = "takes.json"


@dataclass(frozen=True, slots=True)
class Listed:
    """Entries by take name, and by name or place (`takes.json[3]`) why the others are not read."""

    uri: str
    entries: dict[str, Node]
    problems: dict[str, str]


def list_takes(root: Path, folder: str, identify: Callable[[Node], tuple[str, str]]) -> Listed:
    """Read `takes.json`; an entry that stands there twice, the same, is one take.

    `identify` returns name and uid of an entry, or raises `RawFileError` where it has none. Raises `RawFileError` where
    the file cannot be read.
    """
    uri = f"{folder}{_TAKES}"
    by_name: dict[str, list[Node]] = defaultdict(list)
    by_uid: dict[str, list[str]] = defaultdict(list)
    problems: dict[str, str] = {}
    for place, entry in enumerate(read_json(root / uri, uri).items()):
        try:
            name, uid = identify(entry)
        except RawFileError as error:
            problems[f"{_TAKES}[{place}]"] = str(error)
            continue
        if all(entry.value != other.value for other in by_name[name]):
            by_name[name].append(entry)
            by_uid[uid].append(name)
    for name, entries in by_name.items():
        if len(entries) > 1:
            problems[name] = (
                f"{entries[1].where}: a second take of the name {name!r}; download {_TAKES} again"
            )
    for uid, names in by_uid.items():
        for name in names if len(set(names)) > 1 else ():
            where = by_name[name][0].where
            problems.setdefault(
                name, f"{where}: another take has the uid {uid!r} too; download {_TAKES} again"
            )
    return Listed(uri, {name: nodes[0] for name, nodes in by_name.items() if name not in problems}, problems)
