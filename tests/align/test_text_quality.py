"""Texts of a view with one planted fault each are named by the rule for it, and sound ones by none."""

from __future__ import annotations

import re
from hashlib import sha256

import pytest

from sensorloom.align.rules import RULES, tune
from sensorloom.align.text_quality import find_texts
from sensorloom.align.text_words import is_generic, opposed

S = 1_000_000_000
VERBS = ("cuts", "washes", "lifts", "stirs", "wipes", "folds", "peels", "shakes", "grates", "dries")
NOUNS = ("carrot", "cup", "towel", "pan", "knife", "table", "onion", "bottle", "lid", "spoon")


def text(words, offset_ms=0.0, source="narration", annotator="a"):
    identity = sha256(words.encode()).hexdigest()
    return {
        "text": words,
        "text_id": identity,
        "source": source,
        "annotator": annotator,
        "offset_ms": offset_ms,
    }


def row(place, *texts, take_id="ego4d/t", label="cook"):
    start = 10 * place * S
    return {
        "take_id": take_id,
        "start_ns": start,
        "stop_ns": start + 5 * S,
        "label": label,
        "texts": list(texts),
    }


def kitchen(count=100):
    """Windows of one take, each with a sentence of its own in the moment it is about."""
    return [
        row(i, text(f"C {VERBS[i % 10]} the {NOUNS[i // 10]}", offset_ms=40.0 * (i % 50)))
        for i in range(count)
    ]


def found(rows, rules=RULES):
    return {finding.rule: finding for finding in find_texts("primus", rows, rules)}


def test_sound_texts_are_accused_of_nothing():
    rows = kitchen()
    rows[3]["texts"].append(text("C holds a carrot with the left hand", 10, annotator="b"))
    rows[7]["texts"] = []
    rows[8]["texts"] = None
    assert found(rows) == {}
    assert found([]) == {}
    assert found([row(0)]) == {}


def spoilt(rule):
    """Return rows with one fault in 60 of 100 windows, or in one of two with several texts."""
    rows = kitchen()
    for i in range(60):
        (own,) = rows[i]["texts"]
        match rule:
            case "text-far":
                own["offset_ms"] = -9000.0
            case "text-generic":
                rows[i]["texts"] = [text(f"#unsure C does something with {'x' * (i % 2)} thing {'a ' * i}")]
            case "text-repeated":
                rows[i]["texts"] = [text("C walks about the street")]
            case "texts-contradict":
                words = (
                    f"C opens the {NOUNS[i // 10]} {VERBS[i % 10]}",
                    f"C closes a {NOUNS[i // 10]} {VERBS[i % 10]}",
                )
                rows[i]["texts"] = [text(words[0], 100), text(words[1], 400, annotator="b")]
            case "label-in-text":
                rows[i]["texts"] = [text(f"a video of cook: {own['text']}")]
    return rows


TEXT_RULES = ("text-far", "text-generic", "text-repeated", "texts-contradict", "label-in-text")


@pytest.mark.parametrize("rule", TEXT_RULES)
def test_a_planted_fault_is_named_and_nothing_else_is(rule):
    rows = spoilt(rule)
    named = found(rows)
    assert set(named) == {rule}
    assert named[rule].severity == RULES[rule].severity
    assert named[rule].target == "primus"
    assert named[rule].numbers.get("windows", named[rule].numbers.get("texts")) == 60
    assert named[rule].numbers["share"] == (1.0 if rule == "texts-contradict" else 0.6)
    assert found(rows, tune({rule: {"severity": "off"}})) == {}


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("text-far", r"60 windows of 100 with texts of a moment more than 3,000 ms outside, up to 6,500 ms: “C"),
        ("text-generic", r"60 of 100 texts say nothing of what is done \(60\.0%\): “#unsure C does something"),
        ("text-repeated", r"60 of 100 windows share their words with other moments \(60\.0%\): “C w"),
        ("texts-contradict", r"60 of 60 windows with several texts contradict \(100\.0%\): “C opens the"),
        ("label-in-text", r"60 of 100 windows with texts tell label, task or take in them \(60\.0%\): “a v"),
    ],
    ids=TEXT_RULES,
)  # fmt: skip
def test_a_finding_says_how_many_and_shows_a_few(rule, words):
    assert re.match(words, found(spoilt(rule))[rule].sentence)


