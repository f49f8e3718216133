"""One window as a picture: its signals, frames, body pose and texts, what is wrong with it and how to trace it."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from shlex import quote

from sensorloom.flows.audit.report_windows import FramePicture, TextShown, WindowPicture
from sensorloom.flows.pages.html import Html, concat, tag
from sensorloom.flows.pages.skeletons import skeleton
from sensorloom.flows.pages.traces import traces
from sensorloom.flows.pages.words import count, measure_words, minus, number

__all__ = ["command", "picture", "sight"]

TO_SEE_FRAMES = "sensorloom audit --raw DIR"
"""The command whose page shows the frames that this one only names."""


def picture(window: WindowPicture, take: Html) -> Html:
    """Return the window as an article; `take` says which take it is of, or links to it."""
    return tag(
        "article",
        _head(window, take),
        tag("ul", *(tag("li", reason, class_=_level(window)) for reason in window.reasons), class_="reasons"),
        sight(window),
        _numbers(window.numbers),
        command(window.window_id),
        class_="window",
    )


def _head(window: WindowPicture, take: Html) -> Html:
    label = window.label or window.view
    place = f"{_since(window, window.start_s)} to {_since(window, window.stop_s)} s of the take"
    score = tag("span", f"score {number(round(window.score, 2))}", class_=f"score {_level(window)}")
    where = tag("p", take, f" · {place} · {window.view} · {window.split}", class_="quiet")
    return tag("header", tag("h4", label, " ", score), where)


def _since(window: WindowPicture, time_s: float) -> str:
    """Return the seconds since the take began: its clock may count from any moment, 1970 for one."""
    return f"{time_s - window.take_start_s:.2f}"


def _level(window: WindowPicture) -> str:
    """Return the class of a score: 1 stands at a rule's threshold."""
    return "no" if window.score >= 2 else "care" if window.score >= 1 else "ok"


def _signals(window: WindowPicture) -> Html:
    if not window.traces:
        return tag("p", "The window has no IMU.", class_="quiet")
    drawn = traces(window.traces, window.start_s, window.stop_s)
    lost = any(trace.invalid for trace in window.traces)
    shaded = " Shaded: not measured." if lost else ""
    axes = concat([concat([tag("span", name, class_=f"name-{name}"), " "]) for name in ("x", "y", "z")])
    return tag("figure", drawn, tag("figcaption", axes, f"over seconds of the window.{shaded}"))


def sight(window: WindowPicture, *, pose: Html | None = None, to_see_frames: str = TO_SEE_FRAMES) -> Html:
    """Return signals on the left, frames and pose beside them; texts where there is room.

    `pose` takes the place of the body pose, `to_see_frames` is the command that shows frames.
    """
    left, right = [_signals(window)], _views(window, pose, to_see_frames)
    if window.texts:
        texts = tag("dl", *map(_text, window.texts), class_="texts")
        (left if right else right).append(texts)
    columns = [tag("div", *parts, class_="column") for parts in (left, right) if parts]
    return tag("div", *columns, class_="sight" if right else None)


def _views(window: WindowPicture, pose: Html | None, to_see_frames: str) -> list[Html]:
    """Return the frames and the pose, each only where the window has it."""
    parts = [_frames(window, to_see_frames)] if window.frames else []
    if pose is not None:
        parts.append(pose)
    elif window.skeleton is not None:
        seen = sum(point is not None for point in window.skeleton.points)
        said = f"{seen} of {count(len(window.skeleton.points), 'joint')}, from the front and the side."
        parts.append(tag("figure", skeleton(window.skeleton), tag("figcaption", said)))
    return parts


def _frames(window: WindowPicture, to_see_frames: str) -> Html:
    shown = [_frame(frame, _since(window, frame.time_s)) for frame in window.frames if frame.jpeg is not None]
    cameras = ", ".join(dict.fromkeys(frame.camera for frame in window.frames))
    if not shown:
        times = ", ".join(_since(window, frame.time_s) for frame in window.frames)
        hint = (
            f"Frames of {cameras} at {times} s of the take: to see them, run ",
            tag("code", to_see_frames),
            ".",
        )
        return tag("p", *hint, class_="quiet")
    return tag("figure", tag("div", *shown, class_="frames"), tag("figcaption", f"Frames of {cameras}."))


def _frame(frame: FramePicture, since: str) -> Html:
    said = f"{frame.camera} at {since} s of the take"
    source = f"data:image/jpeg;base64,{b64encode(frame.jpeg or b'').decode()}"
    return tag("img", src=source, alt=said, title=said)


def _text(text: TextShown) -> Html:
    """Return a text with its source, and how far it lies from the middle of the window."""
    far = ""
    if text.offset_ms is not None:
        seconds = round(text.offset_ms / 1000, 1)
        far = f" {minus(f'{seconds:+.1f}') if seconds else '0.0'} s"
    return tag("div", tag("dt", text.source, tag("small", far)), tag("dd", text.text))


def _numbers(numbers: Mapping[str, float]) -> Html:
    """Return the quality numbers, folded."""
    if not numbers:
        return concat([])
    rows = (
        tag("div", tag("dt", name), tag("dd", value))
        for name, value in (measure_words(key, value) for key, value in numbers.items())
    )
    return tag(
        "details", tag("summary", count(len(numbers), "quality number")), tag("dl", *rows, class_="measured")
    )


def command(window_id: str) -> Html:
    """Return the command that traces the window, to be copied."""
    told = f"sensorloom trace {quote(window_id)}"
    return tag("p", tag("code", told), class_="command", data_copy=True)
