"""Weights of CLIP models from files: three layouts, and files that are hostile, damaged or of another model."""

from __future__ import annotations

import hashlib
import os
import re
import warnings
from collections import OrderedDict
from pathlib import Path

import open_clip
import pytest
import torch
from safetensors.torch import save_file

from sensorloom.embed.clip import identify, load_encoder
from sensorloom.embed.clip_weights import read_weights, to_open_clip
from sensorloom.embed.encoder import EncoderSpec
from sensorloom.embed.errors import EncoderError
from tests.embed.tiny_clip import CONFIG, random_model, state_of, write_config

QUICK = {**CONFIG, "model_cfg": {**CONFIG["model_cfg"], "quick_gelu": True}}


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_config(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def quick_folder(tmp_path_factory):
    return write_config(tmp_path_factory.mktemp("models") / "tiny", QUICK)


@pytest.fixture(scope="module")
def state(folder):
    return state_of(random_model(folder, seed=3))


def as_transformers(state):
    """Write the weights as a CLIPModel of transformers names them, by the layout in its modeling_clip.py."""
    layer = re.compile(r"(?:visual\.)?transformer\.resblocks\.(\d+)\.(.*)")
    parts = {"ln_1": "layer_norm1", "ln_2": "layer_norm2", "c_fc": "fc1", "c_proj": "fc2"}
    out = {
        "logit_scale": state["logit_scale"],
        "visual_projection.weight": state["visual.proj"].T.contiguous(),
        "text_projection.weight": state["text_projection"].T.contiguous(),
        "vision_model.embeddings.class_embedding": state["visual.class_embedding"],
        "vision_model.embeddings.patch_embedding.weight": state["visual.conv1.weight"],
        "vision_model.embeddings.position_embedding.weight": state["visual.positional_embedding"],
        "vision_model.embeddings.position_ids": torch.arange(10)[None],
        "text_model.embeddings.token_embedding.weight": state["token_embedding.weight"],
        "text_model.embeddings.position_embedding.weight": state["positional_embedding"],
        "text_model.embeddings.position_ids": torch.arange(77)[None],
    }
    for end in ("weight", "bias"):
        out[f"vision_model.pre_layrnorm.{end}"] = state[f"visual.ln_pre.{end}"]
        out[f"vision_model.post_layernorm.{end}"] = state[f"visual.ln_post.{end}"]
        out[f"text_model.final_layer_norm.{end}"] = state[f"ln_final.{end}"]
    for name, value in state.items():
        found = layer.fullmatch(name)
        if found is None:
            continue
        tower = "vision_model" if name.startswith("visual.") else "text_model"
        prefix, rest = f"{tower}.encoder.layers.{found[1]}.", found[2]
        if rest.startswith("attn.in_proj_"):
            end = rest.removeprefix("attn.in_proj_")
            for part, third in zip("qkv", value.chunk(3), strict=True):
                out[f"{prefix}self_attn.{part}_proj.{end}"] = third.clone()
        elif rest.startswith("attn.out_proj"):
            out[f"{prefix}self_{rest}"] = value
        else:
            for old, new in parts.items():
                rest = rest.replace(old, new)
            out[prefix + rest] = value
    return out


def as_clip4clip(state):
    heads = {
        "frame_position_embeddings.weight": torch.zeros(77, 32),
        "transformerClip.resblocks.0.attn.in_proj_weight": torch.zeros(96, 32),
    }
    return OrderedDict({f"clip.{name}": value for name, value in state.items()} | heads)


LAYOUTS = {
    "open_clip": dict,
    "transformers": as_transformers,
    "clip4clip": as_clip4clip,
    "training": lambda state: {"epoch": 3, "state_dict": {f"module.{k}": v for k, v in state.items()}},
    "half": lambda state: {name: value.half().float() for name, value in state.items()},
    "openai": lambda state: {"input_resolution": 48, "context_length": 77, "vocab_size": 49408, **state},
}

OF_QUICK_GELU = {"clip4clip": "CLIP4Clip", "openai": "OpenAI"}


@pytest.mark.parametrize("suffix", [".pt", ".bin", ".bin.2", ".safetensors"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_back_the_weights_that_it_was_written_from(
    folder, state, tmp_path, layout, suffix
):
    path, held = tmp_path / f"weights{suffix}", LAYOUTS[layout](state)
    if suffix != ".safetensors":
        torch.save(held, path)
    elif layout in ("training", "openai"):
        return
    else:
        save_file(held, path)
    read = to_open_clip(read_weights(path).weights)
    expected = LAYOUTS["half"](state) if layout == "half" else state
    assert {name for name in read if not name.endswith("position_ids")} == set(expected)
    assert all(torch.equal(read[name], value) for name, value in expected.items())


def sha256_of(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def load(folder, path):
    spec = EncoderSpec(f"local-dir:{folder}", str(path))
    return load_encoder(identify(spec, sha256_of=sha256_of), device="cpu", batch_size=2)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_loads(folder, quick_folder, state, tmp_path, layout):
    path = tmp_path / "weights.pt"
    torch.save(LAYOUTS[layout](state), path)
    loaded = load(quick_folder if layout in OF_QUICK_GELU else folder, path)._tower.model.state_dict()
    for name, value in state.items():
        if name != "logit_scale":
            assert torch.allclose(loaded[name], value, atol=1e-3 if layout == "half" else 0), name


@pytest.mark.parametrize("layout", LAYOUTS)
def test_weights_tell_whether_they_are_known_to_be_of_quick_gelu(state, tmp_path, layout):
    torch.save(LAYOUTS[layout](state), tmp_path / "weights.pt")
    assert read_weights(tmp_path / "weights.pt").quick_gelu_of == OF_QUICK_GELU.get(layout)


def test_a_wrapped_model_without_heads_is_not_taken_for_clip4clips(state, tmp_path):
    torch.save({f"clip.{name}": value for name, value in state.items()}, tmp_path / "weights.pt")
    assert read_weights(tmp_path / "weights.pt").quick_gelu_of is None


@pytest.mark.parametrize("is_parallel", [False, True])
@pytest.mark.parametrize("layout", OF_QUICK_GELU)
def test_weights_of_another_activation_are_refused(folder, state, tmp_path, layout, is_parallel):
    held = LAYOUTS[layout](state)
    if is_parallel:
        held = {
            f"module.{name}" if isinstance(value, torch.Tensor) else name: value
            for name, value in held.items()
        }
    torch.save(held, tmp_path / "film.pt")
    with pytest.raises(
        EncoderError,
        match=rf"film\.pt: are weights of {OF_QUICK_GELU[layout]}, trained with QuickGELU, which local-dir:.* set"
        r' "quick_gelu": true in model_cfg of .*tiny/open_clip_config\.json$',
    ):
        load(folder, tmp_path / "film.pt")


def test_a_model_by_name_is_asked_for_with_its_activation(state, tmp_path, monkeypatch):
    for name, config in (("ViT-B-32", CONFIG), ("ViT-B-32-quickgelu", QUICK)):
        monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, name, config["model_cfg"])
    path = tmp_path / "pytorch_model.bin"
    torch.save(as_clip4clip(state), path)
    identity, quick = (
        identify(EncoderSpec(model, str(path)), sha256_of=sha256_of)
        for model in ("ViT-B/32", "ViT-B-32-quickgelu")
    )
    with pytest.raises(
        EncoderError, match=r"which ViT-B-32 does not compute: .* name the model ViT-B-32-quickgelu$"
    ):
        load_encoder(identity, device="cpu", batch_size=1)
    load_encoder(quick, device="cpu", batch_size=1)


class Bomb:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self):
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("is_zip", [True, False])
def test_a_checkpoint_that_would_run_code_is_refused_and_not_run(folder, state, tmp_path, is_zip):
    target, path = tmp_path / "pwned", tmp_path / "model.pt"
    torch.save({**state, "extra": Bomb(target)}, path, _use_new_zipfile_serialization=is_zip)
    with pytest.raises(
        EncoderError, match=r"model\.pt: holds more than tensors, and reading that could run any code"
    ):
        load(folder, path)
    assert not target.exists()


def test_a_program_with_weights_is_refused(folder, tmp_path):
    path = tmp_path / "ViT-B-32.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's, that such archives are of the past
        torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), path)
    with pytest.raises(
        EncoderError, match=r"ViT-B-32\.pt: is a TorchScript archive, .* the tag openai .*, or give the open"
    ):
        load(folder, path)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize(
    "content", [b"", b"<html>404</html>", b"\x80\x04junk", bytes(4096), b"PK\x03\x04" + bytes(60)]
)
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path, suffix, content):
    path = tmp_path / f"model{suffix}"
    path.write_bytes(content)
    with pytest.raises(EncoderError, match=rf"model\{suffix}: (is no sound|holds more than tensors)"):
        read_weights(path)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_a_truncated_checkpoint_is_refused(state, tmp_path, suffix):
    path = tmp_path / f"model{suffix}"
    torch.save(state, path) if suffix == ".pt" else save_file(state, path)
    path.write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(EncoderError, match=rf"model\{suffix}: is no sound .*fetch it again"):
        read_weights(path)


