"""Texts on the take clock, in time order, each with an id of its own."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from sensorloom.align.clock import ClockMap
from sensorloom.align.timeline import Grid
from sensorloom.ingest.take import NS_PER_S, Finding, TextEvent, counted

__all__ = ["event_ids", "place_events"]

_SURROGATE = re.compile("[\ud800-\udfff]")


def place_events(
    events: Sequence[TextEvent], maps: Mapping[str, ClockMap], grid: Grid, take_id: str
) -> tuple[tuple[TextEvent, ...], tuple[Finding, ...]]:
    """Carry texts to the take clock and sort them by time; those outside the take, or broken, are left out and found.

    A text is outside where nothing of it, nor of its uncertainty, touches `[grid.start_ns, grid.stop_ns]`: the end
    belongs to it, for a comment may close the take. It is broken where it holds half a character, as JSON may.
    """
    whole = [event for event in events if _is_unicode(event)]
    moved = [_on_take(event, maps[event.clock]) for event in whole]
    inside = [event for event in moved if _beyond_ns(event, grid) == 0]
    inside.sort(key=lambda event: (event.start_ns, event.stop_ns, event.source, event.annotator, event.text))
    outside = [event for event in moved if _beyond_ns(event, grid) > 0]
    target, findings = f"{take_id}#text", []
    if outside:
        findings.append(_outside_finding(target, outside, len(events), grid))
    if len(whole) < len(events):
        broken = len(events) - len(whole)
        sentence = f"{counted(broken, 'text')} of {len(events)} not Unicode (half a surrogate pair); left out"
        numbers = {"texts": broken, "share": broken / len(events)}
        findings.append(Finding(target, "text-not-unicode", "warning", sentence, numbers))
    return tuple(inside), tuple(findings)


def _is_unicode(event: TextEvent) -> bool:
    words = (event.text, event.annotator, *event.tags, *event.tags.values())
    return not any(_SURROGATE.search(word) for word in words)


def _outside_finding(target: str, outside: Sequence[TextEvent], total: int, grid: Grid) -> Finding:
    farthest_s = max(_beyond_ns(event, grid) for event in outside) / NS_PER_S
    counts = Counter(event.source for event in outside)
    kinds = ", ".join(f"{count} {source}" for source, count in sorted(counts.items()))
    sentence = (
        f"{counted(len(outside), 'text')} of {total} ({kinds}) lie up to {farthest_s:.1f} s outside the take"
        f" of {(grid.stop_ns - grid.start_ns) / NS_PER_S:.1f} s; left out"
    )
    numbers = {"texts": len(outside), "share": len(outside) / total, "farthest_s": farthest_s}
    return Finding(target, "text-outside", "warning", sentence, numbers)


def _on_take(event: TextEvent, clock: ClockMap) -> TextEvent:
    return replace(
        event, clock=clock.target, start_ns=clock.apply(event.start_ns), stop_ns=clock.apply(event.stop_ns)
    )


def _beyond_ns(event: TextEvent, grid: Grid) -> int:
    """Return how far a text lies outside the grid, its uncertainty aside; 0 inside."""
    before = grid.start_ns - (event.stop_ns + event.uncertainty_ns)
    after = event.start_ns - event.uncertainty_ns - grid.stop_ns
    return max(0, before, after)


def event_ids(events: Sequence[TextEvent]) -> tuple[str, ...]:
    """Return an id for each text: of its content and time, so that it stays when others come or go.

    Texts that agree in everything are told apart by their count, in order.
    """
    seen: Counter[str] = Counter()
    ids = []
    for event in events:
        content = [event.source, event.start_ns, event.stop_ns, event.text, event.annotator]
        line = json.dumps([*content, sorted(event.tags.items())], ensure_ascii=True)
        digest = hashlib.sha256(line.encode()).hexdigest()[:16]
        seen[digest] += 1
        ids.append(digest if seen[digest] == 1 else f"{digest}-{seen[digest]}")
    return tuple(ids)
