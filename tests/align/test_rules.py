"""The table of rules is whole, and tuning changes what it says and nothing else."""

from __future__ import annotations

import pytest

from sensorloom.align.rules import RULES, Rule, tune

HAS_NO_LINE = {
    *("sync-unknown", "window-all-zero", "window-identical-axes", "vector-not-finite", "text-video-shuffled"),
    *(f"leak-{kind}" for kind in ("participant", "capture", "overlap", "text")),
}


@pytest.mark.parametrize("rule", RULES.values(), ids=list(RULES))
def test_a_rule_says_what_it_means_what_to_do_and_where_it_is_from(rule: Rule) -> None:
    for words in (rule.meaning, rule.advice):
        assert words[0].isupper()
        assert words.endswith(".")
        assert "\n" not in words
    assert rule.source.strip()
    assert RULES[rule.id] is rule
    assert (rule.threshold is None) == (rule.unit == "")


def test_a_rule_draws_a_line_where_it_can() -> None:
    assert {rule.id for rule in RULES.values() if rule.threshold is None} == HAS_NO_LINE
    assert RULES["sync-shifted"].limit == 50
    assert RULES["window-gravity-off"].unit == "m/s²"
    with pytest.raises(ValueError, match="the rule sync-unknown has no threshold"):
        _ = RULES["sync-unknown"].limit


def test_a_finding_carries_the_rules_name_and_severity() -> None:
    found = tune({"window-gap": {"severity": "warning"}})["window-gap"].finding(
        "take#chest", "a gap", {"longest_ms": 900.0}
    )
    assert (found.rule, found.severity, found.target) == ("window-gap", "warning", "take#chest")
    assert (found.sentence, found.numbers) == ("a gap", {"longest_ms": 900.0})


def test_nobody_changes_the_table_itself() -> None:
    with pytest.raises(TypeError):
        RULES["mine"] = RULES["window-gap"]  # type: ignore[index]
    tune({"window-gap": {"threshold": 1}})
    assert RULES["window-gap"].threshold == 500


def test_tuning_changes_what_it_names_and_nothing_else() -> None:
    tuned = tune({"window-gap": {"threshold": 250}, "sync-jump": {"severity": "off"}})
    assert tuned["window-gap"].threshold == 250
    assert tuned["window-gap"].severity == RULES["window-gap"].severity
    assert "sync-jump" not in tuned
    assert {name for name in tuned if tuned[name] != RULES[name]} == {"window-gap"}
    assert tune({}) == RULES


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"windw-gap": {}}, r"audit\.rules\.windw-gap: there is no such rule; did you mean window-gap\?"),
        ({"window-gap": {"limit": 3}}, r"audit\.rules\.window-gap\.limit: .* severity and threshold"),
        ({"window-gap": {"severity": "fatal"}}, "severity = 'fatal' is none of: error, warning, note, off"),
        ({"window-gap": {"threshold": -1}}, r"threshold = -1: it must be above 0 ms"),
        ({"window-gap": {"threshold": 0.0}}, r"threshold = 0\.0: it must be above 0 ms"),
        ({"window-gap": {"threshold": "1 s"}}, "threshold = '1 s' is not a number of ms"),
        ({"window-gap": {"threshold": True}}, "threshold = True is not a number of ms"),
        ({"window-gap": {"threshold": float("nan")}}, "threshold = nan is not a number of ms"),
        ({"leak-text": {"threshold": 1}}, r"leak-text\.threshold = 1: this rule draws no line"),
        ({"leak-text": {"threshold": 1, "severity": "off"}}, "this rule draws no line"),
    ],
    ids=str,
)
def test_what_cannot_be_tuned_is_told(changes: dict[str, dict[str, float | str]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tune(changes)
