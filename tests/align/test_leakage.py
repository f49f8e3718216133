"""What splits share beyond ids and times: windows that are twins, texts; and what is said of it."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorloom.align.leakage import Leak, find_leakage, find_shared_texts, find_twin_windows, tell_leaks
from sensorloom.align.rules import RULES, tune


def row(number, split, take="t", start=None, texts=()):
    start = 5 * number if start is None else start
    return {
        "window_id": f"{take}@{number}",
        "take_id": take,
        "participant_id": take,
        "capture_id": take,
        "split": split,
        "start_ns": start,
        "stop_ns": start + 5,
        "texts": [{"text_id": text.lower(), "text": text} for text in texts],
    }


def pairs(*both):
    return np.array(both, np.int64).reshape(-1, 2)


def test_twins_in_two_splits_are_counted_by_window():
    rows = [row(0, "train", "a"), row(1, "train", "a"), row(0, "test", "b"), row(1, "val", "b")]
    one, other = find_twin_windows("signal", rows, pairs((0, 2), (1, 2), (1, 3), (0, 1)))
    assert one == Leak("signal", "test", "train", 3, ("b@0 & a@0", "b@0 & a@1"))
    assert other == Leak("signal", "train", "val", 2, ("a@1 & b@1",))


def test_twins_that_overlap_in_one_take_are_left_to_the_kind_that_tells_of_it():
    rows = [row(0, "train", start=0), row(1, "test", start=3), row(2, "test", start=5)]
    assert find_twin_windows("vector", rows, pairs((0, 1))) == ()
    assert [leak.kind for leak in find_leakage(rows) if leak.kind == "overlap"] == ["overlap"]
    (touching,) = find_twin_windows("vector", rows, pairs((0, 2)))
    assert touching.count == 2


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=30), st.randoms())
def test_twins_agree_with_looking_at_every_pair(drawn, random):
    rows = [
        row(n, random.choice(["train", "val", "test"]), random.choice("ab"), random.randrange(12))
        for n in range(10)
    ]
    windows: Counter[tuple[str, str]] = Counter()
    for split in ("test", "train", "val"):
        for other in ("test", "train", "val"):
            if split < other:
                seen = set()
                for a, b in drawn:
                    same = rows[a]["take_id"] == rows[b]["take_id"]
                    overlap = same and abs(rows[a]["start_ns"] - rows[b]["start_ns"]) < 5
                    if {rows[a]["split"], rows[b]["split"]} == {split, other} and not overlap:
                        seen |= {a, b}
                windows[split, other] = len(seen)
    found = {
        (leak.first, leak.second): leak.count for leak in find_twin_windows("signal", rows, pairs(*drawn))
    }
    assert found == +windows


def test_texts_of_two_splits_are_counted_once_each():
    rows = [
        row(0, "train", texts=("C walks", "C sits")),
        row(1, "train", texts=("C walks",)),
        row(2, "test", texts=("C walks", "C runs")),
    ]
    assert find_shared_texts(rows) == (Leak("text", "test", "train", 1, ("C walks",)),)
    assert find_shared_texts(rows[:2]) == ()
    assert find_shared_texts([{"split": "train"}, {"split": "test"}]) == ()


@pytest.mark.parametrize(
    ("leak", "words"),
    [
        (Leak("participant", "test", "train", 2, ("p/1", "p/2")), "share 2 participants, as p/1"),
        (Leak("capture", "test", "train", 1, ("c/1",)), "share 1 capture, as c/1"),
        (Leak("overlap", "test", "train", 3, ("a & b",)), "share 3 pairs of windows that overlap, as a & b"),
        (Leak("signal", "test", "train", 4, ("a & b",)), "share 4 windows with the same signal, as a & b"),
        (
            Leak("vector", "test", "train", 4, ("a & b",)),
            "share 4 windows with all but the same video vector, as a & b",
        ),
        (Leak("text", "test", "train", 1, ("C walks",)), "share 1 text, as C walks"),
    ],
)
def test_a_leak_is_told_by_its_own_rule(leak, words):
    (finding,) = tell_leaks("primus", [leak], RULES)
    assert (finding.target, finding.rule) == ("primus", f"leak-{leak.kind}")
    assert finding.severity == ("note" if leak.kind == "text" else "error")
    assert finding.sentence == f"test and train {words}"
    assert finding.numbers == {"shared": leak.count}
    assert tell_leaks("primus", [leak], tune({f"leak-{leak.kind}": {"severity": "off"}})) == ()
