"""The confusion table: what was planted against what was caught, and what sound data were accused of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sensorloom.align.rules import RULES
from sensorloom.ingest.take import Finding
from tests.faults.fault import Fault, Outcome
from tests.faults.runner import Runner
from tests.faults.stores import STORES
from tests.faults.table import FAULTS
from tests.faults.trees import SHORT

__all__ = ["Confusion", "compare"]

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Confusion:
    """Outcomes of faults, and by name of a take or view what was told of it with nothing planted."""

    outcomes: tuple[Outcome, ...]
    clean: Mapping[str, tuple[Finding, ...]]

    @property
    def accused(self) -> tuple[tuple[str, Finding], ...]:
        """The errors told of sound data."""
        return tuple(
            (name, finding)
            for name, findings in self.clean.items()
            for finding in findings
            if finding.severity == "error"
        )

    @property
    def numbers(self) -> dict[str, int]:
        """How many were planted, caught, accused."""
        caught = [outcome for outcome in self.outcomes if outcome.is_caught]
        levels = Counter(outcome.fault.level for outcome in self.outcomes)
        clocks = [
            finding
            for findings in self.clean.values()
            for finding in findings
            if finding.rule.startswith("sync-") and finding.severity != "note"
        ]
        return {
            "faults_planted": len(self.outcomes),
            "faults_caught": len(caught),
            "faults_published": len({o.fault.published for o in self.outcomes} - {0}),
            "faults_published_caught": len({o.fault.published for o in caught} - {0}),
            **{f"faults_{level}": count for level, count in levels.items()},
            "rules_of_audit": len(RULES),
            "rules_with_fault": len({o.fault.rule for o in self.outcomes} & RULES.keys()),
            "rules_that_caught": len({o.fault.rule for o in caught} & RULES.keys()),
            "clean_takes": len(self.clean),
            "clean_errors": len(self.accused),
            "clean_clock_warnings": len(clocks),
        }

    @property
    def tables(self) -> list[dict[str, Any]]:
        """Planted against caught, one row a fault; then, where there is one, what sound data were accused of."""
        planted = [_row(outcome) for outcome in self.outcomes]
        columns = ("fault", "planted in", "rule", "severity", "caught", "other rules that told of it")
        tables = [{"title": "Planted and caught", "columns": columns, "rows": planted}]
        if self.accused:
            rows = [(name, finding.rule, finding.sentence) for name, finding in self.accused]
            tables.append(
                {"title": "Sound and accused", "columns": ("take", "rule", "sentence"), "rows": rows}
            )
        return tables


def _row(outcome: Outcome) -> tuple[str, ...]:
    fault, caught = outcome.fault, "yes" if outcome.is_caught else "NO"
    return fault.id, fault.level, fault.rule, fault.severity, caught, ", ".join(outcome.others)


def compare(runner: Runner, faults: Sequence[Fault] = FAULTS, say: Say = lambda _: None) -> Confusion:
    """Plant every fault, and audit all that was generated without one."""
    outcomes = []
    for fault in faults:
        say(f"planting {fault.id}")
        outcomes.append(runner.run(fault))
    clean: dict[str, tuple[Finding, ...]] = {}
    for dataset in SHORT:
        say(f"auditing {dataset} with nothing planted")
        clean |= runner.clean_short(dataset)
        clean[f"{dataset}, long take"] = runner.clean(dataset)
        clean |= {f"{dataset}, {view}": runner.clean_view(dataset, view) for view in STORES[dataset].views}
    return Confusion(tuple(outcomes), clean)
