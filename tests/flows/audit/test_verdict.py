"""The verdict and the gate: what is sound passes, what is not is named."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sensorloom.flows.audit.report import (
    FunnelStep,
    Reason,
    SensorHours,
    SplitFacts,
    SplitLabel,
    Verdict,
    ViewErrors,
)
from sensorloom.flows.audit.verdict import fails, judge, verdict_lines
from sensorloom.flows.errors import ConfigError
from tests.flows.pictured import pair
from tests.flows.reports import dataset, leak, report, rule, view


def test_sound_data_is_not_accused() -> None:
    assert judge(dataset(), [view()], []).level == "ok"
    assert judge(dataset(), [view()], []).reasons == ()


@pytest.mark.parametrize(
    ("facts", "views", "level", "sentence"),
    [
        (dataset(takes=0, takes_unreadable=3), [view()], "no", "None of its 3 takes could be read."),
        (dataset(takes=0), [view()], "no", "None of its takes is in the snapshot."),
        (dataset(takes_unreadable=1), [view()], "care", "1 of 11 takes could not be read."),
        (
            dataset(takes=11, takes_unreadable=4, takes_outdated=4),
            [view()],
            "care",
            "4 of 11 takes cannot be read as they are now; their earlier version is still used.",
        ),
        (dataset(takes_unreadable=3, takes_outdated=1), [view()], "care", "2 of 12 takes could not be read."),
        (
            dataset(takes_with_errors=4, error_rules=("all_zero", "stuck_axis")),
            [view()],
            "care",
            "4 of 10 takes carry an error: all_zero, stuck_axis.",
        ),
        (
            dataset(takes_with_errors=5, error_rules=("all_zero",)),
            [view()],
            "no",
            "5 of 10 takes carry an error: all_zero.",
        ),
        (dataset(takes_generated=10), [view()], "ok", "Generated, not recorded: all takes."),
        (dataset(takes_generated=3), [view()], "ok", "Generated, not recorded: 3 of 10 takes."),
        (
            dataset(sensors=(SensorHours("gyroscope", "head", 10, 1.0, 2.0),)),
            [view()],
            "care",
            "Usable for less than 90% of the time: head gyroscope (50%).",
        ),
        (dataset(), [], "no", "No view cuts windows of it; run `sensorloom build`."),
        (dataset(), [view(windows=0), view()], "care", "har-pamap2 kept no window."),
        (
            dataset(),
            [view(splits=(SplitFacts("test", 9, 1, 1),))],
            "no",
            "No view has a training window of it.",
        ),
        (
            dataset(),
            [view(splits=(SplitFacts("test", 9, 1, 1),)), view("other")],
            "care",
            "har-pamap2 has no training window.",
        ),
        (
            dataset(),
            [view(kept_s=200.0, dropped=(FunnelStep("window-flat", 9, 800.0),))],
            "care",
            "har-pamap2 keeps 20% of the labelled time.",
        ),
        (
            dataset(),
            [view(retimed_mean=0.25)],
            "care",
            "har-pamap2: 25% of the samples in its windows are re-timed.",
        ),
        (
            dataset(),
            [view(labels=(SplitLabel("lying", "val", 3), SplitLabel("walking", "train", 3)))],
            "care",
            "har-pamap2: not in train but in val or test: lying.",
        ),
        (
            dataset(),
            [view(leaks=(leak("overlap"), leak("participant"), leak("capture")))],
            "care",
            "har-pamap2: its splits share captures, overlapping windows and participants, so its scores flatter.",
        ),
        (
            dataset(),
            [view(leaks=(leak(),))],
            "care",
            "har-pamap2: its splits share participants, so its scores flatter.",
        ),
    ],
)
def test_each_reason(facts, views, level, sentence) -> None:
    verdict = judge(facts, views, [])
    assert verdict.level == level
    assert sentence in [reason.sentence for reason in verdict.reasons]


def test_what_lies_outside_the_labels_is_not_held_against_a_view() -> None:
    facts = view(
        kept_s=100.0,
        dropped=(
            FunnelStep("label-not-in-view", 9, 500.0),
            FunnelStep("break-dropped", 9, 200.0),
            FunnelStep("label-overlap", 9, 150.0),
            FunnelStep("unlabelled", 0, 50.0),
        ),
    )
    assert judge(dataset(), [facts], []).level == "ok"


STALE = "built from other takes or vectors than there are now; run `sensorloom build`."


def test_views_that_are_stale_are_told_in_one_line() -> None:
    views = [view(f"har-{number}", outdated=True) for number in range(8)]
    assert [reason.sentence for reason in judge(dataset(), views, []).reasons] == [f"8 views were {STALE}"]
    (reason,) = judge(dataset(), [view("har", outdated=True), view()], []).reasons
    assert (reason.level, reason.sentence) == ("care", f"har was {STALE}")


def test_errors_and_clocks_stand_before_what_a_build_mends() -> None:
    facts = dataset(takes_with_errors=1, error_rules=("all-zero",), takes_unreadable=1)
    told = judge(
        facts, [view(outdated=True, windows=0)], [rule("vectors-collapsed", "error", view="har")], [pair()]
    )
    starts = [reason.sentence.split(" ")[0] for reason in told.reasons if reason.level == "care"]
    assert starts == ["1", "1", "har", "chest", "chest", "har-pamap2", "har-pamap2"]
    assert told.reasons[6].sentence.endswith(STALE)


def test_the_worst_reason_stands_first() -> None:
    verdict = judge(dataset(takes_generated=10, takes_unreadable=1), [], [])
    assert [reason.level for reason in verdict.reasons] == ["no", "care", "ok"]


def test_the_most_frequent_warnings_are_named_and_do_not_change_the_answer() -> None:
    rules = [
        rule("saturation", findings=65),
        rule("gaps", findings=1500),
        rule("gap-invalid", findings=4),
        rule("gap-invalid", findings=60, view="walk"),
        rule("rate-off-claim", findings=2),
        rule("jitter", "note", findings=9000),
    ]
    verdict = judge(dataset(), [view()], rules)
    said = "Most frequent warnings: gaps (1,500), saturation (65), gap-invalid (64) and 1 more."
    assert verdict == Verdict("ok", (Reason("ok", said),))


def test_a_view_that_the_errors_do_not_concern_is_told_apart() -> None:
    views = (
        ViewErrors("har", ("chest",), 0),
        ViewErrors("part", ("hand",), 1),
        ViewErrors("all", ("chest", "ankle"), 5),
    )
    facts = dataset(takes_with_errors=6, error_rules=("all-zero",), errors_in_views=views)
    verdict = judge(facts, [view()], [])
    assert verdict.level == "no"
    assert {(reason.level, reason.sentence) for reason in verdict.reasons} >= {
        ("ok", "har: ok (chest)."),
        ("care", "part: 1 of 10 takes affected (hand)."),
        ("no", "all: 5 of 10 takes affected (chest, ankle)."),
    }


def test_views_are_told_apart_only_where_errors_condemn_the_data_set() -> None:
    views = (ViewErrors("har", ("chest",), 0),)
    facts = dataset(takes_with_errors=4, error_rules=("all-zero",), errors_in_views=views)
    assert len(judge(facts, [view()], []).reasons) == 1


def test_one_line_of_text_for_each_data_set() -> None:
    flat = Reason("ok", "Most frequent warnings: gaps (3).")
    verdicts = {
        "pamap2": Verdict("ok", (flat,)),
        "realworld": Verdict("care", (Reason("care", "har: 17% re-timed."), flat)),
        "third": Verdict("no", (Reason("no", "One."), Reason("no", "Two."), Reason("care", "Three."))),
    }
    facts = report(datasets=tuple(dataset(name, verdict=verdict) for name, verdict in verdicts.items()))
    assert verdict_lines(facts) == [
        "pamap2: yes",
        "realworld: with care: har: 17% re-timed",
        "third: no: One; Two",
    ]


def test_the_line_of_a_data_set_says_what_was_generated_whatever_the_answer() -> None:
    care = Verdict("care", (Reason("care", "har: 17% re-timed."),))
    sets = (dataset(takes_generated=10), dataset("realworld", takes_generated=3, verdict=care))
    assert verdict_lines(report(datasets=sets)) == [
        "pamap2: yes (all takes generated)",
        "realworld: with care (3 of 10 takes generated): har: 17% re-timed",
    ]


def test_the_gate_counts_down_from_the_top() -> None:
    facts = report()
    assert fails(facts, "never") == []
    assert fails(facts, "error") == [
        "pamap2: stuck_axis (error) 3 times in 2 takes",
        "crossl-pamap2: 2 participant in both test and train (error)",
    ]
    assert len(fails(facts, "warning")) == 3
    assert "pamap2 in har-pamap2: window-coverage (note) 3 times in 2 takes" in fails(facts, "note")


def test_the_gate_passes_what_is_sound() -> None:
    assert fails(replace(report(), rules=(rule(),), views=(view(),)), "error") == []


def test_an_unknown_gate_is_refused() -> None:
    with pytest.raises(ConfigError, match="a gate is error, warning, note or never, not 'fatal'"):
        fails(report(), "fatal")
