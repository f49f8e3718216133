"""What Ego-Exo4D's shared JSON files say of each take, cut out of them once, so that every take carries its own.

A record is a JSON path and the value there, by file. The place of a take in the list of `takes.json` is no part of it:
entries are named by `take_name`, so that another take's entry never changes this one's record. An annotation file that
cannot be read, and one that was not downloaded, is told in the record of every take.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sensorloom.ingest.errors import LayoutError, RawFileError
from sensorloom.ingest.jsonfile import Node, canonical_json, read_json
from sensorloom.ingest.rawtree import RawTree

__all__ = ["Records", "TakeRecords", "find_folder", "parse_records", "problem_record", "read_shared"]

_TAKES = "takes.json"
_SPLITS = "splits.json"
# Lists of objects, and the member of a take's entry that names one by a member of the same name.
_LISTS = {"captures.json": "capture_uid", "participants.json": "participant_uid"}
# Objects with `annotations` by take_uid, one file a split.
_ANNOTATIONS = ("atomic_descriptions", "expert_commentary", "keystep")
_KINDS = (*_ANNOTATIONS, "ego_pose")
_DOWNLOAD, _PROBLEM = "download", "problem"

Record = dict[str, Any]
"""`path`, and `value`, the `error` that kept the file from being read, or the `doubt` about what is this take's."""


_Parts = Callable[[Node, dict[str, str]], Iterator[tuple[str, Node]]]


@dataclass(slots=True)
class Records:
    """What the shared files but `takes.json` say: by file name, then by the id that names a take's part.

    `nameless` is the first entry of a list without an id, by file; `absent` are annotations that were not downloaded.
    """

    parts: dict[str, dict[str, Record]] = field(default_factory=lambda: defaultdict(dict))
    broken: dict[str, Record] = field(default_factory=dict)
    nameless: dict[str, dict[str, str]] = field(default_factory=dict)
    absent: tuple[str, ...] = ()

    def of_take(self, entry: Node, uri: str, has_trajectory: bool) -> str:
        """Return all that is said of the take of `entry`, which stands in `uri`, as canonical JSON."""
        name = json.dumps(entry.value["take_name"])
        own: dict[str, Record] = {
            uri: {"path": f"$[?@.take_name=={name}]", "value": entry.value},
            _DOWNLOAD: {"path": "", "value": {"absent": self.absent, "trajectory": has_trajectory}},
            **self.broken,
        }
        for file in {**self.parts, **self.nameless}:
            member = _LISTS.get(file.rpartition("/")[2], "take_uid")
            uid = _id_word(entry.value.get(member))
            part = self.parts[file].get(uid) if uid else None
            if uid and part is None:
                part = self._nameless(file, member, uid)
            if part is not None:
                own[file] = part
        return canonical_json(own)

    def _nameless(self, file: str, member: str, uid: str) -> Record | None:
        problems = list(self.nameless.get(file, {}).values())
        if not problems:
            return None
        return {"doubt": f"{problems[0]}; the file has no entry of {member} {uid}, which this may be"}


@dataclass(frozen=True, slots=True)
class TakeRecords:
    """One take's records: the data set's `folder` below the root, values by file name, errors of unreadable files.

    `doubts` are of files that can be read and in which this take's part is in doubt.
    """

    folder: str
    nodes: dict[str, Node]
    errors: dict[str, str]
    doubts: tuple[str, ...]

    @property
    def absent(self) -> tuple[str, ...]:
        """The kinds of annotations that were not downloaded."""
        return tuple(self.nodes[_DOWNLOAD].value["absent"])

    @property
    def has_trajectory(self) -> bool:
        """Whether the take's trajectory was downloaded, which is not read."""
        return bool(self.nodes[_DOWNLOAD].value["trajectory"])

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
    there = {path.name for path in (root / annotations).glob("*")}
    absent = [
        kind for kind in _KINDS if not any(re.fullmatch(rf"{kind}(_.*\.json)?", name) for name in there)
    ]
    records.absent = (*absent, *(["splits"] if _SPLITS not in there else []))
    return records


def problem_record(problem: str) -> str:
    """Return the records of a source that stands for what `takes.json` says of no take."""
    return canonical_json({_PROBLEM: problem})


def parse_records(text: str) -> TakeRecords:
    """Return what the shared files say of one take, by file name without folders; nodes know the whole path.

    Raises `RawFileError` with what `problem_record` was given.
    """
    nodes, errors, doubts, folder = {}, {}, [], ""
    told = json.loads(text)
    if _PROBLEM in told:
        raise RawFileError(told[_PROBLEM])
    for uri, record in told.items():
        name = uri.rpartition("/")[2]
        if "error" in record:
            errors[name] = record["error"]
        elif "doubt" in record:
            doubts.append(record["doubt"])
        else:
            nodes[name] = Node(record["value"], f"{uri}: {record['path']}")
        if name == _TAKES:
            folder = uri.removesuffix(_TAKES)
    return TakeRecords(folder, nodes, errors, tuple(doubts))


def _collect(records: Records, root: Path, uri: str, parts: _Parts) -> None:
    path = root / uri
    if not path.is_file():
        return
    try:
        document = read_json(path, uri)
        for key, node in parts(document, records.nameless.setdefault(uri, {})):
            record = {"path": node.where.removeprefix(f"{uri}: "), "value": node.value}
            if records.parts[uri].setdefault(key, record) != record:
                doubt = f"{node.where}: stands more than once, with different values; none is believed"
                records.parts[uri][key] = {"doubt": doubt}
    except RawFileError as error:
        records.parts.pop(uri, None)
        records.broken[uri] = {"error": str(error)}


def _by_member(member: str) -> _Parts:
    """Name each entry of a list by its `member`; its path too, since its place changes with others'."""

    def parts(document: Node, nameless: dict[str, str]) -> Iterator[tuple[str, Node]]:
        for entry in document.items():
            try:
                key = _id_word(entry.get(member).value)
                if key is None:
                    entry.get(member).fail("an id")
            except RawFileError as error:
                nameless[entry.where] = str(error)
                continue
            spelled = key if isinstance(entry.value[member], int | float) else json.dumps(key)
            yield key, Node(entry.value, f"{document.where}[?@.{member}=={spelled}]")

    return parts


def _by_key(member: str) -> _Parts:
    def parts(document: Node, _: dict[str, str]) -> Iterator[tuple[str, Node]]:
        return document.get(member).members()

    return parts


def _id_word(value: Any) -> str | None:
    """Return an id as a word: 7 and 7.0, as programs write it where others are null, are one; null is none."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return (
        str(value) if isinstance(value, str | int) and not isinstance(value, bool) and value != "" else None
    )
