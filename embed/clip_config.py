"""What the configuration of a model in a folder may say: shapes and numbers, but no code and no other place.

A folder may come from anybody. open_clip hands parts of its configuration on to timm and transformers, which would
fetch what is named there, and could run Python code that comes with a tokenizer (`trust_remote_code`, `auto_map`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from sensorloom.embed.errors import EncoderError

__all__ = ["CONFIG_NAME", "read_config", "tokenizer_digest"]

CONFIG_NAME = "open_clip_config.json"

# Of open_clip's tokenizers those options that only tell how to treat texts.
_TOKENIZER_OPTIONS = ("clean", "language", "strip_sep_token")
_ON_CODE = ("auto_map", "code_revision", "trust_remote_code")
_ON_FILES = ("merges_file", "tokenizer_file", "vocab_file")
_READ_WITH_TOKENIZER = ("config.json", "tokenizer_config.json")
# As transformers saves tokenizers and finds them again.
_TOKENIZER_FILES = (
    "config.json", "*token*.json", "vocab*", "merges*", "*.model", "*.spm", "*.bpe", "*.tiktoken",
)  # fmt: skip


def read_config(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return model_cfg and preprocess_cfg of the model in `folder`.

    Raises `EncoderError`, naming file and key, where they are broken, or name code or another place.
    """
    path = folder / CONFIG_NAME
    config = _read_json(path)
    parts = [
        config.get(key, {}) if isinstance(config, dict) else None for key in ("model_cfg", "preprocess_cfg")
    ]
    architecture, preprocess = parts
    if not isinstance(architecture, dict) or not architecture or not isinstance(preprocess, dict):
        raise EncoderError(
            f"{path}: must hold the objects model_cfg and preprocess_cfg, as open_clip saves them"
        )
    _check_architecture(path, architecture)
    if _text(architecture).get("hf_tokenizer_name"):
        _check_tokenizer(folder)
    return architecture, preprocess


def tokenizer_digest(folder: Path, sha256_of: Callable[[Path], str]) -> str:
    """Return the sha256 of the names and digests of all files of the tokenizer in `folder`, empty without any."""
    paths = {path for pattern in _TOKENIZER_FILES for path in folder.glob(pattern) if path.is_file()}
    lines = [f"{path.name} {sha256_of(path)}\n" for path in sorted(paths)]
    return hashlib.sha256("".join(lines).encode()).hexdigest() if lines else ""


def _check_architecture(path: Path, architecture: Mapping[str, Any]) -> None:
    options = _text(architecture).get("tokenizer_kwargs") or {}
    for key in options if isinstance(options, Mapping) else [repr(options)]:
        if key not in _TOKENIZER_OPTIONS:
            _refuse(
                path,
                f"model_cfg.text_cfg.tokenizer_kwargs.{key}",
                f"is no option that may be set here; there are {', '.join(_TOKENIZER_OPTIONS)}",
            )
    for where, key, value in _items(architecture, "model_cfg"):
        if key in _ON_CODE:
            _refuse(path, where, "lets code of others run")
        if key == "hf_model_name" and value:
            _refuse(
                path, where, f"takes the text tower from elsewhere ({value!r}); use a model that open_clip knows"
                " by name, and give the weights of the folder as pretrained",
            )  # fmt: skip
        if isinstance(value, str) and ":" in value:
            _refuse(path, where, f"names another place ({value!r})")


def _check_tokenizer(folder: Path) -> None:
    for path in map(folder.joinpath, _READ_WITH_TOKENIZER):
        if not path.is_file():
            continue
        for where, key, value in _items(_read_json(path), ""):
            if key in _ON_CODE:
                _refuse(path, where, "lets code of others run")
            if key in _ON_FILES and value:
                _refuse(path, where, f"names another file ({value!r}); those in the folder are taken")


def _refuse(path: Path, key: str, why: str) -> None:
    raise EncoderError(
        f"{path}: {key} {why}. A model in a folder may name no code and no other place; nothing of it was run. Remove"
        " the key if the model does without"
    )


def _text(architecture: Mapping[str, Any]) -> Mapping[str, Any]:
    text = architecture.get("text_cfg")
    return text if isinstance(text, Mapping) else {}


def _items(value: object, where: str) -> Iterator[tuple[str, str, object]]:
    """Yield path, key and value of all that `value` holds, at any depth; items of a list go by its key."""
    pending = [(where, where, value)]
    while pending:
        where, key, value = pending.pop()
        yield where, key, value
        if isinstance(value, dict):
            pending += [(f"{where}.{name}".lstrip("."), name, inner) for name, inner in value.items()]
        elif isinstance(value, list):
            pending += [(f"{where}[{number}]", key, inner) for number, inner in enumerate(value)]


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise EncoderError(f"{path}: cannot be read as JSON: {error}") from error
