from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sensorloom.align.islands import ISLAND_NS, Extent, find_islands

S = 1_000_000_000
HOUR = 3600


def extent(name, first_s, last_s, samples=100, is_imu=True):
    return Extent(name, first_s * S, last_s * S, samples, is_imu)


def left(*extents):
    return find_islands(extents, "t")[0]


def test_parts_within_an_hour_of_one_another_hang_together():
    assert find_islands([extent("a", 0, 10), extent("b", HOUR + 10, HOUR + 20)], "t") == (frozenset(), ())
    assert left(extent("a", 0, 10), extent("b", HOUR + 11, HOUR + 20, 99)) == {"b"}


def test_a_long_part_bridges_what_lies_along_it():
    whole = extent("whole", 0, 4 * HOUR)
    assert left(whole, extent("early", 1, 2), extent("late", 3 * HOUR, 3 * HOUR + 1)) == frozenset()


def test_the_body_is_where_most_imu_samples_are():
    imu, video = extent("imu", 0, 10, 10), extent("cam", 2 * HOUR, 3 * HOUR, 10_000, is_imu=False)
    names, (finding,) = find_islands([video, imu], "t")
    assert names == {"cam"}
    assert (finding.target, finding.rule, finding.severity) == ("t#cam", "clock-island", "error")
    assert finding.numbers == {"offset_s": 7200.0, "samples": 10_000}


def test_without_imu_most_samples_decide():
    one, other = (
        extent("a", -3 * HOUR, -HOUR, 10, is_imu=False),
        extent("b", HOUR, HOUR + 1, 11, is_imu=False),
    )
    assert left(one, other) == {"a"}


SECONDS = st.integers(-(20 * HOUR), 20 * HOUR)
EXTENTS = st.lists(st.tuples(SECONDS, st.integers(0, 5 * HOUR), st.integers(1, 9)), min_size=1, max_size=8)


@given(EXTENTS)
def test_what_stays_has_no_hole_of_over_an_hour(parts):
    extents = [extent(str(i), first, first + length, count) for i, (first, length, count) in enumerate(parts)]
    names, findings = find_islands(extents, "t")
    kept = sorted((one for one in extents if one.name not in names), key=lambda one: one.first_ns)
    assert kept
    assert len(findings) == len(names)
    for index, later in enumerate(kept[1:], start=1):
        assert later.first_ns - max(one.last_ns for one in kept[:index]) <= ISLAND_NS
