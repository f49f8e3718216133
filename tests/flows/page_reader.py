"""A strict reader of pages, for tests of what they say."""

from __future__ import annotations

import re
from html.parser import HTMLParser

__all__ = ["Document"]

VOID = {"br", "hr", "img", "input", "link", "meta"}


class Document(HTMLParser):
    """Reads a page strictly: every element is closed in order, and attributes are kept."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, element: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((element, dict(attributes)))
        if element not in VOID:
            self.open.append(element)

    def handle_endtag(self, element: str) -> None:
        assert self.open, f"</{element}> closes nothing"
        assert self.open.pop() == element

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.text.append(data)

    def all(self, element: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == element]

    @property
    def said(self) -> str:
        """All text that a reader sees or hears, with single blanks."""
        return re.sub(r"\s+", " ", " ".join(self.text)).strip()
