"""Every objective takes the empty share of a rank that got none of a small last batch: finite, with all gradients."""

from __future__ import annotations

from dataclasses import fields

import pytest
import torch

from sensorloom.store.repository import Repository
from sensorloom.training.assemble import build_for, columns_for
from sensorloom.training.batch import Batch
from sensorloom.training.recipes import RECIPES, make_recipe
from sensorloom.training.settings import apply_settings
from sensorloom.training.stream import TripletStream
from tests.training.learnable_triplets import write_learnable

SMALL = {"view": "learnable", "patch": "25", "queue_length": "32", "encoder": "tpn"}
MORE = {
    "jepa-channels": ("jepa", {"unit": "channel", "local_weight": "0.5"}),
    "jepa-info-nce": ("jepa", {"semantic": "info_nce"}),
    "jepa-without-texts": ("jepa", {"semantic": "none", "local_weight": "0.5"}),
    "crossl-repo": ("crossl-pamap2", {"preset": "repo"}),
    "crossl-attention": ("crossl-pamap2", {"aggregator": "attention"}),
    "primus-repo": ("primus", {"preset": "repo"}),
    "transformer": ("imu2clip", {"encoder": "transformer"}),
    "cnn-gru": ("imu2clip", {"encoder": "cnn-gru"}),
}
WAYS = {name: (name, {}) for name in RECIPES} | MORE
NEVER_USED = "mask_patches"
"""Of the signal Transformer: published weights hold it, encoding leaves it alone."""


@pytest.fixture(scope="module")
def learnable(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return write_learnable(str(tmp_path_factory.mktemp("learnable") / "store"))


@pytest.mark.parametrize("way", WAYS)
def test_a_batch_of_no_examples_is_taken(learnable: Repository, way: str) -> None:
    recipe, changes = WAYS[way]
    config = make_recipe(recipe)
    known = {item.name for item in fields(config)}
    config = apply_settings(config, {key: value for key, value in (SMALL | changes).items() if key in known})
    stream = TripletStream(
        learnable, view="learnable", split="train", batch_size=4, columns=columns_for(config)
    )
    objective = build_for(config, stream)
    whole = next(iter(stream))
    terms = objective(Batch(**{name: tensor[:0] for name, tensor in whole.tensors().items()}))
    assert all(torch.isfinite(term) for term in terms.values()), terms
    terms["loss"].backward()
    for name, weight in objective.named_parameters():
        if weight.requires_grad and NEVER_USED not in name:
            assert weight.grad is not None, f"{name}: the other ranks would wait for its gradient"
            assert torch.isfinite(weight.grad).all(), name
