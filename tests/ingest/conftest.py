"""Generated trees that several test modules look at; made once, never changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sensorloom.ingest.miniature import egoexo4d
from tests.ingest.egoexo4d_tree import load, write


@pytest.fixture(scope="session")
def egoexo4d_sample(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], dict[str, int]]:
    """The default Ego-Exo4D tree: its folder, its truth, its files with their sizes."""
    root = tmp_path_factory.mktemp("egoexo4d")
    tree, truth = write(root)
    return root, truth, tree.files


@pytest.fixture(scope="session")
def egoexo4d_entries(egoexo4d_sample: tuple[Path, dict[str, Any], dict[str, int]]) -> dict[str, Any]:
    """`takes.json` of that tree by take id."""
    root, _, _ = egoexo4d_sample
    return {f"egoexo4d/{entry['take_name']}": entry for entry in load(root / "takes.json")}


@pytest.fixture(scope="session")
def egoexo4d_faulty(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """An Ego-Exo4D tree of short takes, each with a fault of its own: its folder, its truth."""
    root = tmp_path_factory.mktemp("egoexo4d-faulty")
    faults = tuple(egoexo4d.DATASET.faults)
    return root, write(root, takes=len(faults), minutes=0.1, faults=faults)[1]
