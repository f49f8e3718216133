"""The audit's rules: what each one is called, how grave it is, where it draws the line, and what to do about it.

The table itself stands in `rule_table`. Whoever judges is handed a mapping of rules and asks it by id, so that a rule
which was switched off, or tuned, is so everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from types import MappingProxyType
from typing import cast, get_args

from sensorloom.align.rule_table import TABLE
from sensorloom.ingest.take import Finding, Severity

__all__ = ["RULES", "Rule", "tune"]

_SEVERITIES = get_args(Severity)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: `threshold` in `unit` is the line it draws, None where there is nothing to draw.

    `meaning` says what it means where the rule fires, `advice` what to do, one plain line each; `source` where the rule
    comes from.
    """

    id: str
    severity: Severity
    threshold: float | None
    unit: str
    meaning: str
    advice: str
    source: str

    @property
    def limit(self) -> float:
        """Return the threshold; raises `ValueError` for a rule that draws no line."""
        if self.threshold is None:
            raise ValueError(f"the rule {self.id} has no threshold")
        return self.threshold

    def finding(self, target: str, sentence: str, numbers: Mapping[str, float]) -> Finding:
        """Return what this rule found on `target`: one plain sentence, and numbers with their units in the keys."""
        return Finding(target, self.id, self.severity, sentence, dict(numbers))


def _rule(head: str, meaning: str, advice: str, source: str) -> Rule:
    """Read `head`: id, severity, and where the rule draws a line, its threshold and unit."""
    identity, severity, *line = head.split(" ")
    threshold, unit = (float(line[0]), line[1]) if line else (None, "")
    return Rule(identity, _severity(identity, severity), threshold, unit, meaning, advice, source)


def _severity(identity: str, value: object) -> Severity:
    if value not in _SEVERITIES:
        raise ValueError(
            f"audit.rules.{identity}.severity = {value!r} is none of: {', '.join(_SEVERITIES)}, off"
        )
    return cast("Severity", value)


RULES: Mapping[str, Rule] = MappingProxyType({rule.id: rule for rule in (_rule(*row) for row in TABLE)})
"""Every rule of the audit by its id, as it is when nobody tunes it."""


def tune(changes: Mapping[str, Mapping[str, float | str]]) -> Mapping[str, Rule]:
    """Return the rules with `severity` or `threshold` of some changed; severity `off` leaves a rule out.

    Raises `ValueError` for an id, a key or a severity that there is not, and for a threshold that is no positive number
    or that the rule does not have.
    """
    rules = dict(RULES)
    for identity, change in changes.items():
        if identity not in RULES:
            raise ValueError(f"audit.rules.{identity}: there is no such rule{_nearest(identity, RULES)}")
        tuned = _tuned(RULES[identity], change)
        if tuned is None:
            del rules[identity]
        else:
            rules[identity] = tuned
    return MappingProxyType(rules)


def _tuned(rule: Rule, change: Mapping[str, float | str]) -> Rule | None:
    for key in change:
        if key not in ("severity", "threshold"):
            raise ValueError(
                f"audit.rules.{rule.id}.{key}: a rule has severity and threshold to change, not {key}"
            )
    severity = change.get("severity", rule.severity)
    threshold = _threshold(rule, change["threshold"]) if "threshold" in change else rule.threshold
    if severity == "off":
        return None
    return replace(rule, severity=_severity(rule.id, severity), threshold=threshold)


def _threshold(rule: Rule, value: float | str) -> float:
    place = f"audit.rules.{rule.id}.threshold = {value!r}"
    if rule.threshold is None:
        raise ValueError(f"{place}: this rule draws no line; change its severity instead")
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{place} is not a number of {rule.unit}")
    if value <= 0:
        raise ValueError(f'{place}: it must be above 0 {rule.unit}; `severity = "off"` switches a rule off')
    return float(value)


def _nearest(identity: str, known: Iterable[str]) -> str:
    nearest = get_close_matches(identity, list(known), n=1, cutoff=0.4)
    return f"; did you mean {nearest[0]}?" if nearest else ""
