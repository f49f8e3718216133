import inspect
import pickle

import pytest

from sensorloom import SensorloomError
from sensorloom.store import errors

TREE = {
    "StoreError": {
        "UsageError": {"UrlError": {}, "InvalidNameError": {}, "PlanError": {}, "UnsupportedDataError": {}},
        "NotFoundError": {"NotAStoreError": {}, "UnknownRefError": {}, "UnknownSnapshotError": {}},
        "ConflictError": {},
        "ContentionError": {},
        "StorageError": {"StoreReadError": {}, "StoreWriteError": {}},
        "DamageError": {"FormatVersionError": {}, "MalformedObjectError": {}, "MissingObjectError": {}},
    }
}


def names(tree):
    return set(tree) | {name for branch in tree.values() for name in names(branch)}


def assert_shape(parent, tree):
    for name, branch in tree.items():
        child = getattr(errors, name)
        assert parent in child.__bases__
        assert_shape(child, branch)


def test_the_tree_has_the_shape_it_draws():
    assert_shape(SensorloomError, TREE)
    assert names(TREE) == set(errors.__all__)
    drawn = {word for word in errors.__doc__.split() if word.endswith("Error")}
    assert drawn == names(TREE) | {"SensorloomError"}


def test_every_error_is_listed():
    defined = {
        name
        for name, item in vars(errors).items()
        if inspect.isclass(item) and item.__module__ == errors.__name__
    }
    assert defined == set(errors.__all__)


def test_usage_and_lookup_errors_are_also_the_builtin_ones():
    assert issubclass(errors.UsageError, ValueError)
    assert issubclass(errors.NotFoundError, LookupError)


@pytest.mark.parametrize("name", sorted(names(TREE)))
def test_errors_survive_the_way_back_from_a_worker(name):
    error = getattr(errors, name)("what and where")
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again)) == (type(error), "what and where")


def test_a_conflict_keeps_both_sides_on_the_way_back():
    again = pickle.loads(pickle.dumps(errors.ConflictError("why", "we", "they")))
    assert (again.reason, again.ours, again.theirs) == ("why", "we", "they")
    assert "Ours: we. Theirs: they." in str(again)
