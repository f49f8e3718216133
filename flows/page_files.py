"""The style sheet and the script that every page carries; nothing of video or of takes is imported for them."""

from __future__ import annotations

from importlib.resources import files

__all__ = ["resources"]


def resources() -> tuple[str, str]:
    """Return the style sheet and the script of all pages."""
    folder = files("sensorloom.flows.pages")
    style, script = (folder.joinpath(name).read_text(encoding="utf-8") for name in ("style.css", "script.js"))
    return style, script
