"""CroSSL against loops in float64, its masks, its presets row by row, and what must not change its loss."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from sensorloom.training.batch import Batch
from sensorloom.training.models.crossl_aggregator import AttentionAggregator, FlattenAggregator
from sensorloom.training.models.crossl_tcn import ModalityEncoders
from sensorloom.training.objectives.crossl import PURPOSES, CroSSL, mask_latents
from sensorloom.training.streaming.draws import uniform
from sensorloom.training.terms.collapse import CollapseWatch, embedding_signs

ROWS, SLOTS, MODALITIES, SIZE = 6, 2, 4, 5


class Encoders(nn.Module):
    """One small Conv1d a modality, mean over time; missing modalities are zero."""

    def __init__(self) -> None:
        super().__init__()
        self.each = nn.ModuleList(nn.Conv1d(3, SIZE, 2) for _ in range(MODALITIES))
        self.dropout = nn.Dropout(0.5)

    def forward(self, imu: Tensor, present: Tensor) -> Tensor:
        signal = imu.reshape(len(imu), MODALITIES, 3, -1)
        latent = torch.stack([conv(signal[:, m]).mean(dim=-1) for m, conv in enumerate(self.each)], dim=1)
        return self.dropout(latent.masked_fill(~present.flatten(1)[..., None], 0.0))


class Aggregator(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(MODALITIES * SIZE, 3)

    def forward(self, latent: Tensor, kept: Tensor) -> Tensor:
        return self.layer(latent.masked_fill(~kept, 0.0).flatten(1)).tanh()


def objective(**settings: object) -> CroSSL:
    torch.manual_seed(0)
    model = CroSSL(Encoders(), Aggregator(), **settings).double()  # type: ignore[arg-type]
    model.encoders.dropout.p = 0.0
    return model


def batch(rows: int = ROWS, present: float = 0.8) -> Batch:
    generator = torch.Generator().manual_seed(3)
    there = torch.rand(rows, SLOTS, 2, generator=generator) < present
    there[0] = True
    return Batch(
        index_B=torch.arange(rows),
        seed_B=torch.arange(rows) * 1009 + 5,
        imu_BSCT=torch.randn(rows, SLOTS, 6, 4, generator=generator, dtype=torch.float64),
        imu_present_BSK=there,
    )


def taken(given: Batch, order: Tensor) -> Batch:
    return Batch(**{name: tensor[order] for name, tensor in given.tensors().items()})


def slow_mask(model: CroSSL, seed: int, purpose: int, present: list[bool]) -> list[list[bool]]:
    """What of the latents [M, D] of one example a view keeps."""
    shape = {"spatial": (MODALITIES, 1), "random": (MODALITIES, SIZE), "temporal": (1, SIZE)}[model.masking]
    draws = uniform(torch.tensor([seed]), purpose, shape)[0].tolist()
    at = [
        [draws[m if shape[0] > 1 else 0][d if shape[1] > 1 else 0] for d in range(SIZE)]
        for m in range(MODALITIES)
    ]
    kept = [[present[m] and at[m][d] < model.keep for d in range(SIZE)] for m in range(MODALITIES)]
    if model.preset == "paper" and not any(map(any, kept)) and any(present):
        least = min(at[m][d] for m in range(MODALITIES) for d in range(SIZE) if present[m])
        kept = [[present[m] and at[m][d] == least for d in range(SIZE)] for m in range(MODALITIES)]
    return kept


def slow_loss(model: CroSSL, given: Batch) -> float:
    """The whole loss, one example, one view, one number at a time; the layers alone are torch's."""
    assert given.seed_B is not None
    assert given.imu_present_BSK is not None
    similarity, variance, covariance = (25, 25, 1) if model.preset == "paper" else (10, 10, 100)
    views: list[list[list[float]]] = [[], []]
    for example in range(len(given)):
        one = taken(given, torch.tensor([example]))
        present = one.imu_present_BSK.flatten().tolist()
        if not any(present):
            continue
        latent = model.encoders(one.imu_BSCT, one.imu_present_BSK)[0].tolist()
        for view, purpose in zip(views, PURPOSES, strict=True):
            kept = slow_mask(model, given.seed_B[example].item(), purpose, present)
            weight, bias = model.aggregator.layer.weight.tolist(), model.aggregator.layer.bias.tolist()
            flat = [latent[m][d] if kept[m][d] else 0.0 for m in range(MODALITIES) for d in range(SIZE)]
            view.append(
                [
                    math.tanh(b + sum(w * z for w, z in zip(row, flat, strict=True)))
                    for row, b in zip(weight, bias, strict=True)
                ]
            )
    rows, width = len(views[0]), 3
    loss = sum(
        similarity * (views[0][b][d] - views[1][b][d]) ** 2 / (rows * width)
        for b in range(rows)
        for d in range(width)
    )
    for view in views:
        mean = [sum(row[d] for row in view) / rows for d in range(width)]
        for d in range(width):
            square = sum((row[d] - mean[d]) ** 2 for row in view)
            deviation = math.sqrt(square / (rows - 1 if model.preset == "paper" else rows) + 1e-4)
            loss += variance * max(0, 1 - deviation) / width / 2
            for e in range(width):
                c = sum((row[d] - mean[d]) * (row[e] - mean[e]) for row in view) / (rows - 1)
                loss += covariance * c**2 / width if d != e else 0
    kernels = [weight for conv in model.encoders.each for weight in conv.weight.flatten().tolist()]
    return loss + 1e-4 * sum(weight**2 for weight in kernels)


