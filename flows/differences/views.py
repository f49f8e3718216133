"""Windows of a view that came, went or changed between two snapshots, and why."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from sensorloom.flows.changes import Changes, changed_fields, changes_in_words
from sensorloom.flows.differences.facts import NUM_EXAMPLES, Kind, TakeChange, ViewDifference, WindowChanges
from sensorloom.flows.differences.sides import Side, changed_rows, differing
from sensorloom.flows.stored_encoders import fingerprint_of

__all__ = ["compare_view"]


@dataclass(frozen=True, slots=True)
class _Build:
    """How a side built a view."""

    recipe: Mapping[str, Any]
    encoder: Mapping[str, Any]
    split: Mapping[str, Any]


def compare_view(
    view: str, sides: tuple[Side, Side], takes: Mapping[str, TakeChange]
) -> ViewDifference | None:
    """Return what became of a view and its windows, None where both snapshots hold the same."""
    before, after = sides
    tables = [side.shards(f"{kind}:{view}") for kind in ("windows", "tensors") for side in sides]
    if tables[0] == tables[1] and tables[2] == tables[3]:
        return None
    old, new = (_build(side, view) for side in sides)
    recipe, encoder, split = (
        changed_fields(getattr(old, name), getattr(new, name)) if old and new else {}
        for name in ("recipe", "encoder", "split")
    )
    change: Kind = "added" if old is None else "removed" if new is None else "changed"
    reasons = _Reasons(change, recipe, encoder, split, takes, _new_vectors(sides, old, new))
    rows = changed_rows(before, after, f"windows:{view}", lambda row: row["window_id"])
    return ViewDifference(
        view, change, recipe, encoder, split, _group(rows, _touched(view, sides, reasons), reasons)
    )


def _build(side: Side, view: str) -> _Build | None:
    tensors = side.shards(f"tensors:{view}")
    if not tensors:
        return None
    key = min(tensors)
    (root,) = side.repo.array_roots([tensors[key]])
    commit = side.origin(f"windows:{view}", key)
    return _Build(
        recipe=cast("Mapping[str, Any]", root.attributes["view"]),
        encoder={"name": root.attributes.get("encoder"), **fingerprint_of(root)},
        split=(commit.provenance.get("split") or {}) if commit else {},
    )


def _new_vectors(sides: tuple[Side, Side], old: _Build | None, new: _Build | None) -> set[str]:
    """Return the takes whose vectors differ, of the encoder that both builds used."""
    name = new.encoder["name"] if new else None
    if old is None or name is None or old.encoder["name"] != name:
        return set()
    was, now = (side.shards(f"vectors:{name}") for side in sides)
    return set(differing(was, now))


@dataclass(frozen=True, slots=True)
class _Reasons:
    """What may have changed the windows of a view, and which of it did to one window."""

    view: Kind
    recipe: Changes
    encoder: Changes
    split: Changes
    takes: Mapping[str, TakeChange]
    new_vectors: set[str]

    def of(self, take_id: str, fields: tuple[str, ...]) -> str:
        """Return why a window of a take came, went or differs in `fields`."""
        if self.view != "changed":
            return "the view is new" if self.view == "added" else "the view was removed"
        told = [] if fields == ("split",) else self._causes(take_id)
        if "split" in fields:
            policy = changes_in_words(self.split)
            told.append(
                f"split: {policy}"
                if policy
                else "other takes of the view came or went, and the split with them"
            )
        return "; ".join(told)

    def _causes(self, take_id: str) -> list[str]:
        """Return what changed the content of a take's windows; a take that came or went is cause enough."""
        take = self.takes.get(take_id)
        if take is not None and take.change != "changed":
            return [f"its take was {take.change}: {take.why[0]}"]
        causes = [f"recipe: {changes_in_words(self.recipe)}"] if self.recipe else []
        causes += [f"its take changed: {take.why[0]}"] if take is not None else []
        causes += [f"encoder: {changes_in_words(self.encoder)}"] if self.encoder else []
        causes += ["its frames were embedded anew"] if take_id in self.new_vectors else []
        return causes or ["the code of the build changed"]

    def touches(self, take_id: str) -> bool:
        """Tell whether the arrays of a take's windows are other ones, so far as is known."""
        return bool(self.recipe or self.encoder) or take_id in self.takes or take_id in self.new_vectors


def _touched(view: str, sides: tuple[Side, Side], reasons: _Reasons) -> dict[str, str]:
    """Return the windows, with their takes, whose arrays are other ones for a cause that is known."""
    was, now = (side.shards(f"tensors:{view}") for side in sides)
    if reasons.view != "changed":
        return {}
    differing = [bucket for bucket in was.keys() & now.keys() if was[bucket].digest != now[bucket].digest]
    windows = sides[1].shards(f"windows:{view}")
    tables = sides[1].repo.read_tables([windows[bucket] for bucket in differing], ["window_id", "take_id"])
    rows = (row for table in tables for row in table.to_pylist())
    return {row["window_id"]: row["take_id"] for row in rows if reasons.touches(row["take_id"])}


def _group(
    rows: tuple[Mapping[str, Mapping[str, Any]], Mapping[str, Mapping[str, Any]]],
    touched: Mapping[str, str],
    reasons: _Reasons,
) -> tuple[WindowChanges, ...]:
    """Group windows by their fate, its reason and the fields that differ; of `rows`, before and after, those differ."""
    old, new = rows
    groups: dict[tuple[Kind, str, tuple[str, ...]], list[tuple[str, str]]] = defaultdict(list)
    for window_id in sorted({*old, *new, *touched}):
        was, now = old.get(window_id), new.get(window_id)
        row = now or was
        take_id = touched[window_id] if row is None else row["take_id"]
        change: Kind = "changed" if (was is None) == (now is None) else "added" if was is None else "removed"
        fields = tuple(name for name in now if was.get(name) != now[name]) if was and now else ()
        if change == "changed" and window_id in touched:
            fields += ("tensors",)
        groups[change, reasons.of(take_id, fields), fields].append((window_id, take_id))
    ordered = sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))
    return tuple(
        WindowChanges(
            change,
            why,
            fields,
            windows=len(members),
            takes=len({take_id for _, take_id in members}),
            examples=tuple(window_id for window_id, _ in members[:NUM_EXAMPLES]),
        )
        for (change, why, fields), members in ordered
    )
