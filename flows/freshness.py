"""Which views of a snapshot no longer are what a build of its takes would give."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar, cast

from sensorloom.embed.build import build_key
from sensorloom.flows.encoders import EncoderShards, encoder_shards
from sensorloom.flows.stored_encoders import ENCODERS
from sensorloom.store.layout import bucket_of
from sensorloom.store.manifest import Shard, Snapshot
from sensorloom.store.repository import Repository

__all__ = ["by_bucket", "outdated_views"]

T = TypeVar("T")


def by_bucket(items: Iterable[T], take_id: Callable[[T], str]) -> dict[str, list[T]]:
    """Return the items of each bucket, by its name and in their order; `take_id` tells whose an item is."""
    buckets: dict[str, list[T]] = defaultdict(list)
    for item in items:
        buckets[bucket_of(take_id(item))].append(item)
    return dict(sorted(buckets.items()))


def outdated_views(repo: Repository, snapshot: Snapshot) -> tuple[str, ...]:
    """Return the views, by name, of which a bucket was built from other takes, or by other code, than there are now.

    Compares keys of work; of each view one set of attributes is read, and no array.
    """
    names = sorted(name.partition(":")[2] for name in snapshot.tables if name.startswith("tensors:"))
    return tuple(name for name in names if _is_outdated(repo, snapshot, name))


def _is_outdated(repo: Repository, snapshot: Snapshot, view: str) -> bool:
    built = {shard.key: shard for shard in repo.manifest(snapshot, f"tensors:{view}").shards}
    if not built:
        return False
    attributes = repo.open_arrays(next(iter(built.values()))).attributes
    recipe = cast("dict[str, Any]", attributes["view"])
    encoder = _encoder(repo, snapshot, recipe, cast("str | None", attributes.get("encoder")))
    streams = repo.manifest(snapshot, "streams").shards
    of_view = (shard for shard in streams if shard.key.partition("/")[0] in recipe["datasets"])
    wanted = by_bucket(of_view, lambda shard: shard.key)
    return built.keys() != wanted.keys() or any(
        shard.work != _key(recipe, wanted[bucket], encoder) for bucket, shard in built.items()
    )


def _encoder(
    repo: Repository, snapshot: Snapshot, recipe: Mapping[str, Any], used: str | None
) -> EncoderShards | None:
    """Return what there is of the encoder that a view was built with; of the only one, where it was built with none."""
    if not (recipe.get("cameras") or recipe.get("texts")):
        return None
    names = [shard.key for shard in repo.manifest(snapshot, ENCODERS).shards]
    name = used or (names[0] if len(names) == 1 else None)
    return None if name is None else encoder_shards(repo, snapshot, name)


def _key(recipe: Mapping[str, Any], streams: list[Shard], encoder: EncoderShards | None) -> str:
    return build_key(recipe, tuple(streams), None if encoder is None else encoder.of_takes(streams))
