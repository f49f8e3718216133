from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorloom.align.errors import SettingsError, SplitError
from sensorloom.align.leakage import find_leakage
from sensorloom.align.split import SPLIT_NAMES, SplitPolicy, assign

USERS = [f"pamap2/{100 + number}" for number in range(1, 10)]


def rows(users, takes_each=2, windows_each=3):
    return [
        {
            "window_id": f"{user}/t{take}@{window * 5}+5",
            "take_id": f"{user}/t{take}",
            "capture_id": f"{user}/c",
            "participant_id": user,
            "official_split": None,
            "start_ns": window * 5,
            "stop_ns": window * 5 + 5,
        }
        for user in users
        for take in range(takes_each)
        for window in range(windows_each)
    ]


def by_user(policy, users):
    table = rows(users)
    return dict(zip([row["participant_id"] for row in table], assign(policy, table), strict=True))


@given(st.integers(0, 1000), st.sets(st.integers(1, 400), min_size=3, max_size=40))
def test_every_split_has_users_once_there_are_three(seed, numbers):
    place = by_user(SplitPolicy("by-user", seed), [f"d/{number}" for number in sorted(numbers)])
    assert set(place.values()) == {"train", "val", "test"}


@given(st.integers(0, 1000), st.sets(st.integers(1, 400), min_size=3, max_size=40), st.data())
def test_growing_data_moves_at_most_the_users_that_filled_an_empty_split(seed, numbers, data):
    users = [f"d/{number}" for number in sorted(numbers)]
    some = data.draw(st.lists(st.sampled_from(users), min_size=1, unique=True))
    policy = SplitPolicy("by-user", seed)
    before, after = by_user(policy, some), by_user(policy, users)
    assert sum(before[user] != after[user] for user in some) <= 4
    lone = {user: by_user(policy, [user])[user] for user in users}
    natural = set(lone.values()) == {"train", "val", "test"}
    assert not natural or after == lone


@given(
    st.sampled_from(["random-windows", "by-take"]), st.integers(0, 99), st.integers(1, 20), st.integers(1, 20)
)
def test_other_hashed_splits_never_reshuffle(name, seed, few, more):
    policy = SplitPolicy(name, seed)
    old, new = rows([f"d/{n}" for n in range(few)]), rows([f"d/{n}" for n in range(few + more)])
    before = {row["window_id"]: split for row, split in zip(old, assign(policy, old), strict=True)}
    after = {row["window_id"]: split for row, split in zip(new, assign(policy, new), strict=True)}
    assert before.items() <= after.items()


@given(st.sampled_from(SPLIT_NAMES), st.randoms())
def test_the_order_of_rows_does_not_matter(name, rng):
    table = [{**row, "official_split": "val"} for row in rows(USERS)]
    policy = SplitPolicy(name, test_users=("pamap2/105",) if name == "leave-one-subject-out" else ())
    expected = {row["window_id"]: split for row, split in zip(table, assign(policy, table), strict=True)}
    rng.shuffle(table)
    assert {
        row["window_id"]: split for row, split in zip(table, assign(policy, table), strict=True)
    } == expected


def test_hashed_shares_come_near_their_fractions():
    counts = Counter(assign(SplitPolicy("random-windows"), rows([f"d/{n}" for n in range(1000)])))
    assert counts["train"] / 6000 == pytest.approx(0.8, abs=0.03)
    assert counts["val"] / 6000 == pytest.approx(0.1, abs=0.02)
    assert SplitPolicy("random-windows").leaky
    assert not SplitPolicy("by-user").leaky


def test_named_users_are_exactly_those():
    place = by_user(SplitPolicy("by-user", val_users=("pamap2/105",), test_users=("pamap2/106",)), USERS)
    assert [user for user in USERS if place[user] == "val"] == ["pamap2/105"]
    assert [user for user in USERS if place[user] == "test"] == ["pamap2/106"]
    assert place["pamap2/109"] == "train"


def test_users_of_another_data_set_do_not_disturb_a_view():
    policy = SplitPolicy("by-user", test_users=("pamap2/106",))
    assert by_user(policy, ["realworld/1", "realworld/2"]) == by_user(
        SplitPolicy("by-user"), ["realworld/1", "realworld/2"]
    )


