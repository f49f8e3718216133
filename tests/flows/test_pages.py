"""The page is one sound, self-contained, reproducible document in which a value stays a value."""

from __future__ import annotations

import re
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest

from sensorloom.align.named_views import VIEWS
from sensorloom.align.rules import RULES
from sensorloom.flows.audit.report import (
    Example,
    FunnelStep,
    Reason,
    Report,
    SensorHours,
    Shares,
    SplitLabel,
    Verdict,
)
from sensorloom.flows.pages.charts import bar, histogram
from sensorloom.flows.pages.html import Html, concat, tag
from sensorloom.flows.pages.report import render
from sensorloom.flows.pages.rules import RULE_WORDS
from sensorloom.flows.pages.take import render_take
from sensorloom.flows.pages.words import DROP_WORDS, count, duration, error_words, percent
from sensorloom.ingest.readers.egoexo4d_pose import JOINTS
from tests.flows.page_reader import Document
from tests.flows.pictured import detail, pictured
from tests.flows.reports import dataset, leak, report, rule, view

PAGES = files("sensorloom.flows.pages")
STYLE, SCRIPT = (PAGES.joinpath(name).read_text() for name in ("style.css", "script.js"))


def page(facts: Report) -> str:
    return render(facts, style=STYLE, script=SCRIPT)


def test_same_facts_same_bytes() -> None:
    assert page(report()) == page(report())


