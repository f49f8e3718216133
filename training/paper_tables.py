"""Runs in the tables of the papers: each published value beside ours, with the data that each was measured on. Pure.

A candidate set of another size makes another task: so R@k stands beside its chance, and R@10 as a multiple of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from sensorloom.training.chance import retrieval_chance
from sensorloom.training.published import (
    CLAIMS,
    FIGURES,
    Figure,
    PublishedRetrieval,
    PublishedScore,
    PublishedTable,
    published_classes,
    published_retrieval,
)

if TYPE_CHECKING:
    from sensorloom.training.judged import ClassifiedView, Evaluation
    from sensorloom.training.retrieval import RetrievalScores

__all__ = [
    "PaperRow",
    "PaperTable",
    "class_tables",
    "few_shot_tables",
    "paper_tables",
    "render_text",
    "retrieval_table",
]

Whose = Literal["run", "chance", "paper"]
Number = float | int | None


@dataclass(frozen=True, slots=True)
class PaperRow:
    """One line: the task it belongs to, who, the numbers by column, and what they were measured on."""

    task: str
    name: str
    whose: Whose
    numbers: tuple[Number, ...]
    measured_on: str
    doubt: str = ""


@dataclass(frozen=True, slots=True)
class PaperTable:
    """A table in the layout of a paper; `source` names it, `shares` says which columns are shares of 1."""

    source: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[PaperRow, ...]
    notes: tuple[str, ...]

    def facts(self) -> dict[str, Any]:
        """Return the table as plain JSON values."""
        return asdict(self)


_RETRIEVAL = ("candidates", "R@1", "R@10", "R@50", "MRR", "R@10 / chance")
_PROTOCOLS = ("zero-shot", "transfer", "fine-tune")
_CLASSES = tuple(f"{protocol} {score}" for protocol in _PROTOCOLS for score in ("F1", "acc."))
_FEW_SHOT = ("accuracy", "standard error", "labels", "trials")
_BLANK = (None, None)
_OTHER_SIZE = (
    "Recalls of candidate sets of different sizes are different tasks: compare each with its chance."
)
_OTHER_DATA = (
    "Windows, texts and splits of the papers are not those of this store, also where the data set is."
)
_GENERATED = "The runs were measured on generated data; their scores say nothing about real recordings."


def paper_tables(evaluations: Sequence[Evaluation]) -> tuple[PaperTable, ...]:
    """Return every table and figure that any of the evaluations has numbers for."""
    return (*retrieval_table(evaluations), *class_tables(evaluations), *few_shot_tables(evaluations))


def retrieval_table(evaluations: Sequence[Evaluation]) -> tuple[PaperTable, ...]:
    """Return runs in the layout of AURA-MFM's Table 2, one block a task, none where no run retrieves anything.

    The score is that of one right answer among all candidates, as the paper's.
    """
    tasks: dict[tuple[str, str], list[tuple[Evaluation, RetrievalScores]]] = {}
    for evaluation in evaluations:
        for score in evaluation.retrieval:
            if score.variant == "one-right":
                tasks.setdefault((score.query, score.key), []).append((evaluation, score))
    rows = [row for (query, key), scored in tasks.items() for row in _task_rows(query, key, scored)]
    if not rows:
        return ()
    notes = (_OTHER_SIZE, *_notes(evaluations, [row for row in rows if row.whose == "paper"]))
    return (
        PaperTable("AURA-MFM Table 2", "Retrieval between IMU and others", _RETRIEVAL, tuple(rows), notes),
    )


def class_tables(evaluations: Sequence[Evaluation]) -> tuple[PaperTable, ...]:
    """Return runs in the layout of AURA-MFM's Tables 3 and 4, one table a labelled view that any run was scored on."""
    views: dict[str, list[tuple[Evaluation, ClassifiedView]]] = {}
    for evaluation in evaluations:
        for judged in evaluation.views:
            if judged.scores:
                views.setdefault(judged.view, []).append((evaluation, judged))
    return tuple(_class_table(view, scored) for view, scored in views.items())


def few_shot_tables(
    evaluations: Sequence[Evaluation], figure: Figure = "PRIMUS Figure 4"
) -> tuple[PaperTable, ...]:
    """Return accuracy by labels a class, one table a view, with what the paper says of its `figure`."""
    views: dict[str, list[tuple[Evaluation, ClassifiedView]]] = {}
    for evaluation in evaluations:
        for judged in evaluation.views:
            if judged.few_shot:
                views.setdefault(judged.view, []).append((evaluation, judged))
    return tuple(_few_shot_table(view, scored, figure) for view, scored in views.items())


