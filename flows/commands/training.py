"""Subcommands that train and evaluate."""

from __future__ import annotations

from pathlib import Path

import rich_click as click
from rich.markup import escape

from sensorloom.flows.commands.shared import Session, out, pass_session, print_facts, print_table, shared_options

__all__ = ["evaluate", "train"]
