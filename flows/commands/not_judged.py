"""What has no score, on the terminal: each reason once, and no more of them than a reader takes in."""

from __future__ import annotations

from collections.abc import Mapping

from rich.markup import escape

from sensorloom.flows.commands.shared import out
from sensorloom.ingest.take import counted

__all__ = ["print_not_judged"]

_REASONS = 4
_NAMES = 4


def print_not_judged(told: Mapping[str, str]) -> None:
    """Print the reasons of `told`, which holds one for each name, with the names that share it."""
    names: dict[str, list[str]] = {}
    for name, reason in told.items():
        names.setdefault(reason, []).append(name)
    for reason, sharing in list(names.items())[:_REASONS]:
        more = f" and {len(sharing) - _NAMES} more" if len(sharing) > _NAMES else ""
        out.print(f"[dim]Not judged: {escape(', '.join(sharing[:_NAMES]))}{more}: {escape(reason)}[/]")
    if len(names) > _REASONS:
        out.print(f"[dim]The page has {counted(len(names) - _REASONS, 'more reason')}.[/]")
