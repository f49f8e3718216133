"""What the tables of a reproduction come from: raw trees, a store, and how its windows were made of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from sensorloom.flows.config import Config

__all__ = ["differences", "origin_of"]

_SECTIONS = ("align", "split", "embed", "build", "views")
_WITHOUT_EFFECT = {"embed": {"device", "batch_size"}}
"""Keys of a section that change no vector."""


def origin_of(config: Config, raw: Mapping[str, Path]) -> dict[str, Any]:
    """Return where the raw trees and the store lie, and a digest of each section that decides what is in windows."""
    url = config.store.url
    return {
        "raw": {name: str(folder.absolute()) for name, folder in raw.items()},
        "store": url if "://" in url else str(Path(url).absolute()),
        "sections": {name: _digest(config, name) for name in _SECTIONS},
    }


def differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """Return in words where two origins differ. Raises KeyError or TypeError for one of another form."""
    told = [
        f"the raw data of {name} was {there['raw'].get(name)} and is {folder}"
        for name, folder in here["raw"].items()
        if there["raw"].get(name) != folder
    ]
    if there["store"] != here["store"]:
        told.append(f"the store was {there['store']} and is {here['store']}")
    changed = [name for name, digest in here["sections"].items() if there["sections"][name] != digest]
    if changed:
        told.append(f"settings of {', '.join(f'[{name}]' for name in changed)} are not those of then")
    return told


def _digest(config: Config, section: str) -> str:
    told = config.model_dump(
        mode="json", include={section}, exclude={section: _WITHOUT_EFFECT.get(section, set())}
    )
    return sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
