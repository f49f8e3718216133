"""A sweep asks for what was meant, and says of its scores what they say."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from importlib.resources import files
from math import sqrt
from pathlib import Path

import pytest

from sensorloom.flows.curve_files import earlier_curves
from sensorloom.flows.errors import ConfigError
from sensorloom.flows.pages.sweep import render_sweep
from sensorloom.flows.sweeps.files import write_sweep_files
from sensorloom.flows.sweeps.grid import NAMED, asked_grid, named_grid
from sensorloom.flows.sweeps.report import Score, failures, means, shown_scores, to_json, verdicts
from sensorloom.training.configs import config_to_json
from sensorloom.training.recipes import make_recipe
from sensorloom.training.settings import apply_settings
from tests.flows.made_up_sweeps import made_up_sweep
from tests.flows.page_reader import Document

PAGES = files("sensorloom.flows.pages")
STYLE, SCRIPT = (PAGES.joinpath(name).read_text(encoding="utf-8") for name in ("style.css", "script.js"))


def test_the_first_key_is_the_axis_and_the_others_are_lines() -> None:
    grid = asked_grid("crossl-pamap2", ("keep=0.5,0.9", "masking=spatial,random"), {})
    assert grid.x_label == "keep"
    assert [(each.line, each.x, dict(each.settings)) for each in grid.variants] == [
        ("masking spatial", "0.5", {"keep": "0.5", "masking": "spatial"}),
        ("masking spatial", "0.9", {"keep": "0.9", "masking": "spatial"}),
        ("masking random", "0.5", {"keep": "0.5", "masking": "random"}),
        ("masking random", "0.9", {"keep": "0.9", "masking": "random"}),
    ]


def test_values_with_commas_are_parted_by_semicolons() -> None:
    grid = asked_grid("imu2clip", ("partners=text; video;text,video",), {})
    assert [each.x for each in grid.variants] == ["text", "video", "text,video"]
    assert {each.line for each in grid.variants} == {"imu2clip"}


@pytest.mark.parametrize(
    ("over", "message"),
    [
        ((), "over which setting"),
        (("keep",), "'keep' is not of the form key=a,b,c"),
        (("keep=",), "'keep=' is not of the form"),
        (("keep=0.5,0.5",), "gives a value twice"),
        (("keep=0.5", "keep=0.9"), "--over names keep twice; give all its values at once"),
        (("epochs=1,2",), "epochs is given both by --over and by --set"),
        (("seed=1,2",), "--over seed is not swept: --seeds N trains"),
        (("snapshot=a,b",), "--over snapshot is not swept: all points read one"),
    ],
)
def test_a_grid_that_cannot_be_is_refused(over: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        asked_grid("crossl-pamap2", over, {"epochs": "3"})


def test_an_unknown_named_sweep_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"unknown sweep 'nothing'; known: objective-ablation, data-eff"):
        named_grid("nothing", None)


@pytest.mark.parametrize("name", NAMED)
def test_every_point_of_a_named_sweep_is_a_configuration_of_its_own(name: str) -> None:
    grid = named_grid(name, None)
    made = [
        config_to_json(apply_settings(make_recipe(variant.recipe), variant.settings))
        for variant in grid.variants
    ]
    assert len({(each.line, each.x) for each in grid.variants}) == len(grid.variants)
    alike = len(made) - len({json.dumps(each, sort_keys=True) for each in made})
    assert alike == (
        2 if name == "loss-weights" else 0
    )  # the weight of 1 is PRIMUS itself in all three lines


def test_the_ablation_leaves_out_what_its_name_leaves_out() -> None:
    """Every choice of the three terms but none, as weights of 0."""
    grid = named_grid("objective-ablation", None)
    kept = {}
    for variant in grid.variants:
        config = config_to_json(apply_settings(make_recipe("primus"), variant.settings))
        kept[variant.x] = tuple(key for key in ("ss", "mm", "nn_imu", "nn_teacher") if config[key])
    assert kept == {
        "SS + MM + NN": ("ss", "mm", "nn_imu", "nn_teacher"),
        "SS + MM": ("ss", "mm"),
        "MM + NN": ("mm", "nn_imu", "nn_teacher"),
        "SS + NN": ("ss", "nn_imu", "nn_teacher"),
        "SS": ("ss",),
        "MM": ("mm",),
        "NN": ("nn_imu", "nn_teacher"),
    }
    assert grid.reference == "SS + MM + NN"


def test_data_efficiency_asks_for_the_share_that_keeps_video_and_text() -> None:
    """Figure 6 of PRIMUS [methods §7]: 10 % for PRIMUS beside 100 % for IMU2CLIP."""
    grid = named_grid("data-efficiency", None)
    asked = {(each.recipe, each.x): float(each.settings["imu_only"]) for each in grid.variants}
    assert asked["primus", "0.1"] == pytest.approx(0.9)
    assert asked["imu2clip", "1"] == 0


def test_a_mean_has_the_standard_error_of_its_seeds() -> None:
    """Of 0.2, 0.4, 0.6: the standard deviation is 0.2, that of the mean 0.2 / √3."""
    (three, one) = means(made_up_sweep({("a", "1"): [0.2, 0.4, 0.6], ("a", "2"): [0.5]}))
    assert three.mean == pytest.approx(0.4)
    assert three.standard_error == pytest.approx(0.2 / sqrt(3))
    assert (three.seeds, three.chance) == (3, 0.125)
    assert one.standard_error is None
    assert (three.words(), one.words()) == ("0.400 ± 0.115", "0.500")


def test_losses_are_shown_only_where_there_is_nothing_else() -> None:
    report = made_up_sweep({("a", "1"): [0.5]})
    both = replace(report.points[0], scores={"loss": Score(1.0), "R@10": Score(0.5)})
    assert shown_scores(replace(report, points=(both,))) == ("R@10",)
    alone = replace(report.points[0], scores={"loss": Score(1.0), "loss: ss": Score(2.0)})
    assert shown_scores(replace(report, points=(alone,))) == ("loss", "loss: ss")


ALL = "SS + MM + NN"


def test_a_reference_that_holds_is_said_to() -> None:
    said = verdicts(made_up_sweep({("p", ALL): [0.5, 0.5], ("p", "MM"): [0.5, 0.4]}, reference=ALL))
    assert said[0] == f"{ALL} is at least as good as each other on average over 2 seeds, in every score."
    assert said[1] == f"R@10: {ALL} has 0.500 ± 0.000 (chance 0.125), at least as much as each other."


def test_a_reference_that_does_not_hold_is_said_not_to() -> None:
    values = {("p", ALL): [0.5], ("p", "MM"): [0.6], ("p", "SS"): [0.1]}
    said = verdicts(made_up_sweep(values, reference=ALL))
    assert said[0] == (
        f"{ALL} is NOT at least as good as each other on average over 1 seed: it is in 0 of 1 scores."
    )
    assert said[1] == f"R@10: {ALL} has 0.500 (chance 0.125), less than p at MM (0.600)."


CANNOT = f"Whether {ALL} is at least as good as each other cannot be said:"


def test_nothing_whole_is_said_where_variants_have_no_score() -> None:
    """Of seven variants five failed, and the reference has one of its three seeds."""
    others = ("SS + MM", "MM + NN", "SS + NN", "SS", "NN")
    values = {("p", ALL): [0.5], ("p", "MM"): [0.4, 0.4, 0.4], **{("p", x): [] for x in others}}
    whole, said = verdicts(made_up_sweep(values, reference=ALL))
    lacking = "5 of 7 variants have no score, 1 of 7 variants lack some seeds or scores"
    assert whole == f"{CANNOT} {lacking}; means are over 1 to 3 of 3 seeds."
    assert said == f"R@10: {ALL} has 0.500 (chance 0.125), at least as much as each other that has a score."


def test_a_reference_that_stands_alone_is_not_called_the_best() -> None:
    (said,) = verdicts(made_up_sweep({("p", ALL): [0.5], ("p", "MM"): []}, reference=ALL))
    assert said == f"{CANNOT} 1 of 2 variants have no score; means are over 1 of 1 seed."


def test_variants_that_both_failed_are_not_called_the_same() -> None:
    report = made_up_sweep({("p", ALL): [0.5], ("p", "MM"): [0.5], ("p", "SS"): [0.4]}, reference=ALL)
    failed = [replace(point, scores={}, failure="nan") for point in report.points[:2]]
    said = verdicts(replace(report, points=(*failed, report.points[2])))
    assert len(said) == 1
    assert "2 of 3 variants have no score" in said[0]


def test_what_had_no_effect_is_said() -> None:
    """Of too few windows PRIMUS's neighbours never begin: then a run with and one without them are the same."""
    values = {("p", ALL): [0.5, 0.6], ("p", "SS + MM"): [0.5, 0.6], ("p", "MM"): [0.6, 0.5]}
    said = verdicts(made_up_sweep(values, reference=ALL))
    assert said[1] == f"SS + MM has the very same scores as {ALL}: what sets them apart had no effect here."
    assert len(said) == 3


