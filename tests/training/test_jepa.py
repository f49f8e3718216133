"""The sensor JEPA against loops in float64, its ramp and its target, and what must not change its loss."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from sensorloom.training.batch import Batch
from sensorloom.training.models.attention import TransformerSize
from sensorloom.training.models.jepa import JepaEncoder, JepaPredictor
from sensorloom.training.models.jepa_tokens import TokenGrid, TokenUnit
from sensorloom.training.objectives.jepa import Jepa, SemanticTerm
from sensorloom.training.terms.block_masks import draw_block_masks
from sensorloom.training.terms.collapse import CollapseWatch

ROWS, SLOTS, PATCH, PATCHES, TEXT = 5, 2, 2, 8, 4
SMALL = TransformerSize(8, 2, 1)


COSINE = SemanticTerm(text_size=TEXT)


def objective(
    semantic: SemanticTerm | None = COSINE,
    local_weight: float = 0.0,
    unit: TokenUnit = "channel",
) -> Jepa:
    torch.manual_seed(0)
    encoder = JepaEncoder(TokenGrid(SLOTS, PATCH * PATCHES, PATCH, unit), SMALL)
    model = Jepa(
        encoder, JepaPredictor(encoder, SMALL), semantic=semantic, local_weight=local_weight
    ).double()
    with torch.no_grad():  # off the small first weights, so that every term is well away from 0
        for weight in model.parameters():
            weight += 0.3 * torch.randn_like(weight)
    model.target_encoder.update(model.encoder, 0.5)
    return model


def batch(rows: int = ROWS, valid: bool = True) -> Batch:
    generator = torch.Generator().manual_seed(3)
    present = torch.rand(rows, SLOTS, 2, generator=generator) < 0.8
    present[0] = True
    present[1] = False
    told = torch.tensor([[True, True], [True, False], [False, True], [False, False], [True, True]]).repeat(
        (rows + 4) // 5, 1
    )[:rows]
    text = torch.randn(rows, 2, TEXT, generator=generator, dtype=torch.float64)
    imu = torch.randn(rows, SLOTS, 6, PATCH * PATCHES, generator=generator, dtype=torch.float64)
    there = torch.rand(rows, SLOTS, 2, PATCH * PATCHES, generator=generator) < 0.95
    return Batch(
        index_B=torch.arange(rows),
        seed_B=torch.arange(rows) * 1009 + 5,
        imu_BSCT=imu * 3 + 1,
        imu_present_BSK=present,
        imu_valid_BSKT=there if valid else None,
        text_BKD=nn.functional.normalize(text, dim=-1),
        text_present_BK=told,
    )


def taken(given: Batch, order: Tensor) -> Batch:
    return Batch(**{name: tensor[order] for name, tensor in given.tensors().items()})


def smooth_l1(gap: float) -> float:
    return 0.5 * gap**2 if abs(gap) < 1 else abs(gap) - 0.5


def layer_normed(values: list[float]) -> list[float]:
    mean = sum(values) / len(values)
    variance = sum((value - mean) ** 2 for value in values) / len(values)
    return [(value - mean) / math.sqrt(variance + 1e-5) for value in values]


def slow_there(model: Jepa, one: Batch) -> list[list[bool]]:
    """The tokens [G][L] of one example whose every sample is there."""
    assert one.imu_present_BSK is not None
    per_triad = model.encoder.grid.rows_per_triad
    there = []
    for row in range(model.encoder.grid.rows):
        slot, sensor = divmod(row // per_triad, 2)
        present = one.imu_present_BSK[0, slot, sensor].item()
        valid = [True] * (PATCH * PATCHES)
        if one.imu_valid_BSKT is not None:
            valid = one.imu_valid_BSKT[0, slot, sensor].tolist()
        there.append([present and all(valid[t * PATCH : (t + 1) * PATCH]) for t in range(PATCHES)])
    return there


def slow_patches(model: Jepa, one: Batch, there: list[list[bool]]) -> list[list[list[float]]]:
    """The standardised values [G][L][W] of one example, accelerations in standard gravities."""
    assert one.imu_BSCT is not None
    unit = model.encoder.grid.unit
    axes = 1 if unit == "channel" else 3
    patches = []
    for row in range(model.encoder.grid.rows):
        cut: list[list[float]] = []
        for t in range(PATCHES):
            values = []
            for axis in range(axes):
                slot, channel = divmod(row * axes + axis, 6)
                scale = 9.80665 if channel < 3 else 1.0
                samples = one.imu_BSCT[0, slot, channel, t * PATCH : (t + 1) * PATCH].tolist()
                values += [sample / scale for sample in samples]
            cut.append(values)
        known = [value for t in range(PATCHES) if there[row][t] for value in cut[t]]
        mean = sum(known) / max(len(known), 1)
        std = math.sqrt(sum((value - mean) ** 2 for value in known) / max(len(known), 1))
        patches.append([[(value - mean) / max(std, 1e-3) for value in values] for values in cut])
    return patches


def slow_terms(model: Jepa, given: Batch) -> dict[str, float]:
    """The terms of a batch, one example and one number at a time; encoder, predictor and masks alone are taken."""
    assert given.seed_B is not None
    predictions, locals_, said, texts = [], [], [], []
    rows = model.encoder.grid.rows
    for example in range(len(given)):
        one = taken(given, torch.tensor([example]))
        there = slow_there(model, one)
        masks = draw_block_masks(one.seed_B, torch.tensor([there]), model.encoder.grid.rows_per_triad)
        context_BN, target_BN = masks.context_BGL.flatten(1), masks.target_BGL.flatten(1)
        asked = [n for n in range(rows * PATCHES) if target_BN[0, n]]
        if not asked:
            continue
        context = model.encoder(one.imu_BSCT, one.imu_present_BSK, context_BN)
        predicted = model.predictor(context, target_BN)[0]
        whole = model.target_encoder(one.imu_BSCT, one.imu_present_BSK, torch.tensor([there]).flatten(1))
        total = 0.0
        for n in asked:
            wanted = layer_normed(whole.token_BND[0, n].tolist())
            total += sum(smooth_l1(p - w) for p, w in zip(predicted[n].tolist(), wanted, strict=True)) / len(
                wanted
            )
        predictions.append(total / len(asked))
        if model.to_patch is not None:
            patches, error = slow_patches(model, one, there), 0.0
            for n in asked:
                guessed = model.to_patch(predicted[n]).tolist()
                wanted = patches[n // PATCHES][n % PATCHES]
                error += sum((g - w) ** 2 for g, w in zip(guessed, wanted, strict=True)) / len(wanted)
            locals_.append(error / len(asked))
        assert one.text_BKD is not None
        assert one.text_present_BK is not None
        known = [k for k in range(2) if one.text_present_BK[0, k]]
        if known and model.to_text is not None:
            carried = model.predictor.carry(context)
            seen = [n for n in range(rows * PATCHES) if context_BN[0, n]]
            mean = [sum(carried.token_BND[0, n, d].item() for n in seen) / len(seen) for d in range(8)]
            said.append(
                [
                    sum(w * m for w, m in zip(line, mean, strict=True))
                    for line in model.to_text.weight.tolist()
                ]
            )
            texts.append([sum(one.text_BKD[0, k, e].item() for k in known) for e in range(TEXT)])
    terms = {"prediction": sum(predictions) / len(predictions)}
    if model.to_patch is not None:
        terms["local"] = sum(locals_) / len(locals_)
    if model.semantic is not None:
        terms["semantic"] = slow_semantic(model, said, texts)
        progress = model.progress.item()
        terms["semantic_weight"] = model.semantic.weight * min(1.0, progress / model.semantic.ramp)
    terms["loss"] = (
        terms["prediction"]
        + terms.get("semantic_weight", 0) * terms.get("semantic", 0)
        + model.local_weight * terms.get("local", 0)
    )
    return terms


def cosine(one: list[float], other: list[float]) -> float:
    product = sum(a * b for a, b in zip(one, other, strict=True))
    return product / math.sqrt(sum(a * a for a in one) * sum(b * b for b in other))


def slow_semantic(model: Jepa, said: list[list[float]], texts: list[list[float]]) -> float:
    if model.temperature is None:
        gaps = [1 - cosine(one, other) for one, other in zip(said, texts, strict=True)]
        return sum(gaps) / len(gaps)
    tau, total = model.temperature().item(), 0.0
    for i in range(len(said)):
        at_rows = [math.exp(cosine(said[i], other) / tau) for other in texts]
        at_columns = [math.exp(cosine(other, texts[i]) / tau) for other in said]
        total -= math.log(at_rows[i] / sum(at_rows)) + math.log(at_columns[i] / sum(at_columns))
    return total / len(said)


CASES = {
    "cosine": {},
    "info_nce": {"semantic": SemanticTerm("info_nce", weight=1.0, ramp=0.2, text_size=TEXT)},
    "local": {"local_weight": 0.7},
    "triad": {"local_weight": 0.7, "unit": "triad"},
    "plain": {"semantic": None},
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("valid", [True, False])
def test_every_term_equals_the_loops(case: str, valid: bool) -> None:
    model, given = objective(**CASES[case]), batch(valid=valid)
    model.after_step(0.06)
    terms = {name: value.item() for name, value in model(given).items()}
    assert terms == pytest.approx(slow_terms(model, given), rel=1e-7)
    assert terms["prediction"] > 0.01


@pytest.mark.parametrize("case", CASES)
def test_the_gradient_is_that_of_differences(case: str) -> None:
    model, given = objective(**CASES[case]), batch()
    model.after_step(0.06)
    named = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}

    def loss(*weights: Tensor) -> Tensor:
        called = torch.func.functional_call(model, dict(zip(named, weights, strict=True)), (given,))
        return called["loss"]

    assert torch.autograd.gradcheck(loss, tuple(named.values()), fast_mode=True, atol=1e-4)


def test_every_weight_but_those_of_the_target_learns() -> None:
    model = objective(SemanticTerm("info_nce", text_size=TEXT), 0.5)
    model.after_step(0.5)
    model(batch())["loss"].backward()
    for name, weight in model.named_parameters():
        assert (weight.grad is None) == name.startswith("target_encoder"), name


@pytest.mark.parametrize("case", CASES)
def test_permuting_a_batch_changes_nothing(case: str) -> None:
    model, given = objective(**CASES[case]), batch()
    model.after_step(0.06)
    terms, again = model(given), model(taken(given, torch.tensor([4, 2, 0, 3, 1])))
    assert {name: value.item() for name, value in again.items()} == pytest.approx(
        {name: value.item() for name, value in terms.items()}, rel=1e-9
    )


def test_what_is_masked_and_what_pads_a_batch_changes_nothing() -> None:
    model = objective(local_weight=0.5)
    model.after_step(0.06)
    real = torch.tensor([True, True, True, True, False])
    given = replace(batch(), real_B=real)
    assert given.imu_BSCT is not None
    assert given.imu_present_BSK is not None
    assert given.text_BKD is not None
    assert given.text_present_BK is not None
    loss = model(given)["loss"]
    imu, text = given.imu_BSCT.clone(), given.text_BKD.clone()
    imu.view(ROWS, SLOTS, 2, 3, -1)[~given.imu_present_BSK] = 50
    text[~given.text_present_BK] = 9
    imu[4], text[4] = 7, -1
    assert model(replace(given, imu_BSCT=imu, text_BKD=text))["loss"] == loss
    left = model(taken(given, torch.tensor([0, 1, 2, 3])))["loss"]
    assert left.item() == pytest.approx(loss.item(), rel=1e-9)


def test_a_patch_with_a_sample_that_is_not_valid_changes_nothing() -> None:
    model, given = objective(local_weight=0.5), batch()
    assert given.imu_BSCT is not None
    assert given.imu_valid_BSKT is not None
    loss = model(given)["loss"]
    bad_patch = ~given.imu_valid_BSKT.reshape(ROWS, SLOTS, 2, PATCHES, PATCH).all(dim=-1)
    imu = given.imu_BSCT.clone()
    spoiled = bad_patch.repeat_interleave(PATCH, dim=-1)[:, :, :, None].expand(-1, -1, -1, 3, -1)
    imu.view(ROWS, SLOTS, 2, 3, -1)[spoiled] = 80
    assert model(replace(given, imu_BSCT=imu))["loss"] == loss


@pytest.mark.parametrize("kind", ["cosine", "info_nce"])
@pytest.mark.parametrize("column", [True, False])
def test_batches_without_text_set_the_term_to_zero(kind: str, column: bool) -> None:
    """methods §4.4: "Batches without text set the term to 0 (mean over valid rows)"."""
    model, given = objective(SemanticTerm(kind, text_size=TEXT)), batch()  # type: ignore[arg-type]
    model.after_step(1.0)
    assert given.text_present_BK is not None
    without = replace(given, text_BKD=None, text_present_BK=None)
    if column:
        without = replace(given, text_present_BK=torch.zeros_like(given.text_present_BK))
    terms = model(without)
    assert terms["semantic"] == 0
    assert terms["loss"] == terms["prediction"]
    terms["loss"].backward()
    assert model.to_text is not None
    assert model.to_text.weight.grad is not None
    assert not model.to_text.weight.grad.any()
    assert all(weight.grad is None or torch.isfinite(weight.grad).all() for weight in model.parameters())


def test_texts_that_cancel_out_are_no_text() -> None:
    model, given = objective(), batch()
    assert given.text_BKD is not None
    assert given.text_present_BK is not None
    text, present = given.text_BKD.clone(), given.text_present_BK.clone()
    text[0, 0] = torch.tensor([1.0, 0, 0, 0])
    text[0, 1] = -text[0, 0]
    present[0] = True
    without = present.clone()
    without[0] = False
    semantic = model(replace(given, text_BKD=text, text_present_BK=present))["semantic"]
    assert semantic == model(replace(given, text_BKD=text, text_present_BK=without))["semantic"]


def test_without_any_sensor_the_loss_is_zero() -> None:
    model, given = objective(local_weight=1.0), batch()
    model.after_step(1.0)
    terms = model(replace(given, imu_present_BSK=torch.zeros(ROWS, SLOTS, 2, dtype=torch.bool)))
    assert terms["loss"] == terms["prediction"] == terms["semantic"] == terms["local"] == 0
    terms["loss"].backward()
    grads = [weight.grad for weight in model.parameters() if weight.grad is not None]
    assert grads
    assert not any(grad.any() for grad in grads)


def test_the_semantic_weight_ramps_in_a_line_over_a_tenth_of_the_steps() -> None:
    """methods §4.4: "λ: 0→0.5 linear over 10 % of steps"."""
    model, given = objective(), batch()
    weights = [model(given)["semantic_weight"].item()]
    for progress in (0.025, 0.05, 0.1, 0.6, 1.0):
        model.after_step(progress)
        weights.append(model(given)["semantic_weight"].item())
    assert weights == pytest.approx([0, 0.125, 0.25, 0.5, 0.5, 0.5])
    assert SemanticTerm(weight=0.3, ramp=0.0).weight_at(torch.tensor(0.0)).item() == pytest.approx(0.3)


def test_the_target_follows_by_0_996_to_1_and_survives_a_checkpoint() -> None:
    model = objective()
    target, online = (
        part.patch.weight.detach().clone() for part in (model.target_encoder.averaged, model.encoder)
    )
    told = [model.after_step(progress)["momentum"] for progress in (0.0, 0.5)]
    assert told == pytest.approx([0.996, 0.998])
    expected = online + 0.996 * 0.998 * (target - online)
    assert torch.allclose(model.target_encoder.averaged.patch.weight, expected, rtol=1e-12)
    fresh = objective()
    fresh.load_state_dict(model.state_dict())
    given = batch()
    assert fresh(given)["loss"] == model(given)["loss"]
    assert fresh.progress == 0.5
    assert model.after_step(1.0) == {"momentum": 1.0}


def test_temperature_stays_in_its_clamp() -> None:
    model = objective(SemanticTerm("info_nce", text_size=TEXT))
    assert model.temperature is not None
    for value, expected in ((-9.0, 0.01), (5.0, 1.0)):
        nn.init.constant_(model.temperature.value, value)
        assert model.after_step(0.1)["temperature"] == pytest.approx(expected)


def test_embeddings_are_of_whole_windows_in_the_space_of_texts() -> None:
    model, given = objective(), batch()
    embedded = model.embed(given)
    vectors, there = embedded["imu"]
    assert vectors.shape == (ROWS, TEXT)
    assert there.tolist() == [True, False, True, True, True]
    assert torch.allclose(vectors.norm(dim=1), there.double())
    text, told = embedded["text"]
    assert told.tolist() == [True, True, True, False, True]
    assert torch.allclose(text.norm(dim=1), told.double())
    plain = objective(semantic=None).embed(given)
    assert set(plain) == {"imu"}
    assert plain["imu"][0].shape == (ROWS, 8)
    assert torch.equal(model.embed(replace(given, seed_B=None))["imu"][0], vectors)


def test_what_is_said_of_a_window_is_of_the_tokens_seen_alone() -> None:
    """g(z): the predictor's outputs at the context's own tokens, those of a call in which nothing is hidden."""
    model, given = objective(), batch(valid=False)
    assert given.imu_BSCT is not None
    kept = torch.rand(ROWS, 12 * PATCHES) < 0.5
    context = model.encoder(given.imu_BSCT, given.imu_present_BSK, kept)
    carried = model.predictor.carry(context)
    assert torch.equal(carried.visible_BN, context.visible_BN)
    assert not carried.token_BND[~context.visible_BN].any()
    spoiled = context.token_BND.masked_fill(~context.visible_BN[..., None], 7.0)
    again = model.predictor.carry(context._replace(token_BND=spoiled))
    assert torch.equal(again.token_BND, carried.token_BND)
    whole = model.encoder(given.imu_BSCT, given.imu_present_BSK)
    assert not torch.allclose(model.predictor.carry(whole).mean(), carried.mean())


def test_columns_are_those_that_the_terms_need() -> None:
    assert objective().columns == ("imu", "text")
    assert objective(semantic=None).columns == ("imu",)


def test_a_collapsed_encoder_raises_the_alarm_and_a_sound_one_does_not() -> None:
    given = batch(rows=40, valid=False)
    assert given.imu_present_BSK is not None
    given = replace(given, imu_present_BSK=torch.ones_like(given.imu_present_BSK))
    raised = {}
    for name in ("sound", "collapsed"):
        model = objective(semantic=None)
        for part in (model.encoder, model.target_encoder.averaged) if name == "collapsed" else ():
            nn.init.constant_(part.norm.weight, 1e-6)
        watch = CollapseWatch(patience=2)
        for _ in range(2):
            watch = watch.after(model.signs(given))
        raised[name] = watch.raised
    signs = {"unit_spread", "mean_pairwise_cosine"}
    found = {f"{place}/{sign}" for place in ("context", "target") for sign in signs}
    assert found | {"prediction_ratio"} <= set(raised["collapsed"])
    assert set(raised["collapsed"].values()) == {2}
    assert not found & set(raised["sound"])


def test_signs_are_of_one_visible_token_of_each_window() -> None:
    model, given = objective(), batch()
    signs = model.signs(given)
    places = {name.partition("/")[0] for name in signs if "/" in name}
    assert places == {"context", "predicted", "target"}
    assert signs["target_distance"] == pytest.approx(model.target_encoder.distance(model.encoder).item())
    # Four of five windows have a sensor: as many directions, at most, and more than one.
    assert 1 < signs["target/effective_rank"] <= 4
    assert signs["prediction_ratio"] > 0


def test_training_on_signals_that_can_be_told_beats_the_batch_mean() -> None:
    """The ratio falls below 1 where a window's hidden part follows from the rest."""
    rows, steps, slots = 16, 90, 1
    generator = torch.Generator().manual_seed(1)
    time_s = torch.arange(PATCH * PATCHES) / 8
    phase, speed_hz = torch.rand(2, rows, 1, 1, 1, generator=generator)
    waves = torch.sin(2 * math.pi * ((0.3 + speed_hz) * time_s + phase))
    given = Batch(
        index_B=torch.arange(rows),
        imu_BSCT=5 * waves.expand(-1, slots, 6, -1),
        imu_present_BSK=torch.ones(rows, slots, 2, dtype=torch.bool),
    )
    torch.manual_seed(0)
    encoder = JepaEncoder(TokenGrid(slots, PATCH * PATCHES, PATCH), SMALL)
    model = Jepa(encoder, JepaPredictor(encoder, SMALL), semantic=None)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    ratios = [model.signs(replace(given, seed_B=torch.arange(rows)))["prediction_ratio"]]
    for step in range(steps):
        optimizer.zero_grad()
        model(replace(given, seed_B=torch.arange(rows) + rows * step))["loss"].backward()
        optimizer.step()
        model.after_step(step / steps)
    ratios.append(model.signs(replace(given, seed_B=torch.arange(rows)))["prediction_ratio"])
    assert ratios[0] > 1.2
    assert ratios[1] < 0.97


