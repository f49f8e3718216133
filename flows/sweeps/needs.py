"""What a sweep needs of the store before anything is trained: views that are built, with the splits that are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sensorloom.flows.errors import ConfigError
from sensorloom.flows.view_words import splits_of
from sensorloom.store.manifest import Snapshot
from sensorloom.store.repository import Repository

__all__ = ["check_needs"]


def check_needs(repo: Repository, snapshot: Snapshot, needs: Mapping[str, Sequence[str]]) -> None:
    """Raise ConfigError for views of `needs` that `snapshot` lacks, or that have no windows in a split named there."""
    told = []
    for view, splits in needs.items():
        there = splits_of(repo, snapshot, view)
        missing = [split for split in dict.fromkeys(splits) if split not in there]
        if not there:
            told.append(f"view {view} is not built (`sensorloom build {view}` does that)")
        elif missing:
            told.append(
                f"view {view} has no windows in split {', '.join(missing)}; it has {', '.join(sorted(there))}"
            )
    if told:
        raise ConfigError(f"snapshot {snapshot.id[:12]} of {repo.url}: {'; '.join(told)}")
