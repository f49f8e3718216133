"""Facts of one view: what became of every recorded second, how well its windows are covered, what its splits share."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping

import numpy as np
import polars as pl

from sensorloom.align.leakage import Leak
from sensorloom.align.rules import Rule
from sensorloom.flows.audit.findings import BREAK_RULE, numbers_of
from sensorloom.flows.audit.report import (
    NUM_BINS,
    FunnelStep,
    LeakFacts,
    Recipe,
    Shares,
    SplitFacts,
    SplitLabel,
    ViewFacts,
)
from sensorloom.flows.audit.tables import ViewTable
from sensorloom.flows.audit.vectors import ViewAudit, agreement_facts, health_facts
from sensorloom.ingest.take import NS_PER_S

__all__ = ["view_facts"]

_WINDOW_RULES = (
    "window-position-missing",
    "window-coverage",
    "window-flat",
    "window-outside-run",
    "window-lacks-video",
    "window-lacks-mocap",
    "window-lacks-text",
    "window-empty",
)
"""Drops counted in windows: with a stride below the length each costs a stride, not a length, of the timeline."""


def view_facts(
    table: ViewTable,
    takes: pl.DataFrame,
    findings: pl.DataFrame,
    audit: ViewAudit,
    rules: Mapping[str, Rule],
) -> ViewFacts:
    """Gather the facts of a view: its windows, the takes of its data sets, the findings of its cuts, its audit."""
    view, recipe, windows = table.view, table.recipe, table.windows
    takes = takes.filter(pl.col("dataset").is_in(table.datasets))
    recorded_s = math.fsum(takes["seconds"])
    kept_s = _covered_s(windows)
    drops = findings.filter((pl.col("view") == view) | (pl.col("rule") == BREAK_RULE))
    return ViewFacts(
        view=view,
        datasets=table.datasets,
        recipe=recipe,
        windows=len(windows),
        recorded_s=recorded_s,
        kept_s=kept_s,
        dropped=_dropped(drops.filter(pl.col("dataset").is_in(table.datasets)), recipe, recorded_s - kept_s),
        shares=_shares(windows),
        retimed_mean=math.fsum(windows["retimed_share"]) / max(1, len(windows)),
        splits=_splits(windows),
        labels=_labels(windows),
        leaks=_leaks(audit.leaks, rules),
        encoder=audit.encoder,
        health=health_facts(audit),
        agreement=agreement_facts(audit),
        chance=audit.chance,
    )


def _covered_s(windows: pl.DataFrame) -> float:
    """Return the seconds of timeline that lie in at least one window; `windows` are sorted by take and start."""
    upto = pl.col("stop_ns").cum_max().shift(1).over("take_id")
    fresh = pl.col("stop_ns") - pl.max_horizontal("start_ns", upto)
    return int(windows.select(fresh.clip(lower_bound=0).sum()).item()) / NS_PER_S


def _dropped(findings: pl.DataFrame, recipe: Recipe, lost_s: float) -> tuple[FunnelStep, ...]:
    """Return what each reason took, largest first, and last what is left of `lost_s` after them."""
    seconds: dict[str, list[float]] = defaultdict(list)
    takes: dict[str, set[str]] = defaultdict(set)
    for row in findings.iter_rows(named=True):
        numbers = numbers_of(row)
        # Windows at texts or motion lie on one another: what each would have covered does not add up.
        counts = recipe.anchor == "tiles" or row["rule"] not in _WINDOW_RULES
        if counts and numbers.get("total_s", 0) > 0:
            takes[row["rule"]].add(row["take_id"])
            seconds[row["rule"]].append(_lost_s(row["rule"], numbers, recipe))
    steps = [FunnelStep(rule, len(takes[rule]), math.fsum(seconds[rule])) for rule in seconds]
    steps.sort(key=lambda step: (-step.seconds, step.reason))
    # To the microsecond: what is left of sums of floats is not a reason.
    rest = max(0.0, round(lost_s - math.fsum(step.seconds for step in steps), 6))
    return (*steps, FunnelStep(_rest(recipe), 0, rest))


def _rest(recipe: Recipe) -> str:
    if recipe.anchor != "tiles":
        return "between-anchors"
    return "unlabelled" if recipe.has_classes and recipe.stride_s <= recipe.length_s else "uncovered"


def _lost_s(rule: str, numbers: dict[str, float], recipe: Recipe) -> float:
    if rule in _WINDOW_RULES:
        return numbers["windows"] * min(recipe.stride_s, recipe.length_s)
    return numbers["total_s"]


def _shares(windows: pl.DataFrame) -> tuple[Shares, ...]:
    present = pl.col("coverage").list.eval(pl.element().filter(pl.element() > 0))
    least = windows.select(present.list.min().fill_null(0.0))["coverage"]
    return (
        Shares("valid", _histogram(windows["valid_share"])),
        Shares("retimed", _histogram(windows["retimed_share"])),
        Shares("interpolated", _histogram(windows["interpolated_share"])),
        Shares("least_covered_sensor", _histogram(least)),
    )


def _histogram(shares: pl.Series) -> tuple[int, ...]:
    """Count shares in equal bins; one that float32 rounded to just below or above an edge counts as on it."""
    places = np.floor(shares.to_numpy().astype(np.float64) * NUM_BINS + 1e-6).astype(np.int64)
    return tuple(np.bincount(places.clip(0, NUM_BINS - 1), minlength=NUM_BINS).tolist())


def _splits(windows: pl.DataFrame) -> tuple[SplitFacts, ...]:
    groups = windows.group_by("split").agg(
        windows=pl.len(), takes=pl.col("take_id").n_unique(), participants=pl.col("participant_id").n_unique()
    )
    return tuple(sorted((SplitFacts(*row) for row in groups.iter_rows()), key=lambda facts: facts.split))


def _labels(windows: pl.DataFrame) -> tuple[SplitLabel, ...]:
    groups = windows.group_by("label", "split").agg(windows=pl.len())
    rows = (SplitLabel(*row) for row in groups.iter_rows())
    return tuple(sorted(rows, key=lambda row: (row.label, row.split)))


def _leaks(leaks: Iterable[Leak], rules: Mapping[str, Rule]) -> tuple[LeakFacts, ...]:
    """Return leaks with the severity that their rules give them, without those whose rule is switched off."""
    judged = ((leak, rules.get(f"leak-{leak.kind}")) for leak in leaks)
    return tuple(
        LeakFacts(leak.kind, rule.severity, leak.first, leak.second, leak.count, leak.examples)
        for leak, rule in judged
        if rule is not None
    )
