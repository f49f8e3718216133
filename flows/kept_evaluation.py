"""An earlier evaluation that says more than the next: it is kept aside, so that nothing judged is lost unasked."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

__all__ = ["keep_fuller"]

_Names: TypeAlias = Mapping[str, Callable[[Mapping[str, Any]], tuple[Any, ...]]]


def _pair(score: Mapping[str, Any]) -> tuple[Any, ...]:
    return score["query"], score["key"]


def _headed(score: Mapping[str, Any]) -> tuple[Any, ...]:
    return score["protocol"], score["head"]["kind"]


_OF_RUN: _Names = MappingProxyType(
    {
        "retrieval": _pair,
        "offsets": lambda moved: _pair(moved["scores"]),
        "scales": lambda scale: (scale["view"],),
        "missing": lambda cut: (cut["absent"],),
    }
)
_OF_VIEW: _Names = MappingProxyType(
    {"scores": _headed, "few_shot": _headed, "positions": lambda held_out: (held_out["position"],)}
)
"""What tells the scores of a list apart, whatever their numbers, their seeds and their settings."""


def keep_fuller(facts: Path, page: Path, found: Mapping[str, Any]) -> tuple[Path, ...]:
    """Copy the evaluation at `facts`, and its `page`, aside where `found` lacks some of it; return where to.

    That is a protocol, view, head, pair, position or missing sensor. Both get the next number that is free for both:
    `evaluation-test.1.json`, `evaluation-test.1.html`. What cannot be read is not kept.
    """
    if not _earlier(facts) - _scored(found):
        return ()
    for number in count(1):
        places = {path: path.with_suffix(f".{number}{path.suffix}") for path in (facts, page)}
        if not any(place.exists() for place in places.values()):
            there = {path: place for path, place in places.items() if path.exists()}
            if _copied(there):
                return tuple(there.values())
    raise AssertionError("there is always a next number")


def _copied(places: Mapping[Path, Path]) -> bool:
    """Copy each file to its place; return whether nobody else took one meanwhile, and leave none where so."""
    made: list[Path] = []
    try:
        for path, place in places.items():
            with place.open("xb") as file:
                made.append(place)
                file.write(path.read_bytes())
    except FileExistsError:
        for place in made:
            place.unlink()
        return False
    return True


def _earlier(facts: Path) -> set[tuple[Any, ...]]:
    try:
        return _scored(json.loads(facts.read_text(encoding="utf-8")))
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return set()


def _scored(facts: Mapping[str, Any]) -> set[tuple[Any, ...]]:
    """Return what has a score: the view, none for the run's own, the list that it stands in, and what it is there."""
    of_views = (each for judged in facts["views"] for each in _named(judged, judged["view"], _OF_VIEW))
    return {*_named(facts, "", _OF_RUN), *of_views}


def _named(facts: Mapping[str, Any], view: str, names: _Names) -> Iterator[tuple[Any, ...]]:
    for name, tell in names.items():
        scores: Sequence[Mapping[str, Any]] = facts[name]
        yield from ((view, name, *tell(score)) for score in scores)
