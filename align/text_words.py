"""Words of texts as checks compare them: what is said at all, and which words deny each other."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

__all__ = ["content_words", "is_generic", "opposed", "spoken"]

_WORD = re.compile(r"[^\W_]+")
_FILLER_WORDS = """
a about action activity an and another around at be c camera do does doing he her him his in is it its lady man o of on
one person she some someone something somewhere stuff subject that the them there they thing things this to unclear
unsure various wearer with woman x y
"""
_FILLERS = frozenset(_FILLER_WORDS.split())
"""Words that say who, or that something is; without others a text says nothing of what is done."""

_PAIRS = (
    ("pick", "put"), ("picks", "puts"), ("lift", "lower"), ("lifts", "lowers"), ("open", "close"),
    ("opens", "closes"), ("open", "shut"), ("opens", "shuts"), ("push", "pull"), ("pushes", "pulls"),
    ("up", "down"), ("left", "right"), ("in", "out"), ("into", "from"), ("forward", "backward"),
    ("forwards", "backwards"), ("sits", "stands"), ("sit", "stand"), ("takes", "drops"), ("starts", "stops"),
    ("start", "stop"), ("enters", "leaves"), ("raises", "lowers"), ("first", "last"), ("on", "off"),
    ("correct", "incorrect"), ("correctly", "incorrectly"), ("good", "bad"), ("good", "poor"),
)  # fmt: skip
_OPPOSITES = frozenset(_PAIRS) | frozenset((other, one) for one, other in _PAIRS)
_NEGATIONS = frozenset(("not", "no", "never", "doesn", "isn", "without"))
_SIDES = frozenset(("left", "right"))
_BY_MEANS_OF = frozenset(("with", "in", "using"))
_LIGHT = frozenset(("a", "an", "the", "of", "his", "her", "their", "t", "does", "is"))


@lru_cache(maxsize=65536)
def spoken(text: str) -> str:
    """Return the words of `text`, of any script, in lower case, one space before and after each: ` c turns left `."""
    return f" {' '.join(_WORD.findall(unicodedata.normalize('NFKC', text).casefold()))} "


def content_words(text: str) -> tuple[str, ...]:
    """Return the words that tell what is done."""
    return tuple(word for word in spoken(text).split() if word not in _FILLERS)


@lru_cache(maxsize=65536)
def is_generic(text: str) -> bool:
    """Tell whether a text has no word that tells what is done."""
    return not content_words(text)


def opposed(one: str, other: str) -> bool:
    """Tell whether two texts say opposite things in otherwise the same words.

    "C picks up the cup" and "C puts down a cup" do; "C picks up the cup" and "C puts down the knife" need not.
    """
    first, second = ([word for word in spoken(text).split() if word not in _LIGHT] for text in (one, other))
    negated = [sum(word in _NEGATIONS for word in words) % 2 for words in (first, second)]
    first, second = ([word for word in words if word not in _NEGATIONS] for words in (first, second))
    if len(first) != len(second):
        return False
    is_denied = negated[0] != negated[1]
    if is_denied:  # "does not open" denies "opens"
        first, second = ([word.removesuffix("s") for word in words] for words in (first, second))
    differ = [place for place, (a, b) in enumerate(zip(first, second, strict=True)) if a != b]
    if len(differ) == len(first) or not all(_deny(first, second, place) for place in differ):
        return False
    return bool(differ) != is_denied


def _deny(first: list[str], second: list[str], place: int) -> bool:
    """Tell whether the words at one place are opposites; what one hand does, the other may do as well."""
    if {first[place], second[place]} == _SIDES and place and first[place - 1] in _BY_MEANS_OF:
        return False
    return (first[place], second[place]) in _OPPOSITES
