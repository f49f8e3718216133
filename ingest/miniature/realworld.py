"""A generated REALWORLD tree: `realworld2016_dataset/probandN/data/{acc,gyr}_<activity>_csv.zip`.

The first 48 recordings are the default: eight activities of probands 1 to 6, proband 1 with all seven
positions, the others with three or four. Proband 4 has zips in zips and a zip whose only part is numbered
2, probands 2 and 6 lack a position once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

import numpy as np

from sensorloom.ingest.miniature.realworld_archive import csv_bytes, csv_name, inner_zip_name, part_members
from sensorloom.ingest.miniature.realworld_faults import (
    FAULT_TRUTH,
    FAULTS,
    is_lost,
    spoil_csv,
    spoil_stream,
    spoil_zip,
)
from sensorloom.ingest.miniature.realworld_schedule import DEFAULT_TAKES, Part, Recording, catalogue
from sensorloom.ingest.miniature.realworld_streams import STEP_MS, Stream, plan_streams
from sensorloom.ingest.miniature.spec import UNREADABLE, MiniatureDataset, Order, Truth, assign_faults
from sensorloom.ingest.miniature.tree import Tree, pack_zip
from sensorloom.ingest.take import NS_PER_MS

__all__ = ["DATASET"]

# What a Mac leaves behind when it zips a folder again: a stray twin of a member, not a recording.
_MAC_TWIN = bytes.fromhex("0005160700020000") + b"Mac OS X        generated stand-in"


def _write(tree: Tree, order: Order) -> dict[str, Truth]:
    recordings = list(islice(catalogue(), order.takes or DEFAULT_TAKES))
    faults = assign_faults(
        order.faults, [recording.uri("acc") for recording in recordings if not recording.nested]
    )
    truths: dict[str, Truth] = {}
    for recording in recordings:
        truths |= _write_recording(tree, order, recording, faults.get(recording.uri("acc")))
    return truths


def _write_recording(tree: Tree, order: Order, recording: Recording, fault: str | None) -> dict[str, Truth]:
    truths: dict[str, Truth] = {}
    zips: dict[str, list[tuple[str, bytes]]] = {"acc": [], "gyr": []}
    for part in recording.parts(order.minutes):
        streams = [spoil_stream(fault, stream) for stream in plan_streams(order.seed, part)]
        for sensor, packed in zips.items():
            packed.append((inner_zip_name(part, sensor), pack_zip(_members(part, sensor, streams, fault))))
        truths[part.take_id] = _truth(part, streams, fault)
        order.progress(part.take_id)
        if recording.is_first:
            tree.write(recording.uri("mag"), pack_zip(_members(part, "mag", _magnetic(streams), None)))
    for sensor, packed in zips.items():
        data = spoil_zip(fault, sensor, pack_zip(packed) if recording.nested else packed[0][1])
        if data is not None:
            tree.write(recording.uri(sensor), data)
    return truths


def _members(
    part: Part, sensor: str, streams: Sequence[Stream], fault: str | None
) -> list[tuple[str, bytes]]:
    """Members of the zip that holds one part's CSVs of `sensor`."""
    files = [
        spoil_csv(fault, stream, (csv_name(part, sensor, stream.position), csv_bytes(stream)))
        for stream in streams
        if stream.sensor == sensor
    ]
    twin = [(f"__MACOSX/._{files[0][0]}", _MAC_TWIN)] if part.recording.is_first and sensor == "acc" else []
    return [*part_members(part, files), *twin]


def _magnetic(streams: Sequence[Stream]) -> list[Stream]:
    """Return stand-ins for the magnetic field, which the reader ignores: constants at gyroscope times."""
    field = np.array([18.2, -43.1, 5.6], dtype=np.float32)
    return [
        replace(stream, sensor="mag", values=np.tile(field, (len(stream.values), 1)))
        for stream in streams
        if stream.sensor == "gyr"
    ]


def _truth(part: Part, streams: Sequence[Stream], fault: str | None) -> Truth:
    recording = part.recording
    sensors = ("acc",) if fault == "missing-gyr" else ("acc", "gyr")
    facts: Truth = {
        "dataset": "realworld",
        "participant_id": f"realworld/proband{recording.proband}",
        "files": [recording.uri(sensor) for sensor in sensors],
        "faults": [{"fault": fault, **FAULT_TRUTH[fault]}] if fault else [],
    }
    if fault and FAULT_TRUTH[fault]["outcome"] == UNREADABLE:
        return facts
    readable = [stream for stream in streams if not is_lost(fault, stream)]
    first_ms = min(int(stream.stamps_ms[0]) for stream in readable)
    stop_ms = max(int(stream.stamps_ms[-1]) for stream in readable) + STEP_MS
    interval = {"start_ns": first_ms * NS_PER_MS, "stop_ns": stop_ms * NS_PER_MS}
    return facts | {
        **interval,
        "seconds": (stop_ms - first_ms) / 1000,
        "streams": {stream.name: stream.truth() for stream in readable},
        "labels": [{"text": recording.activity, **interval}],
    }


DATASET = MiniatureDataset("realworld", FAULTS, _write)
