"""JSON of unknown make is read with types, and what is wrong is named by file, path and value."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorloom.ingest.errors import RawFileError
from sensorloom.ingest.jsonfile import Node, canonical_json, parse_json, read_json

TAKES = b'[{"take_name": "a", "capture": {"cameras": [{"is_ego": 7}]}, "odd key": null, "score": NaN}]'


@pytest.fixture
def takes(tmp_path: Path) -> Node:
    (tmp_path / "takes.json").write_bytes(TAKES)
    return read_json(tmp_path / "takes.json", "takes.json")


def test_values_are_reached_by_key_and_place(takes: Node) -> None:
    (take,) = takes.items()
    assert take.get("take_name").text() == "a"
    assert [key for key, _ in take.members()] == ["take_name", "capture", "odd key", "score"]
    assert [camera.where for camera in take.get("capture").get("cameras").items()] == [
        "takes.json: $[0].capture.cameras[0]"
    ]


def test_a_wrong_type_names_file_path_and_value(takes: Node) -> None:
    (take,) = takes.items()
    (camera,) = take.get("capture").get("cameras").items()
    message = "takes.json: $[0].capture.cameras[0].is_ego: expected true/false, got 7"
    for accessor in (Node.flag, Node.spelled_flag):
        with pytest.raises(RawFileError, match=f"^{re.escape(message)}$"):
            accessor(camera.get("is_ego"))


@pytest.mark.parametrize(
    ("value", "access", "message"),
    [
        (7, Node.text, r"\$: expected a text, got 7"),
        (None, Node.text, r"\$: expected a text, got null"),
        ("\ud83d", Node.text, r"\$: expected a text of whole characters, got \"\\ud83d\""),
        ("7", Node.number, r"\$: expected a number, got \"7\""),
        (True, Node.number, r"\$: expected a number, got true"),
        (float("nan"), Node.number, r"\$: expected a finite number, got NaN"),
        (10**400, Node.number, r"\$: expected a finite number, got a number of more than 60 digits"),
        (True, Node.integer, r"\$: expected a whole number, got true"),
        (7.5, Node.integer, r"\$: expected a whole number, got 7\.5"),
        (float("inf"), Node.integer, r"\$: expected a whole number, got Infinity"),
        (2**63, Node.integer, r"\$: expected a whole number of at most 64 bits, got 9223372036854775808"),
        (1e300, Node.integer, r"\$: expected a whole number of at most 64 bits, got 1e\+300"),
        ("true", Node.flag, r"\$: expected true/false, got \"true\""),
        (1, Node.flag, r"\$: expected true/false, got 1"),
        ("yes", Node.spelled_flag, r"\$: expected true/false, got \"yes\""),
        (None, Node.spelled_flag, r"\$: expected true/false, got null"),
        ({"a": 1}, Node.items, r"\$: expected a list, got an object of 1 members"),
        ([1, 2], Node.members, r"\$: expected an object, got a list of 2"),
        ("x" * 100, Node.items, r"\$: expected a list, got \"x{59}…"),
    ],
)
def test_each_accessor_refuses_what_is_not_its_type(
    value: Any, access: Callable[[Node], object], message: str
) -> None:
    with pytest.raises(RawFileError, match=f"^a.json: {message}"):
        access(Node(value, "a.json: $"))


@pytest.mark.parametrize(("value", "flag"), [
    (True, True), ("true", True), ("True", True), ("1", True), (" 1 ", True), (1, True),
    (False, False), ("False", False), ("0", False), ("FALSE", False), (0, False),
])  # fmt: skip
def test_a_spelled_flag_is_no_truth_of_strings(value: Any, flag: bool) -> None:
    assert Node(value, "").spelled_flag() is flag


@pytest.mark.parametrize("value", [-5, -5.0, 0, 7.25, 10])
def test_seconds_may_touch_their_limits(value: float) -> None:
    assert Node(value, "a.json: $.t").seconds(-5, 10) == value


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (1e305, r"expected -5 to 10 s, got 1e\+305 s; it makes no sense here"),
        (-5.5, r"expected -5 to 10 s, got -5\.5 s; it makes no sense here"),
        (10.001, r"expected -5 to 10 s, got 10\.001 s; it makes no sense here"),
        (float("nan"), r"expected a finite number, got NaN"),
        (None, r"expected a number, got null"),
    ],
)
def test_seconds_beyond_their_limits_are_refused(value: Any, message: str) -> None:
    with pytest.raises(RawFileError, match=rf"^a\.json: \$\.t: {message}$"):
        Node(value, "a.json: $.t").seconds(-5, 10)


def test_whole_numbers_may_be_written_as_floats() -> None:
    number = Node(7.0, "").integer()
    assert number == 7
    assert isinstance(number, int)
    assert Node(7, "").number() == 7.0


def test_an_absent_member_is_missing_or_none(takes: Node) -> None:
    (take,) = takes.items()
    with pytest.raises(RawFileError, match=r"^takes\.json: \$\[0\]\.take_uid: is missing$"):
        take.get("take_uid")
    assert take.optional("take_uid") is None
    assert take.optional("odd key") is None
    assert take.get("odd key").is_null
    assert take.get("odd key").where == 'takes.json: $[0]["odd key"]'
    with pytest.raises(RawFileError, match=r"expected an object, got a list of 1"):
        takes.optional("take_uid")


def test_what_nobody_asks_for_does_no_harm(takes: Node) -> None:
    (take,) = takes.items()
    with pytest.raises(RawFileError, match=r"\$\[0\]\.score: expected a finite number, got NaN"):
        take.get("score").number()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", r"is empty; download it again"),
        (b" \n", r"is empty"),
        (b'{"a": 1,\n "b"', r"line 2 column 5: is not JSON: Expecting ':' delimiter; download"),
        (b'{"a": 1} x', r"line 1 column 10: is not JSON: Extra data"),
        (b'{"a": {"b": 1, "c": 2, "b": 3}}', r'the key "b" stands twice in one object'),
        (b'["\xff\xfe\xfa"]', r"byte 2: is not UTF-8 text"),
        (b"[" * 200_000, r"is nested too deep to be parsed"),
        (b"[" + b"9" * 5000 + b"]", r"Exceeds the limit"),
    ],
    ids=["empty", "blank", "cut", "trailing", "twice", "bytes", "deep", "digits"],
)
def test_what_is_not_sound_json_is_refused(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "a.json").write_bytes(data)
    with pytest.raises(RawFileError, match=rf"^a\.json: {message}"):
        read_json(tmp_path / "a.json", "a.json")


@given(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=8))
def test_the_first_key_that_comes_again_is_told(keys: list[str]) -> None:
    again = next((key for place, key in enumerate(keys) if key in keys[:place]), None)
    text = "{" + ", ".join(f'"{key}": {place}' for place, key in enumerate(keys)) + "}"
    if again is None:
        assert list(parse_json(text, "a.json").value) == keys
    else:
        with pytest.raises(RawFileError, match=f'the key "{again}" stands twice'):
            parse_json(text, "a.json")


def test_a_key_twice_among_very_many_is_found() -> None:
    """Comparing each key with all others would take minutes here."""
    keys = [*map(str, range(200_000)), "199999"]
    text = "{" + ", ".join(f'"{key}": 0' for key in keys) + "}"
    with pytest.raises(RawFileError, match='the key "199999" stands twice'):
        parse_json(text, "a.json")


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RawFileError, match=r"^x/a\.json: cannot be read: No such file"):
        read_json(tmp_path / "a.json", "x/a.json")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(JSON)
def test_canonical_json_is_ascii_and_gives_the_value_back(value: Any) -> None:
    text = canonical_json(value)
    assert text.isascii()
    assert parse_json(text, "a.json").value == value


def test_canonical_json_does_not_know_the_order_of_keys() -> None:
    one, other = '{"b": [1, 2], "a": "é"}', '{"a":"é","b":[1,2]}'
    assert canonical_json(json.loads(one)) == canonical_json(json.loads(other)) == r'{"a":"\u00e9","b":[1,2]}'
