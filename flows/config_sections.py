"""The sections of the configuration: every value that can be set, with its default and its bounds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from sensorloom.align.rules import RULES, tune
from sensorloom.flows.pages.rules import RULE_WORDS

__all__ = ["Config", "RuleConfig", "ViewConfig", "changes_of", "waivers_of"]


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


class RuleConfig(_Section):
    """Changes to one rule: of the audit itself, or of what ingest, alignment and build found before."""

    severity: Literal["off", "note", "warning", "error"] | None = None
    """`off` switches the rule off; an error that is known and put up with is a `note`, and stops no gate."""
    threshold: float | None = None
    """Where a rule of the audit itself draws its line, in its own unit (docs/audit-json.md lists the rules)."""


class AuditConfig(_Section):
    """The report."""

    out: str = "report"
    fail_on: Literal["error", "warning", "never"] = "never"
    """`audit` exits with 1 when a finding or leak of this severity stands."""
    gate_build: Literal["error", "warning", "never"] = "never"
    """`build` audits what it is about to publish, and publishes nothing where a finding of this severity stands."""
    take_pages: Annotated[int, Field(ge=0)] | Literal["all"] = 100
    """So many takes have a page of their own, the worst first; `all` gives every take one."""
    rules: dict[str, RuleConfig] = {}
    """Changes to single rules, by their id; of those that the audit does not judge itself, to the severity alone."""

    @field_validator("rules")
    @classmethod
    def _are_rules(cls, rules: dict[str, RuleConfig]) -> dict[str, RuleConfig]:
        for identity, rule in rules.items():
            if identity not in RULES:
                _check_waiver(identity, rule)
        tune(changes_of(rules))
        return rules


def changes_of(rules: Mapping[str, RuleConfig]) -> dict[str, dict[str, float | str]]:
    """Return what was changed of each rule of the audit itself, as `tune` takes it."""
    own = {identity: rule for identity, rule in rules.items() if identity in RULES}
    return {identity: rule.model_dump(exclude_none=True) for identity, rule in own.items()}


def waivers_of(rules: Mapping[str, RuleConfig]) -> dict[str, str]:
    """Return the severity that was given to each rule whose findings stand in the store already."""
    return {
        identity: rule.severity
        for identity, rule in rules.items()
        if identity not in RULES and rule.severity is not None
    }


def _check_waiver(identity: str, rule: RuleConfig) -> None:
    if identity not in RULE_WORDS:
        nearest = get_close_matches(identity, [*RULES, *RULE_WORDS], n=1, cutoff=0.4)
        meant = f"; did you mean {nearest[0]}?" if nearest else ""
        raise ValueError(f"audit.rules.{identity}: there is no such rule{meant}")
    if rule.threshold is not None:
        raise ValueError(
            f"audit.rules.{identity}.threshold = {rule.threshold:g}: where this rule draws its line was settled when"
            " takes were ingested or views built; only its severity can be changed here"
        )


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