SETTINGS = [
    {"preset": "paper", "masking": "spatial", "keep": 0.5},
    {"preset": "paper", "masking": "random", "keep": 0.7},
    {"preset": "paper", "masking": "temporal", "keep": 0.3},
    {"preset": "repo", "masking": "spatial", "keep": 0.5},
    {"preset": "repo", "masking": "random", "keep": 0.9},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("present", [1.0, 0.4])
def test_the_loss_equals_the_loops(settings: dict[str, object], present: float) -> None:
    model, given = objective(**settings), batch(present=present)
    assert model(given)["loss"].item() == pytest.approx(slow_loss(model, given), rel=1e-9)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_the_gradient_is_that_of_differences(settings: dict[str, object]) -> None:
    model, given = objective(**settings), batch()
    names = [name for name, _ in model.named_parameters()]

    def loss(*weights: Tensor) -> Tensor:
        named = dict(zip(names, weights, strict=True))
        terms = torch.func.functional_call(model, named, (given,))
        return terms["loss"]

    assert torch.autograd.gradcheck(loss, tuple(model.parameters()), fast_mode=True)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_permuting_a_batch_changes_nothing(settings: dict[str, object]) -> None:
    model, given = objective(**settings), batch(present=0.5)
    order = torch.tensor([4, 0, 5, 2, 1, 3])
    terms, again = model(given), model(taken(given, order))
    assert {name: value.item() for name, value in again.items()} == pytest.approx(
        {name: value.item() for name, value in terms.items()}, rel=1e-9
    )


def test_what_a_missing_sensor_or_a_padding_example_holds_changes_nothing() -> None:
    model, given = objective(keep=0.5), batch()
    assert given.imu_present_BSK is not None
    assert given.imu_BSCT is not None
    given.imu_present_BSK[2] = False
    real = torch.ones(ROWS, dtype=torch.bool)
    real[4] = False
    loss = model(replace(given, real_B=real))["loss"]
    other = given.imu_BSCT.clone()
    other.view(ROWS, SLOTS, 2, 3, -1)[~given.imu_present_BSK] = 1e3
    other[4] = -7
    assert model(replace(given, real_B=real, imu_BSCT=other))["loss"] == loss
    left = taken(given, torch.tensor([0, 1, 3, 5]))
    assert model(left)["loss"].item() == pytest.approx(loss.item(), rel=1e-9)


def test_a_latent_that_the_stream_dropped_is_as_good_as_missing() -> None:
    model, given = objective(), batch(present=1.0)
    kept = torch.ones(ROWS, MODALITIES + 3, dtype=torch.bool)
    kept[1, 2] = kept[3, :MODALITIES] = False
    missing = replace(given, imu_present_BSK=kept[:, :MODALITIES].reshape(ROWS, SLOTS, 2))
    assert model(replace(given, latent_kept_BM=kept))["loss"] == model(missing)["loss"]


def test_without_any_sensor_the_loss_is_the_penalty_alone() -> None:
    model, given = objective(), batch()
    given = replace(given, imu_present_BSK=torch.zeros(ROWS, SLOTS, 2, dtype=torch.bool))
    terms = model(given)
    assert terms["loss"] == terms["penalty"] > 0
    terms["loss"].backward()
    assert not model.aggregator.layer.weight.grad.any()
    assert all(torch.isfinite(weight.grad).all() for weight in model.parameters())


def test_views_share_latents_and_differ_by_their_masks_alone() -> None:
    """Two views = two independent masks of the same latents, no augmentation (§3): all kept, they are one."""
    terms = objective(keep=1.0)(batch())
    assert terms["similarity"] == 0
    assert objective(keep=0.5)(batch())["similarity"] > 0


@pytest.mark.parametrize(("masking", "units"), [("spatial", 4), ("random", 4 * 5), ("temporal", 5)])
def test_masks_keep_as_many_as_asked_in_their_units(masking: str, units: int) -> None:
    model = objective(masking=masking, keep=0.7)
    seeds, latent = torch.arange(4000), torch.zeros(4000, MODALITIES, SIZE)
    present = torch.ones(4000, MODALITIES, dtype=torch.bool)
    first, second = (model._mask(seeds, purpose, latent, present) for purpose in PURPOSES)
    expected = 0.7 + (0.3**units) / units
    assert first.double().mean(dim=0).flatten().tolist() == pytest.approx([expected] * 20, abs=0.03)
    if masking == "spatial":
        assert torch.equal(first.any(dim=2), first.all(dim=2))
    if masking == "temporal":
        assert torch.equal(first.any(dim=1), first.all(dim=1))
    agree = (first == second).double().mean().item()
    assert agree == pytest.approx(expected**2 + (1 - expected) ** 2, abs=0.03)


def test_section_3_paper_keeps_at_least_one_modality_and_repo_may_hide_all() -> None:
    """methods §3: "nothing prevents all modalities being masked"; inferred default: guarantee ≥ 1 modality kept."""
    drawn = uniform(torch.arange(3000), 1, (MODALITIES, 1))
    present = torch.rand(3000, MODALITIES) < 0.6
    kept = {flag: mask_latents(drawn, present, 0.1, something=flag) for flag in (True, False)}
    assert not (kept[True][..., 0] & ~present).any()
    assert torch.equal(kept[True].any(dim=(1, 2)), present.any(dim=1))
    assert kept[False].any(dim=(1, 2)).double().mean() < 0.4
    had_some = kept[False].any(dim=(1, 2))
    assert torch.equal(kept[True][had_some], kept[False][had_some])
    model, given = objective(preset="repo", keep=1e-6), batch(present=1.0)
    assert model(given)["similarity"] == 0  # both views of nothing
    assert objective(preset="paper", keep=1e-6)(given)["similarity"] > 0


def test_row_16_the_presets_have_their_coefficients() -> None:
    """methods §0 row 16: VICReg 10/10/100 in the code, 25/25/1 of the reference as one would assume."""
    for preset, weights in (("repo", (10, 10, 100)), ("paper", (25, 25, 1))):
        terms = objective(preset=preset, keep=0.5)(batch())
        names = ("similarity", "variance", "covariance")
        total = sum(weight * terms[name].item() for weight, name in zip(weights, names, strict=True))
        assert terms["loss"].item() == pytest.approx(total + terms["penalty"].item(), rel=1e-12)


def test_section_3_the_variance_is_the_populations_in_repo() -> None:
    terms = {preset: objective(preset=preset, keep=1.0)(batch()) for preset in ("paper", "repo")}
    assert terms["paper"]["variance"] < terms["repo"]["variance"]
    assert terms["paper"]["covariance"] == terms["repo"]["covariance"]


def test_section_3_temporal_masks_fail_in_repo_and_work_in_paper() -> None:
    with pytest.raises(ValueError, match="temporal masks stops with an error of shapes"):
        objective(preset="repo", masking="temporal")
    assert torch.isfinite(objective(preset="paper", masking="temporal")(batch())["loss"])


def test_section_3_repo_calls_its_encoders_without_dropout() -> None:
    """methods §3: "encoder called with training=False (dropout off)"."""
    given = batch()
    for preset, same in (("repo", True), ("paper", False)):
        model = objective(preset=preset)
        model.encoders.dropout.p = 0.5
        model.train()
        assert (model(given)["loss"] == model(given)["loss"]) == same
        assert model.aggregator.training
    model.eval()
    assert model(given)["loss"] == model(given)["loss"]


def test_row_16_downstream_the_aggregator_is_left_out_in_repo() -> None:
    """methods §0 row 16: "downstream default uses encoders only (aggregator dropped)"."""
    given = batch()
    assert given.imu_present_BSK is not None
    given.imu_present_BSK[3] = False
    for preset, width in (("paper", 3), ("repo", MODALITIES * SIZE)):
        vectors, there = objective(preset=preset).embed(given)["imu"]
        assert vectors.shape == (ROWS, width)
        assert there.tolist() == [True, True, True, False, True, True]
        assert torch.allclose(vectors.norm(dim=1), there.double())


@pytest.mark.parametrize("aggregator", [FlattenAggregator, AttentionAggregator])
def test_the_models_of_this_project_fit(aggregator: type[nn.Module]) -> None:
    torch.manual_seed(0)
    model = CroSSL(ModalityEncoders(SLOTS, divisor=15, dropout=0), aggregator(MODALITIES), keep=0.5)
    given = batch()
    assert given.imu_BSCT is not None
    given = replace(given, imu_BSCT=given.imu_BSCT.float())
    terms = model(given)
    assert set(terms) == {"loss", "similarity", "variance", "covariance", "penalty"}
    terms["loss"].backward()
    assert all(weight.grad is not None for weight in model.parameters())
    assert model.embed(given)["imu"][0].shape == (ROWS, 32)


def test_collapsed_encoders_raise_the_alarm_and_others_do_not() -> None:
    given = batch(rows=40, present=1.0)
    looks = {}
    for name in ("healthy", "collapsed"):
        model = objective()
        if name == "collapsed":
            for conv in model.encoders.each:
                nn.init.constant_(conv.weight, 1e-9)
        watch = CollapseWatch(patience=2)
        for _ in range(2):
            watch = watch.after(model.signs(given))
        looks[name] = watch.raised
    assert looks["healthy"] == {}
    assert {"latent/rank_share", "aggregate/mean_pairwise_cosine", "aggregate/unit_spread"} <= set(
        looks["collapsed"]
    )
    assert set(looks["collapsed"].values()) == {2}


def test_latents_that_begin_in_one_cone_are_no_collapse() -> None:
    """The published encoders end in a mean of what a PReLU lets through: latents with few numbers below zero."""
    torch.manual_seed(0)
    model = CroSSL(ModalityEncoders(SLOTS, divisor=15, dropout=0), FlattenAggregator(MODALITIES))
    given = batch(rows=40, present=1.0)
    assert given.imu_BSCT is not None
    given = replace(given, imu_BSCT=given.imu_BSCT.float())
    latent_BMD = model.encoders(given.imu_BSCT, given.imu_present_BSK)
    found = embedding_signs(latent_BMD.flatten(1))
    assert found["unit_spread"] < 0.5
    watch = CollapseWatch(patience=1).after(model.signs(given))
    assert not [name for name in watch.raised if name.startswith("latent/")]


def test_wrong_settings_and_batches_are_named() -> None:
    with pytest.raises(ValueError, match="preset must be one of paper, repo, got 'code'"):
        objective(preset="code")
    with pytest.raises(ValueError, match="masking must be one of random, spatial, temporal, got 'all'"):
        objective(masking="all")
    with pytest.raises(ValueError, match=r"keep, the probability of keeping, must lie in \(0, 1\], got 0"):
        objective(keep=0)
    with pytest.raises(ValueError, match="draws its masks from the seeds of a batch"):
        objective()(replace(batch(), seed_B=None))
    with pytest.raises(ValueError, match="needs the column 'imu'"):
        objective()(Batch(index_B=torch.arange(2), seed_B=torch.arange(2)))


@pytest.mark.parametrize("preset", ["paper", "repo"])
def test_classifiers_learn_from_the_latents_side_by_side(preset: str) -> None:
    """Methods §3: concat of M×96 → Dense 128 by default, the aggregator dropped (§0 row 16)."""
    model, given = objective(preset=preset).eval(), batch()
    assert given.imu_present_BSK is not None
    given.imu_present_BSK[2] = False
    with torch.no_grad():
        model.aggregator.layer.weight.fill_(torch.nan)
    feature_BX, there_B = model.features(given)
    latent_BMD = model.encoders(given.imu_BSCT, given.imu_present_BSK)
    assert torch.equal(feature_BX, latent_BMD.reshape(ROWS, MODALITIES * SIZE))
    assert there_B.tolist() == [row != 2 for row in range(ROWS)]
    assert not feature_BX[2].any()