@pytest.mark.parametrize(
    "text",
    [
        page(pictured()),
        page(report(datasets=(), rules=(), views=())),
        page(report(views=(view(windows=0, splits=(), labels=()),))),
        render_take(detail(), "5" * 64, style=STYLE, script=SCRIPT),
    ],
    ids=["full", "empty", "no window", "take"],
)
def test_every_element_is_closed_and_ids_are_unique(text: str) -> None:
    document = Document(text)
    ids = [attributes["id"] for _, attributes in document.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {element for element, _ in document.elements} >= {"main", "header", "nav", "footer", "h1"}


def test_nothing_is_fetched() -> None:
    """Pages lead to one another, and hold all that they show."""
    for text in (page(pictured()), render_take(detail(), "5" * 64, style=STYLE, script=SCRIPT)):
        assert not re.search(r"https?:|url\(|@import|//[a-z]", text)
        for _, attributes in Document(text).elements:
            assert (attributes.get("src") or "data:").startswith("data:")
            assert re.match(r"#|data:,|takes/[\w-]+\.html$|\.\./index\.html#", attributes.get("href") or "#")


def test_only_the_own_script_may_run() -> None:
    from base64 import b64encode
    from hashlib import sha256

    (inline,) = re.findall(r"<script>(.*?)</script>", page(report()), re.S)
    digest = b64encode(sha256(inline.encode()).digest()).decode()
    (policy,) = [meta["content"] for meta in Document(page(report())).all("meta") if "http-equiv" in meta]
    assert policy is not None
    assert "default-src 'none'" in policy
    assert f"script-src 'sha256-{digest}'" in policy


def test_a_value_stays_a_value_wherever_it_stands() -> None:
    evil = '"><script>alert(1)</script><img src=x onerror=alert(2)>'
    facts = Report(
        evil,
        datasets=(dataset(evil, verdict=Verdict("no", (Reason("no", evil),))),),
        rules=(rule(evil, view=evil, dataset=evil, examples=(Example(evil, evil, evil, {evil: 1.0}),)),),
        views=(
            view(
                evil,
                datasets=(evil,),
                dropped=(FunnelStep(evil, 1, 10.0),),
                labels=(SplitLabel(evil, "train", 1), SplitLabel(evil, "test", 1)),
                leaks=(replace(leak(evil), examples=(evil,)),),
            ),
        ),
    )
    text = page(facts)
    document = Document(text)
    assert len(document.all("script")) == 1
    assert document.all("img") == []
    assert not any(name.startswith("on") for _, attributes in document.elements for name in attributes)
    assert document.said.count("<script>alert(1)</script>") >= 12


def test_the_first_screen_answers_for_every_data_set() -> None:
    said = Document(page(report())).said
    start = said.index("Can I train on this?")
    first = said[start : said.index("Hours by sensor")]
    assert re.search(
        r"pamap2 generated data ! With care timeline 2.5 h .* 2 of 10 takes carry an error: stuck_axis\.",
        first,
    )
    assert re.search(r"realworld ✕ No .*Nothing stands against it\.", first)
    assert first.count("generated data") == 1


@pytest.mark.parametrize(
    ("generated", "badge"), [(10, "generated data"), (3, "in part generated data"), (0, "")]
)
def test_a_badge_says_whether_all_or_a_part_is_generated(generated: int, badge: str) -> None:
    told = Document(page(report(datasets=(dataset(takes_generated=generated),)))).said
    assert re.search(rf"pamap2 {badge} ?✓ Yes", told)


def test_takes_in_an_earlier_version_are_not_counted_twice() -> None:
    facts = dataset(takes=11, takes_unreadable=6, takes_outdated=4)
    said = Document(page(report(datasets=(facts,)))).said
    assert "11 takes, 10 captures, 4 of the takes in an earlier version, and 2 that could not be read" in said


def test_the_funnel_hangs_together() -> None:
    """Each drop begins where the one before ended, and what is kept is what the last one left."""
    text = page(report(views=(view(),)))
    funnel = text[text.index("what became of") : text.index("Windows by split and label")]
    bars = re.findall(
        r'<rect x="([\d.]+)" y="0" width="([\d.]+)" height="14" class="(all|drop|kept)"', funnel
    )
    assert [(kind, float(x), float(x) + float(width)) for x, width, kind in bars] == [
        ("all", 0, 400),
        ("drop", 340, 400),
        ("drop", 200, 340),
        ("kept", 0, 200),
    ]


def test_the_bar_of_a_sensor_shows_the_share_beside_it() -> None:
    """2.4 h of 2.5 h are 96 %, of a bar 400 wide 384; how long other sensors are does not matter."""
    sensors = (
        SensorHours("accelerometer", "chest", 10, 2.4, 2.5),
        SensorHours("heart_rate", "chest", 10, 2.5, 10.0),
    )
    text = page(report(datasets=(dataset(sensors=sensors),)))
    hours = text[text.index('id="hours"') : text.index('id="views"')]
    widths = re.findall(r'width="([\d.]+)" height="14" class="kept"', hours)
    assert re.findall(r">(\d+%)<", hours) == ["96%", "25%"]
    assert widths == ["384", "100"]


def test_a_sensor_without_open_time_has_no_share() -> None:
    sensors = (SensorHours("accelerometer", "chest", 1, 0.0, 0.0),)
    assert "0.0 s - " in Document(page(report(datasets=(dataset(sensors=sensors),)))).said


def test_a_share_that_all_windows_have_alike_is_a_line_of_text() -> None:
    alike = Shares("valid", (*[0] * 19, 100))
    spread = Shares("retimed", (90, 10, *[0] * 18))
    document = Document(page(report(views=(view(shares=(alike, spread)),))))
    assert len(document.all("figure")) == 1
    assert "Recorded : share of samples" in document.said
    assert "100% of windows at 95 to 100%." in document.said


def test_leaks_are_named_and_their_absence_too() -> None:
    said = Document(page(report())).said
    assert "train, test share no participant, no capture and no instant of recording." in said
    assert re.search(r"test and train 2 participants pamap2/101 pamap2/102", said)


def test_a_label_that_train_lacks_is_marked() -> None:
    labels = (SplitLabel("running", "test", 3), SplitLabel("walking", "train", 80))
    said = Document(page(report(views=(view(labels=labels),)))).said
    assert re.search(r"running none 3", said)


def test_tables_have_captions_scopes_and_named_regions() -> None:
    document = Document(page(pictured()))
    assert len(document.all("table")) == len(document.all("caption"))
    assert all(heading.get("scope") in ("row", "col") for heading in document.all("th"))
    regions = [attributes for attributes in document.all("div") if attributes.get("role") == "region"]
    assert len(regions) == len(document.all("table"))
    assert all(attributes["aria-label"] and attributes["tabindex"] == "0" for attributes in regions)
    for drawing in document.all("svg"):
        inside = "width" in drawing  # part of a drawing that has the name
        assert (
            inside
            or drawing.get("aria-hidden") == "true"
            or (drawing["role"] == "img" and drawing["aria-label"])
        )


def test_controls_that_need_the_script_are_hidden_without_it() -> None:
    forms = Document(page(pictured())).all("form")
    assert [form["data-for"] for form in forms] == ["rules", "take-table"]
    assert all("hidden" in form for form in forms)


@pytest.mark.parametrize("scheme", ["", "@media screen and (prefers-color-scheme: dark)"])
def test_text_has_contrast(scheme: str) -> None:
    """Every ink stands at least 4.5 to 1 against what it is written on (WCAG 2.1, 1.4.3)."""
    block = STYLE[STYLE.index(scheme) if scheme else 0 :]
    colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", block[: block.index("}")]))
    pairs = [("ink", "paper"), ("soft", "paper"), ("soft", "raised"), ("accent", "paper"), ("soft", "track")]
    pairs += [(level, f"{level}-bg") for level in ("ok", "care", "no")]
    for ink, ground in pairs:
        light, dark = sorted((_luminance(colours[ink]), _luminance(colours[ground])), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (ink, ground)


def _luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_tag_escapes_text_and_attributes_but_not_markup() -> None:
    assert tag("p", "a < b", tag("b", "&"), title='"') == '<p title="&quot;">a &lt; b<b>&amp;</b></p>'
    assert (
        tag("input", checked=True, hidden=False, class_=None, aria_label="x")
        == '<input checked aria-label="x">'
    )
    assert concat(["<", Html("<br>")]) == "&lt;<br>"


ROOT = Path(__file__).resolve().parents[2]
CUTTING = ("tiles", "starts", "coverage", "content", "window")
RULE_MODULES = [
    *(ROOT / "ingest").glob("*.py"),
    *(ROOT / "ingest/readers").glob("*.py"),
    *(ROOT / "align").glob("*.py"),
    *(ROOT / "embed" / name for name in ("records.py", "embedded.py", "triplet.py")),
    ROOT / "flows/publish.py",
]
NO_RULES = {
    *VIEWS,
    *JOINTS,
    *("by-user", "by-take", "leave-one-subject-out", "random-windows"),
    *("head-left", "imu-left", "imu-right", "heart-rate-belt"),
    *(
        "take-name",
        "pose-frames",
        "annotation-seconds",
        "narration-seconds",
        "root-centred",
        "mean-then-normalise",
        "normalise-mean-normalise",
        "first-middle-last",
        "utf-8",
        "utf-8-sig",
    ),
}
"""Hyphenated words of these modules that are names of other things."""


def test_every_reason_that_windows_and_labels_drop_out_for_has_words() -> None:
    """Each rule that the cutting of windows counts seconds or windows under."""
    found = set().union(*(_rules(ROOT / f"align/{name}.py") for name in CUTTING))
    rules = {rule for rule in found if rule.startswith(("label-", "window-"))} - {
        "window-imu-masked",
        "window-sensor-missing",
        "label-source-missing",
    }
    assert {"label-overlap", "window-tail", "window-lacks-text"} <= rules
    assert rules <= DROP_WORDS.keys()


def _rules(module: Path) -> set[str]:
    """Every rule is a hyphenated literal somewhere, or the second argument of a `Finding`."""
    source = module.read_text(encoding="utf-8")
    hyphenated = set(re.findall(r'"([a-z0-9]+(?:-[a-z0-9]+)+)"', source))
    return hyphenated | set(re.findall(r'Finding\(\s*[^,"]+,\s*"([a-z0-9-]+)"', source))


def test_every_rule_has_words_and_every_word_a_rule() -> None:
    rules = set().union(*map(_rules, RULE_MODULES)) - NO_RULES
    assert {"gaps", "jitter", "saturation", "take-unreadable", "take-rows"} <= rules
    assert RULE_WORDS.keys() == rules - RULES.keys()
    assert not RULE_WORDS.keys() & RULES.keys()


def test_numbers_of_one_example_do_not_stand_beside_the_counts() -> None:
    """A rule's rows say how often and what it means; what single findings say has to be unfolded."""
    text = page(report(rules=(rule(findings=3000),)))
    body = text[text.index('<tbody data-severity="warning"') :]
    counts, _, folded = body[: body.index("</tbody>")].partition("<details>")
    assert RULE_WORDS["gaps"] in counts
    assert ">3,000<" in counts
    assert "3 gaps longer" not in counts
    assert "3 gaps longer than 100 ms." in folded
    assert "<summary>1 example of 3,000</summary>" in folded


def test_a_bar_too_small_to_see_still_shows() -> None:
    assert 'width="1.5"' in bar(0, 1e-6, "kept")
    assert 'width="1.5"' in bar(1 - 1e-6, 1, "kept")
    assert 'x="398.5"' in bar(1 - 1e-6, 1, "kept")
    assert 'width="0"' in bar(0.5, 0.5, "kept")


def test_a_histogram_of_nothing_draws_no_column() -> None:
    assert 'class="kept"' not in histogram([0] * 20, "none", "kept")


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (duration(8), "8.0 s"),
        (duration(90), "1.5 min"),
        (duration(5400), "1.5 h"),
        (duration(360_000), "100 h"),
        (percent(0, 10), "0%"),
        (percent(1, 1000), "<1%"),
        (percent(999, 1000), ">99%"),
        (percent(10, 10), "100%"),
        (percent(1, 0), "-"),
        (count(1, "take"), "1 take"),
        (count(1234, "take"), "1,234 takes"),
    ],
)
def test_numbers_read_as_what_they_are(said: str, expected: str) -> None:
    assert said == expected


def test_the_error_of_a_stored_imu_is_told_as_far_as_it_is_known():
    """A build of before it was measured says nothing, which is not that there is none."""
    assert error_words("float32", {}) == "exact"
    assert error_words("float16", {}) == "error not measured"
    worst = {"accelerometer_m_s2": 0.00391, "gyroscope_rad_s": 0.0}
    assert error_words("float16", worst) == "at most 0.00391 m/s², 0 rad/s off"
