"""Classification on the page of an evaluation: protocols beside chance, confusion, and accuracy by labels a class."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from sensorloom.flows.pages.confusion import confusion_table
from sensorloom.flows.pages.curves import Line, Point, curves_svg
from sensorloom.flows.pages.html import Html, concat, tag
from sensorloom.flows.pages.tables import Column, cell, row, table
from sensorloom.flows.pages.words import count

if TYPE_CHECKING:
    from sensorloom.training.evaluation.classification import ProtocolScore
    from sensorloom.training.evaluation.few_shot import FewShotCurve
    from sensorloom.training.evaluation.judged import ClassifiedView
    from sensorloom.training.evaluation.robustness import PositionScores

__all__ = ["classified_view"]

_PROTOCOLS = (
    Column("Protocol"),
    Column("Head"),
    Column("Macro-F1", numeric=True),
    Column("Accuracy", numeric=True),
)
_POSITIONS = (
    Column("Position held out"),
    Column("Windows", numeric=True, minor=True),
    Column("Macro-F1", numeric=True),
    Column("Accuracy", numeric=True),
    Column("Accuracy where it was seen", numeric=True),
    Column("Most frequent class", numeric=True),
)


def classified_view(judged: ClassifiedView) -> Html:
    """Return the section of one labelled view."""
    parts = [
        tag("h3", judged.view, tag("small", judged.data)),
        _warnings(judged),
        *([_protocols(judged.scores, judged.view)] if judged.scores else []),
        *([_few_shot(judged.few_shot, judged.view)] if judged.few_shot else []),
        *([_positions(judged.positions, judged.view)] if judged.positions else []),
        *(_confusion(score, judged.classes) for score in judged.scores),
        _left_out(judged),
    ]
    return tag("article", *parts, class_="view")


def _warnings(judged: ClassifiedView) -> Html:
    told = []
    if judged.pretrained_takes:
        told.append(f"{count(judged.pretrained_takes, 'take')} of this split the encoder was pretrained on.")
    if judged.pretrained_participants:
        people = count(judged.pretrained_participants, "participant")
        told.append(f"{people} of this split are also in the data that the encoder was pretrained on.")
    for split, left_out in judged.without_sensors.items():
        told.append(f"{count(left_out, 'labelled window')} of split {split} without any sensor left out.")
    if judged.shared_participants:
        people = count(judged.shared_participants, "participant")
        told.append(f"{people} of this split are also in the split that heads were fitted on.")
    return concat([tag("p", tag("span", sentence, class_="warning")) for sentence in told])


def _protocols(scores: Sequence[ProtocolScore], view: str) -> Html:
    rows = [
        row(
            cell(score.protocol, heading=True),
            cell(_head(score)),
            cell(_with_error(score.macro_f1, score.macro_f1_error), numeric=True, value=score.macro_f1),
            cell(_with_error(score.accuracy, score.accuracy_error), numeric=True, value=score.accuracy),
        )
        for score in scores
    ]
    chance = scores[0].chance
    rows += [
        row(
            cell(name, heading=True),
            cell(""),
            cell(f"{f1:.3f}", numeric=True),
            cell(f"{right:.3f}", numeric=True),
        )
        for name, f1, right in (
            ("guess: most frequent class", chance.majority_macro_f1, chance.majority_accuracy),
            ("guess: every class equally often", chance.uniform_macro_f1, chance.uniform_accuracy),
        )
    ]
    shown = table(f"{view}: protocols", _PROTOCOLS, [tag("tbody", *rows)], titled=True)
    return tag("div", shown, class_="narrow")


def _head(score: ProtocolScore) -> str:
    head = score.head
    words = "" if head.wording is None else f", classes said by {head.wording}"
    learned = "nothing was fitted" if head.trained == "nothing" else f"fitted: {head.trained}"
    return f"{head.kind}{words}; {learned}"


def _with_error(value: float, error: float | None) -> str:
    return f"{value:.3f}" if error is None else f"{value:.3f} ± {error:.3f}"


def _few_shot(curves: Sequence[FewShotCurve], view: str) -> Html:
    lines = [
        Line(
            f"{curve.protocol}, {curve.head.kind}",
            [Point(point.shots, point.accuracy, point.accuracy_error or 0.0) for point in curve.points],
        )
        for curve in curves
    ]
    drawn = curves_svg(
        lines,
        title=f"{view}: accuracy by labels a class",
        x_label="labels a class",
        y_label="accuracy",
        log_x=True,
        chance=curves[0].chance.majority_accuracy,
    )
    short = dict.fromkeys(name for curve in curves for point in curve.points for name in point.short)
    said = "Means over random choices of labels; bars are their standard errors. Chance is the most frequent class."
    most = max((point.train_windows for curve in curves for point in curve.points if point.is_all), default=0)
    ends = f" The last point takes all {most} labels there are." if most else ""
    fewer = f" Classes with fewer labels than asked for somewhere: {', '.join(short)}." if short else ""
    return tag("figure", drawn, tag("figcaption", said + ends + fewer))


def _positions(positions: Iterable[PositionScores], view: str) -> Html:
    rows = [
        row(
            cell(each.position, heading=True),
            cell(count(each.windows), numeric=True, minor=True),
            cell(f"{each.macro_f1:.3f}", numeric=True),
            cell(f"{each.accuracy:.3f}", numeric=True),
            cell(f"{each.seen_accuracy:.3f}", numeric=True),
            cell(f"{each.chance.majority_accuracy:.3f}", numeric=True),
        )
        for each in positions
    ]
    return table(f"{view}: body positions that no head was fitted on", _POSITIONS, [tag("tbody", *rows)])


def _confusion(score: ProtocolScore, classes: Sequence[str]) -> Html:
    said = f"Confusion of {score.protocol}, {score.head.kind}"
    return tag("details", tag("summary", said), confusion_table(said, classes, score.confusion.tolist()))


def _left_out(judged: ClassifiedView) -> Html:
    if not judged.left_out:
        return concat([])
    items = [tag("li", tag("b", protocol), f": {why}") for protocol, why in judged.left_out.items()]
    return concat([tag("h4", "Left out"), tag("ul", *items, class_="quiet")])