def test_one_subject_is_left_out_and_the_one_before_validates():
    users = [f"realworld/proband{number}" for number in (1, 2, 9, 10)]
    place = by_user(SplitPolicy("leave-one-subject-out", test_users=("realworld/proband10",)), users)
    assert [place[user] for user in users] == ["train", "train", "val", "test"]
    first = by_user(SplitPolicy("leave-one-subject-out", test_users=("realworld/proband1",)), users)
    assert first["realworld/proband10"] == "val"
    none = SplitPolicy("leave-one-subject-out", fractions=(0.9, 0.0, 0.1), test_users=("realworld/proband1",))
    assert Counter(by_user(none, users).values()) == {"train": 3, "test": 1}


def test_the_official_split_is_followed_or_its_absence_told():
    table = rows(["d/1"], 1, 3)
    for row, split in zip(table, ("test", "train", "val"), strict=True):
        row["official_split"] = split
    assert assign(SplitPolicy("official"), table) == ["test", "train", "val"]
    with pytest.raises(SplitError, match=r"take d/1/t0 has no official split \(got None\); choose another"):
        assign(SplitPolicy("official"), rows(["d/1"]))


def test_a_named_user_that_is_not_there_is_refused():
    with pytest.raises(SplitError, match=r"the split names pamap2/999, but the users are pamap2/101"):
        assign(SplitPolicy("by-user", test_users=("pamap2/999",)), rows(["pamap2/101"]))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "by-moon"}, "unknown split policy 'by-moon'; known: by-user, leave-one-subject-out"),
        ({"name": "by-user", "fractions": (0.8, 0.1, 0.2)}, "must be at least 0 and sum to 1, got"),
        (
            {"name": "by-user", "val_users": ("a",), "test_users": ("a",)},
            "users cannot be in val and test at once: a",
        ),
        ({"name": "leave-one-subject-out"}, "needs exactly one test user, got 0"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(fields, message):
    with pytest.raises(SettingsError, match=message):
        SplitPolicy(**fields)


def with_splits(policy, table):
    return [{**row, "split": split} for row, split in zip(table, assign(policy, table), strict=True)]


def test_a_split_by_user_leaks_nothing():
    assert find_leakage(with_splits(SplitPolicy("by-user"), rows(USERS))) == ()


def test_random_windows_leak_participants_and_captures():
    leaks = {
        (leak.kind, leak.first, leak.second): leak
        for leak in find_leakage(with_splits(SplitPolicy("random-windows"), rows(USERS, 2, 40)))
    }
    assert leaks["participant", "test", "train"].count == 9
    assert leaks["capture", "train", "val"].count == 9
    assert leaks["participant", "test", "train"].examples[0] == "pamap2/101"
    assert not [kind for kind, _, _ in leaks if kind == "overlap"]


def test_overlapping_windows_in_different_splits_are_counted_by_pair():
    table = rows(["d/1"], 1, 4)
    for row, split in zip(table, ("train", "test", "test", "train"), strict=True):
        row |= {"split": split, "stop_ns": row["start_ns"] + 8}
    leak = next(leak for leak in find_leakage(table) if leak.kind == "overlap")
    assert (leak.first, leak.second, leak.count) == ("test", "train", 2)
    assert leak.examples == ("d/1/t0@0+5 & d/1/t0@5+5", "d/1/t0@10+5 & d/1/t0@15+5")


def test_touching_windows_do_not_overlap():
    table = rows(["d/1"], 1, 2)
    table[0]["split"], table[1]["split"] = "train", "test"
    assert {leak.kind for leak in find_leakage(table)} == {"participant", "capture"}


@given(
    st.lists(
        st.tuples(st.integers(0, 40), st.integers(1, 15), st.sampled_from(["train", "val", "test"])),
        max_size=20,
    )
)
def test_overlaps_agree_with_comparing_every_pair(spans):
    base = rows(["d/1"], 1, 1)[0]
    table = [
        {**base, "window_id": f"w{n:02}", "start_ns": start, "stop_ns": start + length, "split": split}
        for n, (start, length, split) in enumerate(spans)
    ]
    expected: Counter[tuple[str, str]] = Counter()
    for n, one in enumerate(table):
        for other in table[:n]:
            if (
                one["split"] != other["split"]
                and one["start_ns"] < other["stop_ns"]
                and other["start_ns"] < one["stop_ns"]
            ):
                expected[tuple(sorted((one["split"], other["split"])))] += 1
    found = {(leak.first, leak.second): leak.count for leak in find_leakage(table) if leak.kind == "overlap"}
    assert found == expected
