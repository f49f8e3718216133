"""What to do about splits without windows, in words: it depends on how the configuration splits."""

from __future__ import annotations

from sensorloom.flows.config_sections import SplitConfig

__all__ = ["how_to_fill"]

_BY_CHANCE = {"by-user": "participants", "by-take": "takes", "random-windows": "windows"}
"""What a policy hashes."""


def how_to_fill(split: SplitConfig) -> str:
    """Return how splits that have no windows would get some."""
    if split.policy == "official":
        return (
            "these are the data sets' own: ingest takes of them, or, where a data set has none, set another `policy`"
            " in `[split]`"
        )
    if split.policy == "leave-one-subject-out":
        return "`[split]` names who is left out: name participants of these views as `test` and `val`"
    if split.policy == "by-user" and (split.val or split.test):
        return "`[split]` names participants: name some of these views as `val` and `test`"
    named = ", or name some as `val` and `test`" if split.policy == "by-user" else ""
    return f"`[split]` shares out {_BY_CHANCE[split.policy]} by chance: more of them fill these{named}"
