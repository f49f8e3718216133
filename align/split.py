"""Splits by hash: which of train, val and test a window belongs to, a pure function of ids and a seed.

A unit's place depends on its own id and the seed alone, so data that grows never reshuffles what is there. `by-user`
adds one thing: among three users or more, an empty val or test takes in the user whose hash lies nearest to it, so that nine
users can be split at all. Only such a user moves, and only once another falls into the share by its own
hash; naming `val_users` and `test_users` rules out even that.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from types import MappingProxyType
from typing import Literal

__all__ = ["SPLITS", "SPLIT_NAMES", "SplitPolicy", "SplitRow", "assign"]

SPLITS = ("train", "val", "test")
"""The three splits, in the order of `SplitPolicy.fractions`."""

PolicyName = Literal["by-user", "leave-one-subject-out", "random-windows", "by-take", "official"]


@dataclass(frozen=True, slots=True)
class SplitRow:
    """What a split may look at in one window."""

    window_id: str
    take_id: str
    participant_id: str
    official_split: str | None = None


@dataclass(frozen=True, slots=True)
class SplitPolicy:
    """How windows are split; the same policy and rows always give the same answer.

    - `by-user`: participants by hash into `fractions`, or, with `val_users` or `test_users`, exactly those and the rest to train.
    - `leave-one-subject-out`: the one `test_users`; `val_users`, else the participant before it (as CroSSL does, the last
      one before the first), else none where the fraction of val is 0.
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
            raise ValueError(f"unknown split policy {self.name!r}; known: {', '.join(SPLIT_NAMES)}")
        if min(self.fractions) < 0 or abs(sum(self.fractions) - 1) > 1e-9:
            raise ValueError(
                f"fractions of train, val and test must be at least 0 and sum to 1, got {self.fractions}"
            )
        both = set(self.val_users) & set(self.test_users)
        if both:
            raise ValueError(f"users cannot be in val and test at once: {', '.join(sorted(both))}")
        if self.name == "leave-one-subject-out" and len(self.test_users) != 1:
            raise ValueError(f"leave-one-subject-out needs exactly one test user, got {len(self.test_users)}")

    @property
    def leaky(self) -> bool:
        """Whether windows of one participant can fall on both sides, so that scores flatter."""
        return self.name in ("random-windows", "by-take")


def assign(policy: SplitPolicy, rows: Sequence[SplitRow]) -> list[str]:
    """Return the split of every row, in order.

    Raises `ValueError` for a named user that no row has, and for a row without an official split under `official`.
    """
    users = {row.participant_id for row in rows}
    unknown = sorted({*policy.val_users, *policy.test_users} - users)
    if unknown and rows:
        raise ValueError(
            f"split names users that are not there: {', '.join(unknown)}; known: {', '.join(sorted(users))}"
        )
    return _POLICIES[policy.name](policy, rows)


def _by_user(policy: SplitPolicy, rows: Sequence[SplitRow]) -> list[str]:
    users = {row.participant_id for row in rows}
    if policy.val_users or policy.test_users:
        place = dict.fromkeys(users, "train")
    else:
        place = {user: _bucket(policy, user) for user in users}
        _fill_empty(policy, place)
    place |= dict.fromkeys(policy.val_users, "val") | dict.fromkeys(policy.test_users, "test")
    return [place[row.participant_id] for row in rows]


def _fill_empty(policy: SplitPolicy, place: dict[str, str]) -> None:
    """Give an empty test, then an empty val, the training user whose hash lies nearest; in place, from three users on."""
    if len(place) < len(SPLITS):
        return
    for split in ("test", "val"):
        donors = [user for user in place if place[user] == "train"] or [
            user for user in place if place[user] == "val"
        ]
        if policy.fractions[SPLITS.index(split)] and split not in place.values():
            place[max(donors, key=lambda user: _fraction(policy, user))] = split


def _leave_one_out(policy: SplitPolicy, rows: Sequence[SplitRow]) -> list[str]:
    users = sorted({row.participant_id for row in rows}, key=_natural_key)
    test = policy.test_users[0]
    val = set(policy.val_users)
    if not val and policy.fractions[1] and len(users) > 2:
        val = {users[users.index(test) - 1]}
    return [
        "test" if row.participant_id == test else "val" if row.participant_id in val else "train"
        for row in rows
    ]


def _by_window(policy: SplitPolicy, rows: Sequence[SplitRow]) -> list[str]:
    return [_bucket(policy, row.window_id) for row in rows]


def _by_take(policy: SplitPolicy, rows: Sequence[SplitRow]) -> list[str]:
    place = {take: _bucket(policy, take) for take in {row.take_id for row in rows}}
    return [place[row.take_id] for row in rows]


def _official(policy: SplitPolicy, rows: Sequence[SplitRow]) -> list[str]:  # noqa: ARG001
    for row in rows:
        if row.official_split not in SPLITS:
            raise ValueError(
                f"take {row.take_id} has no official split (it says {row.official_split!r}); choose another policy"
            )
    return [str(row.official_split) for row in rows]


_POLICIES: Mapping[str, Callable[[SplitPolicy, Sequence[SplitRow]], list[str]]] = MappingProxyType(
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