def test_the_best_is_named_with_those_that_are_not_told_from_it() -> None:
    values = {("a", "1"): [0.50, 0.52, 0.54], ("a", "2"): [0.51, 0.53, 0.55], ("a", "3"): [0.1, 0.11, 0.12]}
    (said,) = verdicts(made_up_sweep(values))
    assert said == (
        "R@10: best on average is a at 2 with 0.530 ± 0.012 (chance 0.125); not told from it: a at 1 (0.520 ± 0.012)."
    )


def test_where_nothing_beats_guessing_that_comes_first() -> None:
    values = {("a", "1"): [0.10, 0.17, 0.13], ("a", "2"): [0.11, 0.12, 0.13]}
    (said,) = verdicts(made_up_sweep(values))
    assert said.startswith(
        "R@10: nothing is told from guessing; best on average is a at 1 with 0.133 ± 0.020"
    )
    values["a", "3"] = [0.20, 0.21, 0.22]
    (said,) = verdicts(made_up_sweep(values))
    assert said.startswith("R@10: best on average is a at 3 with 0.210")


def test_equal_means_are_tied() -> None:
    values = {("a", "1"): [0.5, 0.6], ("a", "2"): [0.6, 0.5], ("a", "3"): [0.1, 0.1]}
    (said,) = verdicts(made_up_sweep(values))
    assert said == "R@10: best on average are a at 1 and a at 2, tied with 0.550 ± 0.050 (chance 0.125)."


