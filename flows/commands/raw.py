"""What `--raw` is to commands over all data sets: the parent of their folders."""

from __future__ import annotations

from pathlib import Path

from sensorloom.flows.errors import ConfigError

__all__ = ["DATASETS", "dataset_folders", "videos_folder"]

DATASETS = ("pamap2", "realworld", "ego4d", "egoexo4d")


def dataset_folders(raw: str) -> list[tuple[str, Path]]:
    """Return name and folder of every data set under `raw`; raises `ConfigError` where there is none."""
    found = [(name, Path(raw) / name) for name in DATASETS if (Path(raw) / name).is_dir()]
    if not found:
        raise ConfigError(
            f"--raw {raw} holds no folder named {' or '.join(DATASETS)}; give the parent of the data sets'"
            " folders, or use `sensorloom ingest DATASET --raw DIR`"
        )
    return found


def videos_folder(raw: str) -> Path:
    """Return the folder under which the audit looks for videos; raises `ConfigError` where it is not there."""
    if not Path(raw).is_dir():
        raise ConfigError(
            f"--raw {raw} is no folder; give the parent of the data sets' folders ({', '.join(DATASETS)}), or leave"
            " it out to have a report without frames"
        )
    return Path(raw)
