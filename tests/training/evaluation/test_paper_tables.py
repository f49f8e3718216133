"""Runs stand in the tables of the papers, each number beside chance and with what it was measured on."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from sensorloom.training.evaluation.paper_tables import (
    PaperRow,
    PaperTable,
    class_tables,
    few_shot_tables,
    paper_tables,
    render_text,
    retrieval_table,
)
from tests.training.evaluations import classified, curve, evaluation, protocol, retrieved

DATA = "generated miniature of egoexo4d, 80 windows of 3 participants"


def rows_of(table: PaperTable, whose: str) -> list[PaperRow]:
    return [row for row in table.rows if row.whose == whose]


def test_table_2_has_a_block_a_task_with_run_chance_and_paper() -> None:
    (table,) = retrieval_table([evaluation()])
    assert table.source == "AURA-MFM Table 2"
    assert table.columns == ("candidates", "R@1", "R@10", "R@50", "MRR", "R@10 / chance")
    forth, back = rows_of(table, "run")
    assert (forth.task, back.task) == ("imu → text", "text → imu")
    assert forth.numbers == (80, 0.0625, 0.5, 0.875, 0.1875, pytest.approx(0.5 / (10 / 80)))
    assert forth.name == "aura-aad (Transformer SS)"
    assert forth.measured_on == DATA
    papers = [row for row in rows_of(table, "paper") if row.task == "imu → text"]
    assert [row.name.partition(" ")[0] for row in papers] == ["IMU2CLIP", "AURA-RNN", "AURA-Transformer"]
    assert papers[1].numbers[:5] == (1216, 0.0148, 0.1472, 0.4679, 0.0626)
    assert papers[1].numbers[5] == pytest.approx(0.1472 * 121.6)
    assert papers[1].measured_on == "Ego-Exo4D, 1216 windows of test takes"


def test_chance_is_told_for_our_candidates_and_for_the_papers() -> None:
    (table,) = retrieval_table([evaluation()])
    ours, theirs = (row for row in rows_of(table, "chance") if row.task == "imu → text")
    assert ours.numbers[:3] == (80, pytest.approx(1 / 80), pytest.approx(10 / 80))
    assert (ours.measured_on, ours.numbers[5]) == (DATA, 1.0)
    assert theirs.numbers[:3] == (1216, pytest.approx(1 / 1216), pytest.approx(10 / 1216))


def test_only_one_right_answer_is_comparable_with_the_paper() -> None:
    (table,) = retrieval_table([evaluation(retrieval=(retrieved(variant="all-right"), retrieved()))])
    assert len(rows_of(table, "run")) == 1


def test_two_runs_of_one_task_share_its_block() -> None:
    (table,) = retrieval_table([evaluation(), evaluation(recipe="primus", view="primus")])
    assert [row.name for row in rows_of(table, "run") if row.task == "imu → text"] == [
        "aura-aad (Transformer SS)",
        "primus (Transformer SS)",
    ]
    papers = [row.numbers[0] for row in rows_of(table, "paper") if row.task == "imu → text"]
    assert papers == [1216, 1216, 1216, None]
    assert len([row for row in rows_of(table, "chance") if row.task == "imu → text"]) == 2


def test_a_run_without_pairs_has_no_table_of_retrieval() -> None:
    assert retrieval_table([evaluation(retrieval=())]) == ()


def test_table_4_has_the_run_in_the_columns_of_its_protocols() -> None:
    scores = (*classified().scores, protocol("fine-tune", 0.6, 0.7), protocol("from-scratch", 0.3, 0.4))
    (table,) = class_tables([evaluation(views=(classified(scores=scores),))])
    assert table.source == "AURA-MFM Table 4"
    assert table.columns[:2] == ("zero-shot F1", "zero-shot acc.")
    run, probe, scratch = rows_of(table, "run")
    assert run.numbers == (0.111, 0.121, 0.513, 0.523, 0.6, 0.7)
    assert probe.numbers == (None, None, 0.412, 0.422, None, None)
    assert probe.name == "aura-aad (Transformer SS), linear probe (from zero)"
    assert "A linear probe stands in the columns of transfer, but begins from zero" in " ".join(table.notes)
    assert scratch.numbers == (None, None, None, None, 0.3, 0.4)
    assert scratch.name == "aura-aad (Transformer SS), from random weights"
    papers = {row.name: row for row in rows_of(table, "paper")}
    assert papers["AAD Transformer"].numbers == (0.0580, 0.0937, 0.3838, 0.4852, 0.7521, 0.7738)
    assert papers["random RNN"].numbers == (None, None, None, None, 0.5908, 0.6488)
    assert papers["AAD Transformer"].measured_on == "PAMAP2, 544 random test windows, 18 classes"
    assert "over channels" in papers["AAD RNN"].doubt
    assert "random split, so windows of one participant stand on both sides" in " ".join(table.notes)


def test_guesses_stand_in_every_column() -> None:
    (table,) = class_tables([evaluation()])
    majority, uniform = rows_of(table, "chance")
    assert majority.numbers == (0.22, 0.5) * 3
    assert uniform.numbers == (0.31, 0.33) * 3


def test_a_view_that_no_paper_has_says_so() -> None:
    (table,) = class_tables([evaluation(views=(classified("har-realworld"),))])
    assert not rows_of(table, "paper")
    assert any("No published numbers" in note for note in table.notes)


def test_classes_that_the_split_lacks_are_named() -> None:
    lacking = protocol("transfer", 0.5, 0.5, confusion=np.array([[5, 1, 0], [0, 0, 0], [1, 0, 3]]))
    (table,) = class_tables([evaluation(views=(classified(scores=(lacking,)),))])
    assert any("Classes without a window in split 'test': slow; macro-F1" in note for note in table.notes)
    (whole,) = class_tables([evaluation()])
    assert not any("without a window" in note for note in whole.notes)


def test_a_view_without_scores_has_no_table() -> None:
    assert class_tables([evaluation(views=(classified(scores=()),))]) == ()


def test_few_shot_rows_are_in_order_of_labels_with_the_claims_of_the_figure() -> None:
    other, own = (
        evaluation(recipe=recipe, views=(classified("har-egoexo4d", few_shot=(made,)),))
        for recipe, made in (("imu2clip", curve((0.2, 0.6))), ("primus", curve()))
    )
    (table,) = few_shot_tables([own, other])
    assert table.source == "PRIMUS Figure 4"
    assert [row.task for row in rows_of(table, "run")] == ["5 a class"] * 2 + ["50 a class"] * 2
    assert rows_of(table, "run")[0].numbers == (0.25, 0.03125, 15, 5)
    assert rows_of(table, "run")[3].numbers[0] == 0.6
    assert [row.numbers[0] for row in rows_of(table, "chance")] == [0.5, 0.33]
    assert any("Up to 15 points of accuracy above IMU2CLIP" in note for note in table.notes)
    (ablation,) = few_shot_tables([own], "PRIMUS Figure 5")
    assert any("falls to 10 to 15 % accuracy" in note for note in ablation.notes)


def test_a_point_of_all_labels_is_named_by_their_number() -> None:
    few, most = curve().points
    whole = replace(curve(), points=(few, replace(most, train_windows=61, accuracy_error=None, is_all=True)))
    (table,) = few_shot_tables([evaluation(views=(classified(few_shot=(whole,)),))])
    first, last = rows_of(table, "run")
    assert "labels there are" not in first.name
    assert last.name.endswith(", all 61 labels there are")
    assert last.numbers[1] is None


def test_no_figure_is_claimed_of_other_data() -> None:
    (table,) = few_shot_tables([evaluation()])  # of har-pamap2
    assert (table.source, table.title) == ("No published figure", "har-pamap2: accuracy by labels a class")
    assert len(rows_of(table, "run")) == 2
    assert table.notes[0] == "No published curve of few labels is known for this view."
    assert not any("paper says" in note or "Figure" in note for note in table.notes)


def test_generated_data_is_called_so_in_every_table() -> None:
    told = [any("generated data" in note for note in table.notes) for table in paper_tables([evaluation()])]
    assert told == [True] * 3
    real = evaluation(data="recorded egoexo4d", vectors_of="vit", views=(classified(data="recorded pamap2"),))
    assert not any("generated" in note for table in paper_tables([real]) for note in table.notes)


def test_tables_are_plain_json_and_plain_text() -> None:
    table = retrieval_table([evaluation()])[0]
    assert json.loads(json.dumps(table.facts()))["rows"][0]["whose"] == "run"
    text = render_text(table)
    line = next(line for line in text.splitlines() if "AURA-RNN (IMU→AAD)" in line)
    assert line.split()[5:9] == ["1,216", "0.0148", "0.1472", "0.4679"]
    assert "Note: Recalls of candidate sets of different sizes" in text