def test_one_seed_tells_nothing_apart() -> None:
    (said,) = verdicts(made_up_sweep({("a", "1"): [0.9], ("a", "2"): [0.1]}))
    assert said.endswith("is a at 1 with 0.900 (chance 0.125); one seed, so nothing is told apart.")
    lacking, said = verdicts(made_up_sweep({("a", "1"): [0.9, 0.9], ("a", "2"): [0.1]}))
    assert lacking == "1 of 2 variants lack some seeds or scores; means are over 1 to 2 of 2 seeds."
    assert said.endswith("with 0.900 ± 0.000 (chance 0.125); not told from it: a at 2 (0.100).")


def test_the_least_loss_is_the_best() -> None:
    (said,) = verdicts(made_up_sweep({("a", "1"): [2.0], ("a", "2"): [1.0]}, score="loss", chance=None))
    assert said.startswith("loss: best on average is a at 2 with 1.000")


def test_what_failed_is_said_once_of_a_run() -> None:
    report = made_up_sweep({("a", "1"): [0.5]})
    failed = replace(report.points[0], scores={}, failure="step 3: the loss is nan")
    report = replace(report, points=(failed, replace(failed, x="2")))
    assert failures(report) == ("primus/ss=1/seed-0 failed: step 3: the loss is nan",)
    assert verdicts(report) == ()
    assert (
        "seed-0 failed: step 3: the loss is nan" in Document(render_sweep(report, style="", script="")).said
    )


def test_an_axis_of_factors_is_logarithmic_and_one_of_names_has_choices() -> None:
    factors = made_up_sweep({("a", x): [0.5] for x in ("0.1", "1", "10")})
    assert (factors.has_numbers, factors.is_logarithmic, factors.place("10")) == (True, True, 10.0)
    steps = made_up_sweep({("a", x): [0.5] for x in ("0", "0.5", "1")})
    assert (steps.is_logarithmic, steps.place("0.5")) == (False, 0.5)
    names = made_up_sweep({("a", x): [0.5] for x in ("SS", "MM", "1")})
    assert (names.has_numbers, names.is_logarithmic, names.place("MM")) == (False, False, 1.0)


