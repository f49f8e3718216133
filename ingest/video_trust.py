"""Which decoded frames can be trusted after damage, told from what went into a decoder and what came out. Pure.

A decoder conceals what it cannot read, and then builds the frames that follow on what it made up, without a word.
So a frame is sound when nothing that it may be built on is damaged: nothing stored between it and the last key frame
that came out whole. Frames come out in the order shown, which is not the order stored, and what a frame is built on
may come out after it: it is held until all that is stored before it is known.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

__all__ = ["Trust"]

T = TypeVar("T")

# What is stored before a frame and shown after it waits in the decoder meanwhile, where 16 frames fit at most
# (H.264 A.3.1, H.265 A.4.2): once as many have been shown, all of it has come, or never will.
_LONGEST_WAIT = 16
_MANY_DAMAGES = 256


@dataclass(frozen=True, slots=True)
class _Stored:
    """A packet: its place in stored order, its stamp, and the latest stamp of all packets up to it."""

    place: int
    pts: int
    latest_pts: int
    is_key: bool


@dataclass(slots=True)
class Trust(Generic[T]):
    """Frames `T` on their way out of one decoding, held until each one's soundness is known.

    `lost` counts packets of which no frame came where one with a later stamp did; those before the first frame of
    all do not count: a stream cut from a longer one opens so.
    """

    lost: int = 0
    _num_sent: int = 0
    _num_shown: int = 0
    _latest_sent: int | None = None
    _latest_shown: int | None = None
    _waiting: dict[int, _Stored] = field(default_factory=dict)
    _stamps: list[int] = field(default_factory=list)
    _held: deque[tuple[_Stored, int, T]] = field(default_factory=deque)
    _damage: list[int] = field(default_factory=list)
    _sound_keys: list[_Stored] = field(default_factory=list)

    def sent(self, pts: int | None, *, is_key: bool) -> None:
        """Note that a packet goes into the decoder; without `pts` no frame of it is to come."""
        if pts is not None:
            self._latest_sent = pts if self._latest_sent is None else max(pts, self._latest_sent)
            if pts not in self._waiting:
                heapq.heappush(self._stamps, pts)
            self._waiting[pts] = _Stored(self._num_sent, pts, self._latest_sent, is_key)
        self._num_sent += 1

    def failed(self) -> None:
        """Note that the decoder refused the packet sent last."""
        last = self._num_sent - 1
        self._waiting = {pts: stored for pts, stored in self._waiting.items() if stored.place != last}
        self._add_damage(last)

    def shown(self, pts: int, frame: T | None, *, is_corrupt: bool, is_key: bool) -> None:
        """Note that a frame came out, and hold it unless None; one of no packet, or out of order, is dropped."""
        stored = self._waiting.pop(pts, None)
        if stored is None or (self._latest_shown is not None and pts <= self._latest_shown):
            return
        num_passed = self._pass(pts)
        self.lost += num_passed if self._num_shown else 0
        self._latest_shown = pts
        self._num_shown += 1
        if is_corrupt:
            self._add_damage(stored.place)
        elif is_key and stored.is_key and self._damage:
            self._sound_keys.append(stored)
        if frame is not None:
            self._held.append((stored, self._num_shown, frame))

    def ended(self) -> None:
        """Note that nothing more will come."""
        self.lost += len(self._waiting) if self._num_shown else 0
        self._waiting.clear()
        self._num_shown += _LONGEST_WAIT

    def release(self) -> Iterator[tuple[T, bool]]:
        """Yield each held frame whose soundness is known, in the order shown, and whether it is sound."""
        while self._held and self._is_decided(*self._held[0][:2]):
            stored, _, frame = self._held.popleft()
            yield frame, self._is_sound(stored)

    def _pass(self, pts: int) -> int:
        """Forget all packets with stamps before `pts`; return how many had not come out."""
        num_passed = 0
        while self._stamps and self._stamps[0] <= pts:
            num_passed += self._waiting.pop(heapq.heappop(self._stamps), None) is not None
        return num_passed

    def _is_decided(self, stored: _Stored, num_shown: int) -> bool:
        is_passed = self._latest_shown is not None and stored.latest_pts <= self._latest_shown
        return is_passed or self._num_shown - num_shown >= _LONGEST_WAIT

    def _is_sound(self, frame: _Stored) -> bool:
        damage = max((place for place in self._damage if place <= frame.place), default=None)
        return damage is None or any(
            damage < key.place <= frame.place and key.pts <= frame.pts for key in self._sound_keys
        )

    def _add_damage(self, place: int) -> None:
        self._damage.append(place)
        if len(self._damage) > _MANY_DAMAGES:
            self._forget_old()

    def _forget_old(self) -> None:
        """Keep what can still matter: the last damage before all that is to come, and what follows it."""
        coming = [stored.place for stored, _, _ in self._held]
        coming += [stored.place for stored in self._waiting.values()]
        # No decoder holds as many packets: what was sent before them and has not come will not.
        oldest = max(min(coming, default=self._num_sent), self._num_sent - _MANY_DAMAGES)
        start = max((place for place in self._damage if place <= oldest), default=0)
        self._damage = [place for place in self._damage if place >= start]
        self._sound_keys = [key for key in self._sound_keys if key.place >= start]
