"""Reading an object store whose answers break off: what came is kept, the rest is asked for again, ever later."""

import hashlib

import numpy as np
import obstore
import pytest

from sensorloom.store.address import open_objects
from sensorloom.store.errors import MissingObjectError, StoreReadError

MB = 1 << 20
CONTENT = np.random.default_rng(0).bytes(5 * MB)
DIGEST = (len(CONTENT), hashlib.sha256(CONTENT).hexdigest())


@pytest.fixture
def objects(faulty, s3_url):
    objects = open_objects(s3_url)
    objects.put("a", CONTENT)
    return objects


@pytest.fixture(autouse=True)
def pauses(monkeypatch) -> list[float]:
    """Wait for nothing between tries; the pauses asked for."""
    asked: list[float] = []
    monkeypatch.setattr("sensorloom.store.remote.time.sleep", asked.append)
    return asked


def test_a_body_that_breaks_off_goes_on_where_it_stopped(objects, faulty, pauses):
    # obstore takes the body up itself, and gives up when that is refused.
    faulty.spoil("/a", "truncated")
    faulty.spoil("/a", "forbidden")
    assert objects.digest("a") == DIGEST
    assert len(pauses) == 1
    again = faulty.ranges[-1]
    assert MB <= int(again.removeprefix("bytes=").partition("-")[0]) < len(CONTENT)


def test_a_body_may_break_off_any_number_of_times_while_it_moves(objects, faulty, pauses, monkeypatch):
    monkeypatch.setattr("sensorloom.store.remote._STREAM_BYTES", 1 << 14)
    for _ in range(7):
        faulty.spoil("/a", "truncated")
        faulty.spoil("/a", "forbidden")
    assert objects.digest("a") == DIGEST
    assert pauses == [0.5] * 7


def test_what_breaks_off_and_does_not_go_on_is_an_error(objects, faulty, pauses):
    faulty.spoil("/a", "truncated")
    faulty.spoil("/a", "forbidden", 100)
    with pytest.raises(StoreReadError, match="cannot read a in store s3://"):
        objects.digest("a")
    assert pauses == [0.5, 1.0, 2.0, 4.0]


def test_a_whole_object_is_read_though_its_body_breaks_off(objects, faulty, pauses):
    faulty.spoil("/a", "truncated")
    faulty.spoil("/a", "forbidden")
    assert bytes(objects.get("a")) == CONTENT
    assert pauses == []


def test_an_object_that_goes_while_it_is_read_is_missing(objects, faulty):
    faulty.spoil("/a", "truncated")
    faulty.spoil("/a", "forbidden")
    faulty.spoil("/a", "gone")
    with pytest.raises(MissingObjectError, match=r"a in store s3://.* is missing"):
        objects.digest("a")


def test_a_request_that_is_refused_is_told_at_once(objects, faulty, pauses):
    faulty.spoil("/a", "forbidden")
    with pytest.raises(StoreReadError, match="cannot read a in store s3://"):
        objects.get("a")
    assert pauses == []


@pytest.mark.parametrize("content", [CONTENT, b""])
def test_a_body_that_breaks_off_behind_its_last_byte_is_whole(memory_url, pauses, monkeypatch, content):
    objects = open_objects(memory_url)
    objects.put("a", content)
    asked = []

    class Answer:
        def __init__(self, answer):
            self.meta, self.stream = answer.meta, lambda **options: broken(answer.stream(**options))

    def broken(pieces):
        yield from pieces
        raise OSError("connection reset by peer")

    def get(*args, **options):
        asked.append(options)
        return Answer(obstore_get(*args, **options))

    obstore_get = obstore.get
    monkeypatch.setattr("sensorloom.store.remote.obstore.get", get)
    assert b"".join(objects.chunks("a")) == content
    assert len(asked) == 1
