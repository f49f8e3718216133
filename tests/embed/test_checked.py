"""An encoder is loaded once in a process, and refused where it gives other vectors than the store has of it."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from sensorloom.embed import checked
from sensorloom.embed.checked import (
    check_encoder,
    ensure_golden,
    golden_arrays,
    golden_key,
    golden_shard,
    ready_encoder,
)
from sensorloom.embed.errors import EncoderError, VectorError
from sensorloom.embed.golden import GOLDEN_TEXTS
from sensorloom.store.repository import Repository
from tests.embed.fake_encoder import FakeEncoder, fake_identity, few_pictures


@pytest.fixture
def repo(tmp_path):
    return Repository.open(str(tmp_path / "store"), create=True)


@pytest.fixture
def loads(monkeypatch):
    """What was loaded, and with what."""
    loads = []

    def load(identity, *, device, batch_size):
        loads.append((identity.name, device, batch_size))
        return FakeEncoder(identity, batch_size or 8)

    monkeypatch.setattr(checked, "load_encoder", load)
    monkeypatch.setattr(checked, "_loaded", {})
    monkeypatch.setattr(checked, "_passed", set())
    monkeypatch.setattr(checked, "golden_pictures", few_pictures)
    return loads


def use(identity=None, device="cpu", batch_size=None, golden=None):
    return SimpleNamespace(
        identity=identity or fake_identity(), device=device, batch_size=batch_size, golden=golden
    )


def test_an_encoder_is_loaded_and_checked_once(repo, loads):
    encoder = ready_encoder(repo, use())
    calls = len(encoder.batches)
    assert ready_encoder(repo, use()) is encoder
    assert (loads, len(encoder.batches)) == ([("fake", "cpu", None)], calls)
    assert calls == 1


def test_another_encoder_device_or_batch_takes_its_place(repo, loads):
    first = ready_encoder(repo, use())
    ready_encoder(repo, use(batch_size=4))
    ready_encoder(repo, use(device="cuda:1", batch_size=4))
    ready_encoder(repo, use(fake_identity("two", weights="1")))
    assert ready_encoder(repo, use()) is not first
    assert [name for name, *_ in loads] == ["fake", "fake", "fake", "two", "fake"]
    assert len(checked._loaded) == 1


def test_golden_vectors_are_made_where_nobody_has_any(repo, loads):
    assert repo.find_work(golden_key(fake_identity())) is None
    encoder = ready_encoder(repo, use())
    record = repo.find_work(golden_key(fake_identity()))
    (shard,) = record.shards
    assert shard == golden_shard(repo, fake_identity(), encoder)
    stored = repo.open_arrays(shard)
    assert stored["golden/vectors"].shape == (len(few_pictures()), 16)
    assert stored["golden/text_vectors"].shape == (len(GOLDEN_TEXTS), 16)
    assert stored["golden/vectors"].dtype == np.float16
    assert stored.attributes == {"name": "fake", "dim": 16, "fingerprint": dict(fake_identity().fingerprint)}
    assert (shard.key, shard.rows, shard.work) == ("fake", len(few_pictures()), golden_key(fake_identity()))


def test_golden_keys_tell_encoders_apart():
    keys = {golden_key(fake_identity(name, weights=weights)) for name in ("a", "b") for weights in "01"}
    assert len(keys) == 4


@pytest.mark.parametrize("given_with_task", [True, False])
def test_an_encoder_that_gives_other_vectors_is_refused(repo, loads, monkeypatch, given_with_task):
    shard = golden_shard(repo, fake_identity(), FakeEncoder())
    changed = FakeEncoder(fake_identity(weights="1"))
    changed.identity = fake_identity()
    if not given_with_task:
        ready_encoder(repo, use())
        checked._loaded.clear()
        checked._passed.clear()
    monkeypatch.setattr(checked, "load_encoder", lambda identity, **_: changed)
    match = (
        r"fake gives other vectors than those in the store: cosine -?0\.\d{6} of golden pictures, .* 0\.9999 is"
        r" promised; .* torch and of Pillow .* device and its driver"
    )
    for _ in range(2):  # failing once is no passing
        with pytest.raises(EncoderError, match=match):
            ready_encoder(repo, use(golden=shard if given_with_task else None))


def test_golden_vectors_of_another_golden_set_are_not_compared_but_made_anew(repo, loads, monkeypatch):
    monkeypatch.setattr(checked, "CODE_VERSION", checked.CODE_VERSION + 1)
    monkeypatch.setattr(checked, "golden_pictures", lambda: few_pictures()[::-1])
    old = golden_shard(repo, fake_identity(), FakeEncoder())
    monkeypatch.undo()
    monkeypatch.setattr(checked, "load_encoder", lambda identity, **_: FakeEncoder(identity))
    monkeypatch.setattr(checked, "golden_pictures", few_pictures)
    encoder = ready_encoder(repo, use(golden=old))
    (new,) = repo.find_work(golden_key(fake_identity())).shards
    assert (new.work, new.digest != old.digest) == (golden_key(fake_identity()), True)
    assert np.array_equal(repo.open_arrays(new)["golden/vectors"], golden_arrays(encoder)["golden/vectors"])
    assert ensure_golden(repo, use(golden=old)) == new


def test_golden_vectors_are_made_for_a_run_that_loaded_no_encoder(repo, loads):
    shard = ensure_golden(repo, use())
    assert len(loads) == 1
    assert repo.find_work(golden_key(fake_identity())).shards == (shard,)
    assert len(repo.open_arrays(shard)["golden/vectors"]) == len(few_pictures())


@pytest.mark.parametrize("where", ["in the snapshot", "filed"])
def test_no_encoder_is_loaded_where_there_are_golden_vectors(repo, loads, where):
    if where == "filed":
        ready_encoder(repo, use())
        loads.clear()
        checked._loaded.clear()
        (shard,) = repo.find_work(golden_key(fake_identity())).shards
    else:
        shard = golden_shard(repo, fake_identity(), FakeEncoder())
    assert ensure_golden(repo, use(golden=None if where == "filed" else shard)) == shard
    assert loads == []


def test_an_encoder_loaded_for_its_golden_vectors_alone_is_checked(repo, loads, monkeypatch):
    broken = FakeEncoder()
    broken.encode_texts = lambda texts: np.zeros((len(texts), 16), np.float32)
    monkeypatch.setattr(checked, "load_encoder", lambda identity, **_: broken)
    with pytest.raises(VectorError, match=r"golden texts: .* are all zeros"):
        ensure_golden(repo, use())
    assert repo.find_work(golden_key(fake_identity())) is None


def test_other_vectors_of_texts_are_refused_too(loads):
    encoder = FakeEncoder()
    golden = golden_arrays(encoder)
    golden["golden/text_vectors"] = golden["golden/text_vectors"][::-1]
    with pytest.raises(EncoderError, match="of golden texts"):
        check_encoder(encoder, "pil", golden)


def test_an_encoder_of_another_width_is_refused(loads):
    narrow = golden_arrays(FakeEncoder(fake_identity(dim=8)))
    with pytest.raises(
        EncoderError, match=r"gives \[\d+, 16\] golden vectors of pictures, the store has \[\d+, 8\]"
    ):
        check_encoder(FakeEncoder(), "pil", narrow)


def test_a_fast_way_to_scale_that_moves_vectors_is_refused(loads, monkeypatch):
    encoder = FakeEncoder()
    golden = golden_arrays(encoder)
    monkeypatch.setattr(
        checked, "parity", lambda encode, preprocess: SimpleNamespace(holds=False, ratio=0.034)
    )
    with pytest.raises(EncoderError, match=r'moves its vectors by 3\.40 % .* set embed\.resize = "pil"'):
        check_encoder(encoder, "swscale", golden)
    check_encoder(encoder, "pil", golden)


def test_each_way_to_scale_is_checked(repo, loads, monkeypatch):
    asked = []

    def parity(encode, preprocess):
        asked.append(preprocess)
        return SimpleNamespace(holds=True, ratio=0.0)

    monkeypatch.setattr(checked, "parity", parity)
    ready_encoder(repo, use())
    assert asked == []
    for _ in range(2):
        ready_encoder(repo, use(), "swscale")
    assert len(asked) == 1
