"""One strict TOML, every value with a default, every value settable on the command line.

An empty file (or none) is a useful configuration. Unknown keys are refused with the nearest known one.
"""

from __future__ import annotations

import difflib
import math
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from sensorloom.flows.errors import ConfigError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

__all__ = ["DEFAULT_PATH", "Config", "known_keys", "load_config", "split_settings"]

DEFAULT_PATH = Path("sensorloom.toml")


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class StoreConfig(_Section):
    """Where the store is."""

    url: str = "sensorloom-store"
    """A directory, `file:///…`, `memory://name` or `s3://bucket/prefix` (keys and endpoint from `AWS_*`)."""
    ref: str = "main"
    """The ref that runs publish to and readers start from."""


class EngineConfig(_Section):
    """What runs the takes."""

    spec: str = "serial"
    """`serial`, `processes[:N]` or `dask[:ADDRESS]`."""


class AlignConfig(_Section):
    """How raw streams become the 200 Hz timeline. A change here recomputes every take."""

    max_gap_ms: Annotated[float, Field(gt=0, le=1000)] = 100.0
    """Samples further apart than this are never bridged."""
    upsampling: Literal["band_limited", "linear"] = "band_limited"
    """`linear` is AURA-MFM's choice for PAMAP2."""


_Share = Annotated[float, Field(ge=0, le=1)]


class SplitConfig(_Section):
    """How windows fall into train, val and test. A change here rewrites no tensor."""

    policy: Literal["by-user", "leave-one-subject-out", "random-windows", "by-take", "official"] = "by-user"
    """`random-windows` is the papers' 80/10/10 and leaks: windows of one participant stand on both sides."""
    seed: int = 0
    fractions: Annotated[tuple[_Share, _Share, _Share], Field(strict=False)] = (0.8, 0.1, 0.1)
    """Shares of train, val and test; they must add up to 1."""
    val: list[str] = []
    """Participants that are validation whatever their hash."""
    test: list[str] = []
    """Participants that are test whatever their hash; the one left out in `leave-one-subject-out`."""

    @field_validator("fractions")
    @classmethod
    def _adds_up(cls, fractions: tuple[float, float, float]) -> tuple[float, float, float]:
        if not math.isclose(sum(fractions), 1.0, abs_tol=1e-9):
            raise ValueError(f"train, val and test must add up to 1, these add up to {sum(fractions):g}")
        return fractions


class ViewConfig(_Section):
    """Changes to one named view, or with `datasets` and `positions` a new one."""

    datasets: list[str] | None = None
    positions: list[str] | None = None
    classes: list[str] | None = None
    length_s: Annotated[float, Field(gt=0, le=600)] | None = None
    stride_s: Annotated[float, Field(gt=0, le=600)] | None = None
    rate_hz: Literal[50, 100, 200] | None = None
    min_coverage: Annotated[float, Field(ge=0, le=1)] | None = None
    max_flat_s: Annotated[float, Field(gt=0)] | None = None
    retimed_is_valid: bool | None = None
    interpolated_is_valid: bool | None = None
    anchor: Literal["tiles", "texts", "mocap"] | None = None
    requires: list[Literal["imu", "video", "mocap", "text"]] | None = None
    cameras: list[str] | None = None
    texts: list[str] | None = None
    text_rule: Literal["own", "imu2clip", "aura"] | None = None
    leak_free: bool | None = None
    mocap: Literal["none", "world", "root-centred"] | None = None
    label_source: str | None = None
    class_words: list[Annotated[tuple[str, str], Field(strict=False)]] | None = None
    pooling: (
        Literal["mean-then-normalise", "normalise-mean-normalise", "middle", "first-middle-last"] | None
    ) = None
    """How a window's frames become one vector; PRIMUS, CLIP4Clip, and the two of AURA-MFM's code."""
    num_frames: Annotated[int, Field(ge=1)] | None = None
    """So many frames spread evenly over the window instead of all."""
    exo: Literal["separate", "best", "mean"] | None = None
    """A slot for each exo camera, or one for all."""
    imu_type: Literal["float32", "float16", "int16"] | None = None
    """How shards hold the IMU; float16 and int16 (with a scale for each window and channel) are half the bytes."""
    layout: Literal["plain", "compressed"] | None = None
    """`plain` is read in place; `compressed` has fewer bytes to fetch from cold disks and object stores."""


