"""The door to open_clip: find a model, tell what it is, load it.

Importing open_clip takes seconds, so it is imported where it is used: a model in a folder is identified without it.
"""

from __future__ import annotations

import difflib
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sensorloom.embed.clip_config import CONFIG_NAME, tokenizer_digest
from sensorloom.embed.clip_identity import check_same, describe, random_weights
from sensorloom.embed.clip_source import (
    ClipSource,
    folder_source,
    is_path,
    model_folder,
    random_seed,
    slug,
    weights_file,
)
from sensorloom.embed.encoder import Encoder, EncoderSpec, Identity
from sensorloom.embed.errors import EncoderError
from sensorloom.ingest.digest import file_digest

__all__ = ["identify", "load_encoder"]

_PREPROCESS_KEYS: Final = ("mean", "std", "interpolation", "resize_mode")


def identify(spec: EncoderSpec, *, sha256_of: Callable[[Path], str]) -> Identity:
    """Return what `spec` stands for, without loading it; `sha256_of` digests a file.

    A tag is looked up in the local cache of huggingface_hub and fetched where it is not there.
    Raises `EncoderError` for a model or tag that is not known, listing those that are, for weights that are missing or
    cannot be fetched, and for a configuration that is broken or, in a folder, names code or another place.
    """
    return _identity_of(spec, _find(spec), sha256_of)


def load_encoder(identity: Identity, *, device: str, batch_size: int | None) -> Encoder:
    """Load the encoder that was identified on `device`: `auto`, `cpu`, `cuda` or `cuda:N`.

    Without `batch_size` it is 32 on the CPU, and on a GPU the largest that memory allows, found by trial from 256 down:
    how full the GPU is then decides the lowest bits of vectors. Give a batch size for equal bytes.
    Weights below fp32 are cast as open_clip casts them (LayerNorm stays in float32). On the CPU bf16 is as fast as the
    processor has instructions for it, and fp16 is slow.
    Raises `DeviceError` where the device is not there, cannot do the precision, or is too small for one picture;
    `EncoderError` where weights, configuration or libraries are others than those identified, or the weights are
    damaged, would run code, or are those of another model or activation.
    """
    from sensorloom.embed.clip_encoder import ClipEncoder, Tower
    from sensorloom.embed.devices import check_precision, resolve_device

    where = resolve_device(device)
    check_precision(where, identity.spec.precision)
    source = _find(identity.spec)
    check_same(_identity_of(identity.spec, source, _sha256_of), identity)
    model = _build(source, identity)
    if isinstance(source.weights, Path):
        _fill(model, source, source.weights, identity)
    model = model.to(where).eval().requires_grad_(False)
    return ClipEncoder(identity, Tower(model, _tokenizer(source), where), batch_size=batch_size)


def _identity_of(spec: EncoderSpec, source: ClipSource, sha256_of: Callable[[Path], str]) -> Identity:
    weights = random_weights(source.weights) if isinstance(source.weights, int) else sha256_of(source.weights)
    return describe(spec, source, weights, _tokenizer_name(source, sha256_of))


def _sha256_of(path: Path) -> str:
    return file_digest(path).sha256


def _find(spec: EncoderSpec) -> ClipSource:
    folder = model_folder(spec.model)
    return _named_source(spec) if folder is None else folder_source(spec, folder)


