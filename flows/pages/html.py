"""HTML as typed text: what is not `Html` is escaped, so a value can never become markup."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

__all__ = ["Html", "concat", "tag", "verbatim"]

_VOID = frozenset({"br", "hr", "img", "input", "link", "meta"})

Attribute = str | int | bool | None


class Html(str):
    """Text that is markup already. Made by `tag`, `concat` and `verbatim` only."""

    __slots__ = ()


def tag(name: str, /, *children: str, **attributes: Attribute) -> Html:
    """Return the element `name` with its children; plain text among them and all attribute values are escaped.

    Attributes are written as given but for a trailing `_` (`class_`, `for_`), and `_` inside becomes `-`. None and
    False leave an attribute out, True writes its bare name.
    """
    opening = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _VOID:
        return Html(f"<{name}{opening}>")
    return Html(f"<{name}{opening}>{concat(children)}</{name}>")


def concat(parts: Iterable[str]) -> Html:
    """Return the parts one after the other; plain text is escaped."""
    return Html("".join(part if isinstance(part, Html) else escape(part) for part in parts))


def verbatim(text: str) -> Html:
    """Mark text of this project's own (its style sheet, its script) as markup. Never for a value from data."""
    return Html(text)


def _attribute(key: str, value: Attribute) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape(str(value))}"'