@pytest.mark.parametrize(
    ("held", "named"),
    [
        ([torch.zeros(1)], "a list"),
        ({}, "nothing"),
        ({"epoch": 3, "model": {}}, "a dictionary of 'epoch', 'model'"),
        ({1: torch.zeros(1)}, "a dictionary of 1"),
        (torch.zeros(2), "a Tensor"),
    ],
)  # fmt: skip
def test_a_file_without_weights_by_name_is_refused(tmp_path, held, named):
    torch.save(held, tmp_path / "model.pt")
    with pytest.raises(
        EncoderError, match=rf"model\.pt: holds no weights by name \(a state dict\), but {named}$"
    ):
        read_weights(tmp_path / "model.pt")


def changed(state, layout):
    if layout == "wider":
        return {**state, "visual.proj": torch.zeros(64, 25), "text_projection": torch.zeros(32, 25)}
    if layout == "deeper":
        more = {name.replace(".1.", ".2."): value for name, value in state.items() if ".resblocks.1." in name}
        return {**state, **more}
    if layout == "no values":
        held = as_transformers(state)
        return {name: value for name, value in held.items() if "layers.0.self_attn.v_proj" not in name}
    if layout == "unknown":
        return {**as_clip4clip(state), "memory.weight": torch.zeros(1)}  # told before its activation
    if layout == "mobileclip":
        return {"image_encoder.model.patch_embed.0.rbr_conv.0.conv.weight": torch.zeros(1)}
    return {name: value for name, value in state.items() if not name.startswith("visual.")}


