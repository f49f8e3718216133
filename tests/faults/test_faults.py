"""Every planted fault is caught by the rule that names it."""

from __future__ import annotations

from collections import Counter

import pytest

from sensorloom.align.rules import RULES
from sensorloom.flows.pages.rules import RULE_WORDS
from sensorloom.ingest.miniature import ego4d_faults, egoexo4d_faults, pamap2_faults, realworld_faults
from sensorloom.ingest.miniature.sample import FAULTS as IN_FILES
from sensorloom.ingest.miniature.spec import UNREADABLE
from tests.faults.fault import Fault
from tests.faults.runner import Runner
from tests.faults.stores import STORES
from tests.faults.table import FAULTS

DATASETS = {"pamap2", "realworld", "ego4d", "egoexo4d"}
PUBLISHED = range(1, 9)
NEEDS_PICTURES = {name for name, recipe in STORES.items() if recipe.is_embedded}


def of(fault: Fault) -> object:
    is_slow = fault.level == "view" and fault.dataset in NEEDS_PICTURES
    return pytest.param(fault, id=fault.id, marks=[pytest.mark.slow] if is_slow else [])


@pytest.mark.parametrize("fault", [of(fault) for fault in FAULTS])
def test_it_is_caught_by_its_rule(runner: Runner, fault: Fault) -> None:
    outcome = runner.run(fault)
    told = [(finding.rule, finding.severity, finding.target) for finding in outcome.news]
    assert outcome.is_caught, f"{fault.rule} ({fault.severity}) did not tell of {fault.on or 'it'}: {told}"


def test_there_are_forty_and_more_over_the_four_data_sets() -> None:
    counts = Counter(fault.dataset for fault in FAULTS)
    assert len({fault.id for fault in FAULTS}) == len(FAULTS) >= 40
    assert counts.keys() == DATASETS
    assert min(counts.values()) >= 8


def test_the_published_ones_are_among_them() -> None:
    assert {fault.published for fault in FAULTS} == {0, *PUBLISHED}


def test_every_fault_of_the_generator_is_in_the_table_under_the_rule_that_its_truth_tells() -> None:
    raw = {fault.id: fault for fault in FAULTS if fault.level == "raw"}
    assert raw.keys() == IN_FILES.keys()
    for module in (pamap2_faults, realworld_faults, ego4d_faults, egoexo4d_faults):
        for name, truth in module.FAULT_TRUTH.items():
            wanted = "take-unreadable" if truth["outcome"] == UNREADABLE else truth["rule"]
            assert raw[name].rule == wanted


def test_every_rule_of_the_audit_has_a_fault_that_it_must_catch() -> None:
    assert RULES.keys() <= {fault.rule for fault in FAULTS}


def test_every_rule_of_the_table_is_one_and_as_grave_as_it_is() -> None:
    for fault in FAULTS:
        assert fault.rule in RULES or fault.rule in RULE_WORDS
        if fault.rule in RULES:
            assert fault.severity == RULES[fault.rule].severity
