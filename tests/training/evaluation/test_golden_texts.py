"""An encoder of texts held against the vectors of golden texts that the store has."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from sensorloom.embed.errors import EncoderError
from sensorloom.embed.golden import GOLDEN_TEXTS
from sensorloom.store.changes import Put
from sensorloom.store.repository import Repository
from sensorloom.training.evaluation import judge as module
from sensorloom.training.evaluation.golden_texts import GOLDEN_ARRAY, check_golden_texts
from sensorloom.training.evaluation.judge import Asked, evaluate_run
from sensorloom.training.run import train
from tests.training.learnable_triplets import write_learnable
from tests.training.test_recipes_train import small


def encode(texts: Sequence[str]) -> NDArray[np.float32]:
    """Say each text by a random direction of its own, as wide as the generated vectors."""
    rows = np.array([np.random.default_rng([*text.encode()]).standard_normal(16) for text in texts])
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


class Encoder:
    identity = type("Identity", (), {"name": "made up"})()
    encode_texts = staticmethod(encode)


def keep(repo: Repository, golden: NDArray[np.float32]) -> None:
    arrays = {GOLDEN_ARRAY: golden.astype(np.float16)}
    shard = repo.write_arrays("generated", arrays, rows=len(golden), attributes={}, work="0" * 64)
    repo.commit(lambda _: [Put("encoders", shard)], message="test", provenance={})


@pytest.fixture
def repo(tmp_path: Path) -> Repository:
    return write_learnable(str(tmp_path / "store"), test=16)


def test_the_same_vectors_are_taken_and_others_refused() -> None:
    kept = {GOLDEN_ARRAY: encode(GOLDEN_TEXTS).astype(np.float16)}
    check_golden_texts("generated", kept, encode)
    with pytest.raises(
        EncoderError, match=r"encoder generated gives other vectors of texts .* cosine -?0\.\d+ of"
    ):
        check_golden_texts("generated", kept, lambda texts: encode(texts)[:, ::-1])


def test_a_store_that_keeps_none_has_nothing_to_say() -> None:
    check_golden_texts("generated", None, encode)
    check_golden_texts("generated", {GOLDEN_ARRAY: -encode(GOLDEN_TEXTS[:3])}, encode)


@pytest.mark.parametrize("same", [True, False])
def test_classes_are_not_said_by_an_encoder_that_gives_other_vectors(
    repo: Repository, tmp_path: Path, same: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(repo, encode(GOLDEN_TEXTS) if same else -encode(GOLDEN_TEXTS))
    train(small("imu2clip", encoder="tpn", epochs=1, batch_size=32), repo, tmp_path / "run")
    monkeypatch.setattr(module, "open_text_encoder", lambda *_, **__: Encoder())
    (view,) = evaluate_run(tmp_path / "run", "test", asked=Asked(protocols=("transfer",))).views
    assert [score.protocol for score in view.scores] == (["transfer"] if same else [])
    told = view.left_out.get("transfer", "")
    assert ("gives other vectors of texts than those in the store: cosine -1.0" in told) is not same
