"""A generated PAMAP2 tree: `PAMAP2_Dataset/{Protocol,Optional}/subject10N.dat`.

The first eleven files are the default: six protocol subjects, the left-handed 108 and the short run of 106
among them, four with optional activities, and 109, whose protocol file holds rope jumping only. More takes
add the other real subjects, then invented ones from 110 on. Unlike the real collection, every optional file
holds all six optional activities.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, count, islice

from sensorloom.ingest.miniature.pamap2_faults import FAULT_TRUTH, FAULTS, spoil_bytes, spoil_rows
from sensorloom.ingest.miniature.pamap2_rows import chunks, plan_session
from sensorloom.ingest.miniature.pamap2_schedule import Recording
from sensorloom.ingest.miniature.pamap2_text import format_rows
from sensorloom.ingest.miniature.pamap2_truth import Tally, subject_truth
from sensorloom.ingest.miniature.spec import UNREADABLE, MiniatureDataset, Order, Truth, assign_faults
from sensorloom.ingest.miniature.tree import Tree

__all__ = ["DATASET"]

_DEFAULT_TAKES = 11
_FIRST = (
    ("Protocol", 101), ("Protocol", 102), ("Protocol", 108), ("Protocol", 105), ("Protocol", 106),
    ("Protocol", 103), ("Optional", 101), ("Optional", 108), ("Optional", 105), ("Protocol", 109),
    ("Optional", 109), ("Optional", 106), ("Protocol", 104), ("Protocol", 107),
)  # fmt: skip
_FIRST_INVENTED = 110
# The download's papers, as one-page stand-ins: a reader must not trip over them.
_PAPERS = (
    "readme.pdf", "subjectInformation.pdf", "DataCollectionProtocol.pdf", "DescriptionOfActivities.pdf",
    "PerformedActivitiesSummary.pdf",
)  # fmt: skip
_PAPER = b"%PDF-1.4\n% generated stand-in, no content\n%%EOF\n"


def _catalogue() -> Iterator[Recording]:
    """All recordings in the order in which more takes add them, without end."""
    invented = (Recording("Protocol", subject) for subject in count(_FIRST_INVENTED))
    return chain((Recording(part, subject) for part, subject in _FIRST), invented)


def _write(tree: Tree, order: Order) -> dict[str, Truth]:
    recordings = list(islice(_catalogue(), order.takes or _DEFAULT_TAKES))
    faults = assign_faults(order.faults, [recording.take_id for recording in recordings])
    for name in _PAPERS:
        tree.write(f"PAMAP2_Dataset/{name}", _PAPER)
    truths = {}
    for recording in recordings:
        truths[recording.take_id] = _write_file(tree, order, recording, faults.get(recording.take_id))
        order.progress(recording.take_id)
    return truths


def _write_file(tree: Tree, order: Order, recording: Recording, fault: str | None) -> Truth:
    session = plan_session(order.seed, recording, order.minutes)
    tally, rows = Tally(), 0
    with tree.open(recording.uri) as file:
        for chunk in chunks(session):
            first, rows = rows == 0, rows + len(chunk.centis)
            written = spoil_rows(fault, session, chunk)
            tally.add(written)
            file.write(spoil_bytes(fault, format_rows(written), first=first, last=rows == session.rows))
    if fault is None:
        return tally.truth(recording, session) | {"faults": []}
    planted: Truth = {"faults": [{"fault": fault, **FAULT_TRUTH[fault]}]}
    if FAULT_TRUTH[fault]["outcome"] == UNREADABLE:
        return subject_truth(recording) | planted
    return tally.truth(recording, session) | planted


DATASET = MiniatureDataset("pamap2", FAULTS, _write)
