"""One planted fault: in which data, at which level, how, and by which rule the audit must tell of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from sensorloom.ingest.take import Finding, Severity

__all__ = ["Fault", "Level", "Outcome"]

Level = Literal["raw", "read", "aligned", "view"]
"""Where a fault is planted: in the files of a generated tree; in a take as its reader hands it on, before alignment;
in an aligned take and the facts of its frames; in the shards of a built view."""


_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Fault:
    """A row of the table. `plant` does it; at the level `raw` the generator does, by the fault's `id`.

    `on` is what the finding's target must end with beside the take: `#head/gyroscope`; "" for any. `published` is the
    number of the fault in the list of those that were published, 0 for the others. `source` says who made it before.
    `view` is the view of a fault at that level; `before` is done to it first, and to the clean one it is compared with.
    """

    id: str
    dataset: str
    level: Level
    how: str
    rule: str
    severity: Severity
    source: str
    on: str = ""
    published: int = 0
    plant: Callable[..., Any] | None = None
    view: str = ""
    before: Callable[..., Any] | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the audit told of the data with the fault in it, and of the same data without it."""

    fault: Fault
    planted: tuple[Finding, ...]
    clean: tuple[Finding, ...]

    @property
    def news(self) -> tuple[Finding, ...]:
        """What is told because of the fault: a rule that spoke of nothing there before, or of something else.

        A finding is of something else where one of its numbers has changed by half or more.
        """
        before = {(finding.rule, finding.target): finding for finding in self.clean}
        return tuple(
            finding
            for finding in self.planted
            if (old := before.get((finding.rule, finding.target))) is None or _moved(old, finding)
        )

    @property
    def is_caught(self) -> bool:
        """Whether the named rule told of it, as grave as it must and about what it must."""
        return any(
            finding.rule == self.fault.rule
            and finding.severity == self.fault.severity
            and finding.target.endswith(self.fault.on)
            for finding in self.news
        )

    @property
    def others(self) -> tuple[str, ...]:
        """The other rules that told of it."""
        return tuple(sorted({finding.rule for finding in self.news} - {self.fault.rule}))


def _moved(before: Finding, after: Finding) -> bool:
    names = before.numbers.keys() | after.numbers.keys()
    pairs = [(before.numbers.get(name, 0.0), after.numbers.get(name, 0.0)) for name in names]
    return any(abs(new - old) >= _SHARE * abs(old) and new != old for old, new in pairs)