def test_the_page_says_what_was_found_and_on_which_data() -> None:
    report = made_up_sweep({("a", "0.1"): [0.2, 0.4], ("a", "1"): [0.6, 0.6], ("b", "1"): [0.3, 0.1]})
    text = render_sweep(report, style=STYLE, script=SCRIPT)
    document = Document(text)
    assert "best on average is a at 1 with 0.600 ± 0.000" in document.said
    assert "This was measured on generated data" in document.said
    assert "Judged by a test. 6 points of 6 are done." in document.said
    assert "All with epochs=2." in document.said
    assert len(document.all("circle")) == 0
    assert text.count('class="marker"><title>') == 3
    assert text == render_sweep(report, style=STYLE, script=SCRIPT)
    assert not re.search(r"https?:|url\(|@import", text)


def test_a_sweep_of_real_data_is_not_called_generated() -> None:
    report = replace(made_up_sweep({("a", "1"): [0.5]}), data="primus: real egoexo4d")
    assert "generated" not in Document(render_sweep(report, style="", script="")).said


def test_a_value_stays_a_value_on_the_page() -> None:
    evil = '"><script>alert(1)</script><img src=x onerror=alert(2)>'
    report = replace(
        made_up_sweep({(evil, evil): [0.5]}, score=evil), settings={evil: evil}, data=evil, judged_by=evil
    )
    document = Document(render_sweep(report, style=STYLE, script=SCRIPT))
    assert len(document.all("script")) == 1
    assert document.all("img") == []
    assert document.said.count("<script>alert(1)</script>") >= 8


def test_the_files_are_the_page_and_a_curve_a_score(tmp_path: Path) -> None:
    report = made_up_sweep({("a", "1"): [0.5], ("a", "2"): [0.6]}, score="imu → text R@10")
    paths = write_sweep_files(report, tmp_path)
    assert [path.name for path in paths.curves] == ["curve-imu-to-text-r10.svg"]
    assert {path.name for path in tmp_path.iterdir()} == {"index.html", "curve-imu-to-text-r10.svg"}
    assert 'xmlns="http://www.w3.org/2000/svg"' in paths.curves[0].read_text(encoding="utf-8")


def test_only_curves_that_the_earlier_facts_tell_of_make_room(tmp_path: Path) -> None:
    """A curve that someone drew beside them stays, and so does whatever damaged facts name."""
    before = made_up_sweep({("a", "1"): [0.5]}, score="of before")
    write_sweep_files(before, tmp_path)
    (tmp_path / "curve-of-mine.svg").write_text("<svg/>")
    told = {**to_json(before), "curves": [*to_json(before)["curves"], "../curve-x.svg", "notes.txt"]}
    (tmp_path / "sweep.json").write_text(json.dumps(told), encoding="utf-8")
    earlier = earlier_curves(tmp_path / "sweep.json")
    assert earlier == ("curve-of-before.svg",)
    write_sweep_files(made_up_sweep({("a", "1"): [0.5]}), tmp_path, earlier)
    assert {path.name for path in tmp_path.glob("*.svg")} == {"curve-of-mine.svg", "curve-r10.svg"}


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"curves": 3}', '{"curves": [3]}'])
def test_damaged_facts_tell_of_no_curves(text: str, tmp_path: Path) -> None:
    (tmp_path / "sweep.json").write_text(text, encoding="utf-8")
    assert earlier_curves(tmp_path / "sweep.json") == ()
    assert earlier_curves(tmp_path / "nothing.json") == ()


def test_the_facts_are_json() -> None:
    facts = json.loads(json.dumps(to_json(made_up_sweep({("a", "1"): [0.5]})), allow_nan=False))
    assert facts["points"][0]["scores"] == {"R@10": {"value": 0.5, "chance": 0.125}}
    assert facts["means"][0]["standard_error"] is None
    assert facts["sweep"] == "made-up"
