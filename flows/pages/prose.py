"""Sentences that name commands between backquotes."""

from __future__ import annotations

from sensorloom.flows.pages.html import Html, concat, tag

__all__ = ["prose"]


def prose(sentence: str) -> Html:
    """Return the sentence with what stands between two backquotes as code."""
    parts = sentence.split("`")
    if len(parts) % 2 == 0:
        return concat([sentence])
    return concat([tag("code", part) if place % 2 else part for place, part in enumerate(parts)])
