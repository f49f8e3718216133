"""PRIMUS written with loops over Python floats, from methods.md §1.3 and §1.4 alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.training.contrast_by_loops import Row, cosine, info_nce_by_loops

__all__ = ["Example", "SlowPrimus"]


@dataclass
class Example:
    """What of one example is known: outputs of the heads, vectors by teacher, None where there is none, its take."""

    ssl: Row
    augmented: Row
    mmcl: Row
    present: bool
    teachers: dict[str, Row | None]
    take: int


@dataclass
class Slot:
    """One place of the queue: a vector for each space, None where the example had none, and its take."""

    vectors: dict[str, Row | None]
    take: int


@dataclass
class SlowPrimus:
    """`paper` or `repo` terms of one batch after another; the queue is a list of places."""

    preset: str
    length: int
    tau_ss: float
    tau_mm: float
    teachers: tuple[str, ...] = ("text", "video")
    domain_order: tuple[str, ...] = ("video", "text")
    places: list[Slot | None] = field(default_factory=list)
    next_place: int = 0

    def __post_init__(self) -> None:
        self.places = [None] * self.length

    def terms(self, batch: Sequence[Example]) -> dict[str, float]:
        """The terms of a batch, each before weighting, with neighbours from the queue as it is."""
        present = [i for i, example in enumerate(batch) if example.present]
        ssl, mmcl = [example.ssl for example in batch], [example.mmcl for example in batch]
        found = {
            "ss": info_nce_by_loops(ssl, [example.augmented for example in batch], self.tau_ss, present),
            "mm": 0.0,
        }
        for teacher in self.teachers:
            there = [i for i in present if batch[i].teachers[teacher] is not None]
            key = [example.teachers[teacher] or [0.0] * len(example.mmcl) for example in batch]
            candidates = there if self.preset == "paper" else present
            found["mm"] += info_nce_by_loops(mmcl, key, self.tau_mm, there, candidates)
        neighbour = [self.neighbour(example) for example in batch]
        for space in ("imu", *self.teachers):
            query, tau = (ssl, self.tau_ss) if space == "imu" else (mmcl, self.tau_mm)
            key, anchors = [], []
            for i, place in enumerate(neighbour):
                slot = self.places[place] if place is not None else None
                vector = slot.vectors[space] if slot is not None else None
                key.append(vector or [0.0] * len(query[i]))
                if batch[i].present and (self.preset == "repo" or (vector is not None and self.is_warm())):
                    anchors.append(i)
            found[f"nn_{space}"] = info_nce_by_loops(query, key, tau, anchors)
        return found

    def is_warm(self) -> bool:
        held = [slot for slot in self.places if slot is not None and any(slot.vectors.values())]
        return len(held) >= self.length / 4

    def neighbour(self, example: Example) -> int | None:
        space, query = "imu", example.ssl
        for domain in reversed(self.domain_order):
            vector = example.teachers[domain]
            if vector is not None:
                space, query = domain, vector
        best: tuple[float, int] | None = None
        for place, slot in enumerate(self.places):
            vector = slot.vectors[space] if slot is not None else None
            own = slot is not None and example.take >= 0 and slot.take == example.take
            if self.preset == "paper" and (vector is None or own):
                continue
            near = cosine(query, vector) if vector is not None else 0.0
            if best is None or near > best[0]:
                best = (near, place)
        return best[1] if best is not None else None

    def enqueue(self, batch: Sequence[Example]) -> None:
        for example in batch:
            vectors: dict[str, Row | None] = {"imu": example.ssl if example.present else None}
            self.places[self.next_place] = Slot(vectors | example.teachers, example.take)
            self.next_place = (self.next_place + 1) % self.length
