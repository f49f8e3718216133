"""What is said of splits without windows holds for the policy that left them so."""

from __future__ import annotations

from typing import Any

import pytest

from sensorloom.flows.config_sections import SplitConfig
from sensorloom.flows.split_words import how_to_fill


@pytest.mark.parametrize(
    ("split", "said"),
    [
        (
            {},
            "`[split]` shares out participants by chance: more of them fill these, or name some as `val` and `test`",
        ),
        ({"policy": "by-take"}, "`[split]` shares out takes by chance: more of them fill these"),
        ({"policy": "random-windows"}, "`[split]` shares out windows by chance: more of them fill these"),
        (
            {"test": ["pamap2/101"]},
            "`[split]` names participants: name some of these views as `val` and `test`",
        ),
        (
            {"policy": "leave-one-subject-out", "test": ["pamap2/101"]},
            "`[split]` names who is left out: name participants of these views as `test` and `val`",
        ),
        (
            {"policy": "official"},
            (
                "these are the data sets' own: ingest takes of them, or, where a data set has none, set another"
                " `policy` in `[split]`"
            ),
        ),
    ],
)
def test_only_what_is_by_chance_is_called_so(split: dict[str, Any], said: str) -> None:
    assert how_to_fill(SplitConfig(**split)) == said
