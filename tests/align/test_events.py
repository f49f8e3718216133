from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorloom.align.clock import ClockMap
from sensorloom.align.events import event_ids, place_events
from sensorloom.align.timeline import Grid
from sensorloom.ingest.take import TextEvent

S = 1_000_000_000
GRID = Grid(0, 2000)  # ten seconds
MAPS = {"take": ClockMap("take", "take"), "late": ClockMap("late", "take", offset_ns=2 * S)}


def text(
    at_s, words="C cuts", source="atomic", clock="take", stop_s=None, uncertainty_s=0.0, annotator="1", **tags
):
    start, stop = round(at_s * S), round((at_s if stop_s is None else stop_s) * S)
    return TextEvent(source, clock, start, stop, words, annotator, round(uncertainty_s * S), tags)


def place(*events):
    return place_events(events, MAPS, GRID, "t")


def test_texts_are_carried_to_the_take_clock_and_sorted():
    events, findings = place(text(5, "b"), text(1, "c", clock="late"), text(5, "a"), text(3, stop_s=4))
    assert [(event.start_ns // S, event.stop_ns // S, event.text) for event in events] == [
        (3, 3, "c"),
        (3, 4, "C cuts"),
        (5, 5, "a"),
        (5, 5, "b"),
    ]
    assert {event.clock for event in events} == {"take"}
    assert findings == ()


def test_texts_outside_the_take_are_left_out_and_counted():
    events, (finding,) = place(text(4), text(10.5), text(-3, source="narration"), text(60))
    assert len(events) == 1
    assert (finding.target, finding.rule, finding.severity) == ("t#text", "text-outside", "warning")
    assert finding.numbers == {"texts": 3, "share": 0.75, "farthest_s": 50.0}
    assert finding.sentence == (
        "3 texts of 4 (2 atomic, 1 narration) lie up to 50.0 s outside the take of 10.0 s; left out"
    )


@pytest.mark.parametrize(
    ("event", "kept"),
    [
        (text(0), True),
        (text(10), True),
        (text(10.000000001), False),
        (text(-0.000000001), False),
        (text(11.9, uncertainty_s=2), True),
        (text(12.1, uncertainty_s=2), False),
        (text(-5, stop_s=0.1), True),
        (text(8, clock="late"), True),
        (text(8.1, clock="late"), False),
    ],
)
def test_what_touches_the_take_belongs_to_it(event, kept):
    assert len(place(event)[0]) == kept


def test_half_a_character_is_no_text():
    events, (finding,) = place(
        text(1), text(2, "C smiles \ud83d"), text(3, pass_="\udc00"), text(4, "C smiles 😀")
    )
    assert [event.start_ns // S for event in events] == [1, 4]
    assert (finding.target, finding.rule, finding.severity) == ("t#text", "text-not-unicode", "warning")
    assert finding.numbers == {"texts": 2, "share": 0.5}
    assert finding.sentence == "2 texts of 4 not Unicode (half a surrogate pair); left out"


def test_no_texts_are_no_finding():
    assert place() == ((), ())


def test_tags_and_uncertainty_stay():
    (event,), _ = place(text(1, uncertainty_s=2, subject="C"))
    assert (event.uncertainty_ns, event.tags, event.annotator) == (2 * S, {"subject": "C"}, "1")


def test_an_id_is_of_the_text_alone():
    events = [
        text(1),
        text(1, annotator="2"),
        text(2),
        text(1, "C stirs"),
        text(1, subject="C"),
        text(1, source="narration"),
    ]
    ids = event_ids(events)
    assert len(set(ids)) == 6
    assert event_ids(events[3:]) == ids[3:]


def test_texts_that_agree_in_everything_are_told_apart():
    first, second, third = event_ids([text(1), text(1), text(1)])
    assert (second, third) == (f"{first}-2", f"{first}-3")


@given(st.lists(st.text(max_size=4), max_size=20))
def test_ids_are_unique_whatever_the_words(words):
    assert len(set(event_ids([text(1, word) for word in words]))) == len(words)
