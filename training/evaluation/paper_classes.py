"""Runs in the papers' tables of classification and beside PRIMUS's figures, each number with its data. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from sensorloom.training.evaluation.paper_rows import Number, PaperRow, PaperTable, table_notes
from sensorloom.training.evaluation.published import PublishedScore, PublishedTable, published_classes
from sensorloom.training.evaluation.published_figures import CLAIMS, FIGURE_VIEWS, FIGURES, Figure

if TYPE_CHECKING:
    from sensorloom.training.evaluation.few_shot import FewShotPoint
    from sensorloom.training.evaluation.judged import ClassifiedView, Evaluation

__all__ = ["class_tables", "few_shot_tables"]

_PROTOCOLS = ("zero-shot", "transfer", "fine-tune")
_CLASSES = tuple(f"{protocol} {score}" for protocol in _PROTOCOLS for score in ("F1", "acc."))
_FEW_SHOT = ("accuracy", "standard error", "labels", "trials")
_BY_LABELS = "accuracy by labels a class"
_BLANK = (None, None)
_PROBE = (
    "A linear probe stands in the columns of transfer, but begins from zero, where transfer begins from the vectors of"
    " the classes' texts."
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
    """Return accuracy by labels a class, one table a view, with what the paper says of its `figure`.

    A view of other data than PRIMUS's stands beside no figure, and no claim is held against it.
    """
    views: dict[str, list[tuple[Evaluation, ClassifiedView]]] = {}
    for evaluation in evaluations:
        for judged in evaluation.views:
            if judged.few_shot:
                views.setdefault(judged.view, []).append((evaluation, judged))
    return tuple(_few_shot_table(view, scored, figure) for view, scored in views.items())


def _class_table(view: str, scored: Sequence[tuple[Evaluation, ClassifiedView]]) -> PaperTable:
    published = published_classes(view)
    rows = [row for evaluation, judged in scored for row in _judged_rows(evaluation, judged)]
    rows += list({row: None for _, judged in scored for row in _guesses(judged)})
    rows += [] if published is None else _published_rows(published)
    source = "No published table" if published is None else published.name
    notes = [] if published is None else list(published.notes)
    if published is None:
        notes.append("No published numbers of these protocols are known for this view.")
    if any(score.protocol == "linear-probe" for _, judged in scored for score in judged.scores):
        notes.append(_PROBE)
    notes += dict.fromkeys(note for _, judged in scored for note in _absent(judged))
    notes += table_notes(
        [evaluation for evaluation, _ in scored], [row for row in rows if row.whose == "paper"]
    )
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
            name = f"{evaluation.name}, linear probe ({score.head.kind.removeprefix('linear ')})"
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


def _all_of(point: FewShotPoint) -> str:
    return f", all {point.train_windows} labels there are" if point.is_all else ""


def _few_shot_table(
    view: str, scored: Sequence[tuple[Evaluation, ClassifiedView]], figure: Figure
) -> PaperTable:
    """Return points by labels a class, those of equally many together, then a guess."""
    told = [
        (
            point.shots,
            PaperRow(
                f"{point.shots} a class",
                f"{evaluation.name}, {curve.head.kind}{_all_of(point)}",
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
    notes = table_notes([evaluation for evaluation, _ in scored], [])
    if view not in FIGURE_VIEWS:
        notes = ("No published curve of few labels is known for this view.", *notes)
        return PaperTable("No published figure", f"{view}: {_BY_LABELS}", _FEW_SHOT, tuple(rows), notes)
    said = [f"The paper says: {claim.sentence}" for claim in CLAIMS if claim.figure == figure]
    notes = (f"{figure} prints no values.", *said, *notes)
    return PaperTable(figure, f"{view}: {FIGURES[figure]}", _FEW_SHOT, tuple(rows), notes)
