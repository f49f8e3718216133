"""What annotators wrote of one Ego4D video: its entry of `narration.json`, in canonical seconds.

Two passes by different people over the same video, either of which may be absent: narrations (moments, told to within
two seconds) and summaries (stretches). Tags inside the text: `#C` the wearer, `#O` someone else, `#unsure` where a word
is missing, `#summary`. Documented in docs/data/annotations-schemas.md and annotation-guidelines.md of the data set.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise

from sensorloom.ingest.errors import RawFileError
from sensorloom.ingest.jsonfile import Node
from sensorloom.ingest.take import NS_PER_S, Finding, Severity, TextEvent, counted

__all__ = ["PASSES", "read_texts"]

PASSES = ("narration_pass_1", "narration_pass_2")
UNCERTAINTY_NS = 2 * NS_PER_S
CLOCK = "canonical"
_LATEST_S = 1e9  # beyond, nanoseconds in 64 bits would come to their end
# A moment told to within two seconds may be stamped as far outside the video that it is of.
_MARGIN_NS = UNCERTAINTY_NS
# Durations in the metadata are of streams whose ends differ by a frame or two.
_OVERHANG_NS = NS_PER_S // 10

_TAG = re.compile(r"#\s*(unsure|summary|c|o)\b", re.IGNORECASE)


@dataclass(slots=True)
class _Reading:
    """What has been read so far, and what was left out for which reason."""

    duration_ns: int
    events: list[TextEvent] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    malformed: list[str] = field(default_factory=list)
    latest_ns: int = 0
    furthest_ns: int = 0
    backward: int = 0
    tagged_summaries: int = 0


def read_texts(
    node: Node | None, duration_ns: int, take_id: str
) -> tuple[tuple[TextEvent, ...], tuple[Finding, ...]]:
    """Return the events of a video's entry in the order of their times, and what was left out; None: no entry."""
    target = f"{take_id}#text"
    if node is None:
        sentence = "no entry in a narration file: no narrations, no summaries"
        return (), (Finding(target, "narration-missing", "note", sentence),)
    reading = _Reading(duration_ns)
    absent = []
    for name in PASSES:
        try:
            entry = node.optional(name)
        except RawFileError as error:
            reading.malformed.append(str(error))
            break
        if entry is None:
            absent.append(name)
        else:
            _read_pass(entry, name, reading)
    events = sorted(reading.events, key=lambda event: (event.start_ns, event.stop_ns))
    return tuple(events), (*_absent(absent, target), *_findings(reading, target))


def _read_pass(node: Node, name: str, reading: _Reading) -> None:
    starts = []
    for item in _entries(node, "narrations", reading):
        try:
            event = _narration(item, name)
        except RawFileError as error:
            reading.malformed.append(str(error))
            continue
        starts.append(event.start_ns)
        reading.tagged_summaries += event.source == "summary"
        _keep(event, reading)
    reading.backward += sum(after < before for before, after in pairwise(starts))
    for item in _entries(node, "summaries", reading):
        try:
            summary = _summary(item, name)
        except RawFileError as error:
            reading.malformed.append(str(error))
            continue
        if summary is None:
            reading.dropped["summary-reversed"] += 1
        else:
            _keep(summary, reading)


def _entries(node: Node, key: str, reading: _Reading) -> Iterator[Node]:
    try:
        listed = node.optional(key)
        yield from listed.items() if listed else ()
    except RawFileError as error:
        reading.malformed.append(str(error))


def _narration(node: Node, name: str) -> TextEvent:
    text = node.get("narration_text").text().strip()
    time_ns = _time_ns(node.get("timestamp_sec"))
    found = {tag.lower() for tag in _TAG.findall(text)}
    tags = {"pass": name.rpartition("_")[2]}
    if found & {"c", "o"}:
        tags["subject"] = " and ".join(subject.upper() for subject in sorted(found & {"c", "o"}))
    if "unsure" in found:
        tags["unsure"] = "true"
    # It tells of the minutes before, not of a moment; which minutes, the file does not say.
    is_summary = "summary" in found
    return TextEvent(
        source="summary" if is_summary else "narration",
        clock=CLOCK,
        start_ns=time_ns,
        stop_ns=time_ns,
        text=text,
        annotator=name,
        uncertainty_ns=0 if is_summary else UNCERTAINTY_NS,
        tags=tags,
    )


