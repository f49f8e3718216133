"""Clocks over many takes: gathered by pairs of streams, and told in plain words."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from sensorloom.flows.audit_rows import WindowRows
from sensorloom.flows.audit_sync import Pairs, sync_of, sync_rows
from sensorloom.flows.audit_take import TakeAudit
from sensorloom.flows.clock_words import clock_reasons
from sensorloom.flows.report_takes import MAX_POINTS, PairFacts, SegmentFacts, SyncFacts
from sensorloom.flows.tables import WINDOWS
from tests.flows.reports import window_row


def sync(verdict: Any = "aligned", offset_ms: float | None = 1.0, **changes: Any) -> SyncFacts:
    told = {"first": "head/gyroscope", "second": "cam01", "method": "energy", "drift_ppm": None, **changes}
    return SyncFacts(
        **told, verdict=verdict, offset_ms=offset_ms, offset_ci_ms=offset_ms and 2.0, drift_ci_ppm=None, jump_ms=None,
        residual_ms=None, reason="" if offset_ms is not None else "no clear peak",
        segments=(SegmentFacts(10.0, 1.0, 0.5, 0.9),),
    )  # fmt: skip


def audit(take_id: str, *syncs: SyncFacts) -> TakeAudit:
    return TakeAudit(take_id, (), syncs, {"cam01": "exo camera", "cam02": "exo camera"}, (), {})


def pairs(*audits: TakeAudit) -> tuple[PairFacts, ...]:
    gathered = Pairs()
    for one in audits:
        gathered.add(one)
    return gathered.facts()


def test_cameras_of_one_role_are_one_pair() -> None:
    (facts,) = pairs(
        audit("egoexo4d/a", sync("aligned", 4.0), sync("shifted", -90.0, second="cam02")),
        audit("egoexo4d/b", sync("drifting", 30.0, drift_ppm=200.0), sync("unknown", None)),
    )
    assert (facts.first, facts.second, facts.method) == ("head/gyroscope", "exo camera", "energy")
    assert (facts.takes, facts.aligned, facts.shifted, facts.drifting, facts.unknown) == (4, 1, 1, 1, 1)
    assert facts.median_offset_ms == 4.0
    assert [point.offset_ms for point in facts.points] == [-90.0, 30.0, 4.0, None]


def test_pairs_of_other_methods_and_data_sets_stay_apart() -> None:
    facts = pairs(
        audit("egoexo4d/a", sync(), sync(method="rotation")), audit("ego4d/a", sync("unknown", None))
    )
    assert [(pair.dataset, pair.method) for pair in facts] == [
        ("ego4d", "energy"),
        ("egoexo4d", "energy"),
        ("egoexo4d", "rotation"),
    ]
    assert (facts[0].median_offset_ms, facts[0].spread_ms) == (None, None)


def test_the_spread_is_of_the_middle() -> None:
    (facts,) = pairs(*(audit(f"ego4d/{number:03}", sync(offset_ms=float(number))) for number in range(101)))
    assert facts.median_offset_ms == 50.0
    assert facts.spread_ms == pytest.approx(34.0)


def test_points_are_capped_the_furthest_off_kept() -> None:
    (facts,) = pairs(*(audit(f"ego4d/{number:04}", sync(offset_ms=float(number))) for number in range(700)))
    assert (facts.takes, len(facts.points)) == (700, MAX_POINTS)
    assert facts.points[0].offset_ms == 699.0


@pytest.mark.parametrize(
    ("verdicts", "whole"),
    [
        ([], "none"),
        (["unknown", "unknown"], "unknown"),
        (["unknown", "aligned"], "aligned"),
        (["aligned", "shifted"], "shifted"),
        (["shifted", "drifting"], "drifting"),
    ],
)
def test_a_take_is_as_bad_as_the_worst_that_could_be_told(verdicts: list[str], whole: str) -> None:
    assert sync_of([sync(verdict) for verdict in verdicts]) == whole


def test_rows_name_the_streams_themselves() -> None:
    (row,) = sync_rows(audit("egoexo4d/a", sync("shifted", 90.0)))
    assert (row["take_id"], row["dataset"], row["second"]) == ("egoexo4d/a", "egoexo4d", "cam01")
    assert row["segments"] == [{"time_s": 10.0, "lag_ms": 1.0, "sigma_ms": 0.5, "strength": 0.9}]


def sentences(*syncs: SyncFacts) -> list[tuple[str, str]]:
    gathered = pairs(*(audit(f"egoexo4d/{number}", one) for number, one in enumerate(syncs)))
    return [(reason.level, reason.sentence) for reason in clock_reasons(gathered)]


def test_shifted_and_drifting_streams_want_care() -> None:
    told = sentences(sync("shifted", 84.0), sync("shifted", 90.0), sync("aligned"), sync("unknown", None))
    assert told == [
        (
            "care",
            "exo camera is out of step with head/gyroscope in 2 of 4 takes, 87 ms too late in the middle.",
        ),
        ("ok", "By their signals, 1 of 3 pairs of streams are in step; of 1 more it cannot be told."),
    ]
    drifting = sentences(sync("drifting", 10.0, drift_ppm=-300.0), sync())
    assert drifting[0] == (
        "care",
        "exo camera drifts against head/gyroscope in 1 of 2 takes, by up to 300 ppm.",
    )


def test_two_cameras_of_a_take_are_two_comparisons() -> None:
    both = pairs(audit("egoexo4d/a", sync("shifted", 84.0), sync(second="cam02")))
    assert next(clock_reasons(both)).sentence == (
        "exo camera is out of step with head/gyroscope in 1 of 2 comparisons, 84 ms too late in the middle."
    )


def test_clocks_that_cannot_be_told_are_said_to_be() -> None:
    assert sentences(sync("unknown", None)) == [
        ("ok", "By their signals alone, none of 1 pair of streams can be told to be in step.")
    ]
    assert sentences() == []


def frame(rows: list[dict[str, Any]]) -> pl.DataFrame:
    import pyarrow as pa

    return pl.DataFrame(pl.from_arrow(pa.Table.from_pylist(rows, schema=WINDOWS)))


def test_rows_of_a_window_table_read_as_mappings() -> None:
    texts = [{"source": "atomic", "text": f"turns {place}", "text_id": "a"} for place in range(9000)]
    rows = [
        window_row("pamap2/a", "101", place, "train", texts=texts[place : place + 1]) for place in range(9000)
    ]
    table = frame(rows)
    read = WindowRows(table)
    assert len(read) == 9000
    assert [row["texts"][0]["text"] for row in read] == [f"turns {place}" for place in range(9000)]
    assert read[-1]["window_id"] == rows[-1]["window_id"]
    assert [row["start_ns"] for row in read[10:12]] == [10_000_000_000, 11_000_000_000]
    assert dict(read[3]) == {name: table.row(3, named=True)[name] for name in read[3]}
    with pytest.raises(IndexError, match="row 9000 of 9000"):
        read[9000]


def test_rows_of_an_older_table_have_no_texts() -> None:
    old = frame([window_row("pamap2/a", "101", 0.0, "train")]).drop("texts")
    assert WindowRows(old)[0]["texts"] == ()
