"""What a build changed in a view: its recipe, some of its buckets, only its splits, nothing. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any

from sensorloom.align.view import View

__all__ = [
    "Changes",
    "Recipe",
    "ViewBuild",
    "ViewChange",
    "changed_fields",
    "changes_in_words",
    "view_change",
]

Recipe = Mapping[str, Any]
"""A view's fields by name, as `asdict` gives them or as the view's tensors carry them."""
Changes = Mapping[str, tuple[Any, Any]]
"""By field of a recipe, its value before and after, as JSON values."""

_DEFAULTS = {field.name: field.default for field in fields(View) if field.default is not MISSING}
_LONGEST_VALUE = 40
"""Characters of a value that a line still tells; of a longer one it names the field alone."""


@dataclass(frozen=True, slots=True)
class ViewBuild:
    """One build of a view: by which recipe, and by bucket the key of the work that made it."""

    recipe: Recipe
    works: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ViewChange:
    """What a build made of the view that the snapshot held before.

    `replaced` of its `buckets` are new or were built from other takes, other vectors, by another recipe or by other
    code; `dropped` more hold no take any longer. `recipe` has the fields that differ.
    """

    is_new: bool
    recipe: Changes
    replaced: int
    dropped: int
    buckets: int
    committed: bool

    @property
    def words(self) -> str:
        """The change in a few words, the strongest reason first."""
        if self.is_new:
            return "new"
        if self.recipe:
            return f"built anew: {changes_in_words(self.recipe)}"
        if self.replaced or self.dropped:
            gone = f", {self.dropped} dropped" if self.dropped else ""
            return f"{self.replaced} of {self.buckets} buckets built{gone} (takes, vectors or code changed)"
        return "split anew" if self.committed else "unchanged"


def view_change(before: ViewBuild | None, after: ViewBuild, *, committed: bool) -> ViewChange:
    """Compare a build with the one that the snapshot held, None where it held none."""
    works: Mapping[str, str] = {} if before is None else before.works
    return ViewChange(
        is_new=before is None,
        recipe={} if before is None else changed_fields(before.recipe, after.recipe),
        replaced=sum(works.get(bucket) != work for bucket, work in after.works.items()),
        dropped=len(works.keys() - after.works.keys()),
        buckets=len(after.works),
        committed=committed,
    )


def changed_fields(before: Recipe, after: Recipe) -> dict[str, tuple[Any, Any]]:
    """Return the fields in which two recipes differ, with both values.

    A field that a recipe does not name, as one of a build before the field was known, has its default.
    """
    old, new = (json.loads(json.dumps({**_DEFAULTS, **recipe})) for recipe in (before, after))
    names = dict.fromkeys((*new, *old))
    return {name: (old.get(name), new.get(name)) for name in names if old.get(name) != new.get(name)}


def changes_in_words(changes: Changes) -> str:
    """Return `imu_type int16 → float32, rate_hz 200 → 50`."""
    return ", ".join(_change(field, _told(old), _told(new)) for field, (old, new) in changes.items())


def _change(field: str, old: str, new: str) -> str:
    return f"{field} changed" if max(len(old), len(new)) > _LONGEST_VALUE else f"{field} {old} → {new}"


def _told(value: Any) -> str:
    if isinstance(value, list):
        return " + ".join(map(_told, value)) or "none"
    return "unset" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
