"""Curves stand where their numbers say, and a value in them stays a value."""

from __future__ import annotations

import re
from math import inf, nan

import pytest

from sensorloom.flows.pages.curves import Line, Point, curves_svg, svg_file
from tests.flows.page_reader import Document


def drawn(*lines: Line, **options: object) -> str:
    return curves_svg(lines, title="Accuracy", x_label="shots", y_label="accuracy", **options)  # type: ignore[arg-type]


def markers(text: str) -> list[tuple[float, float]]:
    """Return the middles of the discs of the first line: the path begins 3.6 left of each."""
    found = re.findall(r'<path d="M([\d.]+) ([\d.]+)a3\.6[^"]*" class="marker"><title>', text)
    return [(float(x) + 3.6, float(y)) for x, y in found]


def test_points_of_equal_steps_stand_at_equal_distances() -> None:
    text = drawn(Line("a", [Point(1, 0.2), Point(2, 0.4), Point(3, 0.6)]))
    (x1, y1), (x2, y2), (x3, y3) = markers(text)
    assert x2 - x1 == pytest.approx(x3 - x2, abs=0.02)
    assert y1 - y2 == pytest.approx(y2 - y3, abs=0.02)
    assert y1 - y2 > 0  # more is higher
    assert re.search(r'<polyline points="[\d.]+,[\d.]+ [\d.]+,[\d.]+ [\d.]+,[\d.]+" class="path"', text)


def test_a_logarithmic_axis_gives_equal_factors_equal_distances_and_marks_what_was_measured() -> None:
    text = drawn(Line("a", [Point(x, 0.5) for x in (5, 50, 500)]), log_x=True)
    x1, x2, x3 = (x for x, _ in markers(text))
    assert x2 - x1 == pytest.approx(x3 - x2, abs=0.02)
    assert x2 - x1 > 200
    assert {"5", "50", "500"} <= set(Document(text).said.split())


def test_a_logarithmic_axis_leaves_out_numbers_that_would_run_into_one_another() -> None:
    text = drawn(Line("a", [Point(x, 0.5) for x in (10, 11, 1000)]), log_x=True)
    below = re.findall(r'y="280" class="mark"[^>]*>([^<]*)</text>', text)
    assert below == ["10", "1000"]


def test_zero_has_no_place_on_a_logarithmic_axis() -> None:
    with pytest.raises(ValueError, match="Accuracy: a logarithmic axis has no place for an x of 0 or less"):
        drawn(Line("a", [Point(0, 0.5)]), log_x=True)


def test_an_error_bar_reaches_as_far_as_its_error() -> None:
    """Two points 0.2 apart, the first ± 0.1: its bar is as long as they are apart, around its marker."""
    text = drawn(Line("a", [Point(1, 0.4, 0.1), Point(2, 0.6)]))
    (_, y1), (_, y2) = markers(text)
    (bar,) = re.findall(r'<path d="M[\d.]+ ([\d.]+)V([\d.]+)M[^"]*" class="bar-of-error"', text)
    low, high = map(float, bar)
    assert low - high == pytest.approx(y1 - y2, abs=0.02)
    assert (low + high) / 2 == pytest.approx(y1, abs=0.02)
    assert "a: 0.4 ± 0.1 at 1" in Document(text).said
    assert "a: 0.6 at 2" in Document(text).said


def test_chance_is_a_line_of_its_own_within_the_axis() -> None:
    text = drawn(Line("a", [Point(1, 0.4), Point(2, 0.6)]), chance=0.125)
    (_, y1), (_, y2) = markers(text)
    (chance,) = re.findall(r'y1="([\d.]+)" y2="\1" class="chance"', text)
    assert float(chance) - y1 == pytest.approx((0.4 - 0.125) / 0.2 * (y1 - y2), abs=0.1)
    assert "chance 0.125" in Document(text).said
    assert "chance" not in drawn(Line("a", [Point(1, 0.4)]))


def test_what_is_not_finite_is_left_out() -> None:
    points = [Point(1, 0.4, nan), Point(2, nan), Point(inf, 0.5), Point(3, 0.6)]
    text = drawn(Line("a", points))
    assert len(markers(text)) == 2
    assert "nan" not in text
    assert "inf" not in text
    assert "bar-of-error" not in text


def test_points_are_joined_in_the_order_of_x() -> None:
    assert drawn(Line("a", [Point(3, 1), Point(1, 2)])) == drawn(Line("a", [Point(1, 2), Point(3, 1)]))


def test_a_single_point_stands_in_the_middle() -> None:
    text = drawn(Line("a", [Point(7, 0.5)]))
    ((x, _),) = markers(text)
    assert x == pytest.approx((58 + 622) / 2)


def test_nothing_measured_is_said() -> None:
    for lines in ([], [Line("a", [])], [Line("a", [Point(1, nan)])]):
        assert "nothing was measured" in Document(drawn(*lines)).said


def test_choices_stand_by_their_names() -> None:
    text = drawn(Line("a", [Point(0, 0.4), Point(1, 0.6)]), x_names=("random", "spatial"))
    middles = [x for x, _ in markers(text)]
    assert "a: 0.6 at spatial" in Document(text).said
    assert text.count("<polyline") == 1  # the legend's: choices have no order, so nothing lies between them
    for name, x in zip(("random", "spatial"), middles, strict=True):
        (place,) = re.findall(rf'<text x="([\d.]+)"[^>]*>{name}</text>', text)
        assert float(place) == pytest.approx(x, abs=0.02)


def test_lines_differ_by_marker_and_class_and_stand_in_the_legend() -> None:
    text = drawn(*(Line(f"line {at}", [Point(1, at), Point(2, at)]) for at in range(9)))
    assert {f"line {at}" for at in range(9)} <= {
        f"line {at}" for at in re.findall(r">line (\d)</text>", text)
    }
    shapes = [
        re.sub(r"[\d.-]+", "", d) for d in re.findall(r'<path d="([^"]*)" class="marker"><title>', text)
    ]
    assert len(set(shapes[:8:2])) == 4
    assert {f"curve curve-{at}" for at in range(8)} == set(re.findall(r'class="(curve curve-\d)"', text))


def test_a_longer_legend_makes_a_taller_drawing() -> None:
    def height(count: int, name: str = "a") -> int:
        found = re.search(r'viewBox="0 0 640 (\d+)"', drawn(*(Line(name, []) for _ in range(count))))
        assert found is not None
        return int(found[1])

    assert height(1) == height(2) < height(3)
    assert height(2, "a" * 39) == height(3)


def test_a_value_stays_a_value() -> None:
    evil = '"><script>alert(1)</script><img src=x onerror=alert(2)>'
    line = Line(evil, [Point(1, 0.5)])
    text = svg_file(curves_svg([line], title=evil, x_label=evil, y_label=evil, x_names=(evil, evil)))
    document = Document(text)
    assert document.all("script") == []
    assert document.all("img") == []
    assert not any(name.startswith("on") for _, attributes in document.elements for name in attributes)
    assert document.said.count("<script>alert(1)</script>") == 7


def test_a_file_is_sound_xml_with_colours_of_its_own() -> None:
    from xml.etree import ElementTree

    text = svg_file(curves_svg([Line("a < b", [Point(1, 0.5, 0.1)])], title="t", x_label="x", y_label="y"))
    root = ElementTree.fromstring(text)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert root.attrib["viewBox"] == "0 0 640 329"
    assert "currentColor" in text
    assert text == svg_file(
        curves_svg([Line("a < b", [Point(1, 0.5, 0.1)])], title="t", x_label="x", y_label="y")
    )
