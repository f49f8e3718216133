"""Runs that an earlier call left in the folders of a series: kept where they are of the same settings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from sensorloom.flows.errors import ConfigError

if TYPE_CHECKING:
    from sensorloom.training.configs import RunConfig

__all__ = ["refuse_others"]


def refuse_others(out: Path, configs: Mapping[str, RunConfig]) -> None:
    """Raise ConfigError where a folder of the series, by its place below `out`, holds a run of other settings."""
    from sensorloom.training.configs import config_to_json
    from sensorloom.training.record import load_record

    for run, config in configs.items():
        record = load_record(out / run)
        if record is None:
            continue
        there, here = config_to_json(record.config), config_to_json(config)
        changed = [
            f"{key} was {there.get(key)!r} and is {here[key]!r}"
            for key in here
            if here[key] != there.get(key)
        ]
        if changed:
            raise ConfigError(
                f"{out / run} holds a run of other settings: {'; '.join(changed)}. Give those that it was begun with, "
                "or another folder by --out"
            )
