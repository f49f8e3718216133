"""From raw trees to built views in one go: ingest, embed, build, each doing only what is left."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from sensorloom.flows.config import Config
from sensorloom.flows.embedding import embed_store
from sensorloom.flows.errors import ConfigError, RunError
from sensorloom.flows.runs import build_views, ingest_dataset
from sensorloom.flows.work import Progress

__all__ = ["Stages", "check_raw", "prepare"]

Stages = Callable[[str], AbstractContextManager[Progress]]
"""Opens what shows the progress of a stage by its title."""


def check_raw(raw: Path, datasets: Sequence[str]) -> dict[str, Path]:
    """Return the folder of each of `datasets` below `raw`. Raises ConfigError where one is not there."""
    missing = [name for name in datasets if not (raw / name).is_dir()]
    if missing:
        raise ConfigError(
            f"--raw {raw} lacks {' and '.join(missing)}; it must hold one folder for each data set that is needed "
            f"({', '.join(datasets)}), each as downloaded"
        )
    return {name: raw / name for name in datasets}


def prepare(
    config: Config, raw: Mapping[str, Path], views: Sequence[str], stages: Stages
) -> tuple[str, tuple[str, ...]]:
    """Ingest each data set from its folder, embed what is new, build `views`; return the snapshot and what went wrong.

    A take that cannot be read or embedded is told, and the others go on. Raises ConfigError where no encoder is chosen
    for recorded takes, RunError where nothing is left to build from.
    """
    told = []
    for name, folder in raw.items():
        with stages(f"ingest {name}") as on_progress:
            ingested = ingest_dataset(name, str(folder), config=config, on_progress=on_progress)
        told += [f"{failure.take_id}: {failure.message}" for failure in ingested.failed]
    with stages("embed") as on_progress:
        embedded = embed_store(config, on_progress=on_progress)
    told += [f"{failure.take_id}: {failure.message}" for failure in embedded.failed]
    build = config.build.model_copy(update={"encoder": config.build.encoder or embedded.encoder})
    with stages("build") as on_progress:
        built = build_views(
            list(views), config=config.model_copy(update={"build": build}), on_progress=on_progress
        )
    if built.snapshot_id is None:
        raise RunError(f"nothing of {', '.join(raw)} could be read, so there is nothing to train on")
    return built.snapshot_id, tuple(told)