@pytest.mark.parametrize(
    ("layout", "why"),
    [
        ("wider", r"of \d+ weights 2 of another shape \(text_projection \[32, 25\] instead of \[32, 24\], visual"),
        ("deeper", r"24 not of this model \(transformer\.resblocks\.2\.attn\.in_proj_bias, .*, …\); name the model"),
        ("no values", r"4 missing \(transformer\.resblocks\.0\.attn\.in_proj_bias, "),
        ("unknown", r"1 not of this model \(memory\.weight\)"),
        ("text alone", r"missing \(visual\.class_embedding, visual\.conv1\.weight, .*, …\)"),
        ("mobileclip", "but of MobileCLIP"),
    ],
)  # fmt: skip
def test_weights_of_another_model_are_refused_by_name(folder, state, tmp_path, layout, why):
    path = tmp_path / "other.pt"
    torch.save(changed(state, layout), path)
    with pytest.raises(EncoderError, match=rf"other\.pt: is not a checkpoint of tiny\.other.*{why}"):
        load(folder, path)


def test_positions_are_not_stretched_to_another_picture_size(state, tmp_path):
    vision = {**CONFIG["model_cfg"]["vision_cfg"], "image_size": 64}
    folder = write_config(tmp_path / "larger", {"model_cfg": {**CONFIG["model_cfg"], "vision_cfg": vision}})
    torch.save(state, tmp_path / "small.pt")
    with pytest.raises(EncoderError, match=r"visual\.positional_embedding \[10, 64\] instead of \[17, 64\]"):
        load(folder, tmp_path / "small.pt")
