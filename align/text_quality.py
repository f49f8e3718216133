"""Quality of the texts that a view pairs with its windows: far, empty, repeated, contradicting, or telling the label.

Rows are read one after another; what is kept between them is one entry for each distinct text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from sensorloom.align.rules import Rule
from sensorloom.align.text_words import content_words, is_generic, opposed, spoken
from sensorloom.ingest.take import NS_PER_MS, Finding, counted

__all__ = ["find_texts"]

Row = Mapping[str, Any]
"""A row of a window table: `take_id`, `start_ns`, `stop_ns`, `label`, and `texts`, each with its `text`, `text_id`,
`annotator` and `offset_ms` after the window's centre."""

_SAME_MOMENT_MS = 500.0
_ANOTHER_MOMENT_MS = 2000.0  # annotators of one event place it up to this far apart
_NUM_EXAMPLES = 3
# The beginning that AURA-MFM puts before each comment (save_imu_text.py); it quotes the task.
_TELLS_TASK = re.compile(r"\bfrom the start of task '", re.IGNORECASE)
_LEAST_TAKE_NAME = 2  # words: a name of one is a number or a word of everyday language


@dataclass(slots=True)
class _Count:
    """Windows of which a rule holds, with the worst and a few examples."""

    windows: int = 0
    worst: float = 0.0
    examples: list[str] = field(default_factory=list)

    def add(self, example: str, badness: float = 0.0) -> None:
        self.windows += 1
        if badness > self.worst:
            self.worst = badness
        if len(self.examples) < _NUM_EXAMPLES:
            self.examples.append(example)

    @property
    def quoted(self) -> str:
        """The examples as a sentence shows them."""
        return ", ".join(f"“{_shortened(text)}”" for text in self.examples)


@dataclass(slots=True)
class _Seen:
    """What one pass over the rows of a view has seen."""

    with_text: int = 0
    with_several: int = 0
    texts: int = 0
    far: _Count = field(default_factory=_Count)
    generic: _Count = field(default_factory=_Count)
    contradicting: _Count = field(default_factory=_Count)
    telling: _Count = field(default_factory=_Count)
    first_told: dict[str, tuple[str, float]] = field(default_factory=dict)
    repeated: set[str] = field(default_factory=set)


def find_texts(view: str, rows: Sequence[Row], rules: Mapping[str, Rule]) -> tuple[Finding, ...]:
    """Return what the rules find in the texts of one view, one finding for each rule that fires."""
    far = rules.get("text-far")
    seen = _look(rows, float("inf") if far is None else far.limit)
    return tuple(_judge(view, rows, seen, rules)) if seen.with_text else ()


def _look(rows: Iterable[Row], far_ms: float) -> _Seen:
    seen = _Seen()
    for row in rows:
        texts = row["texts"] or ()
        if not texts:
            continue
        seen.with_text += 1
        seen.with_several += len(texts) > 1
        half_ms = (row["stop_ns"] - row["start_ns"]) / NS_PER_MS / 2
        # A summary tells of an interval that holds the window; where its middle lies says nothing.
        ages = [
            (abs(text["offset_ms"]) - half_ms, text["text"]) for text in texts if text["source"] != "summary"
        ]
        age_ms, oldest = max(ages, default=(0.0, ""))
        if age_ms > far_ms:
            seen.far.add(oldest, age_ms)
        _count_each(row, texts, seen)
        contradiction = _contradiction(texts)
        if contradiction:
            seen.contradicting.add(contradiction)
        telling = next((text["text"] for text in texts if _tells(row, text["text"])), None)
        if telling is not None:
            seen.telling.add(telling)
    return seen


def _count_each(row: Row, texts: Sequence[Mapping[str, Any]], seen: _Seen) -> None:
    """Count generic texts, and those told of more than one moment: overlapping windows share a text soundly."""
    middle_ns = (row["start_ns"] + row["stop_ns"]) // 2
    for text in texts:
        seen.texts += 1
        if is_generic(text["text"]):
            seen.generic.add(text["text"])
        identity, at_ms = text["text_id"], middle_ns / NS_PER_MS + text["offset_ms"]
        take_id, first_ms = seen.first_told.setdefault(identity, (row["take_id"], at_ms))
        if take_id != row["take_id"] or abs(first_ms - at_ms) > _ANOTHER_MOMENT_MS:
            seen.repeated.add(identity)


def _contradiction(texts: Sequence[Mapping[str, Any]]) -> str:
    """Return two texts of one moment, by different annotators, that say opposite things; empty without such."""
    for one, other in combinations(texts, 2):
        if one["annotator"] != other["annotator"] or one["source"] != other["source"]:
            is_near = abs(one["offset_ms"] - other["offset_ms"]) <= _SAME_MOMENT_MS
            if is_near and opposed(one["text"], other["text"]):
                return f"{_shortened(one['text'])} / {_shortened(other['text'])}"
    return ""


def _tells(row: Row, text: str) -> bool:
    """Tell whether a text names the window's label, its task or its take."""
    words = spoken(text)
    label = row["label"] or ""
    name = spoken(row["take_id"].rpartition("/")[2])
    return (
        (len(content_words(label)) > 0 and spoken(label) in words)
        or (len(name.split()) >= _LEAST_TAKE_NAME and name in words)
        or _TELLS_TASK.search(text) is not None
    )


def _judge(view: str, rows: Sequence[Row], seen: _Seen, rules: Mapping[str, Rule]) -> Iterator[Finding]:
    if (rule := rules.get("text-far")) is not None and seen.far.windows:
        sentence = (
            f"{counted(seen.far.windows, 'window')} of {seen.with_text} with texts of a moment more than"
            f" {rule.limit:,.0f} ms outside, up to {seen.far.worst:,.0f} ms: {seen.far.quoted}"
        )
        numbers = {
            "windows": seen.far.windows,
            "share": seen.far.windows / seen.with_text,
            "worst_ms": seen.far.worst,
        }
        yield rule.finding(view, sentence, numbers)
    for identity, count, total, words in (
        ("text-generic", seen.generic, seen.texts, "texts say nothing of what is done"),
        ("texts-contradict", seen.contradicting, seen.with_several, "windows with several texts contradict"),
        (
            "label-in-text",
            seen.telling,
            seen.with_text,
            "windows with texts tell label, task or take in them",
        ),
        (
            "text-repeated",
            _repeated(rows, seen),
            seen.with_text,
            "windows share their words with other moments",
        ),
    ):
        rule_ = rules.get(identity)
        share = count.windows / max(1, total)
        if rule_ is not None and share > rule_.limit:
            sentence = f"{count.windows} of {total} {words} ({share:.1%}): {count.quoted}"
            noun = "texts" if identity == "text-generic" else "windows"
            yield rule_.finding(view, sentence, {noun: count.windows, "share": share})


def _repeated(rows: Iterable[Row], seen: _Seen) -> _Count:
    """Return the windows with a text that is told of another moment, too."""
    count = _Count()
    for row in rows if seen.repeated else ():
        text = next((text for text in row["texts"] or () if text["text_id"] in seen.repeated), None)
        if text is not None:
            count.add(text["text"])
    return count


def _shortened(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:79]}…"
