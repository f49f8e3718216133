"""Ego-Exo4D's classes: the task and name of a whole take, and its key steps (docs: annotations/keystep)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sensorloom.ingest.errors import RawFileError
from sensorloom.ingest.jsonfile import Node
from sensorloom.ingest.take import NS_PER_S, Finding, LabelInterval, counted

__all__ = ["read_keysteps", "whole_take_labels"]


def whole_take_labels(take_ns: int, take_name: str, task: str | None) -> Iterator[LabelInterval]:
    """Yield the labels that hold from a take's first frame to its last, `take_ns` later."""
    if task:
        yield LabelInterval(0, take_ns, task, "task")
    yield LabelInterval(0, take_ns, take_name, "take-name")


def read_keysteps(
    entries: Iterable[Node], take_ns: int | None, target: str
) -> tuple[list[LabelInterval], list[Finding]]:
    """Read the key steps of a take, seconds from its start; they may overlap.

    What ends no later than it starts, or starts behind the take of `take_ns`, is left out with a finding; what reaches
    beyond the take is cut at its end.
    """
    labels: list[LabelInterval] = []
    problems: list[str] = []
    for entry in entries:
        try:
            segments = list(entry.get("segments").items())
        except RawFileError as error:
            problems.append(str(error))
            continue
        for segment in segments:
            try:
                labels.append(_label(segment, take_ns))
            except RawFileError as error:
                problems.append(str(error))
    if not problems:
        return labels, []
    sentence = f"{counted(len(problems), 'key step')} cannot hold as told; left out; first: {problems[0]}"
    return labels, [Finding(target, "keystep-left-out", "warning", sentence, {"count": len(problems)})]


def _label(segment: Node, take_ns: int | None) -> LabelInterval:
    start, end = segment.get("start_time"), segment.get("end_time")
    for seconds in (start, end):
        if not -1e9 < seconds.number() < 1e9:
            seconds.fail("seconds within a take")
    if end.number() <= start.number():
        end.fail(f"an end behind the start, {start.number():g} s")
    start_ns, stop_ns = (round(seconds.number() * NS_PER_S) for seconds in (start, end))
    if take_ns is not None and start_ns >= take_ns:
        start.fail(f"a start within the take of {take_ns / NS_PER_S:g} s")
    name = segment.get("step_name")
    if not name.text().strip():
        name.fail("the name of a step")
    last_ns = stop_ns if take_ns is None else min(stop_ns, take_ns)
    return LabelInterval(max(0, start_ns), max(0, last_ns), name.text().strip(), "keystep")
