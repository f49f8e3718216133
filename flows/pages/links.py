"""Links from the index to the pages of takes."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from sensorloom.flows.pages.html import Html, tag

__all__ = ["take_link"]


def take_link(take_id: str, pages: Mapping[str, str | None], shown: str | None = None) -> Html:
    """Return the take's id (or `shown`), as a link where it has a page of its own; `pages` lie beside the index."""
    page = pages.get(take_id)
    name = tag("code", take_id if shown is None else shown)
    return tag("a", name, href=quote(page)) if page else name