def render_text(table: PaperTable) -> str:
    """Return the table as plain text: a line a row, a line a note."""
    names = [f"{row.task}  {row.name}" if row.task else row.name for row in table.rows]
    width = max((len(name) for name in names), default=0)
    widths = [max(len(column), 6) for column in table.columns]
    heads = "  ".join(f"{column:>{size}}" for column, size in zip(table.columns, widths, strict=True))
    lines = [f"{table.source}: {table.title}", f"{'':{width}}  {heads}  measured on"]
    for name, row in zip(names, table.rows, strict=True):
        cells = "  ".join(
            f"{number_words(number):>{size}}" for number, size in zip(row.numbers, widths, strict=True)
        )
        doubt = f" ({row.doubt})" if row.doubt else ""
        lines.append(f"{name:{width}}  {cells}  {row.measured_on}{doubt}")
    return "\n".join([*lines, *(f"Note: {note}" for note in table.notes)])


def number_words(number: Number) -> str:
    """Return a number as the tables print it: counts whole, shares with four digits, `-` where there is none."""
    if number is None:
        return "-"
    return f"{number:,}" if isinstance(number, int) else f"{number:.4f}"


def _task_rows(
    query: str, key: str, scored: Sequence[tuple[Evaluation, RetrievalScores]]
) -> Iterable[PaperRow]:
    task = f"{query} → {key}"
    chances = {}
    for evaluation, score in scored:
        chances[score.candidates, evaluation.data] = score.chance
        numbers = (score.r1, score.r10, score.r50, score.mrr)
        yield _retrieval_row(
            task, evaluation.name, "run", score.candidates, numbers, score.chance, evaluation.data
        )
    for (candidates, data), chance in chances.items():
        yield _chance_row(task, candidates, chance, data)
    published = {
        row: None
        for evaluation, _ in scored
        for row in published_retrieval(evaluation.view, query, key)  # each once, in order
    }
    sizes = dict.fromkeys(row.candidates for row in published if row.candidates is not None)
    for row in published:
        yield _published_row(task, row)
    for size in sizes:
        yield _chance_row(task, size, retrieval_chance(size), "the papers' candidates")


def _retrieval_row(
    task: str,
    name: str,
    whose: Whose,
    candidates: int | None,
    numbers: tuple[float, float, float, float],
    chance: Mapping[str, float] | None,
    data: str,
) -> PaperRow:
    above = None if chance is None or not chance["r10"] else numbers[1] / chance["r10"]
    return PaperRow(task, name, whose, (candidates, *numbers, above), data)


def _chance_row(task: str, candidates: int, chance: Mapping[str, float], data: str) -> PaperRow:
    numbers = (chance["r1"], chance["r10"], chance["r50"], chance["mrr"])
    return _retrieval_row(task, f"chance among {candidates:,}", "chance", candidates, numbers, chance, data)


def _published_row(task: str, row: PublishedRetrieval) -> PaperRow:
    chance = None if row.candidates is None else retrieval_chance(row.candidates)
    name = f"{row.model}, cited" if row.candidates is None else f"{row.model} ({row.task})"
    numbers = (row.r1, row.r10, row.r50, row.mrr)
    return _retrieval_row(task, name, "paper", row.candidates, numbers, chance, row.measured_on)


def _class_table(view: str, scored: Sequence[tuple[Evaluation, ClassifiedView]]) -> PaperTable:
    published = published_classes(view)
    rows = [row for evaluation, judged in scored for row in _judged_rows(evaluation, judged)]
    rows += list({row: None for _, judged in scored for row in _guesses(judged)})
    rows += [] if published is None else _published_rows(published)
    source = "No published table" if published is None else published.name
    notes = [] if published is None else list(published.notes)
    if published is None:
        notes.append("No published numbers of these protocols are known for this view.")
    notes += dict.fromkeys(note for _, judged in scored for note in _absent(judged))
    notes += _notes([evaluation for evaluation, _ in scored], [row for row in rows if row.whose == "paper"])
    classes = len(scored[0][1].classes)
    return PaperTable(source, f"{view}, {classes} classes", _CLASSES, tuple(rows), tuple(notes))


