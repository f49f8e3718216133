"""What a plan says before anything is done, and that nothing is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sensorloom.flows.cli import main
from sensorloom.flows.config import load_config
from sensorloom.flows.plan import plan_ingest
from sensorloom.ingest.digest import DigestCache
from sensorloom.ingest.miniature.sample import write_sample
from sensorloom.ingest.miniature.spec import SampleSpec


@pytest.fixture(scope="module")
def raw(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("raw") / "sample"
    write_sample(out, SampleSpec(datasets=("pamap2",), takes=1, minutes=0.5))
    return out


def test_a_plan_against_no_store_is_all_new_and_makes_none(raw, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        main(["plan", "--raw", str(raw), "--store", "mistyped", "--json"])
    assert stop.value.code == 0
    assert json.loads(capsys.readouterr().out)["pamap2"]["reasons"] == {"new": 1}
    assert not (tmp_path / "mistyped").exists()


def test_a_plan_needs_no_store(raw, tmp_path):
    cache = DigestCache(tmp_path / "digests.sqlite")
    plan = plan_ingest("pamap2", raw / "pamap2", None, load_config(None, {}), cache)
    assert [take.reason for take in plan.pending] == ["new"]
    assert (plan.absent, plan.forgotten, plan.stored_bytes_per_raw_byte) == ((), (), None)
