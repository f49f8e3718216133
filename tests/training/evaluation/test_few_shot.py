"""Few-shot curves: whose windows are taken, and what the points say."""

from __future__ import annotations

import json
import statistics
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sensorloom.training.errors import RunError
from sensorloom.training.evaluation import few_shot
from sensorloom.training.evaluation.few_shot import SHOTS, TRIALS, choose_shots, few_shot_curves
from sensorloom.training.evaluation.fitting import FitSettings
from sensorloom.training.recipes import make_recipe
from tests.training.labelled_benches import planted_bench, planted_split, spread


def briskly(settings: FitSettings) -> FitSettings:
    return replace(settings, learning_rate=1e-2, batch_size=16, epochs=10)


def bench(**options):
    return planted_bench(make_recipe("simclr"), said=False, **options)


def a_split(labels: list[int], classes: int = 3):
    return planted_split("train", torch.tensor(labels), spread(classes, 4))


def test_the_grid_and_the_trials_are_those_of_primus() -> None:
    """Methods §1.7: {5,10,20,50,100,200,500}, 5 trials."""
    assert SHOTS == (5, 10, 20, 50, 100, 200, 500)
    assert TRIALS == 5


@given(
    labels=st.lists(st.integers(-1, 2), min_size=1, max_size=60),
    shots=st.integers(1, 30),
    more=st.integers(0, 30),
    trial=st.integers(0, 9),
)
def test_choices_are_nested_and_hold_so_many_of_each_class(labels, shots, more, trial) -> None:
    split = a_split(labels)
    few, many = choose_shots(split, shots, trial).tolist(), choose_shots(split, shots + more, trial).tolist()
    assert few == sorted(set(few))
    assert set(few) <= set(many)
    for number in range(3):
        assert sum(labels[row] == number for row in few) == min(shots, labels.count(number))
    assert all(labels[row] >= 0 for row in few)


def test_a_choice_depends_on_windows_and_not_on_their_order() -> None:
    split = a_split(12 * [0, 1, 2])
    order = torch.randperm(36, generator=torch.Generator().manual_seed(1))
    turned = replace(
        split,
        window_ids=tuple(split.window_ids[row] for row in order),
        label_N=split.label_N[order],
    )

    def names(of, trial: int) -> set[str]:
        return {of.window_ids[row] for row in choose_shots(of, 4, trial)}

    assert names(split, 0) == names(turned, 0)
    assert names(split, 0) != names(split, 1), "each trial takes its own"
    assert names(replace(split, split="val"), 0) == names(split, 0)


def test_a_choice_is_pinned() -> None:
    """The rule must not change: who compares with last year's curve compares the same windows."""
    assert choose_shots(a_split(6 * [0, 1]), 2, 0).tolist() == [1, 3, 4, 6]


def test_no_shots_are_refused() -> None:
    with pytest.raises(ValueError, match="shots must be at least 1 a class, got 0"):
        choose_shots(a_split([0]), 0, 0)


def test_more_shots_tell_noisy_classes_better_apart() -> None:
    (curve,) = few_shot_curves(bench(each=60, noise=0.5), shots=(1, 4, 60), trials=4, tune=briskly)
    one, four, all_there = curve.points
    assert one.accuracy < four.accuracy < all_there.accuracy
    assert one.accuracy > curve.chance.uniform_accuracy == 0.25
    assert (one.train_windows, four.train_windows, all_there.train_windows) == (4, 16, 240)
    assert (curve.windows, curve.split, curve.head.kind) == (240, "test", "linear from zero")


def test_labels_that_mean_nothing_stay_at_chance_however_many_shots() -> None:
    (curve,) = few_shot_curves(bench(each=100, shuffle_labels=True), shots=(5, 100), trials=3, tune=briskly)
    for point in curve.points:
        assert abs(point.accuracy - 0.25) < 0.06


def test_a_point_is_the_mean_of_its_trials_with_its_standard_error() -> None:
    (curve,) = few_shot_curves(bench(noise=0.6), shots=(2,), trials=3, tune=briskly)
    (point,) = curve.points
    assert len(point.trials) == 3
    assert len(set(point.trials)) > 1
    assert point.accuracy == pytest.approx(statistics.fmean(point.trials))
    assert point.accuracy_error == pytest.approx(statistics.stdev(point.trials) / 3**0.5)
    (alone,) = few_shot_curves(bench(noise=0.6), shots=(2,), trials=1, tune=briskly)[0].points
    assert alone.trials == point.trials[:1], "a trial is its own, whatever the number of trials"
    assert alone.accuracy_error is None


def test_where_there_are_fewer_all_are_taken_and_the_curve_ends(monkeypatch) -> None:
    fits = []
    real = few_shot.fit_contender

    def counted(*args, **options):
        fits.append((options["seed"], len(options["chosen"])))
        return real(*args, **options)

    monkeypatch.setattr(few_shot, "fit_contender", counted)
    whole = bench(each=6)
    labels = whole.labelled.features["train"].label_N.clone()
    labels[(labels == 2).nonzero()[3:, 0]] = -1
    train = replace(whole.labelled.features["train"], label_N=labels)
    labelled = replace(whole.labelled, features={**whole.labelled.features, "train": train})
    (curve,) = few_shot_curves(replace(whole, labelled=labelled), shots=(50, 5, 500), trials=2, tune=briskly)
    assert [point.shots for point in curve.points] == [5, 50]
    five, fifty = curve.points
    assert (five.short, fifty.short) == (("class 2",), whole.labelled.classes)
    assert (five.train_windows, fifty.train_windows) == (18, 21)
    assert (five.is_all, fifty.is_all) == (False, True)
    assert (fifty.accuracy_error, fifty.macro_f1_error) == (None, None), "no choice of labels varied"
    assert five.accuracy_error is not None
    assert fits == [(0, 18), (1, 18), (0, 21), (1, 21)], "trial t is fitted with seed t"


def test_every_head_of_a_protocol_has_its_curve(monkeypatch) -> None:
    monkeypatch.setattr("sensorloom.training.evaluation.class_texts.prompts_of", lambda name: (name,))
    known = planted_bench(make_recipe("imu2clip"))
    plain, warm = few_shot_curves(known, shots=(1,), trials=2, tune=lambda fit: replace(fit, epochs=1))
    assert (plain.head.kind, warm.head.kind) == ("linear from zero", "linear from class texts")
    assert warm.points[0].accuracy == 1.0, "with a head from texts a single shot costs nothing"


def test_facts_are_plain_json(monkeypatch) -> None:
    told = []
    (curve,) = few_shot_curves(
        bench(), shots=(1, 2), trials=2, tune=briskly, progress=lambda *args: told.append(args)
    )
    facts = json.loads(json.dumps(curve.facts(), allow_nan=False))
    assert [point["shots"] for point in facts["points"]] == [1, 2]
    assert facts["head"]["settings"]["batch_size"] == 16
    assert told[-1][0].startswith("linear from zero, 2 shots: ")
    assert told[-1][1:] == (2, 2)


def test_what_has_no_curve_is_told() -> None:
    with pytest.raises(RunError, match="zero-shot learns from no window, so it has no few-shot curve"):
        few_shot_curves(bench(), "zero-shot")
    with pytest.raises(
        RunError, match=r"needs shots of at least 1 and one trial at least, got shots \[0\] and 5"
    ):
        few_shot_curves(bench(), shots=(0,))
    with pytest.raises(RunError, match=r"got shots \[5\] and 0 trials"):
        few_shot_curves(bench(), shots=(5,), trials=0)
