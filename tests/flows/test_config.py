from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sensorloom.align.rules import RULES
from sensorloom.flows.config import Config, audit_rules, known_keys, load_config, waivers
from sensorloom.flows.errors import ConfigError


@pytest.fixture
def write(tmp_path: Path):
    def write(text: str) -> Path:
        path = tmp_path / "sensorloom.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_an_empty_file_is_the_default(write):
    assert load_config(write("")) == Config()


def test_no_file_is_the_default(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_config() == Config()


def test_the_file_in_the_working_directory_is_found(write, tmp_path, monkeypatch):
    write('[store]\nurl = "elsewhere"')
    monkeypatch.chdir(tmp_path)
    assert load_config().store.url == "elsewhere"


def test_an_override_beats_the_file(write):
    path = write("[align]\nmax_gap_ms = 50.0")
    assert load_config(path, {"align.max_gap_ms": "70"}).align.max_gap_ms == 70


def test_an_override_that_is_no_toml_value_is_a_string(write):
    assert load_config(write(""), {"store.url": "/data/store"}).store.url == "/data/store"


def test_every_known_key_is_reachable():
    keys = known_keys()
    assert "store.url" in keys
    assert "views.<name>.positions" in keys


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '[store]\nulr = "x"',
            r"unknown key 'store\.ulr' in .*sensorloom\.toml; did you mean 'store\.url'\? Known here: url, ref",
        ),
        ('[stoer]\nurl = "x"', r"unknown key 'stoer' .*did you mean 'store'"),
        ("[views.har]\npositons = []", r"did you mean 'views\.har\.positions'"),
        ('[align]\nmax_gap_ms = "wide"', r"align\.max_gap_ms = 'wide' in .*valid number"),
        ("[align]\nmax_gap_ms = -1", r"align\.max_gap_ms = -1 .*greater than 0"),
        ('[align]\nupsampling = "cubic"', r"align\.upsampling = 'cubic' .*'band_limited' or 'linear'"),
        ("[split]\nfractions = [0.5, 0.5, 0.5]", r"must add up to 1, these add up to 1\.5"),
        ("[split]\nseed = true", r"split\.seed = True .*valid integer"),
        ("store =", r"is not valid TOML"),
        ("store = 3", r"store = 3 in .*: must be a table of keys$"),
        ("[views]\nhar = 1", r"views\.har = 1 in .*: must be a table of keys$"),
        ("views = 2", r"views = 2 in .*: must be a table of keys$"),
    ],
)
def test_a_wrong_file_is_refused_with_place_and_remedy(write, text, message):
    with pytest.raises(ConfigError, match=message):
        load_config(write(text))


def test_a_wrong_override_is_blamed_on_the_command_line(write):
    with pytest.raises(
        ConfigError,
        match=r"unknown key 'align\.max_gap' on the command line; did you mean 'align\.max_gap_ms'",
    ):
        load_config(write(""), {"align.max_gap": "3"})


def test_an_item_of_an_override_is_blamed_on_the_command_line(write):
    with pytest.raises(ConfigError, match=r"split\.val\.0 = 3 on the command line: .*valid string"):
        load_config(write(""), {"split.val": "[3]"})


def test_a_key_that_only_begins_like_an_override_is_blamed_on_the_file(write):
    path = write("[align]\nmax_gap_msec = 3")
    with pytest.raises(ConfigError, match=r"unknown key 'align\.max_gap_msec' in .*sensorloom\.toml"):
        load_config(path, {"align.max_gap_ms": "70"})


def test_an_override_cannot_descend_into_a_value(write):
    with pytest.raises(ConfigError, match=r"cannot set store\.url\.x: url is a value, not a table"):
        load_config(write('[store]\nurl = "a"'), {"store.url.x": "3"})


def test_a_missing_file_that_was_asked_for_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match=r"cannot read the configuration .*absent\.toml: No such file"):
        load_config(tmp_path / "absent.toml")


def test_rules_of_the_audit_can_be_tuned(tmp_path: Path) -> None:
    path = tmp_path / "sensorloom.toml"
    path.write_text(
        '[audit.rules.sync-shifted]\nseverity = "error"\nthreshold = 20\n[audit.rules.text-far]\nseverity = "off"\n'
    )
    rules = audit_rules(load_config(path))
    assert (rules["sync-shifted"].severity, rules["sync-shifted"].threshold) == ("error", 20.0)
    assert "text-far" not in rules
    assert audit_rules(Config()) == RULES


def test_rules_that_were_judged_before_the_audit_can_be_waived(tmp_path: Path) -> None:
    path = tmp_path / "sensorloom.toml"
    path.write_text(
        '[audit.rules.all-zero]\nseverity = "note"\n[audit.rules.gaps]\nseverity = "off"\n'
        '[audit.rules.sync-shifted]\nseverity = "note"\n'
    )
    config = load_config(path)
    assert waivers(config) == {"all-zero": "note", "gaps": "off"}
    assert audit_rules(config) == {**RULES, "sync-shifted": replace(RULES["sync-shifted"], severity="note")}
    assert waivers(Config()) == {}


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        (
            "audit.rules.all-zero.threshold",
            "0.5",
            r"threshold = 0\.5: where this rule draws .* was settled .*; only its severity can be changed here$",
        ),
        ("audit.rules.all-zer.severity", "note", r"all-zer: there is no such rule; did you mean all-zero\?"),
        ("audit.rules.all-zero.severity", "fatal", r"all-zero\.severity = 'fatal'.*'off', 'note'"),
        (
            "audit.rules.sync-shiftd.severity",
            "error",
            r"sync-shiftd: there is no such rule; did you mean sync-shifted\?",
        ),
        ("audit.rules.sync-shifted.threshold", "-1", r"threshold = -1.*it must be above 0 ms"),
        ("audit.rules.sync-shifted.treshold", "1", r"did you mean 'audit\.rules\.sync-shifted\.threshold'\?"),
        (
            "audit.take_pages",
            "-1",
            r"^audit\.take_pages = -1 on the command line: must be greater than or equal to 0, or must be 'all'$",
        ),
        (
            "audit.take_pages",
            "foo",
            r"^audit\.take_pages = 'foo' on the command line: must be a valid integer, or must be 'all'$",
        ),
        (
            "split.fractions",
            "[0.5, 0.5, 0.5]",
            r": train, val and test must add up to 1, these add up to 1\.5$",
        ),
        ("views.Mine.positions", '"Chest"', r"^views\.Mine\.positions = 'Chest' .*: must be a valid list$"),
    ],
)
def test_a_bad_rule_is_refused(key: str, value: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config(None, {key: value})
