from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from sensorloom.align.named_views import VIEWS
from sensorloom.align.view import View
from sensorloom.align.wording import all_wordings, compose, text_digest

OWN = View("v", ("ego4d",), ("head",), (), texts=("narration", "atomic", "commentary", "summary"))
REPO = {rule: replace(OWN, text_rule=rule) for rule in ("imu2clip", "aura")}


@pytest.mark.parametrize("source", ["narration", "atomic", "summary"])
@pytest.mark.parametrize(
    ("written", "own"),
    [
        ("#C C picks up a cup", "C picks up a cup"),
        ("# C C picks up a cup.", "C picks up a cup."),
        ("#O A man X #unsure walks", "A man X walks"),
        ("#Unsure", ""),
        ("#summary C cooks", "C cooks"),
        ("C washes the #1 pan in a C-clamp", "C washes the #1 pan in a C-clamp"),
        ("#Cup stays", "#Cup stays"),
        ("  C  turns\nleft ", "C turns left"),
    ],
)
def test_own_words_lose_their_tags_and_nothing_else(make_event, source, written, own):
    assert compose(make_event(source, 1.0, written), OWN) == own


@pytest.mark.parametrize(
    ("rule", "source", "written", "paired"),
    [
        ("imu2clip", "narration", "#C C Picks up a #unsure.", "picks up a something"),
        ("imu2clip", "narration", "#C A Carton falls", "a carton falls"),
        ("imu2clip", "atomic", "C Cuts the Carrot.", "uts the arrot"),
        ("aura", "atomic", "C Cuts the Carrot.", "c cuts the carrot"),
        ("aura", "narration", "#C C cuts #unsure", "cuts something"),
    ],
)
def test_published_rules_clean_as_their_code_does(make_event, rule, source, written, paired):
    assert compose(make_event(source, 1.0, written), REPO[rule]) == paired


@pytest.mark.parametrize("rule", ["imu2clip", "aura"])
def test_published_rules_cut_after_128_characters(make_event, rule):
    long = make_event("atomic", 1.0, "b" * 200)
    assert compose(long, REPO[rule]) == "b" * 128
    assert compose(long, OWN) == "b" * 200


@pytest.mark.parametrize("rule", ["own", "imu2clip", "aura"])
def test_a_comment_names_the_task_only_where_leaking_is_asked_for(make_event, rule):
    comment = make_event("commentary", 12.34, " The elbow is  too low.", task_name="Basketball Drills")
    free = replace(OWN, text_rule=rule)
    assert compose(comment, free) == "The elbow is too low."
    assert compose(comment, replace(free, leak_free=False)) == (
        "The following text was annotated by an expert after watching the video from the start of task"
        " 'Basketball Drills' up to 12.34 seconds: The elbow is too low."
    )
    assert compose(make_event("commentary", 9, " "), replace(free, leak_free=False)) == ""


def test_only_the_variants_of_published_code_leak_the_task():
    assert {name for name, view in VIEWS.items() if not view.leak_free} == {"aura-commentary-repo"}
    assert VIEWS["aura-commentary-repo"].text_rule == "aura"


def test_a_text_is_known_by_the_digest_of_its_words():
    assert text_digest("müde") == hashlib.sha256("müde".encode()).hexdigest()


@pytest.mark.parametrize("source", ["narration", "atomic", "summary", "commentary"])
@pytest.mark.parametrize("written", ["#C C Cuts the Carrot. #unsure", "turns", "#Unsure", "  ", "b" * 200])
def test_all_wordings_are_those_of_every_rule_once(make_event, source, written):
    event = make_event(source, 12.0, written, task_name="Cooking")
    views = [
        replace(OWN, text_rule=rule, leak_free=leak_free)
        for rule in ("own", "imu2clip", "aura")
        for leak_free in (True, False)
    ]
    wordings = all_wordings(event)
    assert set(wordings) == {compose(event, view) for view in views} - {""}
    assert len(set(wordings)) == len(wordings)


def test_no_named_view_pairs_words_that_are_not_among_all_wordings(make_event):
    for view in VIEWS.values():
        for source in view.texts:
            event = make_event(source, 3.0, "#C C Opens the Cupboard", task_name="Cooking")
            assert compose(event, view) in all_wordings(event)


def test_a_description_has_a_wording_for_each_way_of_cleaning(make_event):
    assert all_wordings(make_event("atomic", 1.0, "C Cuts the Carrot.")) == (
        "C Cuts the Carrot.",
        "uts the arrot",
        "c cuts the carrot",
    )
