"""What an export holds, as plain facts: for `export.json`, for the command line and for its guide."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from sensorloom.flows.encodings import encoding_of
from sensorloom.flows.exports.export import ExportPlan
from sensorloom.flows.exports.windows import NO_SPLIT, Windows
from sensorloom.store.repository import Repository

__all__ = ["Tally", "export_facts"]


@dataclass(slots=True)
class Tally:
    """What was in the windows that were written."""

    takes: set[str] = field(default_factory=set)
    unlabelled: int = 0
    texts: int = 0
    arrays: dict[str, str] = field(default_factory=dict)
    """Dtype and shape by array, of one window."""
    files: Mapping[str, Mapping[str, tuple[int, int]]] = field(default_factory=dict)
    """By split, the windows and the bytes of each file."""

    def add(self, windows: Windows) -> None:
        """Count in `windows`."""
        self.takes |= {row["take_id"] for row in windows.rows}
        self.unlabelled += sum(row["label"] is None for row in windows.rows)
        self.texts += sum(len(row["texts"]) for row in windows.rows)
        for name, array in windows.arrays.items():
            self.arrays[name] = f"{array.dtype}[{', '.join(map(str, array.shape[1:]))}]"
        if windows.text_vectors is not None:
            vectors = windows.text_vectors
            self.arrays["text_vectors"] = f"{vectors.dtype}[texts, {vectors.shape[1]}]"


def export_facts(repo: Repository, plan: ExportPlan, tally: Tally) -> dict[str, Any]:
    """Return what was exported from where; no clock and no address, so that equal exports are equal."""
    attributes = plan.roots[0].attributes
    recipe: Any = attributes.get("view") or {}
    return {
        "format": plan.request.format,
        "snapshot_id": plan.snapshot.id,
        "view": plan.request.view,
        "split": plan.request.split,
        "windows": dict(plan.windows),
        "windows_without_label": tally.unlabelled,
        "windows_without_split": plan.windows.get(NO_SPLIT, 0),
        "texts": tally.texts,
        "takes": len(tally.takes),
        "generated_takes": _generated(repo, plan, tally.takes),
        "columns": list(plan.columns),
        "lacking_columns": list(plan.lacking),
        "arrays": tally.arrays,
        "positions": _names(recipe.get("positions")),
        "video_slots": _names(attributes.get("video_slots")),
        "text_sources": _names(attributes.get("text_sources") or recipe.get("texts")),
        "classes": _names(recipe.get("classes")),
        "imu_worst_error": dict(encoding_of(plan.roots).worst_error),
        "encoder": attributes.get("encoder"),
        "encoder_fingerprint": attributes.get("fingerprint"),
        "recipe": recipe,
        "files": [
            {"path": f"data/{name}", "split": split, "windows": rows, "bytes": num_bytes}
            for split, files in tally.files.items()
            for name, (rows, num_bytes) in files.items()
        ],
    }


def _names(attribute: object) -> list[str]:
    """Return the names that an attribute lists, none where it is not there."""
    return [str(name) for name in attribute] if isinstance(attribute, list | tuple) else []


def _generated(repo: Repository, plan: ExportPlan, take_ids: set[str]) -> int:
    """Return how many of these takes were generated, not recorded, as far as the table of takes tells."""
    if not repo.manifest(plan.snapshot, "takes").shards:
        return 0
    origins = repo.scan(plan.snapshot, "takes").select("take_id", "origin").collect()
    generated = origins.filter(pl.col("origin") == "generated")["take_id"].to_list()
    return len(take_ids.intersection(generated))
