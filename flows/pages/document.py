"""The shell of a page: one self-contained document that fetches nothing and runs one script."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from hashlib import sha256

from sensorloom.flows.pages.html import Html, concat, tag, verbatim

__all__ = ["document"]


def document(title: str, body: Iterable[Html], *, style: str, script: str) -> str:
    """Return the page of `body` as HTML with `style` and `script` inlined.

    Nothing on it is fetched, and its policy forbids it to; the only script that may run is the one whose digest the
    policy names. The same arguments give the same text.
    """
    inside = tag("body", *body, tag("script", verbatim(script)))
    page = tag("html", _head(title, style, script), inside, lang="en")
    return concat([verbatim("<!doctype html>\n"), page, "\n"])


def _head(title: str, style: str, script: str) -> Html:
    digest = b64encode(sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; img-src data:"
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("link", rel="icon", href="data:,"),
        tag("title", title),
        tag("style", verbatim(style)),
    )
