from __future__ import annotations

import pytest

from sensorloom.align.classes import (
    EGO4D_10,
    EGO4D_15,
    EGOEXO4D_AURA_8,
    EGOEXO4D_PRIMUS_8,
    EGOEXO4D_PRIMUS_WORDS,
    class_index,
)


@pytest.mark.parametrize(
    ("take_name", "name"),
    [
        ("nus_covidtest_43_1", "covid test"),
        ("upenn_0331_PCR_2_2", "covid test"),
        ("georgiatech_bike_07_2", "bike"),
        ("utokyo_bouldering_1002", "climbing"),
        ("unc_rockclimbing_3_1", "climbing"),
        ("sfu_basketball_03_21", "soccer or basketball"),
        ("utokyo_soccer_8000_43_4", "soccer or basketball"),
        ("nus_cpr_12_1", "CPR"),
        ("iiith_cooking_01_1", "cooking"),
        ("utokyo_omelet_9", "cooking"),
        ("upenn_0710_Dance_2_4", "dance"),
        ("upenn_0724_Duet_Violin_1_3", "music"),
        ("upenn_0706_Piano_2_3", "music"),
    ],
)
def test_take_names_fall_into_primus_classes_by_their_words(take_name, name):
    index = class_index(take_name, EGOEXO4D_PRIMUS_8, EGOEXO4D_PRIMUS_WORDS)
    assert EGOEXO4D_PRIMUS_8[index] == name


def test_of_several_words_the_first_class_in_the_list_wins():
    assert (
        EGOEXO4D_PRIMUS_8[class_index("dance_music_bike", EGOEXO4D_PRIMUS_8, EGOEXO4D_PRIMUS_WORDS)] == "bike"
    )
    assert class_index("minnesota_gardening", EGOEXO4D_PRIMUS_8, EGOEXO4D_PRIMUS_WORDS) is None
    assert class_index("CPR", EGOEXO4D_PRIMUS_8) == 4


def test_the_two_lists_of_eight_differ_as_the_papers_do():
    assert len(EGOEXO4D_PRIMUS_8) == len(EGOEXO4D_AURA_8) == 8
    assert {"Soccer", "Basketball", "Health"} <= set(EGOEXO4D_AURA_8)
    assert {name for _, name in EGOEXO4D_PRIMUS_WORDS} == set(EGOEXO4D_PRIMUS_8)


@pytest.mark.parametrize("scenario", EGO4D_15)
def test_ego4d_scenarios_match_whole(scenario):
    assert EGO4D_15[class_index(scenario, EGO4D_15)] == scenario
    assert class_index(f"{scenario} at a friend's home", EGO4D_15) is None
    assert class_index(scenario.upper(), EGO4D_15) is None


def test_the_ten_are_those_of_the_fifteen_that_the_paper_has_prompts_for():
    assert [name[:9] for name in EGO4D_10] == [
        "Carpenter", "Cleaning ", "Cooking", "Crafting/", "Eating", "Farmer", "Household", "Practicin", "Walking o",
        "jobs rela",
    ]  # fmt: skip
    assert len(set(EGO4D_15)) == 15
