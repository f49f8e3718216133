"""Which formats the encoder of a run can be exported to; known before torch is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from sensorloom.training.errors import RecipeError

__all__ = ["Ending", "check_ending"]

Ending = Literal[".pt", ".onnx"]
_ENDINGS: tuple[Ending, ...] = get_args(Ending)


def check_ending(path: Path) -> Ending:
    """Return the ending of `path`, which names the format; raises RecipeError for one that names none."""
    for ending in _ENDINGS:
        if path.suffix == ending:
            return ending
    raise RecipeError(
        f"{path} ends in {path.suffix!r}, which names no format of an encoder; let it end in .pt"
        " (TorchScript) or .onnx (ONNX)"
    )
