"""Fitting a classifier: each paper's settings, which epoch is chosen, and that a seed decides everything."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from sensorloom.training.errors import RecipeError, RunError
from sensorloom.training.evaluation.fitting import (
    AURA_FIT,
    CROSSL_FIT,
    PRIMUS_FIT,
    FeatureRows,
    FitSettings,
    fit,
    score_examples,
)
from tests.training.labelled_benches import planted_split, spread

QUICK = FitSettings(learning_rate=1e-2, weight_decay=0.0, batch_size=8, epochs=6, choose_by="accuracy")


def rows(classes: int = 3, each: int = 10, noise: float = 0.1, seed: int = 0) -> FeatureRows:
    split = planted_split(
        "train", torch.arange(classes).repeat(each), spread(classes, 8), noise=noise, seed=seed
    )
    return FeatureRows(split.vectors["imu"][0], split.label_N)


def linear() -> nn.Module:
    return nn.Linear(8, 3)


def test_primus_probes_as_the_paper_says() -> None:
    """Methods §1.7: AdamW 1e-4, wd 1e-4, batch 256, 20 epochs, warm-up then cosine, validate every 5, val accuracy."""
    assert (
        FitSettings(
            learning_rate=1e-4,
            weight_decay=1e-4,
            batch_size=256,
            epochs=20,
            choose_by="accuracy",
            amsgrad=False,
            schedule="warm-up and cosine",
            validate_every=5,
            patience=0,
        )
        == PRIMUS_FIT
    )


def test_aura_fits_as_the_paper_says() -> None:
    """Methods §2.7: AdamW(amsgrad) 5e-5, wd 1e-3, 100 epochs, batch 1024, no schedule, best epoch by val macro-F1."""
    assert (
        FitSettings(
            learning_rate=5e-5,
            weight_decay=1e-3,
            batch_size=1024,
            epochs=100,
            choose_by="macro-F1",
            amsgrad=True,
            schedule="constant",
            validate_every=1,
            patience=0,
        )
        == AURA_FIT
    )


def test_crossl_fits_as_the_code_does() -> None:
    """Methods §3: Adam 1e-4, early stop val_loss patience 5."""
    assert (CROSSL_FIT.learning_rate, CROSSL_FIT.weight_decay, CROSSL_FIT.amsgrad) == (1e-4, 0.0, False)
    assert (CROSSL_FIT.choose_by, CROSSL_FIT.patience, CROSSL_FIT.schedule) == ("loss", 5, "constant")


def test_separable_features_are_told_apart_and_noise_is_not() -> None:
    settings = replace(QUICK, epochs=20)
    fitted = fit(linear, rows(noise=0.02), rows(noise=0.02, seed=1), settings)
    assert score_examples(fitted.model, rows(noise=0.02, seed=2)).accuracy == 1.0
    assert fitted.val.accuracy == 1.0
    noise = fit(linear, rows(noise=100.0), rows(noise=100.0, seed=1), settings)
    assert score_examples(noise.model, rows(each=100, noise=100.0, seed=2)).accuracy == pytest.approx(
        1 / 3, abs=0.1
    )


class Recorded(nn.Module):
    """A constant classifier that notes what it was given, in which mode, at which rate."""

    def __init__(self) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(3))
        self.seen: list[tuple[bool, Tensor]] = []

    def forward(self, feature_BD: Tensor) -> Tensor:
        self.seen.append((self.training, feature_BD))
        return self.logits.expand(len(feature_BD), -1)


def test_each_epoch_has_every_window_once_in_another_order_and_looks_when_it_should() -> None:
    model, train, val = Recorded(), rows(), rows(each=5, seed=1)
    told = []
    settings = replace(QUICK, epochs=5, validate_every=2)
    fit(lambda: model, train, val, settings, progress=lambda line, done, total: told.append((done, total)))
    steps = [batch for training, batch in model.seen if training]
    assert [len(batch) for batch in steps] == 5 * [8, 8, 8, 6], "the last batch is what is left"
    epochs = [torch.cat(steps[4 * epoch : 4 * epoch + 4]) for epoch in range(5)]
    for epoch in epochs:
        assert sorted(map(tuple, epoch.tolist())) == sorted(map(tuple, train.feature_ND.tolist()))
    assert not torch.equal(epochs[0], epochs[1])
    assert told == [(2, 5), (4, 5), (5, 5)], "every second epoch, and the last"


def test_the_steps_are_those_of_adamw() -> None:
    """Of whole batches the order is nothing: the weights are those of a bare loop, decay and all."""
    train = rows(noise=1.0)
    once = replace(QUICK, batch_size=30, epochs=9, validate_every=9, weight_decay=0.5, learning_rate=0.3)
    torch.manual_seed(7)
    start = linear()
    fitted = fit(lambda: copy.deepcopy(start), train, train, once)
    optimizer = torch.optim.AdamW(start.parameters(), lr=0.3, weight_decay=0.5)
    for _ in range(9):
        optimizer.zero_grad()
        nn.functional.cross_entropy(start(train.feature_ND), train.labels).backward()
        optimizer.step()
    assert fitted.best_epoch == 8
    assert torch.allclose(fitted.model.weight, start.weight, atol=1e-4)


@pytest.mark.parametrize("amsgrad", [False, True])
def test_the_variant_of_adamw_is_the_one_asked_for(amsgrad, monkeypatch) -> None:
    """Methods §2.7 has amsgrad, which tells only after hundreds of steps; so the optimiser is asked."""
    made, real = [], torch.optim.AdamW
    monkeypatch.setattr(
        torch.optim, "AdamW", lambda *args, **given: made.append(real(*args, **given)) or made[0]
    )
    fit(linear, rows(), rows(seed=1), replace(QUICK, epochs=1, amsgrad=amsgrad))
    assert [optimizer.defaults["amsgrad"] for optimizer in made] == [amsgrad]


def test_what_comes_in_evaluation_mode_learns_in_training_mode() -> None:
    """As a copy of a run's encoder does: its dropout must be on again."""
    model = Recorded().eval()
    fit(lambda: model, rows(), rows(each=5, seed=1), replace(QUICK, epochs=1))
    assert [training for training, _ in model.seen] == [*(4 * [True]), False]


