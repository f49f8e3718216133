"""JSON as others wrote it, read with types: what is not as expected is named by file, JSON path and value.

A `Node` is a value and where it stands, `takes.json: $[12].capture.cameras[0].is_ego`; paths are spelled as in
RFC 9535. Nothing is checked before it is asked for, so that oddities in members that nobody reads do no harm.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from sensorloom.ingest.errors import RawFileError

__all__ = ["Node", "canonical_json", "parse_json", "read_json"]

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SURROGATE = re.compile("[\ud800-\udfff]")
_LONGEST_QUOTE = 60
_LARGEST_INTEGER = 2**63 - 1
_WORDS = {"true": True, "1": True, "false": False, "0": False}


@dataclass(frozen=True, slots=True)
class Node:
    """A JSON value and `where` it stands: its file, a colon, its path. Each accessor raises `RawFileError`."""

    value: Any
    where: str

    @property
    def is_null(self) -> bool:
        """Whether the value is null."""
        return self.value is None

    def text(self) -> str:
        """Return a string that can be written as UTF-8."""
        if not isinstance(self.value, str):
            self.fail("a text")
        if not self.value.isascii() and _SURROGATE.search(self.value):
            self.fail("a text of whole characters")
        return self.value

    def number(self) -> float:
        """Return a finite number; NaN and infinity, which some programs write as numbers, are refused."""
        if isinstance(self.value, bool) or not isinstance(self.value, int | float):
            self.fail("a number")
        try:
            number = float(self.value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            self.fail("a finite number")
        return number

    def seconds(self, low: float, high: float) -> float:
        """Return a finite number of seconds in [low, high]: limits keep it within nanoseconds of 64 bits."""
        seconds = self.number()
        if not low <= seconds <= high:
            raise RawFileError(
                f"{self.where}: expected {low:g} to {high:g} s, got {_quoted(self.value)} s; it makes no sense here"
            )
        return seconds

    def integer(self) -> int:
        """Return a whole number of 64 bits; 7.0 is one, as programs write where a column also holds nulls."""
        number = self.value
        if isinstance(number, float) and number.is_integer():
            number = int(number)
        if isinstance(number, bool) or not isinstance(number, int):
            self.fail("a whole number")
        if abs(number) > _LARGEST_INTEGER:
            self.fail("a whole number of at most 64 bits")
        return number

    def flag(self) -> bool:
        """Return true or false."""
        if not isinstance(self.value, bool):
            self.fail("true/false")
        return self.value

    def spelled_flag(self) -> bool:
        """Return true or false, also where it is spelled: "True", "false", "0", "1", 0 or 1."""
        if isinstance(self.value, bool):
            return self.value
        spelled = str(self.value).strip().lower() if isinstance(self.value, str | int) else ""
        if spelled not in _WORDS:
            self.fail("true/false")
        return _WORDS[spelled]

    def items(self) -> Iterator[Node]:
        """Yield the elements of a list."""
        if not isinstance(self.value, list):
            self.fail("a list")
        return (Node(item, f"{self.where}[{place}]") for place, item in enumerate(self.value))

    def members(self) -> Iterator[tuple[str, Node]]:
        """Yield the keys and values of an object."""
        if not isinstance(self.value, dict):
            self.fail("an object")
        return ((key, self._member(key)) for key in self.value)

    def get(self, key: str) -> Node:
        """Return the member `key` of an object, which must be there (null is)."""
        node = self._find(key)
        if node is None:
            raise RawFileError(f"{self.where}{_step(key)}: is missing")
        return node

    def optional(self, key: str) -> Node | None:
        """Return the member `key` of an object, None where it is absent or null."""
        node = self._find(key)
        return None if node is None or node.is_null else node

    def fail(self, expected: str) -> NoReturn:
        """Raise `RawFileError`: `expected` is not what stands here."""
        raise RawFileError(f"{self.where}: expected {expected}, got {_quoted(self.value)}")

    def _find(self, key: str) -> Node | None:
        if not isinstance(self.value, dict):
            self.fail("an object")
        return self._member(key) if key in self.value else None

    def _member(self, key: str) -> Node:
        return Node(self.value[key], self.where + _step(key))


def read_json(path: Path, uri: str) -> Node:
    """Read a JSON file as one node; `uri` is its name in messages.

    Raises `RawFileError` when it cannot be read, is not JSON, is nested beyond what can be parsed, or names a key
    twice in one object, where no one can tell which value is meant.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise RawFileError(f"{uri}: cannot be read: {error.strerror or error}") from error
    return parse_json(data, uri)


def parse_json(data: bytes | str, uri: str) -> Node:
    """Parse JSON, in UTF-8 where it is bytes; raises as `read_json` does."""
    if not data.strip():
        raise RawFileError(f"{uri}: is empty; download it again")
    try:
        return Node(json.loads(data, object_pairs_hook=_unique_keys), f"{uri}: $")
    except json.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}"
        raise RawFileError(f"{uri}: {place}: is not JSON: {error.msg}; download it again") from error
    except UnicodeDecodeError as error:
        raise RawFileError(f"{uri}: byte {error.start}: is not UTF-8 text; download it again") from error
    except RecursionError as error:
        raise RawFileError(f"{uri}: is nested too deep to be parsed; it is damaged") from error
    except ValueError as error:  # a key twice, or a number of thousands of digits
        raise RawFileError(f"{uri}: {error}") from error


def canonical_json(value: Any) -> str:
    """Return `value` as JSON in ASCII that depends on nothing but the value: keys sorted, no blanks."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                told = f"the key {_quoted(key)} stands twice in one object"
                raise ValueError(f"{told}; which value is meant is unknown")
            seen.add(key)
    return members


def _step(key: str) -> str:
    return f".{key}" if _PLAIN_KEY.fullmatch(key) else f"[{json.dumps(key)}]"


def _quoted(value: Any) -> str:
    if isinstance(value, dict | list):
        return f"an object of {len(value)} members" if isinstance(value, dict) else f"a list of {len(value)}"
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 10**_LONGEST_QUOTE:
        return f"a number of more than {_LONGEST_QUOTE} digits"
    text = json.dumps(value)
    return text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}…"
