"""What Ego-Exo4D's shared JSON files say of each take, cut out of them once, so that every take carries its own.

A record is a JSON path and the value there, by file. The place of a take in the list of `takes.json` is no part of it:
entries are named by `take_name`, so that another take's entry never changes this one's record. An annotation file that
cannot be read is told in the record of every take.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sensorloom.ingest.errors import LayoutError, RawFileError
from sensorloom.ingest.jsonfile import Node, canonical_json, read_json
from sensorloom.ingest.rawtree import RawTree

__all__ = ["Records", "TakeRecords", "find_folder", "list_takes", "parse_records", "read_shared"]

_TAKES = "takes.json"
_SPLITS = "splits.json"
# Lists of objects, and the member of a take's entry that names one by a member of the same name.
_LISTS = {"captures.json": "capture_uid", "participants.json": "participant_uid"}
# Objects with `annotations` by take_uid, one file a split.
_ANNOTATIONS = ("atomic_descriptions", "expert_commentary", "keystep")

Record = dict[str, Any]
"""`path`, and `value` or the `error` that kept the file from being read."""


_Parts = Callable[[Node], Iterator[tuple[str, Node]]]


@dataclass(slots=True)
class Records:
    """What the shared files but `takes.json` say: by file name, then by the id that names a take's part."""

    parts: dict[str, dict[str, Record]] = field(default_factory=lambda: defaultdict(dict))
    broken: dict[str, Record] = field(default_factory=dict)

    def of_take(self, entry: Node, uri: str) -> str:
        """Return all that is said of the take of `entry`, which stands in `uri`, as canonical JSON."""
        name = json.dumps(entry.value["take_name"])
        own: dict[str, Record] = {
            uri: {"path": f"$[?@.take_name=={name}]", "value": entry.value},
            **self.broken,
        }
        for file, by_id in self.parts.items():
            member = _LISTS.get(file.rpartition("/")[2], "take_uid")
            part = by_id.get(str(entry.value.get(member)))
            if part is not None:
                own[file] = part
        return canonical_json(own)


@dataclass(frozen=True, slots=True)
class TakeRecords:
    """One take's records: the data set's `folder` below the root, values by file name, errors of unreadable files."""

    folder: str
    nodes: dict[str, Node]
    errors: dict[str, str]

    @property
    def entry(self) -> Node:
        """The take's entry in `takes.json`."""
        return self.nodes[_TAKES]

    def of_kind(self, kind: str) -> Iterator[Node]:
        """Yield what the files `<kind>_<split>.json` say."""
        return (node for name, node in sorted(self.nodes.items()) if name.startswith(f"{kind}_"))


def find_folder(root: Path) -> str:
    """Return the data set's folder below `root` as a prefix: `""` where it is `root` itself, else `name/`.

    Raises `LayoutError` where there is none, or more than one to choose from.
    """
    with RawTree(root):
        pass  # says of a root that is nowhere what is said of any data set's
    if not root.is_dir():
        raise LayoutError(
            f"{root}: Ego-Exo4D comes as files, not as a zip; unpack it and point to the folder"
        )
    if (root / _TAKES).is_file():
        return ""
    below = sorted(path.parent.name for path in root.glob(f"*/{_TAKES}"))
    if len(below) == 1:
        return f"{below[0]}/"
    if below:
        raise LayoutError(
            f"{root}: {_TAKES} lies in several folders: {', '.join(below)}; point to one of them"
        )
    raise LayoutError(
        f"{root}: no {_TAKES} in it or in a folder of it; download it with `egoexo --parts metadata`, and point to"
        " the folder given to `egoexo -o`, or its parent"
    )


def list_takes(root: Path, folder: str) -> Iterator[Node]:
    """Return the entries of `takes.json`; raises `RawFileError` where it cannot be read."""
    uri = f"{folder}{_TAKES}"
    return read_json(root / uri, uri).items()


def read_shared(root: Path, folder: str) -> Records:
    """Read every other shared file that is there."""
    records = Records()
    for name, member in _LISTS.items():
        _collect(records, root, f"{folder}{name}", _by_member(member))
    annotations = f"{folder}annotations"
    _collect(records, root, f"{annotations}/{_SPLITS}", _by_key("take_uid_to_split"))
    for kind in _ANNOTATIONS:
        for path in sorted((root / annotations).glob(f"{kind}_*.json")):
            _collect(records, root, f"{annotations}/{path.name}", _by_key("annotations"))
    return records


def parse_records(text: str) -> TakeRecords:
    """Return what the shared files say of one take, by file name without folders; nodes know the whole path."""
    nodes, errors, folder = {}, {}, ""
    for uri, record in json.loads(text).items():
        name = uri.rpartition("/")[2]
        if "error" in record:
            errors[name] = record["error"]
        else:
            nodes[name] = Node(record["value"], f"{uri}: {record['path']}")
        if name == _TAKES:
            folder = uri.removesuffix(_TAKES)
    return TakeRecords(folder, nodes, errors)


def _collect(records: Records, root: Path, uri: str, parts: _Parts) -> None:
    path = root / uri
    if not path.is_file():
        return
    try:
        document = read_json(path, uri)
        for key, node in parts(document):
            records.parts[uri][key] = {"path": node.where.removeprefix(f"{uri}: "), "value": node.value}
    except RawFileError as error:
        records.parts.pop(uri, None)
        records.broken[uri] = {"error": str(error)}


def _by_member(member: str) -> _Parts:
    """Name each entry of a list by its `member`; its path too, since its place changes with others'."""

    def parts(document: Node) -> Iterator[tuple[str, Node]]:
        for entry in document.items():
            key = entry.get(member).value
            where = f"{document.where}[?@.{member}=={json.dumps(key)}]"
            yield str(key), Node(entry.value, where)

    return parts


def _by_key(member: str) -> _Parts:
    def parts(document: Node) -> Iterator[tuple[str, Node]]:
        return document.get(member).members()

    return parts