def _named_source(spec: EncoderSpec) -> ClipSource:
    """Return a model that open_clip knows by name, with the weights that `spec` names."""
    import open_clip

    model = spec.model.replace("/", "-")
    architecture = open_clip.get_model_config(model)
    if architecture is None:
        raise EncoderError(_no_such_model(spec.model, open_clip.list_models()))
    tags = open_clip.list_pretrained_tags_by_model(model)
    seed = random_seed(spec.pretrained)
    if seed is not None:
        return ClipSource(f"{slug(model)}.random-{seed}", model, architecture, _common(model, tags), seed)
    config = open_clip.get_pretrained_cfg(model, spec.pretrained)
    if config:
        # A tag tells which activation it was trained with; without it the weights would give other vectors.
        if config.get("quick_gelu"):
            architecture["quick_gelu"] = True
        label = f"{slug(model)}.{slug(spec.pretrained)}"
        return ClipSource(label, model, architecture, _preprocess_of(config), _weights_of_tag(spec, config))
    if spec.pretrained and is_path(spec.pretrained):
        path = weights_file(spec.pretrained)
        return ClipSource(f"{slug(model)}.{slug(path.stem)}", model, architecture, _common(model, tags), path)
    raise EncoderError(_no_such_tag(spec, tags))


def _no_such_model(model: str, known: list[str]) -> str:
    by_lower = {name.lower(): name for name in known}
    near = [by_lower[name] for name in difflib.get_close_matches(model.lower(), by_lower, n=5, cutoff=0.5)]
    hint = f"the nearest are {', '.join(near)}" if near else f"such as {', '.join(known[:5])}"
    return (
        f"model {model!r} is not known: open_clip has {len(known)}, {hint}; besides there are local-dir:FOLDER and"
        " generated"
    )


def _no_such_tag(spec: EncoderSpec, tags: list[str]) -> str:
    asked = f"has no weights {spec.pretrained!r}" if spec.pretrained else "needs to be told which weights"
    listed = f"its tags are {', '.join(tags)}" if tags else "it has no tags"
    return f"model {spec.model} {asked}: {listed}; besides there are the path of a weights file, and random[:SEED]"


def _preprocess_of(config: Mapping[str, Any]) -> dict[str, Any]:
    return {key: config[key] for key in _PREPROCESS_KEYS if key in config}


def _common(model: str, tags: list[str]) -> dict[str, Any]:
    """Return the preprocessing of a model whose weights are no tag: that of its tags where they are of one mind.

    So weights of SigLIP in a file get SigLIP's; a plain open_clip gives them that of OpenAI's CLIP.
    """
    import open_clip

    known = [_preprocess_of(open_clip.get_pretrained_cfg(model, tag)) for tag in tags]
    return known[0] if known and all(other == known[0] for other in known) else {}


def _weights_of_tag(spec: EncoderSpec, config: Mapping[str, Any]) -> Path:
    """Return the cached file of a tag, fetched first where it is not there.

    open_clip alone would try for most of a minute where there is no network, so that is asked first, once.
    """
    import huggingface_hub
    import open_clip

    repo, _, name = str(config.get("hf_hub", "")).rpartition("/")
    for file in _names_of(name):
        cached = huggingface_hub.try_to_load_from_cache(repo, file)
        if isinstance(cached, str):
            return Path(cached)
    try:
        huggingface_hub.HfApi().model_info(repo, timeout=10)
        with _quiet():
            return Path(open_clip.download_pretrained(dict(config)))
    except Exception as error:  # of the network: any client's own errors
        raise EncoderError(
            f"the weights {spec.pretrained!r} of {spec.model} are not in the cache of huggingface_hub and cannot be"
            f" fetched from {repo} ({type(error).__name__}: {error}). With network run `hf download {repo}`, here or"
            " elsewhere and copy ~/.cache/huggingface; or give the path of a weights file as pretrained"
        ) from error


def _names_of(name: str) -> tuple[str, ...]:
    """Return the files that open_clip would take for `name` of a repository, best first."""
    if not name:
        return ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
    stem, _, suffix = name.rpartition(".")
    return (f"{stem}.safetensors", name) if suffix in ("bin", "pth") else (name,)


