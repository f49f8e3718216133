"""Splits by hash: which of train, val and test a window belongs to, a pure function of ids and a seed.

A unit's place depends on its own id and the seed alone, so data that grows never reshuffles what is there.
`by-user` adds one thing: among three users or more, an empty split takes in the user of the largest one that
hashes highest, so that nine users can be split at all. Only such a user ever moves, and only once another
falls into the split by its own hash; naming `val_users` and `test_users` rules out even that.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from types import MappingProxyType
from typing import Any, Literal

from sensorloom.align.errors import SettingsError, SplitError

__all__ = ["SPLITS", "SPLIT_NAMES", "Row", "SplitPolicy", "assign"]

SPLITS = ("train", "val", "test")
"""The three splits, in the order of `SplitPolicy.fractions`."""

PolicyName = Literal["by-user", "leave-one-subject-out", "random-windows", "by-take", "official"]


Row = Mapping[str, Any]
"""A row of a window table: `window_id`, `take_id`, `participant_id`; for `official` also `official_split`."""


@dataclass(frozen=True, slots=True)
class SplitPolicy:
    """How windows are split; the same policy and rows always give the same answer.

    - `by-user`: participants by hash into `fractions`, or, with `val_users` or `test_users`, exactly those
      and the rest to train.
    - `leave-one-subject-out`: the one `test_users`; `val_users`, else the participant before it (as CroSSL
      does, the last one before the first), else none where the fraction of val is 0.
    - `random-windows`: windows by hash, as the papers' random 80/10/10. Leaky: see `leaky`.
    - `by-take`: takes by hash. A participant can be in several splits.
    - `official`: the data set's own.
    """

    name: PolicyName
    seed: int = 0
    fractions: tuple[float, float, float] = (0.8, 0.1, 0.1)
    val_users: tuple[str, ...] = ()
    test_users: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.name not in SPLIT_NAMES:
            raise SettingsError(f"unknown split policy {self.name!r}; known: {', '.join(SPLIT_NAMES)}")
        if min(self.fractions) < 0 or abs(sum(self.fractions) - 1) > 1e-9:
            raise SettingsError(
                f"fractions of train, val and test must be at least 0 and sum to 1, got {self.fractions}"
            )
        both = set(self.val_users) & set(self.test_users)
        if both:
            raise SettingsError(f"users cannot be in val and test at once: {', '.join(sorted(both))}")
        if self.name == "leave-one-subject-out" and len(self.test_users) != 1:
            raise SettingsError(
                f"leave-one-subject-out needs exactly one test user, got {len(self.test_users)}"
            )

    @property
    def leaky(self) -> bool:
        """Whether windows of one participant can fall on both sides, so that scores flatter."""
        return self.name in ("random-windows", "by-take")


def assign(policy: SplitPolicy, rows: Sequence[Row]) -> list[str]:
    """Return the split of every row, in order.

    Users are named with their data set (`pamap2/105`) and count only where rows of that data set are: a
    view of another one is split by hash, or goes to train under `leave-one-subject-out`. Raises
    `SplitError` for a named user that its data set's rows lack, and for a row without an official split
    under `official`.
    """
    users = {row["participant_id"] for row in rows}
    named = {*policy.val_users, *policy.test_users}
    concerned = {user for user in named if any(_dataset(user) == _dataset(other) for other in users)}
    unknown = sorted(concerned - users)
    if unknown:
        raise SplitError(
            f"the split names {', '.join(unknown)}, but the users are {', '.join(sorted(users))}"
        )
    return _POLICIES[policy.name](policy, rows)


def _dataset(user: str) -> str:
    return user.partition("/")[0]


def _by_user(policy: SplitPolicy, rows: Sequence[Row]) -> list[str]:
    users = {row["participant_id"] for row in rows}
    if users & {*policy.val_users, *policy.test_users}:
        place = dict.fromkeys(users, "train")
    else:
        place = {user: _bucket(policy, user) for user in users}
        _fill_empty(policy, place)
    place |= dict.fromkeys(policy.val_users, "val") | dict.fromkeys(policy.test_users, "test")
    return [place[row["participant_id"]] for row in rows]


def _fill_empty(policy: SplitPolicy, place: dict[str, str]) -> None:
    """Give an empty split a user of the largest one, by hash; in place, from three users on."""
    if len(place) < len(SPLITS):
        return
    for split, fraction in reversed(list(zip(SPLITS, policy.fractions, strict=True))):
        if fraction and split not in place.values():
            sizes = Counter(place.values())
            donors = [user for user in place if sizes[place[user]] == max(sizes.values())]
            place[max(donors, key=lambda user: _fraction(policy, user))] = split


def _leave_one_out(policy: SplitPolicy, rows: Sequence[Row]) -> list[str]:
    users = sorted({row["participant_id"] for row in rows}, key=_natural_key)
    test = policy.test_users[0]
    val = set(policy.val_users)
    if not val and policy.fractions[1] and len(users) > 2 and test in users:
        val = {users[users.index(test) - 1]}
    return [
        "test" if row["participant_id"] == test else "val" if row["participant_id"] in val else "train"
        for row in rows
    ]


def _by_window(policy: SplitPolicy, rows: Sequence[Row]) -> list[str]:
    return [_bucket(policy, row["window_id"]) for row in rows]


def _by_take(policy: SplitPolicy, rows: Sequence[Row]) -> list[str]:
    place = {take: _bucket(policy, take) for take in {row["take_id"] for row in rows}}
    return [place[row["take_id"]] for row in rows]


def _official(policy: SplitPolicy, rows: Sequence[Row]) -> list[str]:  # noqa: ARG001
    for row in rows:
        if row["official_split"] not in SPLITS:
            raise SplitError(
                f"take {row['take_id']} has no official split (got {row['official_split']!r}); choose another"
            )
    return [str(row["official_split"]) for row in rows]


_POLICIES: Mapping[str, Callable[[SplitPolicy, Sequence[Row]], list[str]]] = MappingProxyType(
    {
        "by-user": _by_user,
        "leave-one-subject-out": _leave_one_out,
        "random-windows": _by_window,
        "by-take": _by_take,
        "official": _official,
    }
)

SPLIT_NAMES = tuple(_POLICIES)


def _fraction(policy: SplitPolicy, unit: str) -> float:
    """Return the unit's place in [0, 1), from the sha256 of seed and id."""
    return int.from_bytes(sha256(f"{policy.seed}\0{unit}".encode()).digest()[:6], "big") / 2**48


def _bucket(policy: SplitPolicy, unit: str) -> str:
    train, val, _ = policy.fractions
    place = _fraction(policy, unit)
    return "train" if place < train else "val" if place < train + val else "test"


def _natural_key(user: str) -> list[tuple[int, str]]:
    """Order proband2 before proband10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", user)]
