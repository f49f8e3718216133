"""The text stage: each text encoded once; buckets whose bytes depend on the texts they hold alone."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorloom.align.wording import text_digest
from sensorloom.embed import checked
from sensorloom.embed.errors import EmbedError, EncoderError, VectorError
from sensorloom.embed.records import merge_rows, text_arrays
from sensorloom.embed.texts import TextTask, embed_texts, merge_texts, text_key
from sensorloom.embed.vectors import normalise
from sensorloom.store.repository import Repository
from tests.embed.fake_encoder import FakeEncoder, fake_identity, few_pictures

WORDS = ("C cuts", "C pours", "ä", "🙂 C stirs", "מים", "x" * 10_000)
TEXTS = {text_digest(text): text for text in WORDS}


@pytest.fixture
def repo(tmp_path):
    return Repository.open(str(tmp_path / "store"), create=True)


@pytest.fixture
def encoder(monkeypatch):
    encoder = FakeEncoder()
    monkeypatch.setattr(checked, "load_encoder", lambda identity, *, device, batch_size: encoder)
    monkeypatch.setattr(checked, "_loaded", {})
    monkeypatch.setattr(checked, "_passed", set())
    monkeypatch.setattr(checked, "golden_pictures", few_pictures)
    return encoder


def task_of(repo, ids, identity=None):
    texts = tuple((text_id, TEXTS[text_id]) for text_id in ids)
    return TextTask(repo.url, identity or fake_identity(), "cpu", None, texts)


def key_of(identity, ids):
    return text_key(identity.name, identity.fingerprint, ids)


def encode(repo, ids, identity=None):
    return repo.find_work(embed_texts(task_of(repo, ids, identity))).shards[0]


def test_a_chunk_of_texts_is_a_shard_of_ids_vectors_and_norms(repo, encoder):
    shard = encode(repo, TEXTS)
    stored = repo.open_arrays(shard)
    ids = sorted(TEXTS)
    assert [row.tobytes().hex() for row in stored["ids"]] == ids
    vectors, norms = normalise(
        FakeEncoder().encode_texts([TEXTS[text_id] for text_id in ids]), dim=16, what="texts"
    )
    assert np.array_equal(stored["vectors"], vectors)
    assert np.array_equal(stored["norms"], norms)
    assert stored.attributes == {"encoder": "fake", "fingerprint": dict(fake_identity().fingerprint)}
    assert shard.rows == len(TEXTS)
    assert shard.work == key_of(fake_identity(), ids)


def test_texts_are_encoded_once_whatever_their_order(repo, encoder):
    first = encode(repo, TEXTS)
    encoder.texts.clear()
    assert encode(repo, reversed(TEXTS)) == first
    assert encoder.texts == []


def test_no_texts_are_a_shard_of_none(repo, encoder):
    stored = repo.open_arrays(encode(repo, ()))
    assert (stored["ids"].shape, stored["vectors"].shape) == ((0, 32), (0, 16))


def test_text_keys_depend_on_texts_and_encoder(repo):
    ids = sorted(TEXTS)
    keys = {
        key_of(fake_identity(), ids),
        key_of(fake_identity(), ids[1:]),
        key_of(fake_identity(weights="1"), ids),
        key_of(fake_identity("other"), ids),
    }
    assert len(keys) == 4


def test_vectors_of_texts_that_are_not_finite_are_not_kept(repo, encoder, monkeypatch):
    embed_texts(task_of(repo, ()))
    monkeypatch.setattr(encoder, "encode_texts", lambda texts: np.full((len(texts), 16), np.nan, np.float32))
    with pytest.raises(VectorError, match=r"fake: texts [0-9a-f]{12} to [0-9a-f]{12}"):
        embed_texts(task_of(repo, TEXTS))
    assert repo.find_work(key_of(fake_identity(), sorted(TEXTS))) is None


def test_a_bucket_depends_on_its_texts_and_not_on_how_they_came(repo, encoder):
    ids = sorted(TEXTS)
    wanted = ids[1:5]
    whole = merge_texts(repo, "07", [encode(repo, ids)], wanted)
    pieces = [encode(repo, ids[:2]), None, encode(repo, ids[4:]), encode(repo, ids[1:4])]
    assert merge_texts(repo, "07", pieces, set(wanted)) == whole
    old = merge_texts(repo, "07", [encode(repo, ids[:3])], ids[:3])
    assert merge_texts(repo, "07", [old, encode(repo, ids[3:])], wanted[::-1]) == whole
    stored = repo.open_arrays(whole)
    assert [row.tobytes().hex() for row in stored["ids"]] == wanted
    assert (whole.key, whole.rows, stored.attributes["encoder"]) == ("07", 4, "fake")


def test_a_text_without_a_vector_is_told(repo, encoder):
    ids = sorted(TEXTS)
    with pytest.raises(EmbedError, match=f"1 text of 2 without a vector, the first of id {ids[1][:12]}"):
        merge_texts(repo, "07", [encode(repo, ids[:1])], ids[:2])


def test_vectors_of_different_encoders_make_no_bucket(repo, encoder, monkeypatch):
    ids = sorted(TEXTS)
    first = encode(repo, ids[:3])
    encoder.identity = fake_identity("two", weights="1")
    second = encode(repo, ids[3:], encoder.identity)
    with pytest.raises(EncoderError, match="of one encoder make a bucket, these shards are of: fake, two"):
        merge_texts(repo, "07", [first, second], ids)
    with pytest.raises(EncoderError, match="these shards are of: none"):
        merge_texts(repo, "07", [None], ())


def test_a_text_task_is_small_and_can_be_sent(repo):
    task = task_of(repo, sorted(TEXTS)[:2])
    assert pickle.loads(pickle.dumps(task)) == task
    assert replace(task, texts=()) != task


POOL = [f"{number:064x}" for number in (0, 1, 255, 256, 2**200, 2**256 - 1, 7 << 248, 9)]


def rows_of(ids):
    numbers = np.array([POOL.index(text_id) for text_id in ids], np.float32)
    vectors = np.repeat(numbers[:, None], 3, axis=1).astype(np.float16)
    return text_arrays(ids, vectors, numbers)


@given(
    parts=st.lists(st.lists(st.sampled_from(POOL), unique=True).map(sorted), max_size=5),
    wanted=st.lists(st.sampled_from(POOL)),
    data=st.data(),
)
def test_merging_gives_exactly_the_wanted_rows_in_order(parts, wanted, data):
    there = {text_id for part in parts for text_id in part}
    shuffled = data.draw(st.permutations(parts))
    if not set(wanted) <= there:
        with pytest.raises(EmbedError, match="without a vector"):
            merge_rows([rows_of(part) for part in parts], wanted)
        return
    merged = merge_rows([rows_of(part) for part in parts], wanted)
    again = merge_rows([rows_of(part) for part in shuffled], reversed(wanted))
    assert all(np.array_equal(merged[name], again[name]) for name in merged)
    ids = sorted(set(wanted))
    assert [row.tobytes().hex() for row in merged["ids"]] == ids
    assert merged["norms"].tolist() == [POOL.index(text_id) for text_id in ids]
    assert merged["vectors"].shape == (len(ids), 3 if parts else 0)
