"""What passes through Prefect stays small, whatever the size of the run, and is text."""

from __future__ import annotations

import json
from dataclasses import replace

from sensorloom.align.stage import Failed
from sensorloom.flows.changes import ViewChange
from sensorloom.flows.outcomes import BuildReport, EmbedReport, IngestReport
from sensorloom.flows.summary import MAX_ROWS, audit_summary, build_summary, embed_summary, ingest_summary
from tests.flows.reports import report

SNAPSHOT_ID = "a" * 64


def ingest_report(failed: int) -> IngestReport:
    failures = tuple(
        Failed(f"pamap2/{number}", f"a | b\n<script>{number}</script>") for number in range(failed)
    )
    return IngestReport(
        dataset="pamap2",
        takes=5000,
        unchanged=0,
        ingested=5000 - failed,
        resumed=0,
        failed=failures,
        absent=(),
        not_downloaded=(),
        errors={},
        outdated_views=(),
        pruned=False,
        raw_bytes=1,
        seconds=1.0,
        snapshot_id=SNAPSHOT_ID,
        committed=True,
    )


def test_a_run_with_thousands_of_failures_stays_small() -> None:
    summary = ingest_summary(ingest_report(3000))
    assert summary.facts["failed"] == 3000
    assert len(json.dumps(summary.facts)) < 500
    assert summary.markdown.count("\n| ") == MAX_ROWS + 2
    assert "… and 2,900 more, in the report." in summary.markdown


def test_a_message_cannot_break_the_table() -> None:
    markdown = ingest_summary(ingest_report(1)).markdown
    assert "| pamap2/0 | a \\| b &lt;script&gt;0&lt;/script&gt; |" in markdown


def test_a_message_is_not_read_as_markdown() -> None:
    failure = Failed("pamap2/1", "![x](http://elsewhere/p.png) `a` *b* _c_ d\\")
    listed = replace(ingest_report(1), failed=(failure,))
    told = r"\!\[x\](http://elsewhere/p.png) \`a\` \*b\* \_c\_ d\\"
    assert f"| {told} |" in ingest_summary(listed).markdown


def test_no_failures_no_table() -> None:
    assert "failed" not in ingest_summary(ingest_report(0)).markdown.replace("- failed: 0", "")


def test_build() -> None:
    change = ViewChange(False, {"rate_hz": (50, 200)}, 64, 0, 64, committed=True)
    changes = {"har-pamap2": change}
    summary = build_summary(BuildReport({"har-pamap2": 1234}, 3, 61, 1.0, SNAPSHOT_ID, True, changes))
    assert summary.facts["windows"] == {"har-pamap2": 1234}
    assert summary.facts["changes"] == {"har-pamap2": "built anew: rate_hz 50 → 200"}
    assert "| har-pamap2 | 1,234 | built anew: rate_hz 50 → 200 |" in summary.markdown
    assert "- built: 3" in summary.markdown


def test_audit() -> None:
    summary = audit_summary(report(), "report/index.html", ["pamap2: stuck_axis"])
    assert summary.facts["verdicts"] == {"pamap2": "care", "realworld": "no"}
    assert summary.facts["gate_failed"] == 1
    assert "| pamap2 | with care | 2 of 10 takes carry an error: stuck_axis. |" in summary.markdown
    assert "## The gate failed" in summary.markdown
    assert "gate failed" not in audit_summary(report(), "report/index.html", []).markdown


def test_an_embed_run_in_short() -> None:
    report = EmbedReport(
        encoder="vit-b-32.openai",
        dim=512,
        takes=9,
        unchanged=5,
        embedded=2,
        resumed=1,
        failed=(Failed("ego4d/1", "gone | moved"),),
        withheld=False,
        superseded=(),
        frames=1200,
        lost_frames=3,
        texts=40,
        new_texts=4,
        seconds=60.0,
        frames_per_s=20.0,
        snapshot_id=SNAPSHOT_ID,
        committed=True,
    )
    summary = embed_summary(report)
    assert summary.facts["encoder"] == "vit-b-32.openai"
    assert (summary.facts["frames"], summary.facts["failed"], summary.facts["withheld"]) == (1200, 1, False)
    assert "# Embedding with vit-b-32.openai" in summary.markdown
    assert "| ego4d/1 | gone \\| moved |" in summary.markdown