def test_a_tuned_threshold_moves_the_line():
    for rule in TEXT_RULES:
        if rule not in ("text-far", "texts-contradict"):
            assert found(spoilt(rule), tune({rule: {"threshold": 0.61}})) == {}
            assert set(found(spoilt(rule), tune({rule: {"threshold": 0.59}}))) == {rule}
    assert found(spoilt("text-far"), tune({"text-far": {"threshold": 6600}})) == {}


def test_age_counts_from_the_windows_edge_on_either_side_and_not_for_summaries():
    def far(offset_ms, source="narration"):
        return found([row(0, text("C cuts the carrot", offset_ms, source))]).get("text-far")

    assert far(5400) is None
    assert far(5600).numbers["worst_ms"] == pytest.approx(3100)
    assert far(-5600).numbers["windows"] == 1
    assert far(-5600, "commentary") is not None
    assert far(90_000, "summary") is None


def test_one_moment_in_overlapping_windows_is_told_once():
    """What lies in two windows is one text; two annotators may write the same of one moment."""
    rows = []
    for i in range(20):
        words = f"C {VERBS[i % 10]} the {NOUNS[i // 10]}"
        for shift in (0, 1, 2):
            window = row(2 * i, text(words, offset_ms=1000.0 - 1000 * shift))
            window["start_ns"] += shift * S
            window["stop_ns"] += shift * S
            rows.append(window)
        rows[-1]["texts"].append(text(words, offset_ms=0.0, annotator="b"))
    assert found(rows) == {}


def test_the_same_words_in_another_take_are_repeated():
    rows = kitchen(10)
    rows += [{**window, "take_id": "ego4d/other"} for window in rows]
    assert found(rows)["text-repeated"].numbers == {"windows": 20, "share": 1.0}


def test_published_prefix_that_names_the_task_is_caught():
    """AURA-MFM writes the task before each comment; its labels are groups of tasks."""
    beginning = (
        "The following text was annotated by an expert after watching the video from the start of task"
    )
    comments = [
        text(f"{beginning} 'Making Tea' up to {i} seconds: the cup tilts too soon", 0, "commentary")
        for i in range(9)
    ]
    rows = [row(i, comment, label="health") for i, comment in enumerate(comments)]
    assert set(found(rows)) == {"label-in-text"}
    named = [
        row(i, text(f"upenn 0713 Dance_2_4: {VERBS[i]} a foot"), take_id="egoexo4d/upenn_0713_Dance_2_4")
        for i in range(9)
    ]
    assert set(found(named)) == {"label-in-text"}


@pytest.mark.parametrize("label", ["", None, "cook", "mechanic repairing a car"])
def test_a_label_is_looked_for_as_whole_words(label):
    rows = [
        row(i, text(f"C {VERBS[i]} the cookie of a car"), label=label, take_id="ego4d/c") for i in range(9)
    ]
    assert found(rows) == {}


def test_a_label_of_filler_words_alone_tells_nothing():
    rows = [row(i, text(f"C {VERBS[i]} the cup on the table"), label="on") for i in range(9)]
    assert found(rows) == {}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("C picks up the cup", "C puts down a cup"),
        ("C turns to the left", "C turns to the right"),
        ("The weight is on the left foot", "The weight is on his right foot"),
        ("She does not bend her knee", "She does bend the knee"),
        ("C does not open the door", "C opens the door"),
        ("Good posture of the back", "Poor posture of the back"),
    ],
)
def test_opposites(one, other):
    assert opposed(one, other)
    assert opposed(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("C picks up the cup", "C puts down the knife"),
        ("C picks up the cup", "C picks up the cup"),
        ("C picks up the cup", "C picks up the red cup"),
        ("opens", "closes"),
        ("C waves with the left hand", "C waves with the right hand"),
        ("C does not open the door", "C does not open a door"),
        ("", ""),
    ],
)
def test_no_opposites(one, other):
    assert not opposed(one, other)


def test_opposites_of_two_moments_or_of_one_annotator_do_not_contradict():
    apart = row(0, text("C opens the lid", 0), text("C closes the lid", 600, annotator="b"))
    alone = row(1, text("C opens the door", 0), text("C closes the door", 0))
    assert "texts-contradict" not in found([apart, alone])


@pytest.mark.parametrize(
    "words",
    ["", "#unsure", "C", "Someone does something", "#C C #unsure", "the camera wearer does something."],
)
def test_generic(words):
    assert is_generic(words)


@pytest.mark.parametrize(
    "words", ["C walks", "C looks around", "A man x talks to C", "Wipes", "走る", "打开冰箱", "Öffnet"]
)
def test_not_generic(words):
    assert not is_generic(words)
