"""Which texts the windows of a view carry, each in the words in which it is paired."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorloom.align.drops import texts_dropped
from sensorloom.align.text import span_of_starts
from sensorloom.align.timeline import AlignedTake
from sensorloom.align.view import View
from sensorloom.align.wording import compose, text_digest
from sensorloom.ingest.take import NS_PER_MS, Finding, TextEvent

__all__ = ["PairedText", "WindowText", "find_members", "pair_texts", "window_texts"]


@dataclass(frozen=True, slots=True)
class PairedText:
    """A text of the take that the view asks for, in the words in which it is paired; `slot` is its source's."""

    slot: int
    event: TextEvent
    text: str
    text_id: str


@dataclass(frozen=True, slots=True)
class WindowText:
    """One of the texts of a window: a positive for training.

    `text_id` is the digest of `text`. `offset_ms` is how long after the window's centre the text's moment lies (for
    an interval, its middle), `uncertainty_ms` how far the moment itself may be off. `annotator` keeps passes apart.
    """

    slot: int
    source: str
    text: str
    text_id: str
    annotator: str
    offset_ms: float
    uncertainty_ms: float


def pair_texts(aligned: AlignedTake, view: View, drops: list[Finding]) -> tuple[PairedText, ...]:
    """Return the take's texts of the view's sources, in the order of the take's events; none is empty."""
    texts = []
    empty = later = 0
    for event in aligned.events:
        if event.source in view.texts:
            # Published code reads the first annotator's pass and no other [methods §2.4, §6].
            if view.text_rule != "own" and event.tags.get("pass", "1") != "1":
                later += 1
                continue
            text = compose(event, view)
            if text:
                slot = view.texts.index(event.source)
                texts.append(PairedText(slot, event, text, text_digest(text)))
            else:
                empty += 1
    drops += texts_dropped(aligned, view, "text-empty", empty, "of which nothing is left without tags")
    drops += texts_dropped(aligned, view, "text-later-pass", later, "of later annotators' passes")
    return tuple(texts)


def find_members(
    texts: Sequence[PairedText],
    starts_ns: NDArray[np.int64],
    view: View,
    anchors: Mapping[int, Sequence[int]],
) -> list[list[int]]:
    """Return the places in `texts` of those that belong to each window that begins at `starts_ns` int64[n], sorted.

    They stand by slot, those before the others that put the window where it is, then in time order: so the first text
    of a window is one that it was cut for. `anchors` are the places of these: they belong to it in any case. So do all
    others of the view's sources that the rule of their source counts in; not so where a published rule puts the
    windows, as there a text belongs to its own window alone.
    """
    members: list[set[int]] = [set(anchors.get(start, ())) for start in starts_ns.tolist()]
    if view.anchor != "texts" or view.text_rule == "own":
        spans = np.array([span_of_starts(text.event, view.length_ns) for text in texts], np.int64).reshape(
            -1, 2
        )
        first = np.searchsorted(starts_ns, spans[:, 0], "left").tolist()
        stop = np.searchsorted(starts_ns, spans[:, 1], "right").tolist()
        for place in range(len(texts)):
            for window in range(first[place], stop[place]):
                members[window].add(place)
    return [
        _in_order(inside, frozenset(anchors.get(start, ())), texts)
        for start, inside in zip(starts_ns.tolist(), members, strict=True)
    ]


def _in_order(inside: Iterable[int], own: Container[int], texts: Sequence[PairedText]) -> list[int]:
    return sorted(inside, key=lambda place: (texts[place].slot, place not in own, place))


def window_texts(
    texts: Sequence[PairedText], members: Sequence[Sequence[int]], starts_ns: NDArray[np.int64], view: View
) -> list[tuple[WindowText, ...]]:
    """Return the texts of each window as its positives."""
    half_ns = view.length_ns // 2
    return [
        tuple(_of_window(texts[place], start + half_ns) for place in inside)
        for start, inside in zip(starts_ns.tolist(), members, strict=True)
    ]


def _of_window(text: PairedText, centre_ns: int) -> WindowText:
    event = text.event
    return WindowText(
        slot=text.slot,
        source=event.source,
        text=text.text,
        text_id=text.text_id,
        annotator=event.annotator,
        offset_ms=((event.start_ns + event.stop_ns) // 2 - centre_ns) / NS_PER_MS,
        uncertainty_ms=event.uncertainty_ns / NS_PER_MS,
    )
