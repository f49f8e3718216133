"""The runner of planted faults: its trees are made once for all tests of this folder."""

from __future__ import annotations

import pytest

from tests.faults.runner import Runner


@pytest.fixture(scope="session")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Runner:
    return Runner(tmp_path_factory.mktemp("faults"))


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(autouse=True)
def own_cache(shared_cache: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the tests of this folder share one cache, so that the audit of a take is remembered among them."""
    monkeypatch.setenv("XDG_CACHE_HOME", shared_cache)
