"""The gate before a build is published: what it would publish is audited, and nothing goes out where that fails."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

from sensorloom.flows.audit import fails, gather
from sensorloom.flows.config import Config
from sensorloom.flows.errors import GateError
from sensorloom.flows.publish import PublishView
from sensorloom.store.changes import Base, Change
from sensorloom.store.repository import Repository

__all__ = ["check_gate"]


def check_gate(repo: Repository, views: Sequence[PublishView], config: Config) -> None:
    """Audit the snapshot that publishing `views` would make, as far as these views and their data sets go.

    Raises `GateError` with all reasons where a finding or leak is as severe as `audit.gate_build` says.
    """

    def plan(base: Base) -> Iterator[Change]:
        return chain.from_iterable(view(base) for view in views)

    level = config.audit.gate_build
    draft = repo.draft(plan, ref=config.store.ref)
    reasons: dict[str, None] = {}
    for view in views:
        report = gather(repo, draft, view=view.view.name, config=config)
        reasons |= dict.fromkeys(fails(report, level))
    if reasons:
        raise GateError(
            f'audit.gate_build = "{level}" keeps {", ".join(view.view.name for view in views)} from being published;'
            f" nothing was. {'; '.join(reasons)}"
        )
