"""Canonical JSON, strictly: equal values have equal bytes, and nothing is read that was not expected.

Keys sorted, no spaces, UTF-8, no NaN or infinity; a bool is never an integer; unknown, missing and doubled
keys are refused. Pure.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NoReturn, TypeAlias, TypeVar

from sensorloom.store.errors import InvalidNameError, MalformedObjectError, UnsupportedDataError

__all__ = ["JSON", "Fields", "canonical_json", "decode", "digest_of"]

JSON: TypeAlias = "bool | int | float | str | Sequence[JSON] | Mapping[str, JSON] | None"

_STRING = frozenset((str,))
_SCALARS = frozenset((str, int, bool, type(None)))

Record = TypeVar("Record")
Choice = TypeVar("Choice", bound=str)


def canonical_json(value: JSON) -> bytes:
    """Return the one byte form of `value`.

    Raises `UnsupportedDataError` naming the place for NaN, infinity, a key that is not a string, or a type
    JSON does not have (a NumPy scalar, a date, bytes).
    """
    plain = value if _are_plain((value,)) else _plain(value, "value")
    text = json.dumps(plain, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise UnsupportedDataError(
            f"value holds text that is not Unicode: {error.object[error.start]!r}"
        ) from error


def digest_of(data: bytes) -> str:
    """Return the sha256 of `data` in hex."""
    return hashlib.sha256(data).hexdigest()


def decode(data: bytes | memoryview, where: str, build: Callable[[Fields], Record]) -> Record:
    """Read `data` as one JSON object and build a record of it.

    Whatever is wrong with it, syntax, types, names or keys, raises `MalformedObjectError` naming `where`.
    """
    try:
        value = json.loads(bytes(data), object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise MalformedObjectError(f"{where} is not strict JSON: {error}") from error
    fields = Fields(value, where)
    try:
        record = build(fields)
    except InvalidNameError as error:
        raise MalformedObjectError(f"{where}: {error}") from error
    fields.refuse_unread()
    return record


class Fields:
    """One JSON object being read: each method takes one key and checks its type."""

    def __init__(self, value: object, where: str) -> None:
        if not isinstance(value, dict):
            raise MalformedObjectError(f"{where} must be a JSON object, got {_kind(value)}")
        self._values: dict[str, Any] = value
        self._unread = set(value)
        self.where = where

    def text(self, key: str) -> str:
        """Return a string."""
        value = self._take(key)
        return value if isinstance(value, str) else self._refuse(key, "a string", value)

    def text_or_none(self, key: str) -> str | None:
        """Return a string or None."""
        value = self._take(key)
        return (
            value if value is None or isinstance(value, str) else self._refuse(key, "a string or null", value)
        )

    def count(self, key: str) -> int:
        """Return an integer of at least 0."""
        value = self._take(key)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            self._refuse(key, "an integer of at least 0", value)
        return int(value)

    def mapping(self, key: str) -> dict[str, Any]:
        """Return a JSON object as a dict."""
        value = self._take(key)
        return value if isinstance(value, dict) else self._refuse(key, "a JSON object", value)

    def array(self, key: str) -> list[Any]:
        """Return a JSON array as a list."""
        value = self._take(key)
        return value if isinstance(value, list) else self._refuse(key, "a JSON array", value)

    def texts(self, key: str) -> tuple[str, ...]:
        """Return an array of strings."""
        values = self.array(key)
        if not all(isinstance(value, str) for value in values):
            self._refuse(key, "an array of strings", values)
        return tuple(values)

    def counts(self, key: str) -> tuple[int, ...]:
        """Return an array of integers of at least 0."""
        values = self.array(key)
        if not all(type(value) is int and value >= 0 for value in values):
            self._refuse(key, "an array of integers of at least 0", values)
        return tuple(values)

    def text_map(self, key: str) -> dict[str, str]:
        """Return a JSON object whose values are strings."""
        values = self.mapping(key)
        if not all(isinstance(value, str) for value in values.values()):
            self._refuse(key, "an object of strings", values)
        return values

    def records(self, key: str, build: Callable[[Fields], Record]) -> tuple[Record, ...]:
        """Return an array of objects, each built by `build`."""
        children = [Fields(value, f"{self.where}: {key}[{i}]") for i, value in enumerate(self.array(key))]
        records = tuple(build(child) for child in children)
        for child in children:
            child.refuse_unread()
        return records

    def choice(self, key: str, known: tuple[Choice, ...]) -> Choice:
        """Return a string that is one of `known`."""
        value = self._take(key)
        for option in known:
            if value == option:
                return option
        return self._refuse(key, f"one of {', '.join(known)}", value)

    def tables_of_rows(self, key: str) -> dict[str, tuple[dict[str, Any], ...]]:
        """Return an object whose values are arrays of objects."""
        tables = self.mapping(key)
        for rows in tables.values():
            if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
                self._refuse(key, "an object of arrays of objects", rows)
        return {table: tuple(rows) for table, rows in tables.items()}

    def refuse_unread(self) -> None:
        """Raise if a key is left that nobody asked for."""
        if self._unread:
            known = sorted(set(self._values) - self._unread)
            raise MalformedObjectError(
                f"{self.where} has unknown key {min(self._unread)!r}; known are {known}"
            )

    def _take(self, key: str) -> Any:
        if key not in self._values:
            raise MalformedObjectError(f"{self.where} lacks key {key!r}")
        self._unread.discard(key)
        return self._values[key]

    def _refuse(self, key: str, expected: str, value: object) -> NoReturn:
        raise MalformedObjectError(f"{self.where}: {key} must be {expected}, got {_kind(value)}")


def _are_plain(values: Iterable[Any]) -> bool:
    """Tell whether JSON holds the values as they are; quicker than copying them, and true of what was read."""
    for value in values:
        kind = type(value)
        if kind in _SCALARS:
            continue
        if kind is dict:
            plain = _STRING.issuperset(map(type, value)) and _are_plain(value.values())
        elif kind is list or kind is tuple:
            plain = _are_plain(value)
        else:
            plain = kind is float and math.isfinite(value)
        if not plain:
            return False
    return True


def _plain(value: object, where: str) -> Any:
    if value is None or isinstance(value, str | bool):
        return value
    if type(value) is int:
        return value
    if type(value) is float:
        if not math.isfinite(value):
            raise UnsupportedDataError(f"{where} is {value}; JSON holds finite numbers only")
        return value
    if isinstance(value, Mapping):
        return {_text_key(key, where): _plain(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, f"{where}[{i}]") for i, item in enumerate(value)]
    raise UnsupportedDataError(
        f"{where} is a {type(value).__qualname__}, which JSON cannot hold; convert it first"
    )


def _text_key(key: object, where: str) -> str:
    if not isinstance(key, str):
        raise UnsupportedDataError(f"{where} has key {key!r}; JSON keys are strings")
    return key


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    value = dict(pairs)
    if len(value) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"key {next(name for name in names if names.count(name) > 1)!r} occurs twice")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _kind(value: object) -> str:
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 60 else text[:57] + '...'}"
