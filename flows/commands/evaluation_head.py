"""What a screen holds of an evaluation: the first rows of each protocol, beside chance; the page has them all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sensorloom.flows.commands.shared import out, print_table
from sensorloom.ingest.take import counted

if TYPE_CHECKING:
    from sensorloom.training.evaluation.judged import ClassifiedView, Evaluation
    from sensorloom.training.evaluation.retrieval import RetrievalScores

__all__ = ["print_head"]

_ROWS = 8
"""Rows of a table on the terminal."""
_CLASSES = ("", "", "by", "macro-F1", "chance", "accuracy", "chance")
_PAIRS = ("R@1", "R@10", "chance", "other takes", "chance", "candidates")
_SHORT = ("R@10", "chance", "candidates")
_RULES = {"best-score": "the nearest counts", "best-rank": "the luckiest counts"}


@dataclass(frozen=True, slots=True)
class _Table:
    """Rows of one protocol, which `what` names where some are left to the page."""

    what: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


def print_head(found: Evaluation) -> None:
    """Print retrieval, classes and longer windows; moved queries, missing sensors and positions without those alone."""
    main = [table for table in _main_tables(found) if table.rows]
    more = [table for table in _more_tables(found) if table.rows]
    shown = main or more
    for table in shown:
        print_table(table.title, table.columns, list(table.rows[:_ROWS]))
    left = {table.what: len(table.rows[_ROWS:]) for table in shown}
    left |= {table.what: len(table.rows) for table in more if main}
    told = [f"{count} of {what}" for what, count in left.items() if count]
    if told:
        out.print(f"[dim]The page has {counted(sum(left.values()), 'more row')}: {', '.join(told)}.[/]")


def _main_tables(found: Evaluation) -> Iterator[_Table]:
    yield _retrieval(found)
    classes = (row for judged in found.views for row in _class_rows(judged))
    yield _Table("classes", f"Classes on split {found.split!r}", _CLASSES, tuple(classes))
    yield _longer(found)


def _more_tables(found: Evaluation) -> Iterator[_Table]:
    yield _moved(found)
    yield _missing(found)
    yield _positions(found)


def _retrieval(found: Evaluation) -> _Table:
    title = f"Retrieval on split {found.split!r} of {found.view}, one right answer"
    right = (each for each in found.retrieval if each.variant == "one-right")
    rows = ((_pair(each), *_numbers(each, found.retrieval)) for each in right)
    return _Table("retrieval", title, ("", *_PAIRS), tuple(rows))


def _longer(found: Evaluation) -> _Table:
    title = f"Longer windows on split {found.split!r}, one right answer"
    rows = (
        (each.view, f"{each.length_s:g} s", _pair(score), *_numbers(score, each.retrieval)[1:])
        for each in found.scales
        for score in _first(each.retrieval)
    )
    return _Table("longer windows", title, ("", "long", "", *_PAIRS[1:]), tuple(rows))


def _moved(found: Evaluation) -> _Table:
    rows = (
        (_pair(each.scores), f"{each.reach_s:g} s", _RULES[each.rule], *_short(each.scores))
        for each in found.offsets
    )
    columns = ("", "moved by up to", "of its windows", *_SHORT)
    return _Table("moved queries", f"Moved queries on split {found.split!r}", columns, tuple(rows))


def _missing(found: Evaluation) -> _Table:
    rows = (
        (each.absent or "nothing", each.agreement, _pair(score), *_short(score))
        for each in found.missing
        for score in _first(each.retrieval)
    )
    columns = ("without", "feature as whole", "", *_SHORT)
    return _Table("missing sensors", f"Missing sensors on split {found.split!r}", columns, tuple(rows))


def _positions(found: Evaluation) -> _Table:
    rows = (
        (judged.view, each.position, each.macro_f1, each.seen_macro_f1, each.chance.macro_f1)
        for judged in found.views
        for each in judged.positions
    )
    columns = ("", "position", "macro-F1", "if seen", "chance")
    return _Table("positions", f"Unseen positions on split {found.split!r}", columns, tuple(rows))


def _pair(score: RetrievalScores) -> str:
    return f"{score.query} → {score.key}"


def _numbers(score: RetrievalScores, scores: Sequence[RetrievalScores]) -> tuple[Any, ...]:
    """Return a score's numbers, with R@10 among windows of other takes alone, which says less of the take."""
    pair = (score.query, score.key, "other-takes")
    others = [each for each in scores if (each.query, each.key, each.variant) == pair]
    other = (others[0].r10, others[0].chance["r10"]) if others else ("-", "-")
    return score.r1, score.r10, score.chance["r10"], *other, score.candidates


def _short(score: RetrievalScores) -> tuple[Any, ...]:
    return score.r10, score.chance["r10"], score.candidates


def _first(scores: Sequence[RetrievalScores]) -> list[RetrievalScores]:
    """Return that of sensors that find texts, else the first there is, nothing of none."""
    ordered = sorted(
        (each for each in scores if each.variant == "one-right"),
        key=lambda each: (each.query != "imu", not each.key.startswith("text")),
    )
    return ordered[:1]


def _class_rows(judged: ClassifiedView) -> Iterator[tuple[Any, ...]]:
    """Yield the protocols of a view, and of each curve of few shots the last point."""
    for score in judged.scores:
        f1s = score.macro_f1, score.chance.macro_f1
        yield judged.view, score.protocol, score.head.kind, *f1s, score.accuracy, score.chance.accuracy
    for curve in judged.few_shot:
        last = curve.points[-1]
        f1s = last.macro_f1, curve.chance.macro_f1
        name = f"few-shot by {last.words()}"
        yield judged.view, name, curve.head.kind, *f1s, last.accuracy, curve.chance.accuracy
