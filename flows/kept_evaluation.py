"""An earlier evaluation that says more than the next: it is moved aside, so that no score is lost unasked."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

__all__ = ["keep_fuller"]


def keep_fuller(facts: Path, page: Path, found: Mapping[str, Any]) -> tuple[Path, ...]:
    """Move the evaluation at `facts`, and its `page`, aside where it has a score that `found` lacks; return where to.

    Both get the next free number: `evaluation-test.1.json`, `evaluation-test.1.html`. What cannot be read is replaced.
    """
    if not _scored(_read(facts)) - _scored(found):
        return ()
    number = next(each for each in count(1) if not facts.with_suffix(f".{each}.json").exists())
    there = [path for path in (facts, page) if path.exists()]
    return tuple(path.rename(path.with_suffix(f".{number}{path.suffix}")) for path in there)


def _read(facts: Path) -> Mapping[str, Any]:
    try:
        told = json.loads(facts.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def _scored(facts: Mapping[str, Any]) -> set[tuple[str, str]]:
    """Return what has a score: the view, none for the run's own, and the protocol."""
    views = facts.get("views", ())
    own = {("", name) for name in _lists(facts, ("views", "tables"))}
    found = {(view["view"], name) for view in views for name in _lists(view, ("classes", "scores"))}
    return own | found | {(view["view"], score["protocol"]) for view in views for score in view["scores"]}


def _lists(facts: Mapping[str, Any], but: Iterable[str]) -> Iterator[str]:
    return (name for name, value in facts.items() if value and isinstance(value, list) and name not in but)
