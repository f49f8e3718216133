"""Schemas of the row tables, and the merge of a run's rows into the bucket that holds them.

Rows of a take live in the bucket of its id, so a new take rewrites one small Parquet shard of each table. A
bucket's bytes depend on its rows alone, never on the order or the batching in which they came.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["EVENTS", "FINDINGS", "LABELS", "SORT_KEYS", "TAKES", "TEXTS", "WINDOWS", "merge_rows"]

_STR, _I64, _F32, _F64 = pa.string(), pa.int64(), pa.float32(), pa.float64()


def _records(**fields: pa.DataType) -> pa.DataType:
    return pa.list_(pa.struct(list(fields.items())))


TAKES = pa.schema(
    {
        "take_id": _STR,
        "dataset": _STR,
        "capture_id": _STR,
        "participant_id": _STR,
        "official_split": _STR,
        "origin": _STR,
        "start_ns": _I64,
        "num_samples": _I64,
        "seconds": _F64,
        "streams": _records(kind=_STR, position=_STR, usable_s=_F64),
        "facts": _records(name=_STR, value=_STR),
        "sources": _records(uri=_STR, sha256=_STR, num_bytes=_I64),
        "records_sha256": _STR,
        "work": _STR,
        "stream_digest": _STR,
    }
)

LABELS = pa.schema({"take_id": _STR, "start_ns": _I64, "stop_ns": _I64, "text": _STR, "source": _STR})

EVENTS = pa.schema(
    {
        "take_id": _STR,
        "event_id": _STR,
        "source": _STR,
        "start_ns": _I64,
        "stop_ns": _I64,
        "text": _STR,
        "annotator": _STR,
        "uncertainty_ns": _I64,
        "tags": _records(name=_STR, value=_STR),
    }
)

TEXTS = pa.schema({"take_id": _STR, "text_id": _STR, "text": _STR})

FINDINGS = pa.schema(
    {
        "stage": _STR,
        "target": _STR,
        "take_id": _STR,
        "dataset": _STR,
        "rule": _STR,
        "severity": _STR,
        "sentence": _STR,
        "numbers": _records(name=_STR, value=_F64),
    }
)

WINDOWS = pa.schema(
    {
        "window_id": _STR,
        "take_id": _STR,
        "dataset": _STR,
        "participant_id": _STR,
        "capture_id": _STR,
        "official_split": _STR,
        "start_ns": _I64,
        "stop_ns": _I64,
        "label": _STR,
        "label_index": pa.int16(),
        "split": _STR,
        "coverage": pa.list_(pa.float32()),
        "valid_share": pa.float32(),
        "retimed_share": pa.float32(),
        "interpolated_share": pa.float32(),
        "video_present": pa.list_(pa.bool_()),
        "mocap_share": _F32,
        "texts": _records(
            slot=pa.int16(),
            source=_STR,
            text=_STR,
            text_id=_STR,
            annotator=_STR,
            offset_ms=_F32,
            uncertainty_ms=_F32,
        ),
    }
)

SORT_KEYS: Mapping[str, tuple[str, ...]] = {
    "takes": ("take_id",),
    "labels": ("take_id", "start_ns", "stop_ns", "source", "text"),
    "events": ("take_id", "start_ns", "stop_ns", "source", "annotator", "event_id"),
    "findings": ("take_id", "stage", "target", "rule", "sentence"),
    "texts": ("take_id", "text_id"),
}

_SCHEMAS = {"takes": TAKES, "labels": LABELS, "events": EVENTS, "findings": FINDINGS, "texts": TEXTS}


def merge_rows(
    table: str, old: pa.Table | None, gone: Iterable[str], rows: Iterable[Mapping[str, Any]]
) -> pa.Table:
    """Return the rows of `old` but those of the takes `gone`, with `rows` added, in the table's canonical order."""
    schema = _SCHEMAS[table]
    new = pa.Table.from_pylist([dict(row) for row in rows], schema=schema)
    if old is not None:
        keep = pc.invert(pc.is_in(old["take_id"], value_set=pa.array(sorted(gone), _STR)))
        new = pa.concat_tables([_conform(old.filter(keep), schema), new])
    return new.sort_by([(key, "ascending") for key in SORT_KEYS[table]]).combine_chunks()


def _conform(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return `table` under `schema`; columns that it lacks, as an older version wrote it, become null."""
    columns = [
        table[field.name].cast(field.type)
        if field.name in table.column_names
        else pa.nulls(len(table), field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)
