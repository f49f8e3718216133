"""How the views of a snapshot were built, read off the attributes of their tensors."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, cast

from sensorloom.align.named_views import VIEWS
from sensorloom.flows.changes import Changes, ViewBuild, changed_fields
from sensorloom.flows.config import Config
from sensorloom.flows.publish import view_streams
from sensorloom.flows.views import resolve_view
from sensorloom.store.manifest import Snapshot
from sensorloom.store.repository import Repository

__all__ = ["changed_recipes", "stored_build"]


def stored_build(repo: Repository, snapshot: Snapshot, view: str) -> ViewBuild | None:
    """Return by what recipe the buckets of `view` were built, None where the snapshot has none. Reads no array."""
    shards = repo.manifest(snapshot, f"tensors:{view}").shards
    if not shards:
        return None
    # Every publish puts all buckets of a view, of one recipe.
    (root,) = repo.array_roots(shards[:1])
    recipe = cast("dict[str, Any]", root.attributes["view"])
    return ViewBuild(recipe, {shard.key: shard.work for shard in shards})


def changed_recipes(repo: Repository, snapshot: Snapshot, config: Config) -> dict[str, Changes]:
    """Return the fields that a build of all views under `config` would change, by view, of views that it would change.

    Raises `ConfigError` for a view that cannot be.
    """
    streams = repo.manifest(snapshot, "streams")
    changed: dict[str, Changes] = {}
    for name in dict.fromkeys((*VIEWS, *config.views)):
        build = stored_build(repo, snapshot, name)
        if build is not None and view_streams(streams, view := resolve_view(name, config)):
            changed[name] = changed_fields(build.recipe, asdict(view))
    return {name: changes for name, changes in changed.items() if changes}