class EmbedConfig(_Section):
    """The frozen encoder of pictures and texts. All but device and batch size change its vectors."""

    model: str = "auto"
    """A model of open_clip (`ViT-B-32`), `local-dir:FOLDER`, `generated`, or `auto`: ViT-B-32 where `pretrained` is
    set, else the tiny generated model, which serves generated takes only."""
    pretrained: str = ""
    """A tag of the model (`openai`), a weights file, or `random[:SEED]`."""
    name: Annotated[str, Field(pattern=r"^([a-z0-9][a-z0-9._-]{0,99})?$")] = ""
    """Name of its vectors in the store; from the model and its weights where none is given."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    mode: Literal["model", "shortest", "longest", "squash"] = "model"
    """How pictures come to the model's shape; `model` is as it was trained."""
    resize: Literal["swscale", "pil"] = "swscale"
    """`pil` is the reference, slower; `swscale` scales inside the decoder, checked against it at every start."""
    device: str = "auto"
    """`auto`, `cpu`, `cuda` or `cuda:N`."""
    batch_size: Annotated[int, Field(ge=0, le=65536)] = 0
    """Pictures of one forward pass; 0 finds it by trial."""


class BuildConfig(_Section):
    """How views are built."""

    encoder: str = ""
    """Whose vectors to join, by name; not needed where the store has those of one encoder only."""


class AuditConfig(_Section):
    """The report."""

    out: str = "report"
    fail_on: Literal["error", "warning", "never"] = "never"
    """`audit` exits with 1 when a finding or leak of this severity stands."""


class TrainConfig(_Section):
    """Training jobs."""

    out: str = "runs"


class Config(_Section):
    """Everything that can be set. Sections are the tables of `sensorloom.toml`."""

    store: StoreConfig = StoreConfig()
    engine: EngineConfig = EngineConfig()
    align: AlignConfig = AlignConfig()
    split: SplitConfig = SplitConfig()
    embed: EmbedConfig = EmbedConfig()
    build: BuildConfig = BuildConfig()
    views: dict[str, ViewConfig] = {}
    audit: AuditConfig = AuditConfig()
    train: TrainConfig = TrainConfig()


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
    lines = []
    for problem in error.errors(include_url=False):
        dotted = ".".join(str(part) for part in problem["loc"])
        place = "on the command line" if _is_overridden(dotted, overrides) else f"in {origin}"
        if problem["type"] == "extra_forbidden":
            lines.append(f"unknown key {dotted!r} {place}{_nearest(dotted)}")
        else:
            lines.append(f"{dotted} = {problem['input']!r} {place}: {_words(problem)}")
    return "\n".join(lines)


def _is_overridden(dotted: str, overrides: Mapping[str, str]) -> bool:
    """Tell whether a key, or the item or table it stands in, was set by an override."""
    parts = dotted.split(".")
    return any(".".join(parts[:length]) in overrides for length in range(1, len(parts) + 1))


def _words(problem: ErrorDetails) -> str:
    if problem["type"] in ("model_type", "dict_type"):
        return "must be a table of keys"
    return problem["msg"].lower()


def _nearest(dotted: str) -> str:
    head, _, _ = dotted.rpartition(".")
    siblings = [key for key in known_keys() if key.rpartition(".")[0] == _generic(head)]
    near = difflib.get_close_matches(_generic(dotted), known_keys(), n=1, cutoff=0.6)
    view = dotted.split(".")[1] if dotted.startswith("views.") else ""
    listing = f" Known here: {', '.join(key.rpartition('.')[2] for key in siblings)}." if siblings else ""
    return (f"; did you mean {near[0].replace('<name>', view)!r}?" if near else ".") + listing


def _generic(dotted: str) -> str:
    """Replace the name of a view by `<name>`, as `known_keys` writes it."""
    parts = dotted.split(".")
    if parts[0] == "views" and len(parts) > 1:
        parts[1] = "<name>"
    return ".".join(parts)


def split_settings(settings: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Part `--set` settings into those of the configuration (dotted keys) and those of a recipe (bare keys)."""
    dotted = {key: value for key, value in settings.items() if "." in key}
    return dotted, {key: value for key, value in settings.items() if "." not in key}


def known_keys() -> list[str]:
    """List every key that may be set, dotted; a view's name stands as `<name>`."""
    return list(_walk(Config, ""))


def _walk(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        dotted = prefix + name
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield dotted
            yield from _walk(field.annotation, dotted + ".")
        elif name == "views":
            yield dotted
            yield from _walk(ViewConfig, "views.<name>.")
        else:
            yield dotted
