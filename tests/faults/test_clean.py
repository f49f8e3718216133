"""Nothing sound is accused: of clean trees the audit tells no error that was not planted in them."""

from __future__ import annotations

import pytest

from tests.faults.runner import Runner

DATASETS = ("pamap2", "realworld", "ego4d", "egoexo4d")


@pytest.mark.parametrize("dataset", DATASETS)
def test_no_error_of_a_clean_take(runner: Runner, dataset: str) -> None:
    assert [finding for finding in runner.clean(dataset) if finding.severity == "error"] == []
