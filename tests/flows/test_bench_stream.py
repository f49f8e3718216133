"""What the bench of the stream makes of its contenders' numbers, and how it knows each window again."""

from __future__ import annotations

import importlib
import sys
from collections import defaultdict
from types import ModuleType

import numpy as np
import pytest

from sensorloom.embed.imu_types import convert_imu
from sensorloom.flows.commands import bench

MODULES = ("stream", "stream_data", "epochs", "harness")


@pytest.fixture
def load(monkeypatch):
    """Import a module of the benchmarks as they import one another; it is forgotten afterwards."""
    monkeypatch.syspath_prepend(str(bench.source_folder()))
    before = {name: sys.modules.pop(name) for name in MODULES if name in sys.modules}
    yield importlib.import_module
    for name in MODULES:
        sys.modules.pop(name, None)
    sys.modules.update(before)


def numbers_of(stream: ModuleType) -> dict[str, object]:
    """Return what the bench would report if every contender measured 2 of everything."""
    ran = defaultdict(lambda: defaultdict(lambda: 2.0))
    return {**stream._numbers(ran), **stream._peer_numbers(ran, stream.PEERS)}


def test_what_is_reported_is_numbers_and_each_has_a_meaning(load):
    stream = load("stream")
    numbers = numbers_of(stream)
    assert {name: type(value) for name, value in numbers.items()} == dict.fromkeys(numbers, float)
    beside = {"compressed_share", "windows", "data_mb", "threads", "anonymous_mb", "peak_mb"}
    assert numbers.keys() | beside == stream.MEANING.keys()


def test_a_peer_counts_with_the_workers_that_made_its_later_epochs_faster(load):
    alone = [{"later": rate, "first": 9.0, "workers": 0.0} for rate in (10.0, 40.0, 11.0)]
    helped = [{"later": rate, "first": 1.0, "workers": 2.0} for rate in (12.0, 13.0, 2.0)]
    assert load("stream")._fastest([alone, helped]) == {"later": 12.0, "first": 1.0, "workers": 2.0}


def made(load, first: int, count: int):
    return load("stream_data").generate(np.arange(first, first + count), seed=1)


@pytest.mark.parametrize("first", [0, 39_990])
def test_windows_are_known_again_whatever_type_stores_their_imu(load, first):
    epochs = load("epochs")
    rows = made(load, first, 10)
    rows = rows._replace(number=rows.number - first)
    epochs.mark(rows)
    assert epochs._misplaced([epochs._markers(rows)], 10) == 0
    for array in ("imu", "video", "text"):
        others = getattr(rows, array)[[1, 0, *range(2, 10)]]
        assert epochs._misplaced([epochs._markers(rows._replace(**{array: others}))], 10) == 2


def test_a_mark_is_within_the_range_of_the_signal(load):
    """Else the scale of its channel would be the mark's, and a store of int16 would hold next to nothing."""
    rows = made(load, 39_936, 64)
    imu = rows.imu.reshape(64, 1, 6, 1000)
    stored = convert_imu(imu, "int16")[0]
    read = stored["imu"] * stored["imu_scale"][..., None]
    epochs = load("epochs")
    markers = epochs._markers(rows._replace(imu=read))
    assert np.array_equal(np.rint(markers[0] * 100) @ [200, 1], rows.number)
    assert np.abs(imu[:, 0, 0]).max() < 40
    least = min(len(np.unique(window)) for window in stored["imu"][:, 0, 0])
    assert least > 100