def _judged_rows(evaluation: Evaluation, judged: ClassifiedView) -> Iterable[PaperRow]:
    """Yield the run's row in the paper's columns, and a row each for protocols that the paper has not."""
    cells: list[tuple[Number, Number]] = [_BLANK] * len(_PROTOCOLS)
    for score in judged.scores:
        if score.protocol in _PROTOCOLS:
            cells[_PROTOCOLS.index(score.protocol)] = (score.macro_f1, score.accuracy)
    if any(cell != _BLANK for cell in cells):
        yield PaperRow("", evaluation.name, "run", _flat(cells), judged.data)
    for score in judged.scores:
        found = (score.macro_f1, score.accuracy)
        if score.protocol == "from-scratch":
            name = f"{evaluation.name}, from random weights"
            yield PaperRow("", name, "run", _flat([_BLANK, _BLANK, found]), judged.data)
        if score.protocol == "linear-probe":
            name = f"{evaluation.name}, {score.head.kind}"
            yield PaperRow("", name, "run", _flat([_BLANK, found, _BLANK]), judged.data)


def _flat(cells: Iterable[tuple[Number, Number]]) -> tuple[Number, ...]:
    return tuple(value for cell in cells for value in cell)


def _absent(judged: ClassifiedView) -> Iterable[str]:
    """Yield which classes the scored split lacks: macro-F1 is over the others."""
    counts = judged.scores[0].confusion.sum(axis=1).tolist()
    absent = [name for name, count in zip(judged.classes, counts, strict=True) if not count]
    if absent:
        yield (
            f"Classes without a window in split {judged.split!r}: {', '.join(absent)}; macro-F1 is over those that "
            "occur or were called."
        )


def _guesses(judged: ClassifiedView) -> Iterable[PaperRow]:
    chance = judged.scores[0].chance
    for name, pair in (
        ("chance: most frequent class", (chance.majority_macro_f1, chance.majority_accuracy)),
        ("chance: every class alike", (chance.uniform_macro_f1, chance.uniform_accuracy)),
    ):
        yield PaperRow("", name, "chance", pair * len(_PROTOCOLS), judged.data)


def _published_rows(table: PublishedTable) -> list[PaperRow]:
    """Return one row a model, its scores under the protocols of the columns; random weights under fine-tune."""
    models: dict[str, dict[str, PublishedScore]] = {}
    for score in table.scores:
        column = "fine-tune" if score.protocol == "from-scratch" else score.protocol
        models.setdefault(score.model, {})[column] = score
    rows = []
    for model, scores in models.items():
        found = [scores.get(protocol) for protocol in _PROTOCOLS]
        numbers = _flat(_BLANK if score is None else (score.macro_f1, score.accuracy) for score in found)
        doubts = dict.fromkeys(score.doubt for score in found if score is not None and score.doubt)
        rows.append(PaperRow("", model, "paper", numbers, table.data, "; ".join(doubts)))
    return rows


def _few_shot_table(
    view: str, scored: Sequence[tuple[Evaluation, ClassifiedView]], figure: Figure
) -> PaperTable:
    """Return points by labels a class, those of equally many together, then a guess."""
    told = [
        (
            point.shots,
            PaperRow(
                f"{point.shots} a class",
                f"{evaluation.name}, {curve.head.kind}",
                "run",
                (point.accuracy, point.accuracy_error, point.train_windows, len(point.trials)),
                judged.data,
            ),
        )
        for evaluation, judged in scored
        for curve in judged.few_shot
        for point in curve.points
    ]
    rows = [row for _, row in sorted(told, key=lambda pair: pair[0])]
    for data, chance in {judged.data: judged.few_shot[0].chance for _, judged in scored}.items():
        for name, guess in (
            ("always the most frequent class", chance.majority_accuracy),
            ("every class equally often", chance.uniform_accuracy),
        ):
            rows.append(PaperRow("chance", name, "chance", (guess, None, None, None), data))
    said = [f"The paper says: {claim.sentence}" for claim in CLAIMS if claim.figure == figure]
    notes = (f"{figure} prints no values.", *said, *_notes([evaluation for evaluation, _ in scored], []))
    return PaperTable(figure, f"{view}: {FIGURES[figure]}", _FEW_SHOT, tuple(rows), notes)


def _notes(evaluations: Sequence[Evaluation], papers: Sequence[PaperRow]) -> tuple[str, ...]:
    notes = [_OTHER_DATA] if papers else []
    if any("generated" in evaluation.data for evaluation in evaluations):
        notes.append(_GENERATED)
    if any(row.doubt for row in papers):
        notes.append("Published values with a remark in their line are not to be relied on.")
    return tuple(notes)