def _build(source: ClipSource, identity: Identity) -> Any:
    """Build the model with random weights, of the seed where there is one; the caller's random state stays."""
    import open_clip
    import torch

    seed = source.weights if isinstance(source.weights, int) else 0
    try:
        with _quiet(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return open_clip.create_model(
                source.model,
                load_weights=False,
                precision=identity.spec.precision,
                force_quick_gelu=bool(source.architecture.get("quick_gelu")),
                pretrained_text=False,
            )
    except Exception as error:  # of open_clip, timm or transformers: a configuration may be wrong in any way
        raise EncoderError(
            f"open_clip cannot build {identity.name} ({type(error).__name__}: {error}); check its model_cfg, and that"
            " the packages that it asks for are installed"
        ) from error


def _fill(model: Any, source: ClipSource, path: Path, identity: Identity) -> None:
    """Give `model` the weights of `path`, all of them or none."""
    from open_clip.convert import convert_state_dict
    from open_clip.model import convert_to_custom_text_state_dict

    from sensorloom.embed.clip_weights import check_fits, read_weights, to_open_clip

    checkpoint = read_weights(path)
    try:
        weights = convert_state_dict(model, to_open_clip(checkpoint.weights))
    except Exception as error:  # weights of MobileCLIP meet a model that is none
        raise EncoderError(
            f"{path}: is not a checkpoint of {identity.name}, but of MobileCLIP ({type(error).__name__}: {error})"
        ) from error
    if "positional_embedding" in weights and not hasattr(model, "positional_embedding"):
        weights = convert_to_custom_text_state_dict(weights)
    own = model.state_dict()
    check_fits(weights, own, path, identity.name)
    if checkpoint.quick_gelu_of and not source.architecture.get("quick_gelu"):
        raise EncoderError(_other_activation(checkpoint.quick_gelu_of, source, path))
    fitting = {key: value for key, value in weights.items() if key in own and value.shape == own[key].shape}
    model.load_state_dict(fitting, strict=False)


def _other_activation(author: str, source: ClipSource, path: Path) -> str:
    remedy = (
        f"name the model {source.model}-quickgelu"
        if source.folder is None
        else f'set "quick_gelu": true in model_cfg of {source.folder / CONFIG_NAME}'
    )
    return (
        f"{path}: are weights of {author}, trained with QuickGELU, which {source.model} does not compute: its vectors"
        f" would be others; {remedy}"
    )


def _transformers_name(source: ClipSource) -> str | None:
    """Return the name of the tokenizer of transformers that open_clip would take, None where it takes its own."""
    text = source.architecture.get("text_cfg", {})
    name = text.get("hf_tokenizer_name") if isinstance(text, Mapping) else None
    return str(name) if name else None


def _tokenizer_name(source: ClipSource, sha256_of: Callable[[Path], str]) -> str:
    """Return what tells the tokenizer apart; that of a folder lies in it, and is told by all its files."""
    name = _transformers_name(source)
    if name is None:
        return "open_clip SimpleTokenizer"
    digest = tokenizer_digest(source.folder, sha256_of) if source.folder else ""
    return f"{name} {digest}".rstrip()


def _tokenizer(source: ClipSource) -> Any:
    """Load the tokenizer; one of transformers may run no code but its own, whatever stands in its files."""
    import open_clip

    is_of_transformers = _transformers_name(source) is not None
    try:
        with _quiet():
            options = {"trust_remote_code": False} if is_of_transformers else {}
            return open_clip.get_tokenizer(source.model, **options)
    except Exception as error:  # of transformers, or of the network
        raise EncoderError(
            f"the tokenizer of {source.model} cannot be loaded ({type(error).__name__}: {error}); it needs the package"
            " transformers, and its files in the cache of huggingface_hub"
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep back what open_clip tells the root logger, which is meant for training ("initialized randomly")."""
    root, silent = logging.getLogger(), logging.NullHandler()

    def keeps(record: logging.LogRecord) -> bool:
        return "open_clip" not in record.pathname or record.levelno >= logging.ERROR

    root.addHandler(silent)  # without one, logging.warning would set up printing for good
    root.addFilter(keeps)
    try:
        yield
    finally:
        root.removeFilter(keeps)
        root.removeHandler(silent)
