"""Settings of the preset `repo`: what the published code of a recipe does otherwise than its paper means. Pure.

Every row is of methods.md. What a preset does inside of an objective (τ, masks, queue, augmentations, statistics, which
coordinates of a pose) stands with that objective; here are the settings that a person could also give by `--set`. Other
settings are those of the recipe, among them `text=first` where windows are cut for their texts (§2.4, §6). Left out on
purpose are: that PRIMUS's queue goes on in validation (§1.4), that AURA's committed configurations read a tenth of each
epoch (§9), that `aura-mocap` and `aura-commentary` look for their best epoch after the hundredth alone (§2, table), and
that CroSSL stops early (§3).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from sensorloom.training.errors import RecipeError

__all__ = ["REPO", "preset_settings"]

_PLAIN = {"clip_norm": 0.0, "schedule": "constant"}
"""No published loop clips gradients; those of pretraining keep one learning rate (§1.6, §2 table, §3)."""
_PRIMUS = {
    **_PLAIN,
    "view": "primus-repo",  # text windows in whole seconds (§6)
    "gru_axis": "channel",  # §0 row 1
    "epochs": 15,
    "batch_size": 16,  # what one GPU contrasts, 15 negatives (§0 row 8); on four ranks 64, 16 of them each
    "learning_rate": 2e-4,  # Adam without weight decay (§1.6), which AdamW is at a decay of 0
    "weight_decay": 0.0,
    "best_by": "loss",
}
_AURA = {
    **_PLAIN,
    "residual": False,  # §0 row 10
    "pooling": "max",  # IMU2CLIP's third pooling, of 200 Hz windows (§0 row 2)
    "learning_rate": 1e-5,
}
_AURA_MFM = {
    **_AURA,
    "gru_axis": "time",  # this fork permutes (§0 row 14; §2, table)
    "epochs": 10,
    "batch_size": 64,
    "weight_decay": 0.0,
    "temperature": "raw",
}
_AURA_MFM_U = {
    **_AURA,
    "gru_axis": "channel",
    "epochs": 5000,
    "batch_size": 1024,
    "weight_decay": 1e-5,
    "amsgrad": True,
    "temperature": "fixed",  # its optimiser never gets τ (§2, table)
}
_CROSSL = {**_PLAIN, "epochs": 50, "batch_size": 8, "learning_rate": 1e-4, "weight_decay": 0.0}

REPO: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "primus": _PRIMUS,
        "imu2clip": {**_PRIMUS, "temperature": "raw"},  # §5.1
        "simclr": _PRIMUS,
        "multitask": {**_PLAIN, "encoder": "tpn", "best_by": "loss"},  # §5.3
        "aura-video": {**_AURA_MFM, "view": "aura-video-repo"},  # §0 row 13
        "aura-aad": {**_AURA_MFM, "view": "aura-aad-repo"},
        "aura-commentary": {**_AURA_MFM_U, "view": "aura-commentary-repo"},  # §0 row 12
        "aura-mocap": _AURA_MFM_U,
        "crossl-pamap2": _CROSSL,
        "crossl-realworld": _CROSSL,
        # Standard training of PRIMUS's comparison (§1.7): a linear head, best epoch by accuracy.
        "standard-realworld": {
            "clip_norm": 0.0,
            "gru_axis": "channel",
            "epochs": 20,
            "batch_size": 256,
            "learning_rate": 1e-4,
            "weight_decay": 1e-4,
            "best_by": "accuracy",
        },
        # AURA's rows "random" (§2.7), but for their head, which is of class texts.
        "standard-pamap2": {
            **_AURA,
            "gru_axis": "channel",
            "epochs": 100,
            "batch_size": 1024,
            "learning_rate": 5e-5,
            "weight_decay": 1e-3,
            "amsgrad": True,
        },
    }
)


def preset_settings(recipe: str, preset: str) -> Mapping[str, Any]:
    """Return the settings that turn a recipe of the preset `paper` into one of `preset`, itself among them.

    Raises RecipeError for a preset that there is not, and for `repo` of a recipe that has no published code.
    """
    if preset not in ("paper", "repo"):
        raise RecipeError(f"preset must be one of paper, repo, got {preset!r}")
    if preset == "paper":
        return {"preset": preset}
    if recipe not in REPO:
        raise RecipeError(
            f"recipe {recipe} has no preset repo: no published code is known that its numbers depend on; recipes that "
            f"have one: {', '.join(REPO)}"
        )
    return {"preset": preset, **REPO[recipe]}
