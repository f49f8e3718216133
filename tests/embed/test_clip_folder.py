"""A CLIP model in a folder, as open_clip saves one: what is told of it, and what is said of a broken one."""

from __future__ import annotations

import hashlib
import json
import re

import pytest

from sensorloom.embed import clip_source
from sensorloom.embed.clip import identify
from sensorloom.embed.encoder import EncoderSpec
from sensorloom.embed.errors import EncoderError
from sensorloom.embed.preprocess import Preprocess
from tests.embed.tiny_clip import CONFIG, SIDE_PX, write_config

MODEL_CFG = CONFIG["model_cfg"]


def sha256_of(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def identity_of(model, pretrained=""):
    return identify(EncoderSpec(model, pretrained), sha256_of=sha256_of)


@pytest.fixture
def folder(tmp_path):
    folder = write_config(tmp_path / "My Model")
    (folder / "open_clip_model.safetensors").write_bytes(b"weights")
    return folder


def test_a_folder_tells_what_it_holds(folder):
    identity = identity_of(f"local-dir:{folder}")
    assert (identity.name, identity.dim) == ("my-model.local", MODEL_CFG["embed_dim"])
    assert identity.preprocess == Preprocess(
        SIDE_PX, SIDE_PX, "shortest", "bicubic", (0.4, 0.5, 0.6), (0.2, 0.3, 0.25)
    )
    assert identity.fingerprint["weights"] == sha256_of(folder / "open_clip_model.safetensors")


def test_where_it_lies_is_not_in_the_fingerprint(folder, tmp_path):
    moved = folder.rename(tmp_path / "elsewhere")
    (tmp_path / "link").symlink_to(moved)
    first, second = identity_of(f"local-dir:{moved}"), identity_of(f"local-dir:{tmp_path / 'link'}")
    assert first.fingerprint == second.fingerprint
    assert str(tmp_path) not in json.dumps(first.fingerprint)


@pytest.mark.parametrize(
    ("pretrained", "name"), [("random:5", "my-model.random-5"), ("other.pt", "my-model.other")]
)
def test_other_weights_may_be_named(folder, monkeypatch, pretrained, name):
    (folder / "other.pt").write_bytes(b"other")
    monkeypatch.chdir(folder)
    assert identity_of(f"local-dir:{folder}", pretrained).name == name


def test_pictures_may_be_wider_than_high(tmp_path):
    vision = {**MODEL_CFG["vision_cfg"], "image_size": [32, 64]}
    folder = write_config(tmp_path, {"model_cfg": {**MODEL_CFG, "vision_cfg": vision}})
    preprocess = identity_of(f"local-dir:{folder}", "random").preprocess
    assert (preprocess.height_px, preprocess.width_px) == (32, 64)


def with_text(folder, **options):
    text = {**MODEL_CFG["text_cfg"], **options}
    return write_config(folder, {"model_cfg": {**MODEL_CFG, "text_cfg": text}})


@pytest.mark.parametrize(
    "name",
    ["tokenizer.json", "vocab.txt", "vocab.json", "merges.txt", "spiece.model", "tokenizer_config.json",
     "special_tokens_map.json", "added_tokens.json", "config.json"],
)  # fmt: skip
def test_a_tokenizer_in_the_folder_is_told_by_the_bytes_of_all_its_files(folder, name):
    with_text(folder, hf_tokenizer_name="some/name", context_length=64)

    def told():
        return identity_of(f"local-dir:{folder}").fingerprint["tokenizer"]

    assert told() == "some/name, 64 tokens"
    (folder / "tokenizer.json").write_bytes(b"{}")
    (folder / name).write_bytes(b'{"a": 1}')
    first = told()
    assert re.fullmatch("some/name [0-9a-f]{64}, 64 tokens", first)
    (folder / name).write_bytes(b'{"a": 2}')
    assert told() != first
    (folder / name).write_bytes(b'{"a": 1}')
    (folder / "README.md").touch()
    assert told() == first


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"tokenizer_kwargs": {"trust_remote_code": True}}, r"tokenizer_kwargs\.trust_remote_code is no option"),
        ({"tokenizer_kwargs": {"clean": "lower", "cache_dir": "/"}}, r"kwargs\.cache_dir .* there are clean, language"),
        ({"tokenizer_kwargs": {"bpe_path": "/etc/passwd"}}, r"tokenizer_kwargs\.bpe_path is no option"),
        ({"tokenizer_kwargs": ["clean"]}, r"tokenizer_kwargs\.\['clean'\] is no option"),
        ({"hf_model_name": "roberta-base"}, r"hf_model_name takes the text tower from elsewhere \('roberta-b"),
        ({"act_kwargs": {"deep": [{"auto_map": {}}]}}, r"act_kwargs\.deep\[0\]\.auto_map lets code of others run"),
        ({"trust_remote_code": True}, r"text_cfg\.trust_remote_code lets code of others run"),
        ({"hf_tokenizer_name": "https://x.org/y"}, r"hf_tokenizer_name names another place \('https://x\.org/y'\)"),
    ],
)  # fmt: skip
def test_a_configuration_that_names_code_or_another_place_is_refused(folder, options, why):
    with_text(folder, **options)
    with pytest.raises(EncoderError, match=rf"open_clip_config\.json: model_cfg\..*{why}"):
        identity_of(f"local-dir:{folder}")


