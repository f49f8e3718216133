"""Which CLIP model is meant: what is told of it before it is loaded, and what is said where there is none."""

from __future__ import annotations

import hashlib
import json
import logging
import pickle
import subprocess
import sys
from dataclasses import asdict, replace
from importlib.metadata import version
from types import SimpleNamespace

import huggingface_hub
import numpy as np
import open_clip
import pytest
import torch
from open_clip.transform import PreprocessCfg

from sensorloom.embed.clip import identify, load_encoder
from sensorloom.embed.encoder import EncoderSpec
from sensorloom.embed.errors import DeviceError, EncoderError
from sensorloom.embed.preprocess import Preprocess
from tests.embed.tiny_clip import CONFIG, write_config

MODEL_CFG = CONFIG["model_cfg"]


def sha256_of(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def identity_of(model, pretrained="", **spec):
    return identify(EncoderSpec(model, pretrained, **spec), sha256_of=sha256_of)


@pytest.fixture
def folder(tmp_path):
    folder = write_config(tmp_path / "My Model")
    (folder / "open_clip_model.safetensors").write_bytes(b"weights")
    return folder


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """An empty cache of huggingface_hub, and no network."""

    def no_route(*args, **kwargs):
        raise ConnectionError("no route to host")

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", no_route)
    return tmp_path / "hub"


def put_in_cache(hub, repo, name, content=b"weights"):
    folder = hub / f"models--{repo.replace('/', '--')}"
    (folder / "snapshots" / "abc").mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("abc")
    path = folder / "snapshots" / "abc" / name
    path.write_bytes(content)
    return path


class TestNamed:
    def test_a_model_is_told_before_it_is_loaded(self):
        identity = identity_of("ViT-B-32", "random:7")
        default = PreprocessCfg()
        assert (identity.name, identity.dim) == ("vit-b-32.random-7", 512)
        assert identity.preprocess == Preprocess(
            224,
            224,
            default.resize_mode,
            default.interpolation,
            default.mean,
            default.std,
            default.fill_color,
        )
        fingerprint = dict(identity.fingerprint)
        assert json.loads(fingerprint.pop("architecture")) == open_clip.get_model_config("ViT-B-32")
        assert fingerprint == {
            "weights": f"random, seed 7, torch {version('torch')}, open_clip {open_clip.__version__}",
            "preprocessing": json.loads(json.dumps(asdict(identity.preprocess))),
            "precision": "fp32",
            "normalisation": "L2 in float32, kept as float16",
            "tokenizer": "open_clip SimpleTokenizer, 77 tokens",
        }
        assert pickle.loads(pickle.dumps(identity)) == identity

    def test_every_model_of_open_clip_can_be_told(self):
        names = {identity_of(model, "random").name for model in open_clip.list_models()}
        assert len(names) == len(open_clip.list_models()) > 100

    def test_a_slash_may_stand_for_a_dash(self):
        assert identity_of("ViT-B/32", "random").name == "vit-b-32.random-0"

    @pytest.mark.parametrize(
        ("model", "mode", "mean"),
        [
            ("ViT-B-32", "shortest", 0.48145466),
            ("ViT-B-16-SigLIP", "squash", 0.5),
            ("ViT-H-14", "shortest", 0.48145466),
        ],
    )
    def test_weights_without_a_tag_get_the_preprocessing_on_which_all_tags_agree(self, model, mode, mean):
        preprocess = identity_of(model, "random").preprocess
        assert (preprocess.mode, preprocess.mean[0]) == (mode, mean)

    def test_precision_and_mode_are_told_in_the_name(self):
        one = identity_of("ViT-B-32", "random", precision="bf16", mode="squash")
        assert one.name == "vit-b-32.random-0-bf16-squash"
        assert (one.fingerprint["precision"], one.preprocess.mode) == ("bf16", "squash")
        same = identity_of("ViT-B-32", "random", precision="fp16", mode="shortest")
        assert same.name == "vit-b-32.random-0-fp16"

    def test_a_model_that_is_not_known_is_refused_with_the_nearest(self):
        with pytest.raises(
            EncoderError, match=r"model 'vit-b32' is not known: open_clip has \d+, the nearest are ViT-B-"
        ):
            identity_of("vit-b32", "openai")
        with pytest.raises(
            EncoderError, match=r"has \d+, such as .*; besides there are local-dir:FOLDER and generated"
        ):
            identity_of("????", "openai")

    def test_a_tag_that_is_not_known_is_refused_with_those_that_are(self):
        with pytest.raises(
            EncoderError, match=r"ViT-L-14 has no weights 'opemai': its tags are openai, .*; besides"
        ):
            identity_of("ViT-L-14", "opemai")
        with pytest.raises(
            EncoderError, match=r"model ViT-L-14 needs to be told which weights: its tags are openai, "
        ):
            identity_of("ViT-L-14")
        with pytest.raises(
            EncoderError, match=r"needs to be told which weights: it has no tags; besides there are the"
        ):
            identity_of("ViT-M-16")

    @pytest.mark.parametrize(
        "path", ["/nowhere/model.pt", "model.safetensors", "~/nowhere.bin", "here/model"]
    )
    def test_a_file_that_is_not_there_is_refused_by_its_path(self, path):
        with pytest.raises(EncoderError, match=r"(/nowhere|model).*: there is no such weights file$"):
            identity_of("ViT-B-32", path)

    def test_a_file_is_told_by_its_bytes(self, tmp_path):
        path = tmp_path / "CLIP4Clip WebVid.bin"
        path.write_bytes(b"weights")
        identity = identity_of("ViT-B-32-quickgelu", str(path))
        assert identity.name == "vit-b-32-quickgelu.clip4clip-webvid"
        assert identity.fingerprint["weights"] == sha256_of(path)
        assert json.loads(identity.fingerprint["architecture"])["quick_gelu"] is True

    @pytest.mark.parametrize("seed", ["random:", "random:-1", "random:x", "random:1.5", "random:1234567890"])
    def test_a_seed_that_is_none_is_refused(self, seed):
        with pytest.raises(
            EncoderError, match=f"pretrained '{seed}': a seed is a whole number from 0 to 999999999"
        ):
            identity_of("ViT-B-32", seed)

    def test_a_precision_or_mode_that_is_not_known_is_refused(self):
        with pytest.raises(EncoderError, match="precision 'fp8' is not known; there are fp32, bf16, fp16"):
            identity_of("ViT-B-32", "random", precision="fp8")
        with pytest.raises(
            EncoderError, match="resize mode 'crop' is not known; there are shortest, longest, squash"
        ):
            identity_of("ViT-B-32", "random", mode="crop")


class TestTags:
    REPO = "timm/vit_base_patch32_clip_224.openai"

    @pytest.mark.parametrize("name", ["open_clip_model.safetensors", "open_clip_pytorch_model.bin"])
    def test_weights_in_the_cache_need_no_network(self, hub, name):
        path = put_in_cache(hub, self.REPO, name)
        identity = identity_of("ViT-B-32", "openai")
        assert identity.name == "vit-b-32.openai"
        assert identity.fingerprint["weights"] == sha256_of(path)

    def test_a_tag_brings_the_activation_that_it_was_trained_with(self, hub):
        put_in_cache(hub, self.REPO, "open_clip_model.safetensors")
        plain = json.loads(identity_of("ViT-B-32", "random").fingerprint["architecture"])
        tagged = json.loads(identity_of("ViT-B-32", "openai").fingerprint["architecture"])
        assert tagged == {**plain, "quick_gelu": True}

    @pytest.mark.parametrize("name", ["pytorch_model.safetensors", "pytorch_model.bin"])
    def test_a_tag_may_name_its_file(self, hub, name):
        path = put_in_cache(hub, "jienengchen/ViTamin-S", name)
        assert identity_of("ViTamin-S", "datacomp1b").fingerprint["weights"] == sha256_of(path)

    def test_without_network_it_is_said_where_the_weights_are_from(self, hub):
        with pytest.raises(
            EncoderError,
            match=r"the weights 'openai' of ViT-B-32 are not in the cache of huggingface_hub and cannot be fetched"
            rf" from {self.REPO} \(ConnectionError: no route to host\)\. With network run `hf download {self.REPO}`",
        ):
            identity_of("ViT-B-32", "openai")

    def test_weights_that_are_not_in_the_cache_are_fetched(self, hub, monkeypatch, tmp_path):
        fetched = tmp_path / "fetched.bin"
        fetched.write_bytes(b"from afar")
        asked = []
        monkeypatch.setattr(
            huggingface_hub.HfApi, "model_info", lambda self, repo, timeout: asked.append(repo)
        )
        monkeypatch.setattr(
            open_clip, "download_pretrained", lambda config: asked.append(config["hf_hub"]) or fetched
        )
        assert identity_of("ViT-B-32", "openai").fingerprint["weights"] == sha256_of(fetched)
        assert asked == [self.REPO, f"{self.REPO}/"]


class TestLoading:
    def test_random_weights_depend_on_their_seed_alone(self, folder):
        def proj(seed):
            identity = identity_of(f"local-dir:{folder}", f"random:{seed}")
            return load_encoder(identity, device="cpu", batch_size=1)._tower.model.visual.proj

        torch.manual_seed(11)
        expected = torch.rand(3)
        torch.manual_seed(11)
        first = proj(1)
        assert torch.equal(torch.rand(3), expected)
        assert torch.equal(first, proj(1))
        assert not torch.equal(first, proj(2))

    def test_nothing_is_logged_and_no_handler_is_left(self, folder, caplog):
        handlers, filters = list(logging.getLogger().handlers), list(logging.getLogger().filters)
        load_encoder(identity_of(f"local-dir:{folder}", "random"), device="cpu", batch_size=1)
        assert not caplog.records
        assert (logging.getLogger().handlers, logging.getLogger().filters) == (handlers, filters)

    def test_an_architecture_that_open_clip_cannot_build_is_refused(self, folder):
        write_config(folder, {"model_cfg": {**MODEL_CFG, "wings": 2}})
        with pytest.raises(
            EncoderError, match=r"open_clip cannot build my-model\.random-0 \(TypeError: .*wings"
        ):
            load_encoder(identity_of(f"local-dir:{folder}", "random"), device="cpu", batch_size=1)

    def test_a_tokenizer_that_is_not_there_is_refused(self, folder, monkeypatch):
        monkeypatch.setitem(sys.modules, "transformers", None)
        text = {**MODEL_CFG["text_cfg"], "hf_tokenizer_name": "some/name"}
        write_config(folder, {"model_cfg": {**MODEL_CFG, "text_cfg": text}})
        with pytest.raises(
            EncoderError, match=r"the tokenizer of local-dir:.* cannot be loaded .*transformers"
        ):
            load_encoder(identity_of(f"local-dir:{folder}", "random"), device="cpu", batch_size=1)

    def test_a_tokenizer_of_transformers_may_run_no_code(self, folder, monkeypatch):
        asked = []

        class AutoTokenizer:
            @staticmethod
            def from_pretrained(name, **options):
                asked.append((str(name), options["trust_remote_code"]))

        monkeypatch.setitem(sys.modules, "transformers", SimpleNamespace(AutoTokenizer=AutoTokenizer))
        text = {
            **MODEL_CFG["text_cfg"],
            "hf_tokenizer_name": "some/name",
            "tokenizer_kwargs": {"clean": "lower"},
        }
        write_config(folder, {"model_cfg": {**MODEL_CFG, "text_cfg": text}})
        load_encoder(identity_of(f"local-dir:{folder}", "random"), device="cpu", batch_size=1)
        assert asked == [(str(folder), False)]

    @pytest.mark.parametrize(
        ("change", "why"),
        [
            ({"quick_gelu": True}, r"architecture differs in quick_gelu\. Run the command again"),
            ({"vision_cfg": {**MODEL_CFG["vision_cfg"], "layers": 1}}, r"architecture differs in vision_cfg\. Run"),
        ],
    )  # fmt: skip
    def test_a_configuration_that_changed_since_it_was_identified_is_refused(self, folder, change, why):
        identity = identity_of(f"local-dir:{folder}", "random")
        write_config(folder, {**CONFIG, "model_cfg": {**MODEL_CFG, **change}})
        with pytest.raises(
            EncoderError, match=rf"encoder my-model\.random-0 is not what it was identified as: {why}"
        ):
            load_encoder(identity, device="cpu", batch_size=1)

    def test_all_that_changed_is_named(self, folder):
        identity = identity_of(f"local-dir:{folder}", "random")
        before = {**identity.fingerprint, "weights": "random, seed 0, torch 1.0", "tokenizer": "another"}
        write_config(folder, {**CONFIG, "preprocess_cfg": {"mean": 0.5}})
        with pytest.raises(
            EncoderError,
            match=r"as: preprocessing differs in mean, std; tokenizer is open_clip SimpleTokenizer, 77 tokens, was"
            r" another; weights is random, seed 0, torch \d.*, was random, seed 0, torch 1\.0\. Run",
        ):
            load_encoder(replace(identity, fingerprint=before), device="cpu", batch_size=1)

    def test_a_device_that_is_not_known_is_refused_first(self, folder):
        identity = identity_of(f"local-dir:{folder}")
        with pytest.raises(DeviceError, match="device 'tpu' is not known"):
            load_encoder(identity, device="tpu", batch_size=None)

    def test_a_tag_loads_with_the_activation_that_it_was_trained_with(self, hub, monkeypatch):
        small = {**MODEL_CFG, "embed_dim": 24}
        monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, "ViT-B-32", small)
        path = put_in_cache(hub, TestTags.REPO, "open_clip_pytorch_model.bin")
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = open_clip.CLIP(**small, quick_gelu=True).eval()
        torch.save(model.state_dict(), path)
        encoder = load_encoder(identity_of("ViT-B-32", "openai"), device="cpu", batch_size=2)
        tokens = open_clip.tokenize(["C opens a door"])
        with torch.inference_mode():
            expected = model.encode_text(tokens).numpy()
        np.testing.assert_allclose(encoder.encode_texts(["C opens a door"]), expected, atol=1e-6)


def test_a_model_in_a_folder_is_told_without_importing_torch(folder):
    code = (
        "import sys; from sensorloom.embed.clip import identify; from sensorloom.embed.encoder import EncoderSpec;"
        f"print(identify(EncoderSpec({'local-dir:' + str(folder)!r}), sha256_of=str).name);"
        "assert not {'torch', 'open_clip', 'PIL', 'huggingface_hub'} & set(sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (told.returncode, told.stdout) == (0, "my-model.local\n"), told.stderr
