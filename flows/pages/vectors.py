"""What a view's vectors are worth, and what guessing would score on its splits."""

from __future__ import annotations

from collections.abc import Sequence

from sensorloom.flows.audit.report import ViewFacts
from sensorloom.flows.audit.report_vectors import AgreementFacts, ChanceFacts, HealthFacts
from sensorloom.flows.pages.charts import bar
from sensorloom.flows.pages.html import Html, concat, tag
from sensorloom.flows.pages.tables import Column, cell, row, table
from sensorloom.flows.pages.words import count, minus, number, percent

__all__ = ["chance", "health"]

_HEALTH = (
    Column("Vectors"),
    Column("Present", numeric=True),
    Column("Norm", numeric=True),
    Column("Mean cosine", numeric=True),
    Column("Effective rank", numeric=True),
    Column(""),
)
_AGREEMENT = (
    Column("Texts"),
    Column("Takes", numeric=True),
    Column("Paired", numeric=True),
    Column("Shuffled", numeric=True),
    Column("z", numeric=True),
    Column("Takes where pairing tells nothing", numeric=True),
)
_RETRIEVAL = {"r1": "R@1", "r10": "R@10", "r50": "R@50", "mrr": "MRR"}
_CLASSES = {"uniform": "Any class", "majority": "Largest class", "macro_f1_majority": "Macro F1 of that"}


def health(view: ViewFacts) -> Html:
    """Return how the vectors of a view spread and whether texts go with their own windows; nothing without vectors."""
    if not view.health and not view.agreement:
        return concat([])
    parts = [tag("h4", "Health of the vectors"), _encoder(view)]
    if view.health:
        rows = [_health_row(facts) for facts in view.health]
        caption = f"{view.view}: how vectors spread"
        parts.append(table(caption, _HEALTH, [tag("tbody", *rows)], titled=True))
        parts.append(
            tag(
                "p",
                "Norms of sound vectors are 1. A mean cosine near 1 means that all vectors are alike; the effective "
                "rank says how many directions they fill, the bar of how many they could.",
                class_="quiet",
            )
        )
    if view.agreement:
        rows = [_agreement_row(facts) for facts in view.agreement]
        caption = f"{view.view}: do texts go with their own windows?"
        parts.append(table(caption, _AGREEMENT, [tag("tbody", *rows)]))
    return tag("div", *parts, class_="health")


def chance(view: ViewFacts) -> Html:
    """Return what guessing scores on each split, beside its counts; nothing where there is nothing to guess."""
    shown = [facts for facts in view.chance if facts.retrieval or facts.classes]
    if not shown:
        return concat([])
    retrieval = [key for key in _RETRIEVAL if any(key in facts.retrieval for facts in shown)]
    classes = [key for key in _CLASSES if any(key in facts.classes for facts in shown)]
    columns = [
        Column("Split"),
        Column("Windows", numeric=True),
        *([Column("Candidates", numeric=True, minor=True)] if retrieval else []),
        *(Column(_RETRIEVAL[key], numeric=True) for key in retrieval),
        *(Column(_CLASSES[key], numeric=True) for key in classes),
    ]
    rows = [_chance_row(facts, retrieval, classes) for facts in shown]
    lead = "A score is worth what it has above these."
    return tag(
        "div",
        tag("h4", "Chance levels"),
        tag("p", lead, class_="quiet"),
        table(f"{view.view}: what guessing scores", columns, [tag("tbody", *rows)], titled=True),
        class_="narrow",
    )


def _encoder(view: ViewFacts) -> Html:
    if view.encoder is None:
        return concat([])
    told = view.encoder
    made = (f"Made by {told.name} ({told.model}), {count(told.dimensions, 'dimension')}, fingerprint ",)
    return tag("p", *made, tag("code", told.fingerprint[:12]), ".", class_="quiet")


def _health_row(facts: HealthFacts) -> Html:
    rank = facts.effective_rank
    share = (rank or 0.0) / facts.dimensions if facts.dimensions else 0.0
    norms = (
        "-" if facts.norm_low is None or facts.norm_high is None else _norms(facts.norm_low, facts.norm_high)
    )
    return row(
        cell(facts.column, heading=True),
        cell(f"{percent(facts.present, facts.rows)} of {count(facts.rows)}", numeric=True),
        cell(norms, numeric=True),
        cell(_told(facts.mean_cosine), numeric=True),
        cell("-" if rank is None else f"{rank:.0f} of {facts.dimensions}", numeric=True),
        cell(bar(0, share, "kept")),
    )


def _norms(low: float, high: float) -> str:
    return f"{low:.3f}" if f"{low:.3f}" == f"{high:.3f}" else f"{low:.3f} to {high:.3f}"


def _agreement_row(facts: AgreementFacts) -> Html:
    off = count(facts.takes_shuffled)
    return row(
        cell(facts.column, heading=True),
        cell(count(facts.takes), numeric=True),
        cell(_told(facts.paired), numeric=True),
        cell(_told(facts.shuffled), numeric=True),
        cell(minus(f"{facts.z:.1f}"), numeric=True),
        cell(tag("span", off, class_="warning") if facts.takes_shuffled else off, numeric=True),
    )


def _chance_row(facts: ChanceFacts, retrieval: Sequence[str], classes: Sequence[str]) -> Html:
    scores = [*(facts.retrieval.get(key) for key in retrieval), *(facts.classes.get(key) for key in classes)]
    return row(
        cell(facts.split, heading=True),
        cell(count(facts.windows), numeric=True),
        *([cell(count(facts.candidates), numeric=True, minor=True)] if retrieval else []),
        *(cell("-" if score is None else f"{number(100 * score)}%", numeric=True) for score in scores),
    )


def _told(value: float | None) -> str:
    return "-" if value is None else minus(f"{value:.3f}")