def test_a_seed_decides_everything_and_leaves_the_callers_random_state() -> None:
    before = torch.get_rng_state()

    def fitted(seed: int) -> Tensor:
        def make() -> nn.Module:
            return nn.Sequential(nn.Dropout(0.5), nn.Linear(8, 3))

        model = fit(make, rows(noise=1.0), rows(seed=1), QUICK, seed=seed).model
        return next(model.parameters()).detach().clone()

    first = fitted(3)
    torch.randn(17)
    after = torch.get_rng_state()
    assert torch.equal(first, fitted(3))
    assert torch.equal(after, torch.get_rng_state())
    assert not torch.equal(first, fitted(4))
    assert not torch.equal(before, after)


class Stepping(nn.Module):
    """Gives prepared logits for the validation windows, others at each look; its weight counts the looks."""

    def __init__(self, looks: list[Tensor]) -> None:
        super().__init__()
        self.looks, self.weight = looks, nn.Parameter(torch.zeros(()))
        self.register_buffer("look", torch.zeros((), dtype=torch.int64))

    def forward(self, feature_BD: Tensor) -> Tensor:
        if self.training:
            return self.weight * feature_BD[:, :3]
        logits_BC = self.looks[int(self.look)]
        self.look += 1
        return logits_BC


def chosen_epoch(looks: list[list[int]], **changes: object) -> tuple[int, int]:
    """Return the best and the last epoch when the calls of the look after each epoch are `looks`, true 0, 0, 0, 1."""
    logits = [10.0 * nn.functional.one_hot(torch.tensor(calls), 3).float() for calls in looks]
    val = FeatureRows(torch.zeros(4, 8), torch.tensor([0, 0, 0, 1]))
    settings = replace(QUICK, epochs=len(looks), **changes)
    fitted = fit(lambda: Stepping(logits), rows(), val, settings)
    return fitted.best_epoch, fitted.epochs


def test_the_best_epoch_is_chosen_as_each_paper_says() -> None:
    always_0, all_right, one_wrong = [0, 0, 0, 0], [0, 0, 0, 1], [0, 2, 2, 1]
    # Always class 0 has the better accuracy (3/4 against 2/4), the other the better macro-F1.
    assert chosen_epoch([one_wrong, always_0], choose_by="accuracy") == (1, 2)
    assert chosen_epoch([one_wrong, always_0], choose_by="macro-F1") == (0, 2)
    assert chosen_epoch([always_0, all_right, all_right], choose_by="accuracy") == (1, 3), (
        "the earliest of equals"
    )
    assert chosen_epoch([always_0, all_right, one_wrong], choose_by="loss") == (1, 3)


