"""The words that a window's text is paired as: tags taken out, or as the published code of a paper wrote them."""

from __future__ import annotations

import hashlib
import re
import string
from dataclasses import replace
from typing import get_args

from sensorloom.align.view import TEXT_SOURCES, TextRule, View
from sensorloom.ingest.take import NS_PER_S, TextEvent

__all__ = ["all_wordings", "compose", "text_digest"]

_TAGS = re.compile(r"#\s?(?:c|o|unsure|summary)\b", re.IGNORECASE)
_REPO_CHARACTERS = 128
_OWN = View("wordings", ("any",), ("any",), (), texts=TEXT_SOURCES)
_EVERY_RULE = tuple(
    replace(_OWN, text_rule=rule, leak_free=leak_free)
    for rule in get_args(TextRule)
    for leak_free in (True, False)
)


def compose(event: TextEvent, view: View) -> str:
    """Return the text of an event as `view` pairs it.

    Own: the annotators' tags (`#C`, `#O`, `#unsure`, `#summary`) are taken out, all else stands as written; cutting
    to the encoder's tokens is the encoder's business. The published rules clean narrations and atomic descriptions
    in their own way [methods §2.4, §6]. With `leak_free` off a comment has AURA-MFM's beginning, which names the task
    [methods §0 row 12].
    """
    if event.source == "commentary":
        text = " ".join(event.text.split())
        return text if view.leak_free or not text else _from_the_start(event, text)
    if view.text_rule == "own" or event.source == "summary":
        return " ".join(_TAGS.sub(" ", event.text).split())
    # PRIMUS takes every capital C out, IMU2CLIP and AURA-MFM the tag alone.
    wearer = "C" if (view.text_rule, event.source) == ("imu2clip", "atomic") else "#C"
    text = event.text.replace("#C C ", "").replace(wearer, "").replace("#unsure", "something")
    return text.strip().strip(string.punctuation).lower()[:_REPO_CHARACTERS]


def all_wordings(event: TextEvent) -> tuple[str, ...]:
    """Return every distinct text, none empty, that any view may pair of an event: what has to be encoded of it."""
    texts = (compose(event, view) for view in _EVERY_RULE)
    return tuple(dict.fromkeys(text for text in texts if text))


def text_digest(text: str) -> str:
    """Return the id of a text as paired, the sha256 of its UTF-8 bytes: equal words are encoded once."""
    return hashlib.sha256(text.encode()).hexdigest()


def _from_the_start(event: TextEvent, text: str) -> str:
    task, seconds = event.tags.get("task_name", ""), event.start_ns / NS_PER_S
    return (
        "The following text was annotated by an expert after watching the video from the start of task"
        f" '{task}' up to {seconds!r} seconds: {text}"
    )
