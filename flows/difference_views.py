"""Windows of a view that came, went or changed between two snapshots, and why."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from sensorloom.flows.changes import Changes, changed_fields, changes_in_words
from sensorloom.flows.difference_facts import NUM_EXAMPLES, Kind, TakeChange, ViewDifference, WindowChanges
from sensorloom.flows.difference_sides import Side, changed_rows, digest_of_shard
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
    windows = (*_row_changes(*rows, reasons), *_tensor_changes(view, sides, set(rows[1]), reasons))
    return ViewDifference(view, change, recipe, encoder, split, windows)


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
    return {
        key
        for key in was.keys() | now.keys()
        if digest_of_shard(was.get(key)) != digest_of_shard(now.get(key))
    }


@dataclass(frozen=True, slots=True)
class _Reasons:
    """What may have changed the windows of a view, and which of it did to one window."""

    view: Kind
    recipe: Changes
    encoder: Changes
    split: Changes
    takes: Mapping[str, TakeChange]
    new_vectors: set[str]

    def of(self, take_id: str, fields: tuple[str, ...] = ()) -> str:
        """Return why windows of a take came, went or differ in `fields`."""
        if self.view != "changed":
            return "the view is new" if self.view == "added" else "the view was removed"
        if fields == ("split",):
            told = changes_in_words(self.split)
            return (
                f"split: {told}" if told else "other takes of the view came or went, and the split with them"
            )
        if self.recipe:
            return f"recipe: {changes_in_words(self.recipe)}"
        if take_id in self.takes:
            take = self.takes[take_id]
            return f"its take {'was ' if take.change != 'changed' else ''}{take.change}: {take.why[0]}"
        if self.encoder:
            return f"encoder: {changes_in_words(self.encoder)}"
        return (
            "its frames were embedded anew"
            if take_id in self.new_vectors
            else "the code of the build changed"
        )

    def touches(self, take_id: str) -> bool:
        """Tell whether the arrays of a take's windows are other ones, so far as is known."""
        return bool(self.recipe or self.encoder) or take_id in self.takes or take_id in self.new_vectors


def _row_changes(
    old: Mapping[str, Mapping[str, Any]], new: Mapping[str, Mapping[str, Any]], reasons: _Reasons
) -> list[WindowChanges]:
    """Group the windows whose rows differ by their fate and its reason."""
    groups: dict[tuple[Kind, str, tuple[str, ...]], list[Mapping[str, Any]]] = defaultdict(list)
    for window_id in sorted(old.keys() | new.keys()):
        was, now = old.get(window_id), new.get(window_id)
        row = cast("Mapping[str, Any]", now or was)
        change: Kind = "added" if was is None else "removed" if now is None else "changed"
        fields = tuple(name for name in now if was.get(name) != now[name]) if was and now else ()
        groups[change, reasons.of(row["take_id"], fields), fields].append(row)
    return [
        _group(*key, rows) for key, rows in sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))
    ]


def _group(change: Kind, why: str, fields: tuple[str, ...], rows: list[Mapping[str, Any]]) -> WindowChanges:
    examples = tuple(row["window_id"] for row in rows[:NUM_EXAMPLES])
    return WindowChanges(change, why, fields, len(rows), len({row["take_id"] for row in rows}), examples)


def _tensor_changes(
    view: str, sides: tuple[Side, Side], told: set[str], reasons: _Reasons
) -> list[WindowChanges]:
    """Group the windows whose rows are equal while their arrays are not: of takes, recipes or vectors that changed."""
    if reasons.view != "changed":
        return []
    was, now = (side.shards(f"tensors:{view}") for side in sides)
    after = sides[1]
    groups: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for bucket in sorted(was.keys() & now.keys()):
        if was[bucket].digest != now[bucket].digest:
            (table,) = after.repo.read_tables(
                [after.shards(f"windows:{view}")[bucket]], ["window_id", "take_id"]
            )
            for row in table.to_pylist():
                if row["window_id"] not in told and reasons.touches(row["take_id"]):
                    groups[reasons.of(row["take_id"])].append(row)
    return [_group("changed", why, ("tensors",), rows) for why, rows in sorted(groups.items())]