def _summary(node: Node, name: str) -> TextEvent | None:
    """Return a summary as an event, None where it ends before it starts."""
    text = node.get("summary_text").text().strip()
    start_ns, stop_ns = _time_ns(node.get("start_sec")), _time_ns(node.get("end_sec"))
    if stop_ns < start_ns:
        return None
    tags = {"pass": name.rpartition("_")[2]}
    return TextEvent("summary", CLOCK, start_ns, stop_ns, text, name, tags=tags)


def _time_ns(node: Node) -> int:
    return round(node.seconds(-_LATEST_S, _LATEST_S) * NS_PER_S)


def _keep(event: TextEvent, reading: _Reading) -> None:
    """Keep an event with words in or near the video, of a stretch what lies inside; count it where it is not kept."""
    is_stretch = event.stop_ns > event.start_ns
    margin_ns = -1 if is_stretch else _MARGIN_NS  # an end of the video alone is no stretch of it
    if not event.text:
        reading.dropped["text-empty"] += 1
    elif event.start_ns > reading.duration_ns + margin_ns or event.stop_ns < -margin_ns:
        reading.dropped["text-outside"] += 1
        reading.latest_ns = max(reading.latest_ns, event.start_ns)
    else:
        reading.events.append(_clipped(event, reading) if is_stretch else event)


def _clipped(event: TextEvent, reading: _Reading) -> TextEvent:
    overhang_ns = max(-event.start_ns, event.stop_ns - reading.duration_ns)
    if overhang_ns > _OVERHANG_NS:
        reading.dropped["summary-clipped"] += 1
        reading.furthest_ns = max(reading.furthest_ns, overhang_ns)
    start_ns, stop_ns = max(event.start_ns, 0), min(event.stop_ns, reading.duration_ns)
    return replace(event, start_ns=start_ns, stop_ns=stop_ns)


def _absent(names: list[str], target: str) -> Iterator[Finding]:
    if names:
        words = " and ".join(name.removeprefix("narration_").replace("_", " ") for name in names)
        sentence = f"{words} of the narrations {'is' if len(names) == 1 else 'are'} absent"
        yield Finding(target, "narration-pass-missing", "note", sentence, {"passes": len(names)})


def _findings(reading: _Reading, target: str) -> Iterator[Finding]:
    if reading.malformed:
        count = len(reading.malformed)
        sentence = f"{counted(count, 'text')} could not be read; the first: {reading.malformed[0]}"
        yield Finding(target, "text-malformed", "warning", sentence, {"count": count})
    numbers: dict[str, float]
    reasons = {
        "summary-reversed": ("summary", "summaries", "end before start"),
        "text-empty": ("text", "texts", "no words"),
        "text-outside": ("text", "texts", f"outside the video of {reading.duration_ns / NS_PER_S:g} s"),
    }
    for rule, (one, several, why) in reasons.items():
        if count := reading.dropped[rule]:
            numbers = {"count": count}
            if rule == "text-outside":
                numbers["latest_s"] = reading.latest_ns / NS_PER_S
            noun = one if count == 1 else several
            severity: Severity = "warning" if rule == "text-outside" else "note"
            yield Finding(target, rule, severity, f"{count} {noun} left out: {why}", numbers)
    if count := reading.dropped["summary-clipped"]:
        overhang_s = reading.furthest_ns / NS_PER_S
        summaries = "1 summary" if count == 1 else f"{count} summaries"
        sentence = (
            f"{summaries} cut to the video of {reading.duration_ns / NS_PER_S:g} s, by up to {overhang_s:g} s"
        )
        numbers = {"count": count, "largest_overhang_s": overhang_s}
        yield Finding(target, "summary-clipped", "note", sentence, numbers)
    if reading.backward:
        sentence = f"narrations step back in time {counted(reading.backward, 'time')}; they were sorted"
        yield Finding(target, "narrations-disordered", "note", sentence, {"count": reading.backward})
    if reading.tagged_summaries:
        tagged = counted(reading.tagged_summaries, "narration")
        sentence = f"{tagged} tagged #summary; kept as summaries, as they tell of no moment"
        yield Finding(target, "narration-is-summary", "note", sentence, {"count": reading.tagged_summaries})