def test_bfloat16_autocast_reckons_the_loss_in_float32() -> None:
    torch.manual_seed(0)
    encoder = JepaEncoder(TokenGrid(SLOTS, PATCH * PATCHES, PATCH), SMALL)
    model = Jepa(encoder, JepaPredictor(encoder, SMALL), semantic=SemanticTerm(text_size=TEXT))
    given = batch()
    assert given.imu_BSCT is not None
    assert given.text_BKD is not None
    given = replace(given, imu_BSCT=given.imu_BSCT.float(), text_BKD=given.text_BKD.half())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        terms = model(given)
    assert {term.dtype for term in terms.values()} == {torch.float32}
    assert terms["loss"].item() == pytest.approx(model(given)["loss"].item(), rel=0.05)


def test_wrong_settings_and_batches_are_named() -> None:
    encoder = JepaEncoder(TokenGrid(SLOTS, 14, PATCH), SMALL)
    with pytest.raises(ValueError, match="covers 15 to 25 % of 7 patches"):
        Jepa(encoder, JepaPredictor(encoder, SMALL))
    with pytest.raises(ValueError, match="local_weight must be at least 0, got -1"):
        objective(local_weight=-1)
    with pytest.raises(ValueError, match="a semantic term is one of cosine, info_nce, got 'l2'"):
        SemanticTerm("l2")  # type: ignore[arg-type]
    with pytest.raises(
        ValueError, match=r"a weight of at least 0, a ramp in \[0, 1\] and a text_size ≥ 1, got"
    ):
        SemanticTerm(weight=-0.1)
    with pytest.raises(ValueError, match="draws its masks from the seeds of a batch"):
        objective()(replace(batch(), seed_B=None))
    with pytest.raises(ValueError, match="needs the column 'imu'"):
        objective()(Batch(index_B=torch.arange(2), seed_B=torch.arange(2)))
    with pytest.raises(ValueError, match="texts of size 512, the batch has 4; set text_size"):
        objective(SemanticTerm())(batch())
