"""docs/audit-json.md describes what is written: every record, every field, every column, every rule."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any, get_args, get_type_hints

from sensorloom.align.rules import RULES
from sensorloom.flows.audit.files import FOUND
from sensorloom.flows.audit.report import SCHEMA_VERSION, Report, to_json
from sensorloom.flows.audit.report_windows import FramePicture, Trace, WindowPicture
from sensorloom.flows.audit.sync import SYNC
from tests.flows.reports import report

DOCUMENT = (Path(__file__).parents[2] / "docs/audit-json.md").read_text(encoding="utf-8")
UNDRAWN = {"traces", "skeleton", "jpeg"}
"""What only the pages show."""


def section(title: str) -> str:
    return re.split(r"\n##+ ", DOCUMENT.split(f"# {title}\n", 1)[1])[0]


def named(title: str) -> list[str]:
    return re.findall(r"^\| `([^`]+)` \|", section(title), re.MULTILINE)


def records(kind: type, found: dict[type, None]) -> dict[type, None]:
    """Collect the record types that `kind` is made of."""
    found[kind] = None
    for field, hint in get_type_hints(kind).items():
        if field not in UNDRAWN:
            for part in (hint, *get_args(hint), *(one for arg in get_args(hint) for one in get_args(arg))):
                if dataclasses.is_dataclass(part) and isinstance(part, type) and part not in found:
                    records(part, found)
    return found


def test_every_record_and_field_is_described() -> None:
    types = records(Report, {})
    assert len(types) > 20
    for kind in types:
        fields = [field.name for field in dataclasses.fields(kind) if field.name not in UNDRAWN]
        assert named(kind.__name__) == fields, kind.__name__
    described = re.findall(r"^### (\w+)$", DOCUMENT, re.MULTILINE)
    assert sorted(described) == sorted(kind.__name__ for kind in types)


def test_the_version_is_the_documented_one() -> None:
    assert f"| `schema_version` | {SCHEMA_VERSION} |" in DOCUMENT


def test_drawings_stay_out_of_the_json() -> None:
    trace = Trace("chest", "accelerometer", "m/s²", 0.0, 0.02, ((1.0,), (2.0,), (float("nan"),)), ())
    numbers: dict[str, float] = {}
    picture = WindowPicture(
        "w", "walk", "t", "pamap2", "", "train", 0.0, 5.0, 1.0, (), numbers, (trace,), None,
        (FramePicture("ego", 1.0, b"jpeg"),),
    )  # fmt: skip
    written: dict[str, Any] = to_json(report(worst=(picture,)))["worst"][0]
    assert written.keys() == {"frames", "texts", *named("WindowPicture")}
    assert written["frames"] == ({"camera": "ego", "time_s": 1.0},)


def test_the_tables_have_the_documented_columns() -> None:
    assert named("findings.parquet") == FOUND.names
    assert named("sync.parquet") == SYNC.names


def test_every_rule_is_listed_as_it_is() -> None:
    rows = re.findall(r"^\| `([^`]+)` \| (\w+) \| (.*?) ?\|$", section("Rules"), re.MULTILINE)
    told = [
        (rule.id, rule.severity, "" if rule.threshold is None else f"{rule.threshold:g} {rule.unit}")
        for rule in RULES.values()
    ]
    assert rows == told
