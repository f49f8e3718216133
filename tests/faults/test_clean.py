"""Nothing sound is accused: of clean trees the audit tells no error that was not planted in them."""

from __future__ import annotations

import pytest

from sensorloom.ingest.take import Finding
from tests.faults.confusion import compare
from tests.faults.fault import Fault, Outcome
from tests.faults.runner import Runner
from tests.faults.stores import STORES
from tests.faults.table import FAULTS
from tests.faults.trees import SHORT

NEEDS_PICTURES = {name for name, recipe in STORES.items() if recipe.is_embedded}
VIEWS = [(name, view) for name, recipe in STORES.items() for view in recipe.views]


def errors(findings: tuple[Finding, ...]) -> list[Finding]:
    return [finding for finding in findings if finding.severity == "error"]


@pytest.mark.parametrize("dataset", SHORT)
def test_no_error_of_a_clean_take(runner: Runner, dataset: str) -> None:
    assert errors(runner.clean(dataset)) == []


@pytest.mark.parametrize("dataset", SHORT)
def test_no_error_of_clean_short_takes(runner: Runner, dataset: str) -> None:
    told = runner.clean_short(dataset)
    assert len(told) >= 4
    assert {take_id: errors(findings) for take_id, findings in told.items() if errors(findings)} == {}


@pytest.mark.parametrize(
    ("store", "view"),
    [pytest.param(*one, marks=[pytest.mark.slow] if one[0] in NEEDS_PICTURES else []) for one in VIEWS],
)
def test_no_error_of_a_clean_view(runner: Runner, store: str, view: str) -> None:
    assert errors(runner.clean_view(store, view)) == []


@pytest.mark.parametrize("dataset", SHORT)
def test_no_clock_of_a_clean_take_is_said_to_be_off_that_is_not(runner: Runner, dataset: str) -> None:
    """Phones of REALWORLD run on clocks of their own, as they do; what is told of them must be what was planted."""
    told = [one for one in runner.clean(dataset) if one.rule.startswith("sync-") and one.severity != "note"]
    if dataset != "realworld":
        assert told == []
        return
    streams = runner.scenes.scene(dataset).truth["streams"]
    reference_ms = streams["head/accelerometer"]["clock_offset_ms"]
    assert told
    for one in told:
        planted_ms = streams[one.target.partition("#")[2]]["clock_offset_ms"] - reference_ms
        assert one.rule == "sync-shifted"
        assert abs(one.numbers["offset_ms"] - planted_ms) <= one.numbers["interval_ms"]


def test_what_was_told_before_does_not_count_as_caught() -> None:
    fault = Fault("x", "pamap2", "raw", "", "gaps", "warning", "", "#hand/accelerometer")
    old = Finding("take#hand/accelerometer", "gaps", "warning", "3 gaps", {"longest_ms": 200.0})
    new = Finding("take#hand/accelerometer", "gaps", "warning", "4 gaps", {"longest_ms": 2000.0})
    elsewhere = Finding("take#chest/accelerometer", "gaps", "warning", "4 gaps", {"longest_ms": 2000.0})
    milder = Finding("take#hand/accelerometer", "gaps", "note", "4 gaps", {"longest_ms": 2000.0})
    assert Outcome(fault, (new,), (old,)).is_caught
    for told in (old, elsewhere, milder):
        assert not Outcome(fault, (told,), (old,)).is_caught


@pytest.mark.slow
def test_the_confusion_table_has_every_fault_and_nothing_sound(runner: Runner) -> None:
    found = compare(runner)
    numbers = found.numbers
    assert numbers["faults_caught"] == numbers["faults_planted"] == len(FAULTS)
    assert numbers["faults_published_caught"] == 8
    assert numbers["clean_takes"] >= 40
    assert numbers["clean_errors"] == 0
    assert [row[0] for row in found.tables[0]["rows"]] == [fault.id for fault in FAULTS]
