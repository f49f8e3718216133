"""Prefect flows: schedules, retries and a run page around the same runs that the command line starts.

They need no server. A flow plans nothing and moves no data; it calls tasks and hands on what they say of themselves.
"""

from __future__ import annotations

from pathlib import Path

from prefect import flow

from sensorloom.flows.errors import ConfigError, RunError
from sensorloom.flows.tasks import Facts, Settings, audit_task, build_task, embed_task, ingest_task
from sensorloom.ingest.reader import READERS

__all__ = ["audit_flow", "build_flow", "embed_flow", "ingest_flow", "nightly"]


@flow(flow_run_name="ingest {dataset}")
def ingest_flow(dataset: str, raw: str, store: str, engine: str = "serial") -> Facts:
    """Ingest the data set under `raw` into `store`."""
    return ingest_task(dataset, raw, _settings(store, engine))


@flow
def embed_flow(store: str, engine: str = "serial") -> Facts:
    """Embed frames and texts of `store` with the encoder that the configuration chooses."""
    return embed_task(_settings(store, engine))


@flow
def build_flow(views: list[str], store: str, engine: str = "serial") -> Facts:
    """Build `views` in `store`; none named means all whose data is there."""
    return build_task(views, _settings(store, engine))


@flow
def audit_flow(store: str, view: str | None = None, out: str = "report", fail_on: str = "never") -> Facts:
    """Write the report of `store` to `out`; the flow fails where the gate does."""
    return _gated(audit_task(view, out, fail_on, _settings(store, "serial")))


@flow
def nightly(
    raw: str, store: str, engine: str = "serial", out: str = "report", fail_on: str = "never"
) -> Facts:
    """Ingest every data set that has a folder in `raw`, embed, build every view, write the report.

    Nothing is embedded where no encoder is chosen for recorded takes. Takes that cannot be read are findings, not
    failures. Raises `ConfigError` where `raw` holds no data set, and `RunError` where the gate fails.
    """
    settings = _settings(store, engine)
    names = [name for name in READERS if (Path(raw) / name).is_dir()]
    if not names:
        raise ConfigError(
            f"{raw} holds no folder named {' or '.join(READERS)}; give the parent of the data sets' folders"
        )
    ingested = {name: ingest_task(name, str(Path(raw) / name), settings) for name in names}
    embedded = embed_task(settings, only_if_chosen=True)
    if "encoder" in embedded:
        settings = {"build.encoder": embedded["encoder"], **settings}
    built = build_task([], settings)
    audited = _gated(audit_task(None, out, fail_on, settings))
    return {"ingest": ingested, "embed": embedded, "build": built, "audit": audited}


def _settings(store: str, engine: str) -> Settings:
    return {"store.url": store, "engine.spec": engine}


def _gated(audited: Facts) -> Facts:
    if audited["gate_failed"]:
        raise RunError(f"the gate failed for {audited['gate_failed']} reasons; see {audited['page']}")
    return audited
