"""What the audit finds in one view's rows and tensors: vectors, texts, copies, what its splits share, and chance."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from hashlib import sha256
from typing import Any, cast

import polars as pl

from sensorloom.align.leakage import Leak, tell_leaks
from sensorloom.align.rules import Rule
from sensorloom.align.text_quality import find_texts
from sensorloom.embed.shuffles import Agreement, judge_views
from sensorloom.embed.view_health import ViewArrays, ViewHealth, check_view
from sensorloom.flows.audit.report_vectors import AgreementFacts, ChanceFacts, EncoderFacts, HealthFacts
from sensorloom.flows.audit.rows import WindowRows
from sensorloom.ingest.take import Finding
from sensorloom.store.arrays import ArrayShard
from sensorloom.store.manifest import Shard
from sensorloom.store.repository import Repository
from sensorloom.training.chance import split_chance

__all__ = ["ViewAudit", "ViewTask", "agreement_facts", "audit_view", "health_facts", "judge_together"]

_DIGITS = 4


@dataclass(frozen=True, slots=True)
class ViewTask:
    """What a worker needs to check one view: its shards of rows and of tensors, of the same keys in the same order."""

    store_url: str
    view: str
    windows: tuple[Shard, ...]
    tensors: tuple[Shard, ...]
    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class ViewAudit:
    """What was found of one view; `findings` tell of its leaks too."""

    health: ViewHealth
    findings: tuple[Finding, ...]
    encoder: EncoderFacts | None
    chance: tuple[ChanceFacts, ...]

    @property
    def leaks(self) -> tuple[Leak, ...]:
        """What its splits share."""
        return self.health.leaks


def audit_view(task: ViewTask) -> ViewAudit:
    """Check one view. Raises `ValueError` where its rows and tensors are not of one number of windows."""
    repo, rules = Repository.open(task.store_url), {rule.id: rule for rule in task.rules}
    rows = WindowRows(_frame(repo, task.windows))
    first = repo.open_arrays(task.tensors[0])
    attributes = cast("Mapping[str, Any]", first.attributes)
    arrays = ViewArrays(
        task.view,
        [partial(_open, task.store_url, shard) for shard in task.tensors],
        tuple(attributes.get("video_slots") or ()),
        tuple(attributes.get("text_sources") or ()),
    )
    health = check_view(arrays, rows, rules)
    findings = (
        *health.findings,
        *tell_leaks(task.view, health.leaks, rules),
        *find_texts(task.view, rows, rules),
    )
    retrieves = "video" in first or "text_vectors" in first
    chance = split_chance(rows, num_classes=len(attributes["view"]["classes"]), retrieves=retrieves)
    return ViewAudit(health, findings, _encoder(first), tuple(ChanceFacts(**asdict(one)) for one in chance))


def judge_together(audits: Sequence[ViewAudit], rules: Mapping[str, Rule]) -> tuple[Finding, ...]:
    """Return findings on views whose texts tell nothing, where another view of the same encoder shows that they can."""
    encoders = sorted({audit.encoder.name for audit in audits if audit.encoder is not None})
    found: list[Finding] = []
    for encoder in encoders:
        of_encoder = [
            audit for audit in audits if audit.encoder is not None and audit.encoder.name == encoder
        ]
        agreements = {audit.health.view: audit.health.agreement for audit in of_encoder}
        found += judge_views(agreements, rules)
    return tuple(found)


def health_facts(audit: ViewAudit) -> tuple[HealthFacts, ...]:
    """Return how the vectors of each column spread."""
    names = HealthFacts.__dataclass_fields__
    return tuple(HealthFacts(**_told(measured, names)) for measured in audit.health.vectors)


def agreement_facts(audit: ViewAudit) -> tuple[AgreementFacts, ...]:
    """Return how the texts of each source go with the video."""
    return tuple(_agreement(agreed) for agreed in audit.health.agreement)


def _agreement(agreed: Agreement) -> AgreementFacts:
    return AgreementFacts(**_told(agreed, AgreementFacts.__dataclass_fields__))


def _told(measured: object, names: Iterable[str]) -> dict[str, Any]:
    """Return what was measured, by name, to as many digits as half-precision vectors have to tell."""
    values = ((name, getattr(measured, name)) for name in names)
    return {name: round(value, _DIGITS) if isinstance(value, float) else value for name, value in values}


def _frame(repo: Repository, shards: Sequence[Shard]) -> pl.DataFrame:
    frames = [pl.DataFrame(pl.from_arrow(repo.read_table(shard))) for shard in shards]
    return pl.concat(frames, how="diagonal")


def _open(store_url: str, shard: Shard) -> ArrayShard:
    return Repository.open(store_url).open_arrays(shard)


def _encoder(shard: ArrayShard) -> EncoderFacts | None:
    name = cast("str | None", shard.attributes.get("encoder"))
    if name is None:
        return None
    # Older versions wrote the digest alone.
    told = cast("Mapping[str, Any] | str | None", shard.attributes.get("fingerprint"))
    fingerprint = told if isinstance(told, Mapping) else {}
    digest = (
        told
        if isinstance(told, str)
        else sha256(json.dumps(fingerprint, sort_keys=True).encode()).hexdigest()
    )
    vectors = next((shard[column] for column in ("video", "text_vectors") if column in shard), None)
    return EncoderFacts(
        name=name,
        model=str(fingerprint.get("weights", "")),
        fingerprint=digest,
        dimensions=0 if vectors is None else vectors.shape[-1],
    )
