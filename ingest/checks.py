"""What is doubtful about a take as recorded, as `Finding` rows. Pure: nothing is repaired here.

Severities: error = the stream is not usable as it stands; warning = look at it; note = a recorded fact.
`checks_timing` judges stamps, `checks_values` what was measured; each opens with the table of its limits.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sensorloom.ingest.checks_timing import timing_findings
from sensorloom.ingest.checks_values import value_findings
from sensorloom.ingest.take import NS_PER_S, Finding, Interval, SensorStream, Take, counted

__all__ = ["check_stream", "check_take"]

# s, the length of the pipeline's window: a label-pure view gets nothing out of a shorter run.
SHORTEST_USEFUL_LABEL_S = 5.0


def check_take(take: Take) -> tuple[Finding, ...]:
    """Return the findings of each stream, about `take_id#position/kind`, then of the labels."""
    # Breaks are told on the clock of the take.
    mapped = {anchors.source for anchors in take.anchors}
    streams = tuple(
        finding
        for stream in take.streams
        for finding in check_stream(
            stream, f"{take.take_id}#{stream.name}", () if stream.clock in mapped else take.breaks
        )
    )
    return (*streams, *_short_labels(take))


def check_stream(stream: SensorStream, target: str, breaks: Sequence[Interval] = ()) -> tuple[Finding, ...]:
    """Return what is doubtful about one stream, each finding about `target`; `breaks` are on its clock."""
    # Channel by channel, and `compress`: several times faster than `any` and a mask over so short an axis.
    present = ~np.logical_or.reduce([np.isnan(channel) for channel in stream.values.T])
    times_ns, values = stream.times_ns, stream.values
    if not present.all():
        times_ns, values = times_ns[present], np.compress(present, values, axis=0)
    findings = timing_findings(stream, times_ns, target, breaks)
    if stream.kind == "heart_rate":
        return tuple(findings)
    return (*findings, *value_findings(stream, times_ns, values, target))


def _short_labels(take: Take) -> tuple[Finding, ...]:
    lengths_s = [(label.stop_ns - label.start_ns) / NS_PER_S for label in take.labels]
    short = [
        (length, label.text)
        for length, label in zip(lengths_s, take.labels, strict=True)
        if length < SHORTEST_USEFUL_LABEL_S and label.source == "activity"
    ]
    if not short:
        return ()
    texts = ", ".join(f"{text} ({length:.2f} s)" for length, text in short)
    sentence = (
        f"{counted(len(short), 'label run')} shorter than a window of {SHORTEST_USEFUL_LABEL_S:g} s: {texts}"
    )
    numbers = {"count": len(short), "shortest_s": min(short)[0]}
    return (Finding(take.take_id, "short-label", "note", sentence, numbers),)
