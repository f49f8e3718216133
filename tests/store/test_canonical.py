import json
from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorloom.store.canonical import canonical_json, decode
from sensorloom.store.errors import MalformedObjectError, UnsupportedDataError

UNICODE = st.characters(codec="utf-8")
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(UNICODE),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(UNICODE), inner),
    max_leaves=10,
)


@given(st.dictionaries(st.text(UNICODE), st.integers()), st.randoms())
def test_the_order_of_keys_does_not_matter(value, random):
    items = list(value.items())
    random.shuffle(items)
    assert canonical_json(value) == canonical_json(dict(items))


@given(json_values)
def test_values_survive(value):
    assert json.loads(canonical_json(value)) == value


@given(json_values)
def test_mappings_and_tuples_have_the_form_of_dicts_and_lists(value):
    def wrap(value):
        if isinstance(value, dict):
            return MappingProxyType({key: wrap(item) for key, item in value.items()})
        return tuple(map(wrap, value)) if isinstance(value, list) else value

    assert canonical_json(wrap(value)) == canonical_json(value)


def test_the_form_is_fixed():
    assert (
        canonical_json({"b": (1, 2.5, True), "a": {"é": None}})
        == '{"a":{"é":null},"b":[1,2.5,true]}'.encode()
    )


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"a": [1.0, float("nan")]}, r"value\.a\[1\] is nan; JSON holds finite numbers only"),
        ({"a": float("inf")}, r"value\.a is inf"),
        ({1: "x"}, "value has key 1; JSON keys are strings"),
        ({"a": [{"b": 0, None: 1}]}, r"value\.a\[0\] has key None; JSON keys are strings"),
        ({"a": np.int64(3)}, r"value\.a is a int64, which JSON cannot hold"),
        ({"a": np.float64(3)}, r"value\.a is a float64, which JSON cannot hold"),
        ([b"x"], r"value\[0\] is a bytes"),
        ({"a": "\ud800"}, "value holds text that is not Unicode"),
    ],
)
def test_what_json_cannot_hold_is_refused_with_its_place(value, message):
    with pytest.raises(UnsupportedDataError, match=message):
        canonical_json(value)


READERS = {
    "text": lambda fields: fields.text("k"),
    "text_or_none": lambda fields: fields.text_or_none("k"),
    "count": lambda fields: fields.count("k"),
    "mapping": lambda fields: fields.mapping("k"),
    "array": lambda fields: fields.array("k"),
    "texts": lambda fields: fields.texts("k"),
    "counts": lambda fields: fields.counts("k"),
    "text_map": lambda fields: fields.text_map("k"),
    "choice": lambda fields: fields.choice("k", ("a", "b")),
    "tables_of_rows": lambda fields: fields.tables_of_rows("k"),
    "records": lambda fields: fields.records("k", lambda inner: inner.count("n")),
}


@pytest.mark.parametrize(
    ("reader", "value", "message"),
    [
        ("text", 1, "k must be a string, got int 1"),
        ("text_or_none", 1, "k must be a string or null, got int 1"),
        ("count", True, "k must be an integer of at least 0, got bool True"),
        ("count", 1.0, "k must be an integer of at least 0, got float"),
        ("count", -1, "k must be an integer of at least 0, got int -1"),
        ("mapping", [], "k must be a JSON object, got list"),
        ("array", {}, "k must be a JSON array, got dict"),
        ("texts", ["a", 1], "k must be an array of strings"),
        ("counts", [1, True], "k must be an array of integers of at least 0"),
        ("counts", [1, -1], "k must be an array of integers of at least 0"),
        ("text_map", {"a": 1}, "k must be an object of strings"),
        ("choice", "c", "k must be one of a, b, got str 'c'"),
        ("tables_of_rows", {"t": [1]}, "k must be an object of arrays of objects"),
        ("tables_of_rows", {"t": 1}, "k must be an object of arrays of objects"),
        ("records", [{"n": 1, "m": 2}], r"k\[0\] has unknown key 'm'; known are \['n'\]"),
        ("records", [1], r"k\[0\] must be a JSON object, got int 1"),
    ],
)
def test_wrong_types_are_refused_with_their_place(reader, value, message):
    with pytest.raises(MalformedObjectError, match=f"x.json: {message}"):
        decode(json.dumps({"k": value}).encode(), "x.json", READERS[reader])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "x.json is not strict JSON"),
        (b"{", "x.json is not strict JSON"),
        (b"\xff", "x.json is not strict JSON"),
        (b'{"k": NaN}', "x.json is not strict JSON: NaN is not a JSON number"),
        (b'{"k": "a", "k": "b"}', "x.json is not strict JSON: key 'k' occurs twice"),
        (b"[" * 100_000, "x.json is not strict JSON"),
        (b"[]", r"x.json must be a JSON object, got list \[\]"),
        (b'{"a": 1}', "x.json lacks key 'k'"),
        (b'{"k": "a", "z": 1}', r"x.json has unknown key 'z'; known are \['k'\]"),
    ],
)
def test_what_is_not_the_expected_object_is_refused(data, message):
    with pytest.raises(MalformedObjectError, match=message):
        decode(data, "x.json", READERS["text"])
