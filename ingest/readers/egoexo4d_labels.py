"""Ego-Exo4D's classes: the task and name of a whole take, and its key steps (docs: annotations/keystep)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sensorloom.ingest.errors import RawFileError
from sensorloom.ingest.jsonfile import Node
from sensorloom.ingest.take import NS_PER_S, Finding, LabelInterval, counted

__all__ = ["read_keysteps", "whole_take_labels"]

_FARTHEST_S = 1e9


def whole_take_labels(take_ns: int, take_name: str, task: str | None) -> Iterator[LabelInterval]:
    """Yield the labels that hold from a take's first frame to its last, `take_ns` later."""
    if task:
        yield LabelInterval(0, take_ns, task, "task")
    yield LabelInterval(0, take_ns, take_name, "take-name")


def read_keysteps(
    entries: Iterable[Node], take_ns: int | None, target: str
) -> tuple[list[LabelInterval], list[Finding]]:
    """Read the key steps of a take, seconds from its start; they may overlap.

    What ends no later than it starts, or lies before or behind the take of `take_ns`, is left out with a finding; what
    reaches beyond the take is cut at its ends. A step told twice over counts once.
    """
    labels: dict[LabelInterval, None] = {}
    twice: list[str] = []
    problems: list[str] = []
    for entry in entries:
        try:
            segments = list(entry.get("segments").items())
        except RawFileError as error:
            problems.append(str(error))
            continue
        for segment in segments:
            try:
                label = _label(segment, take_ns)
            except RawFileError as error:
                problems.append(str(error))
                continue
            twice += [segment.where] * (label in labels)
            labels[label] = None
    return list(labels), list(_findings(problems, twice, target))


def _findings(problems: list[str], twice: list[str], target: str) -> Iterator[Finding]:
    if problems:
        sentence = f"{counted(len(problems), 'key step')} cannot hold as told; left out; first: {problems[0]}"
        yield Finding(target, "keystep-left-out", "warning", sentence, {"count": len(problems)})
    if twice:
        sentence = f"{counted(len(twice), 'key step')} told twice over; each is taken once; first: {twice[0]}"
        yield Finding(target, "keystep-duplicate", "note", sentence, {"count": len(twice)})


def _label(segment: Node, take_ns: int | None) -> LabelInterval:
    start, end = segment.get("start_time"), segment.get("end_time")
    start_ns, stop_ns = (round(node.seconds(-_FARTHEST_S, _FARTHEST_S) * NS_PER_S) for node in (start, end))
    if stop_ns <= start_ns:
        end.fail(f"an end behind the start, {start.number():g} s")
    if stop_ns <= 0:
        end.fail("an end behind the take's start")
    if take_ns is not None and start_ns >= take_ns:
        start.fail(f"a start within the take of {take_ns / NS_PER_S:g} s")
    name = segment.get("step_name")
    if not name.text().strip():
        name.fail("the name of a step")
    last_ns = stop_ns if take_ns is None else min(stop_ns, take_ns)
    return LabelInterval(max(0, start_ns), last_ns, name.text().strip(), "keystep")
