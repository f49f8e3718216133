"""What a query asked and what it found, as plain records.

Every `_s` that is a place in time counts from where the take begins; `[start_s, stop_s)` is half-open.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sensorloom.flows.audit.report_windows import TextShown, WindowPicture

__all__ = ["Answer", "Asked", "Form", "Hit", "HitPicture", "Motion"]


@dataclass(frozen=True, slots=True)
class Asked:
    """A query: by a `text`, or by the vectors `by` of the window `window_id`; for `k` windows by their vectors `of`.

    `split` null searches all of them.
    """

    of: str
    k: int = 10
    text: str = ""
    window_id: str = ""
    by: str = "text"
    split: str | None = None


@dataclass(frozen=True, slots=True)
class Form:
    """A form to ask by: the modalities `offered` to search, none for no form; what was `asked` in vain, and why."""

    offered: tuple[str, ...] = ()
    asked: Asked | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Hit:
    """A window that was found: which stretch of which take, how near (`score`, a cosine), and what was said there.

    `matched` is the camera, or the words, whose vector was the nearest; "" of sensors. `is_query` marks the window
    that was asked with, or one that overlaps it, `is_generated` one of a take that was generated, not recorded.
    """

    rank: int
    score: float
    window_id: str
    take_id: str
    dataset: str
    split: str
    label: str
    start_s: float
    stop_s: float
    matched: str
    texts: tuple[TextShown, ...]
    is_query: bool = False
    is_generated: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What a query found among `windows` windows, in `search_ms`, the encoding of a text apart.

    `run` is the folder of the run whose vectors were searched, "" where only the store's were; `encoder` the name of
    the frozen encoder of texts and videos. `is_generated` tells that takes among the hits are generated, some or all.
    """

    asked: Asked
    view: str
    snapshot_id: str
    run: str
    encoder: str
    windows: int
    search_ms: float
    is_generated: bool = field(init=False)
    hits: tuple[Hit, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "is_generated", any(hit.is_generated for hit in self.hits))

    @property
    def generated(self) -> str:
        """Say which of the takes that were found are generated, all or some; "" where none is."""
        if not self.is_generated:
            return ""
        which = "All" if all(hit.is_generated for hit in self.hits) else "Some"
        return f"{which} of these takes are generated data: the scores say nothing about real recordings."


@dataclass(frozen=True, slots=True)
class Motion:
    """A body over a window: of each instant, `step_s` apart, a point (x, y, z) in metres of each joint; null unseen."""

    joints: tuple[str, ...]
    step_s: float
    frames: tuple[tuple[tuple[float, float, float] | None, ...], ...]


@dataclass(frozen=True, slots=True)
class HitPicture:
    """A window that was found, drawn; `motion` null where the take has no body poses there."""

    window: WindowPicture
    motion: Motion | None
