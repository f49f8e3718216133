"""The page of a query: what was asked, and the windows that were found, drawn."""

from __future__ import annotations

from collections.abc import Mapping

from sensorloom.flows.audit.report_windows import TextShown
from sensorloom.flows.pages.document import document
from sensorloom.flows.pages.html import Html, concat, tag
from sensorloom.flows.pages.motion import moving_skeleton
from sensorloom.flows.pages.pictures import command, sight
from sensorloom.flows.pages.tables import Column, cell, row, table
from sensorloom.flows.pages.words import count, minus
from sensorloom.flows.queries.facts import Answer, Asked, Form, Hit, HitPicture

__all__ = ["render_query"]

_KINDS = {"imu": "IMU", "video": "video", "text": "text", "mocap": "body motion"}
_MEANING = (
    "A score is the cosine of two vectors, at most 1: it orders windows, and compares only with scores of the same"
    " query."
)
_NO_FORM = Form()


def render_query(
    answer: Answer | None,
    pictures: Mapping[str, HitPicture],
    *,
    style: str,
    script: str,
    form: Form = _NO_FORM,
) -> str:
    """Return the page of an answer, with `pictures` by window; null before anything was asked.

    A `form` is filled in with what was asked, also where that was in vain.
    """
    nothing = form.asked or Asked(form.offered[0] if form.offered else "video")
    asked = nothing if answer is None else answer.asked
    said = "Query" if answer is None else _question(asked)
    body = (
        tag("a", "Skip to what was found", href="#found", class_="skip"),
        tag("header", tag("p", tag("b", "sensorloom"), " query", class_="name"), class_="top"),
        tag(
            "main",
            tag("h1", said),
            _form(asked, form.offered) if form.offered else "",
            tag("p", form.problem, class_="problem", role="alert") if form.problem else "",
            *(() if answer is None else (_summary(answer), _found(answer, pictures))),
            id="found",
        ),
        tag("footer", tag("p", *_source(answer), class_="quiet")),
    )
    return document(said, body, style=style, script=script)


def _question(asked: Asked) -> str:
    if asked.window_id:
        return f"{_KINDS[asked.of]} like the {_KINDS[asked.by]} of {asked.window_id}"
    return asked.text


def _form(asked: Asked, offered: tuple[str, ...]) -> Html:
    choices = (tag("option", _KINDS[name], value=name, selected=name == asked.of) for name in offered)
    return tag(
        "form",
        tag("label", "Text ", tag("input", type="search", name="text", value=asked.text, maxlength=1000)),
        tag("label", "or window id ", tag("input", name="window", value=asked.window_id, maxlength=1000)),
        tag("label", "search ", tag("select", *choices, name="of")),
        tag("label", "show ", tag("input", type="number", name="k", value=asked.k, min=1, max=100)),
        tag("button", "Find", type="submit"),
        class_="ask",
        action="/",
        method="get",
    )


def _summary(answer: Answer) -> Html:
    asked = answer.asked
    where = f"view {answer.view}, split {asked.split}" if asked.split else f"view {answer.view}"
    how = f"by the run {answer.run}" if answer.run else f"by the encoder {answer.encoder}"
    found = (
        f"{count(len(answer.hits), 'window')} of {count(answer.windows)} of {where}, by vectors of {_KINDS[asked.of]},"
        f" {how}; searched in {answer.search_ms:.1f} ms."
    )
    notes = f"{_MEANING} {answer.generated}".rstrip()
    return concat([tag("p", found, class_="lead"), tag("p", notes, class_="quiet")])


def _found(answer: Answer, pictures: Mapping[str, HitPicture]) -> Html:
    if not answer.hits:
        return tag("p", "Nothing was found.", class_="lead")
    columns = (
        Column("#", numeric=True),
        Column("Score", numeric=True, sortable=True),
        Column("Take", sortable=True),
        Column("Time"),
        Column("Matched"),
        Column("Said there", minor=True),
    )
    listed = table(
        "What was found", columns, [tag("tbody", *map(_line, answer.hits), class_="rows")], name="hits"
    )
    drawn = (_hit(hit, pictures.get(hit.window_id)) for hit in answer.hits)
    return concat([listed, *drawn])


def _line(hit: Hit) -> Html:
    link = tag("a", str(hit.rank), href=f"#hit-{hit.rank}")
    said = "; ".join(dict.fromkeys(text.text for text in hit.texts))
    return row(
        cell(link, numeric=True, value=hit.rank),
        cell(minus(f"{hit.score:.3f}"), numeric=True, value=hit.score),
        cell(tag("code", hit.take_id), heading=True),
        cell(_time(hit)),
        cell(hit.matched),
        cell(said, minor=True),
    )


def _hit(hit: Hit, drawn: HitPicture | None) -> Html:
    itself = tag("span", "the window asked with", class_="badge") if hit.is_query else ""
    score = tag("span", minus(f"{hit.score:.3f}"), class_="score")
    named = hit.label or hit.dataset
    where = f" · {_time(hit)} of the take · {hit.split}" if hit.split else f" · {_time(hit)} of the take"
    matched = f" · by {hit.matched}" if hit.matched else ""
    head = tag(
        "header",
        tag("h2", f"{hit.rank}. {named}", " ", score, " ", itself),
        tag("p", tag("code", hit.take_id), where, matched, class_="quiet"),
    )
    seen = _texts(hit.texts) if drawn is None else _sight(drawn)
    return tag("article", head, seen, command(hit.window_id), class_="window", id=f"hit-{hit.rank}")


def _sight(drawn: HitPicture) -> Html:
    pose = None if drawn.motion is None else moving_skeleton(drawn.motion)
    return sight(drawn.window, pose=pose, to_see_frames="sensorloom query … --raw DIR")


def _texts(texts: tuple[TextShown, ...]) -> Html:
    """Return what was said, of a window that is not drawn."""
    return tag(
        "dl", *(tag("div", tag("dt", text.source), tag("dd", text.text)) for text in texts), class_="texts"
    )


def _time(hit: Hit) -> str:
    return f"{hit.start_s:.2f} to {hit.stop_s:.2f} s"


def _source(answer: Answer | None) -> tuple[str, ...]:
    return () if answer is None else ("Snapshot ", tag("code", answer.snapshot_id))
