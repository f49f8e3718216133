"""What a run folder says about itself: `config.json`, written once when the run begins."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from sensorloom import __version__
from sensorloom.training.configs import RunConfig, config_from_json, config_to_json
from sensorloom.training.errors import NoRunError, RunError
from sensorloom.training.replacing import write_whole

__all__ = ["RunRecord", "earlier_record", "environment", "load_record", "read_record", "save_record"]

_FILE = "config.json"
_VERSION = 1
_NAMED = 5
"""Of runs below a folder that is none, so many are named."""
_FILLED_IN = "start_from_sha256"
"""A setting that a run fills in when it begins, so it may be left open when it resumes."""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """The configuration of a run, the exact data it reads and the environment it began in.

    `window_shape` is (S, C, T); `classes` are names by label index; `parameters` counts the whole model.
    """

    config: RunConfig
    store: str
    snapshot_id: str
    classes: tuple[str, ...]
    window_shape: tuple[int, int, int]
    parameters: int
    environment: Mapping[str, Any]


def environment(device: torch.device) -> dict[str, Any]:
    """Return the versions, device and thread count that numbers can depend on."""
    return {
        "sensorloom": __version__,
        "torch": torch.__version__,
        "numpy": version("numpy"),
        "python": platform.python_version(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine(),
        "threads": torch.get_num_threads(),
    }


def save_record(run_dir: Path, record: RunRecord) -> None:
    """Write `config.json` of a new run."""
    run_dir.mkdir(parents=True, exist_ok=True)
    body = {"version": _VERSION, **asdict(record), "config": config_to_json(record.config)}
    text = json.dumps(body, indent=1, allow_nan=False)
    write_whole(run_dir / _FILE, text + "\n")


def load_record(run_dir: Path) -> RunRecord | None:
    """Read `config.json` of a run, None if the folder has none.

    Raises RunError if it is malformed, RecipeError if its configuration is.
    """
    path = run_dir / _FILE
    if not path.exists():
        return None
    names = {item.name for item in fields(RunRecord)}
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"cannot read {path}: {error}; start the run anew in another folder") from error
    if not isinstance(body, dict) or set(body) != {"version", *names} or body["version"] != _VERSION:
        raise RunError(
            f"{path} is not a run of this sensorloom (version {_VERSION} with {', '.join(sorted(names))})"
        )
    del body["version"]
    wrong = sorted(name for name, is_right in _CHECKS.items() if not is_right(body[name]))
    if wrong:
        raise RunError(f"{path} is damaged: wrong values of {', '.join(wrong)}; start the run anew elsewhere")
    config, classes, shape = (
        config_from_json(body["config"]),
        tuple(body["classes"]),
        tuple(body["window_shape"]),
    )
    return RunRecord(**{**body, "config": config, "classes": classes, "window_shape": shape})


def read_record(run_dir: Path) -> RunRecord:
    """Read `config.json` of a run; raises NoRunError if the folder has none, and as `load_record`."""
    record = load_record(run_dir)
    if record is None:
        raise NoRunError(_no_run(run_dir))
    return record


def _no_run(run_dir: Path) -> str:
    """Say why a folder holds no run, and what to name instead: it does not exist, or has no `config.json`."""
    asked = "name the folder of a run, as `sensorloom train RECIPE --out DIR` makes it"
    if not run_dir.exists():
        return f"{run_dir} does not exist; {asked}"
    inside = sorted(path.parent.name for path in run_dir.glob("*/config.json"))
    more = f" and {len(inside) - _NAMED} more" if len(inside) > _NAMED else ""
    hint = f"runs in it: {', '.join(inside[:_NAMED])}{more}" if inside else asked
    return f"{run_dir} holds no run: it has no config.json; {hint}"


def earlier_record(config: RunConfig, run_dir: Path, *, resume: bool) -> RunRecord | None:
    """Return what the folder says of the run to resume, None if it holds none.

    Raises RunError if it holds one and `resume` is off, or if that had other settings than `config`.
    """
    earlier = load_record(run_dir)
    if earlier is None:
        return None
    if not resume:
        raise RunError(f"{run_dir} already holds a run; resume it, or choose another folder")
    there, here = config_to_json(earlier.config), config_to_json(config)
    if not here.get(_FILLED_IN):
        here.pop(_FILLED_IN, None)
    changed = [
        f"{key} was {there.get(key)!r} and is {here[key]!r}" for key in here if here[key] != there.get(key)
    ]
    if changed:
        raise RunError(
            f"the run in {run_dir} had other settings: {'; '.join(changed)}. Resume it with its own, "
            "or choose another folder"
        )
    return earlier


def _all_are(values: Any, kind: type) -> bool:
    return isinstance(values, list) and all(type(value) is kind for value in values)


_CHECKS: Mapping[str, Callable[[Any], bool]] = {
    "config": lambda value: isinstance(value, dict),
    "store": lambda value: isinstance(value, str),
    "snapshot_id": lambda value: isinstance(value, str),
    "classes": lambda value: _all_are(value, str),
    "window_shape": lambda value: _all_are(value, int) and len(value) == 3,
    "parameters": lambda value: type(value) is int,
    "environment": lambda value: isinstance(value, dict),
}