def test_equal_macro_f1_is_told_apart_by_accuracy() -> None:
    """Methods §2.7: best by val macro-F1, accuracy as second trigger."""
    fewer, more = [2, 2, 2, 1], [0, 0, 0, 2]  # F1 of classes (0, 1, 0) and (1, 0, 0)
    assert score_of(fewer).macro_f1 == score_of(more).macro_f1
    assert score_of(fewer).accuracy < score_of(more).accuracy
    assert chosen_epoch([fewer, more], choose_by="macro-F1") == (1, 2)


def score_of(calls: list[int]):
    model = Stepping([nn.functional.one_hot(torch.tensor(calls), 3).float()]).eval()
    return score_examples(model, FeatureRows(torch.zeros(4, 8), torch.tensor([0, 0, 0, 1])))


def test_the_best_weights_are_what_comes_back() -> None:
    looks = [[0, 0, 0, 1], [0, 0, 0, 0], [2, 2, 2, 2]]
    logits = [10.0 * nn.functional.one_hot(torch.tensor(calls), 3).float() for calls in looks]
    val = FeatureRows(torch.zeros(4, 8), torch.tensor([0, 0, 0, 1]))
    fitted = fit(lambda: Stepping(logits), rows(), val, replace(QUICK, epochs=3))
    assert int(fitted.model.look) == 1, "the weights after the first look"
    assert not fitted.model.training
    assert (fitted.val.accuracy, fitted.epochs) == (1.0, 3)


def test_patience_ends_what_does_not_get_better() -> None:
    """Methods §3: early stop on val_loss, patience 5."""
    right, wrong = [0, 0, 0, 1], [2, 2, 2, 2]
    assert chosen_epoch([wrong, right, *(8 * [wrong])], choose_by="loss", patience=5) == (1, 7)
    assert chosen_epoch([wrong, right, *(3 * [wrong])], choose_by="loss", patience=5) == (1, 5)


class Rates(nn.Module):
    """A weight whose gradient is always 1: without decay Adam moves it by the rate of each step."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3, dtype=torch.float64))
        self.path: list[float] = []

    def forward(self, feature_BD: Tensor) -> Tensor:
        if self.training:
            self.path.append(self.weight[0].item())
        return (self.weight * torch.tensor([1.0, 0.0, 0.0])).expand(len(feature_BD), -1)


def test_the_rate_warms_up_over_ten_steps_and_falls_as_a_cosine() -> None:
    """Methods §1.7: per-step warm-up max(T_max//100, 10) then cosine to 0."""
    model = Rates()
    train = FeatureRows(torch.zeros(8, 8), torch.zeros(8, dtype=torch.int64))
    settings = replace(PRIMUS_FIT, epochs=40, batch_size=8, weight_decay=0.0, learning_rate=1e-4)
    fit(lambda: model, train, train, settings)
    moved = torch.tensor(model.path).diff()
    assert torch.allclose(moved[:9], 1e-5 * torch.arange(1.0, 10.0), rtol=1e-3)
    done = torch.arange(len(moved) - 10) / 30
    assert torch.allclose(moved[10:], 0.5e-4 * (1 + torch.cos(torch.pi * done)), rtol=1e-2, atol=1e-9)


def test_what_cannot_be_fitted_is_told() -> None:
    none = FeatureRows(torch.zeros(0, 8), torch.zeros(0, dtype=torch.int64))
    with pytest.raises(RunError, match="the training split has no window with a label; choose a view"):
        fit(linear, none, rows(), QUICK)
    with pytest.raises(RunError, match="the validation split has no window with a label"):
        fit(linear, rows(), none, QUICK)
    with pytest.raises(RunError, match="no window with a label to score"):
        score_examples(linear(), none)
    broken = FeatureRows(torch.full((8, 8), torch.nan), torch.zeros(8, dtype=torch.int64))
    with pytest.raises(RunError, match=r"loss of the classifier is nan after 1 steps; .*\(0.01 now\)"):
        fit(linear, broken, rows(), QUICK)
    with pytest.raises(ValueError, match=r"features \[N, D\] need labels \[N\], got \[3, 8\] and \[2\]"):
        FeatureRows(torch.zeros(3, 8), torch.zeros(2, dtype=torch.int64))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"validate_every": 0}, "validate_every must be at least 1, got 0"),
        ({"patience": -1}, "patience must be at least 0, got -1"),
        ({"learning_rate": 0.0}, "learning_rate must be greater than 0"),
        ({"choose_by": "luck"}, "choose_by must be one of accuracy, macro-F1, loss, got 'luck'"),
        ({"epochs": 0}, "epochs must be at least 1"),
    ],
)
def test_settings_outside_their_range_are_refused(change, match) -> None:
    with pytest.raises(RecipeError, match=match):
        replace(QUICK, **change)
