"""The page of an evaluation: a pure function from what is known of a run to text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sensorloom.flows.pages.classification import classified_view
from sensorloom.flows.pages.document import document
from sensorloom.flows.pages.html import Html, concat, tag
from sensorloom.flows.pages.missing import missing
from sensorloom.flows.pages.offsets import offsets
from sensorloom.flows.pages.paper_tables import paper_table
from sensorloom.flows.pages.retrieval import retrieval
from sensorloom.flows.pages.time_scales import time_scales
from sensorloom.flows.pages.words import count

if TYPE_CHECKING:
    from sensorloom.training.evaluation.judged import Evaluation
    from sensorloom.training.evaluation.paper_tables import PaperTable

__all__ = ["render_evaluation"]


def render_evaluation(
    evaluation: Evaluation, tables: Sequence[PaperTable], *, style: str, script: str
) -> str:
    """Return the page of `evaluation`, with `tables` beside it, as one self-contained document."""
    sections = [
        (anchor, title, body)
        for anchor, title, body in (
            ("retrieval", "Retrieval", _retrieval(evaluation)),
            ("classes", "Classes", _classes(evaluation)),
            ("offsets", "Queries moved in time", _offsets(evaluation)),
            ("scales", "Longer time scales", _scales(evaluation)),
            ("missing", "Missing sensors", _missing(evaluation)),
            ("papers", "Beside the papers", concat([paper_table(each) for each in tables])),
            ("left-out", "Not judged", _left_out(evaluation)),
        )
        if body
    ]
    body = (
        tag("a", "Skip to the scores", href="#run", class_="skip"),
        _header(evaluation, [(anchor, title) for anchor, title, _ in sections]),
        tag(
            "main",
            _run(evaluation),
            *(tag("section", tag("h2", title), body, id=anchor) for anchor, title, body in sections),
        ),
        tag(
            "footer",
            *(
                tag("p", name, ": snapshot ", tag("code", snapshot), class_="quiet")
                for name, snapshot in _snapshots(evaluation)
            ),
        ),
    )
    return document(f"Evaluation of {evaluation.name}", body, style=style, script=script)


def _snapshots(evaluation: Evaluation) -> list[tuple[str, str]]:
    """Return the view and the snapshot of what was judged: of other views where theirs is not the run's own."""
    others = [(view.view, view.snapshot_id) for view in evaluation.views]
    others += [(scale.view, scale.snapshot_id) for scale in evaluation.scales]
    own = evaluation.snapshot_id
    return [(evaluation.view, own), *(other for other in others if other[1] != own)]


def _header(evaluation: Evaluation, sections: Sequence[tuple[str, str]]) -> Html:
    name = tag("p", tag("b", "sensorloom"), " evaluation ", tag("code", evaluation.recipe), class_="name")
    links = (tag("li", tag("a", title, href=f"#{anchor}")) for anchor, title in sections)
    return tag("header", name, tag("nav", tag("ul", *links), aria_label="Sections"), class_="top")


def _run(evaluation: Evaluation) -> Html:
    badge = tag("span", "generated data", class_="badge") if evaluation.is_generated else ""
    facts = (
        ("run", evaluation.run),
        ("objective", evaluation.objective),
        ("encoder", evaluation.encoder),
        ("view", f"{evaluation.view}, split {evaluation.split}"),
        ("measured on", evaluation.data),
        ("texts and videos by", evaluation.vectors_of or "none"),
    )
    told = tag(
        "dl", *(tag("div", tag("dt", noun), tag("dd", value)) for noun, value in facts), class_="tally"
    )
    notes = [tag("li", note) for note in _notes(evaluation)]
    return tag(
        "section",
        tag("h1", evaluation.name, " ", badge),
        told,
        tag("ul", *notes, class_="reasons") if notes else "",
        id="run",
    )


def _notes(evaluation: Evaluation) -> list[str]:
    notes = []
    if evaluation.is_generated:
        notes.append("Measured on generated data: these scores say nothing about real recordings.")
    if evaluation.unfinished:
        notes.append(f"The run was stopped before its end: {evaluation.unfinished}.")
    if evaluation.vectors_of and ".random" in evaluation.vectors_of:
        notes.append(f"Vectors of texts and videos are of random weights ({evaluation.vectors_of}).")
    if evaluation.shared_participants:
        people = count(evaluation.shared_participants, "participant")
        notes.append(f"{people} of this split are also in the training split.")
    return notes


def _retrieval(evaluation: Evaluation) -> Html:
    return retrieval(evaluation.retrieval) if evaluation.retrieval else concat([])


def _classes(evaluation: Evaluation) -> Html:
    return concat([classified_view(judged) for judged in evaluation.views])


def _offsets(evaluation: Evaluation) -> Html:
    return offsets(evaluation.offsets) if evaluation.offsets else concat([])


def _scales(evaluation: Evaluation) -> Html:
    return time_scales(evaluation.scales) if evaluation.scales else concat([])


def _missing(evaluation: Evaluation) -> Html:
    return missing(evaluation.missing) if evaluation.missing else concat([])


def _left_out(evaluation: Evaluation) -> Html:
    told = {**evaluation.left_out, **evaluation.not_judged}
    items = [tag("li", tag("b", name), f": {why}") for name, why in told.items()]
    return tag("ul", *items) if items else concat([])
