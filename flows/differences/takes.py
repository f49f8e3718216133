"""Takes that came, went or were made anew between two snapshots, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sensorloom.flows.changes import changed_fields, changes_in_words
from sensorloom.flows.differences.facts import TakeChange
from sensorloom.flows.differences.sides import Side, changed_rows
from sensorloom.ingest.take import counted

__all__ = ["compare_takes"]

_NAMED_FILES = 3


def compare_takes(before: Side, after: Side) -> dict[str, TakeChange]:
    """Return by take id what became of the takes that differ."""
    old, new = changed_rows(before, after, "takes", lambda row: row["take_id"])
    changes = {}
    for take_id in old.keys() | new.keys():
        was, now = old.get(take_id), new.get(take_id)
        if was is None:
            changes[take_id] = TakeChange(take_id, "added", (_came(after, take_id),))
        elif now is None:
            gone = "its files left the raw tree (`sensorloom ingest --prune`)"
            changes[take_id] = TakeChange(take_id, "removed", (gone,))
        elif was["stream_digest"] != now["stream_digest"] or was["work"] != now["work"]:
            why = _take_reasons(was, now, before, after)
            changes[take_id] = TakeChange(take_id, "changed", tuple(why))
    return changes


def _came(after: Side, take_id: str) -> str:
    commit = after.origin("streams", take_id)
    told = "" if commit is None else f" by {commit.ref} #{commit.sequence} of {commit.time}"
    return f"as ingested{told}"


def _take_reasons(was: Mapping[str, Any], now: Mapping[str, Any], before: Side, after: Side) -> Iterable[str]:
    told = [*_file_reasons(was["sources"], now["sources"])]
    if was["records_sha256"] != now["records_sha256"]:
        told.append("what the data set's metadata says of it changed")
    if was["origin"] != now["origin"]:
        told.append(f"{was['origin']} → {now['origin']}")
    take_id = now["take_id"]
    old, new = (
        {} if commit is None else commit.provenance
        for commit in (before.origin("streams", take_id), after.origin("streams", take_id))
    )
    settings = changed_fields(old.get("settings") or {}, new.get("settings") or {}) if old and new else {}
    if settings:
        told.append(f"alignment settings: {changes_in_words(settings)}")
    if told:
        return told
    if was["work"] == now["work"]:
        return ["the same work gave other bytes: another device, or other libraries"]
    versions = {"sensorloom": (old.get("sensorloom"), new.get("sensorloom"))}
    moved = f" ({changes_in_words(versions)})" if len(set(versions["sensorloom"])) == 2 else ""
    return [f"the code of its reader or of alignment changed{moved}"]


def _file_reasons(was: Iterable[Mapping[str, Any]], now: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    old, new = ({one["uri"]: one["sha256"] for one in sources} for sources in (was, now))
    fates = {
        "changed": sorted(uri for uri in old.keys() & new.keys() if old[uri] != new[uri]),
        "came": sorted(new.keys() - old.keys()),
        "went": sorted(old.keys() - new.keys()),
    }
    for fate, uris in fates.items():
        if uris:
            more = f" and {len(uris) - _NAMED_FILES} more" if len(uris) > _NAMED_FILES else ""
            yield f"{counted(len(uris), 'file')} {fate}: {', '.join(uris[:_NAMED_FILES])}{more}"