def test_a_picture_tower_from_another_place_is_refused(folder):
    vision = {"image_size": 48, "timm_model_name": "hf-hub:some/repo"}
    write_config(folder, {"model_cfg": {**MODEL_CFG, "vision_cfg": vision}})
    with pytest.raises(
        EncoderError, match=r"vision_cfg\.timm_model_name names another place \('hf-hub:some/repo'\)"
    ):
        identity_of(f"local-dir:{folder}")


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("tokenizer_config.json", '{"auto_map": {"AutoTokenizer": ["x.X", null]}}', "auto_map lets code of others run"),
        ("config.json", '{"auto_map": {"AutoTokenizer": "x.X"}}', "auto_map lets code of others run"),
        ("tokenizer_config.json", '{"vocab_file": "/etc/passwd"}', "vocab_file names another file"),
        ("tokenizer_config.json", "{", "cannot be read as JSON"),
    ],
)  # fmt: skip
def test_a_tokenizer_that_names_code_or_another_file_is_refused(folder, name, text, why):
    (folder / name).write_text(text)
    with_text(folder)
    identity_of(f"local-dir:{folder}")  # not read where open_clip takes its own tokenizer
    with_text(folder, hf_tokenizer_name="some/name")
    with pytest.raises(EncoderError, match=rf"{name}: {why}"):
        identity_of(f"local-dir:{folder}")


def test_harmless_options_of_a_tokenizer_are_taken(folder):
    options = {"clean": "canonicalize", "strip_sep_token": True}
    with_text(folder, hf_tokenizer_name="some/name", tokenizer_kwargs=options)
    (folder / "tokenizer_config.json").write_text('{"vocab_file": null, "tokenizer_class": "T5Tokenizer"}')
    architecture = json.loads(identity_of(f"local-dir:{folder}").fingerprint["architecture"])
    assert architecture["text_cfg"]["tokenizer_kwargs"] == options


def test_one_file_of_any_name_is_the_weights(folder):
    (folder / "open_clip_model.safetensors").rename(folder / "mine.pt")
    assert identity_of(f"local-dir:{folder}").fingerprint["weights"] == sha256_of(folder / "mine.pt")


@pytest.mark.parametrize(("names", "listed"), [((), "none"), (("a.pt", "b.bin"), r"a\.pt, b\.bin")])
def test_weights_that_are_missing_or_several_are_refused(folder, names, listed):
    (folder / "open_clip_model.safetensors").unlink()
    for name in names:
        (folder / name).touch()
    with pytest.raises(
        EncoderError, match=f"My Model: which file holds the weights.* there are: {listed}. Name"
    ):
        identity_of(f"local-dir:{folder}")


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(EncoderError, match=r"nothing: is no folder; local-dir: takes the folder of a model"):
        identity_of(f"local-dir:{tmp_path / 'nothing'}")
    with pytest.raises(
        EncoderError, match=r"open_clip_config\.json: is not there; local-dir: takes a folder as"
    ):
        identity_of(f"local-dir:{tmp_path}")


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ("{", r"open_clip_config\.json: cannot be read as JSON: Expecting"),
        ("[]", r"open_clip_config\.json: must hold the objects model_cfg and preprocess_cfg"),
        ("{}", r"open_clip_config\.json: must hold the objects"),
        ('{"model_cfg": {"embed_dim": 3}, "preprocess_cfg": 4}', "must hold the objects"),
        ({"model_cfg": {**MODEL_CFG, "embed_dim": "wide"}}, "embed_dim of its model_cfg must be a whole .*'wide'"),
        ({"model_cfg": {**MODEL_CFG, "vision_cfg": {"image_size": 0}}}, r"vision_cfg\.image_size .* got 0"),
        ({"model_cfg": {**MODEL_CFG, "vision_cfg": 3}}, r"vision_cfg\.image_size .* got None"),
        ({"model_cfg": {**MODEL_CFG, "text_cfg": 3}}, r"text_cfg\.context_length .* got None"),
        ({"model_cfg": MODEL_CFG, "preprocess_cfg": {"mean": [1, 2]}}, r"mean of .* three numbers, got \[1, 2\]"),
        ({"model_cfg": MODEL_CFG, "preprocess_cfg": {"mean": ["a"] * 3}}, r"mean of .* three numbers, got"),
        ({"model_cfg": MODEL_CFG, "preprocess_cfg": {"std": [1, 0, 1]}}, r"std of .* must be above 0, got \[1, 0"),
        ({"model_cfg": MODEL_CFG, "preprocess_cfg": {"fill_color": 256}}, r"fill_color .* 0 to 255, got 256"),
        ({"model_cfg": MODEL_CFG, "preprocess_cfg": {"interpolation": "nearest"}}, r"interpolation 'nearest' is"),
        ({"model_cfg": MODEL_CFG, "preprocess_cfg": {"resize_mode": "any"}}, r"resize mode 'any' is not known"),
    ],
)  # fmt: skip
def test_a_configuration_without_sense_is_refused(folder, config, why):
    text = config if isinstance(config, str) else json.dumps(config)
    (folder / "open_clip_config.json").write_text(text)
    with pytest.raises(EncoderError, match=why):
        identity_of(f"local-dir:{folder}")


def test_a_generated_model_that_was_left_out_is_said_to_be(monkeypatch, tmp_path):
    monkeypatch.setattr(clip_source, "_GENERATED", tmp_path / "generated")
    with pytest.raises(
        EncoderError, match=r"generated/open_clip_config\.json: is not there: the model 'generated' w"
    ):
        identity_of("generated")


def test_the_generated_model_is_called_generated(monkeypatch, folder):
    monkeypatch.setattr(clip_source, "_GENERATED", folder)
    assert identity_of("generated").name == "generated"
    assert identity_of("generated", "random").name == "generated.random-0"
