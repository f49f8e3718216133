"""The facts of a view's vectors in a report, and what guessing would score on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["AgreementFacts", "ChanceFacts", "EncoderFacts", "HealthFacts"]


@dataclass(frozen=True, slots=True)
class EncoderFacts:
    """Whose vectors a view carries: `model` names its weights, `fingerprint` is the digest of all they depend on."""

    name: str
    model: str
    fingerprint: str
    dimensions: int


@dataclass(frozen=True, slots=True)
class HealthFacts:
    """How the vectors of one `column` of a view spread (a camera's, a text source's).

    `present` of `rows` are there. Sound norms are 1 (`norm_low`, `norm_high`: first and last percentile). `mean_cosine`
    is that of two vectors drawn at random: near 1, all are alike. `effective_rank` is how many directions they fill, of
    `dimensions`. Numbers are null where nothing is there to measure.
    """

    column: str
    rows: int
    present: int
    dimensions: int
    norm_mean: float | None
    norm_low: float | None
    norm_high: float | None
    spread: float | None
    effective_rank: float | None
    mean_cosine: float | None


@dataclass(frozen=True, slots=True)
class AgreementFacts:
    """How much better the texts of a view go with their own windows' video than with others' of the same take.

    Of one `dataset` in the view: `paired` and `shuffled` are mean cosines, `z` is how many standard errors apart they
    are over all `pairs`. `takes` could be measured; in `takes_shuffled` of them the pairing tells nothing, in
    `takes_shifted` it fits another time better. Only where the view `tells`, because its takes agree so clearly, is a
    take accused.
    """

    column: str
    takes: int
    takes_shuffled: int
    pairs: int
    paired: float
    shuffled: float
    z: float
    dataset: str = ""
    takes_shifted: int = 0
    tells: bool = True


@dataclass(frozen=True, slots=True)
class ChanceFacts:
    """What guessing scores on one split of a view, so that every score can be held against it.

    `retrieval` (r1, r10, r50, mrr) is for one right answer among `candidates`; empty without texts. `classes` (uniform,
    majority, macro_f1_uniform, macro_f1_majority) is empty without labels.
    """

    split: str
    windows: int
    candidates: int
    retrieval: Mapping[str, float]
    classes: Mapping[str, float]
