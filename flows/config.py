"""One strict TOML, every value with a default, every value settable on the command line.

An empty file (or none) is a useful configuration. Unknown keys are refused with the nearest known one.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from sensorloom.align.rules import Rule, tune
from sensorloom.flows.config_sections import (
    Config,
    RuleConfig,
    StoreConfig,
    ViewConfig,
    changes_of,
    waivers_of,
)
from sensorloom.flows.errors import ConfigError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

__all__ = [
    "DEFAULT_PATH",
    "Config",
    "StoreConfig",
    "audit_rules",
    "known_keys",
    "load_config",
    "split_settings",
    "waivers",
]

DEFAULT_PATH = Path("sensorloom.toml")


def load_config(path: Path | None = None, overrides: Mapping[str, str] | None = None) -> Config:
    """Return the configuration of `path` (default `./sensorloom.toml` if there) with `section.key` overrides on top.

    An override is read as a TOML value, and as a bare string where it is none (`store.url=/data/store`).
    Raises `ConfigError` that names the file, the key and, for an unknown one, the nearest known.
    """
    tree = _read_toml(path)
    origin = str(path or DEFAULT_PATH)
    for key, text in (overrides or {}).items():
        _set(tree, key, text)
    try:
        return Config.model_validate(tree)
    except ValidationError as error:
        raise ConfigError(_explain(error, origin, overrides or {})) from None


def _read_toml(path: Path | None) -> dict[str, Any]:
    if path is None and not DEFAULT_PATH.exists():
        return {}
    source = path or DEFAULT_PATH
    try:
        return tomllib.loads(source.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read the configuration {source}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{source} is not valid TOML: {error}") from error


def _set(tree: dict[str, Any], dotted: str, text: str) -> None:
    *sections, key = dotted.split(".")
    for section in sections:
        tree = tree.setdefault(section, {})
        if not isinstance(tree, dict):
            raise ConfigError(f"cannot set {dotted}: {section} is a value, not a table")
    tree[key] = _parse_value(text)


def _parse_value(text: str) -> object:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _explain(error: ValidationError, origin: str, overrides: Mapping[str, str]) -> str:
    """Return a line for each key that is wrong, with all that it may be where there are several things."""
    lines: dict[str, list[str]] = {}
    for problem in error.errors(include_url=False):
        is_unknown = problem["type"] == "extra_forbidden"
        dotted = ".".join(map(str, problem["loc"] if is_unknown else _key(problem["loc"])))
        place = "on the command line" if _is_overridden(dotted, overrides) else f"in {origin}"
        if is_unknown:
            lines[f"unknown key {dotted!r} {place}{_nearest(dotted)}"] = []
        else:
            lines.setdefault(f"{dotted} = {problem['input']!r} {place}: ", []).append(_words(problem))
    return "\n".join(line + ", or ".join(dict.fromkeys(words)) for line, words in lines.items())


def _key(place: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """Cut the place of a problem behind the key that was set: what else pydantic names there is a type it tried."""
    leaves = set(known_keys())
    for length in range(1, len(place)):
        is_leaf = _generic(".".join(map(str, place[:length]))) in leaves - _TABLES
        if is_leaf and isinstance(place[length], str):
            return place[:length]
    return place


def _is_overridden(dotted: str, overrides: Mapping[str, str]) -> bool:
    """Tell whether a key, or the item or table it stands in, was set by an override."""
    parts = dotted.split(".")
    return any(".".join(parts[:length]) in overrides for length in range(1, len(parts) + 1))


def _words(problem: ErrorDetails) -> str:
    if problem["type"] in ("model_type", "dict_type"):
        return "must be a table of keys"
    said = problem["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    return said[:1].lower() + said[1:]


def _nearest(dotted: str) -> str:
    head, _, _ = dotted.rpartition(".")
    siblings = [key for key in known_keys() if key.rpartition(".")[0] == _generic(head)]
    near = difflib.get_close_matches(_generic(dotted), known_keys(), n=1, cutoff=0.6)
    table = next((table for table in _NAMED if dotted.startswith(f"{table}.")), None)
    named = "" if table is None else dotted.removeprefix(f"{table}.").split(".")[0]
    listing = f" Known here: {', '.join(key.rpartition('.')[2] for key in siblings)}." if siblings else ""
    return (f"; did you mean {near[0].replace('<name>', named)!r}?" if near else ".") + listing


def _generic(dotted: str) -> str:
    """Replace the name of a view or a rule by `<name>`, as `known_keys` writes it."""
    for table in _NAMED:
        if dotted.startswith(f"{table}."):
            _, _, rest = dotted.removeprefix(f"{table}.").partition(".")
            return f"{table}.<name>.{rest}" if rest else f"{table}.<name>"
    return dotted


def split_settings(settings: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Part `--set` settings into those of the configuration (dotted keys) and those of a recipe (bare keys)."""
    dotted = {key: value for key, value in settings.items() if "." in key}
    return dotted, {key: value for key, value in settings.items() if "." not in key}


def audit_rules(config: Config) -> Mapping[str, Rule]:
    """Return the rules of the audit as `[audit.rules]` changes them."""
    return tune(changes_of(config.audit.rules))


def waivers(config: Config) -> Mapping[str, str]:
    """Return the severity that `[audit.rules]` gives to findings of ingest, alignment and build, by their rule."""
    return waivers_of(config.audit.rules)


def known_keys() -> list[str]:
    """List every key that may be set, dotted; the name of a view or a rule stands as `<name>`."""
    return list(_walk(Config, ""))


_NAMED: Mapping[str, type[BaseModel]] = {"views": ViewConfig, "audit.rules": RuleConfig}
"""Tables of tables: what stands under each name."""


_TABLES = {*_NAMED, *Config.model_fields}
"""Keys that hold further keys."""


def _walk(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        dotted = prefix + name
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield dotted
            yield from _walk(field.annotation, dotted + ".")
        elif dotted in _NAMED:
            yield dotted
            yield from _walk(_NAMED[dotted], f"{dotted}.<name>.")
        else:
            yield dotted
