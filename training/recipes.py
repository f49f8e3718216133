"""Recipes: functions that return a frozen configuration, varied by `replace` or `--set key=value`.

Where the values of `standard-*` come from: PRIMUS's "standard training" is AdamW, learning rate 1e-4, weight decay
1e-4, batch 256, 20 epochs, a linear warm-up over max(steps / 100, 10) steps and then a cosine to 0, all parameters
of a randomly initialised encoder with a linear head; AURA's fine-tuning is AdamW (amsgrad) 5e-5, weight decay
1e-3, batch 1024, 100 epochs, best epoch by validation macro-F1. From the former are the optimiser, weight
decay, epochs and schedule here, from the latter the choice of the best epoch. **Ours** are the learning rate
1e-3 and the batch of 8: at 1e-4 and 256 the hundred windows of a generated miniature give twenty small steps
and nothing is learned. Ours too are the clipping of gradients at norm 1 and, following the papers' text and
not their code, a GRU over time and a Transformer with skip connections. For PRIMUS's own: `--set
learning_rate=1e-4 --set batch_size=256 --set clip_norm=0`.

Those without labels are for real data: their batches are of hundreds of windows, as a contrast needs, and a split that
is smaller is one batch. All keep the optimiser, schedule and clipping above. PRIMUS, IMU2CLIP and the two of their
comparison have the published 2e-4 without weight decay and 15 epochs, and the batch of 512 of methods §1.6 in the place
of 16 a GPU (§0 row 8). AURA's pairs have its AdamW with weight decay 1e-5 and its batch of 1024; ours are 2e-4 and 30
epochs in the place of 1e-5 and 5000 (§2, table). CroSSL has 1e-4 and 50 epochs, at 256 in the place of 8 (§3). JEPA is
methods §4.4: the rate for its batch, 1e-3 · 256 / 2048, a warm-up over a tenth of the steps, and weight decay from 0.04
to 0.4; ours is that its biases and norms do not decay, as in I-JEPA. No temperature decays in any. On a
generated miniature: `--set batch_size=16 --set learning_rate=1e-3 --set text=first`, as `make demo-pretrain` has it.

Windows that are anchored at texts (of `primus` and of AURA's descriptions and commentary) are paired with the text that
they were cut for, `text=first`, as the published pairs are a window and its own text (§2.4, §6); at random it would be
that of a neighbour, as windows overlap. Of the many texts of a tile one is drawn at `random`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from difflib import get_close_matches
from types import MappingProxyType

from sensorloom.training.configs import (
    AlignmentConfig,
    AllPairsConfig,
    CrosslConfig,
    JepaConfig,
    MultitaskConfig,
    PrimusConfig,
    RunConfig,
    SimClrConfig,
    SupervisedConfig,
)
from sensorloom.training.errors import RecipeError

__all__ = ["RECIPES", "make_recipe", "standard_pamap2"]

_PRIMUS_VIEW = "primus"


def standard_pamap2() -> SupervisedConfig:
    """Train from scratch on 5 s of the chest sensor, 18 PAMAP2 activities (AURA's Table 4, random rows)."""
    return SupervisedConfig(recipe="standard-pamap2", view="har-pamap2")


def standard_realworld() -> SupervisedConfig:
    """Train from scratch on 5 s of the head sensor, 8 REALWORLD activities (PRIMUS's setting)."""
    return SupervisedConfig(recipe="standard-realworld", view="har-realworld", patch=2)


def standard_crossl_pamap2() -> SupervisedConfig:
    """Train from scratch on 5.12 s of hand, ankle and chest, 12 PAMAP2 activities (CroSSL's windows)."""
    return SupervisedConfig(recipe="standard-crossl-pamap2", view="crossl-pamap2")


def primus() -> PrimusConfig:
    """Pretrain on 5 s of Ego-Exo4D: self-supervision, texts and ego video, and nearest neighbours (PRIMUS)."""
    return PrimusConfig(
        recipe="primus",
        view=_PRIMUS_VIEW,
        text="first",
        epochs=15,
        batch_size=512,
        learning_rate=2e-4,
        weight_decay=0.0,
        patch=2,
    )


def imu2clip() -> AlignmentConfig:
    """Pretrain on PRIMUS's windows: align with texts and ego video alone (IMU2CLIP)."""
    return AlignmentConfig(
        recipe="imu2clip",
        view=_PRIMUS_VIEW,
        text="first",
        epochs=15,
        batch_size=512,
        learning_rate=2e-4,
        weight_decay=0.0,
        patch=2,
    )


def simclr() -> SimClrConfig:
    """Pretrain on PRIMUS's windows: two views of one window, sensors alone (SimCLR of PRIMUS's comparison)."""
    return SimClrConfig(
        recipe="simclr",
        view=_PRIMUS_VIEW,
        epochs=15,
        batch_size=512,
        learning_rate=2e-4,
        weight_decay=0.0,
        patch=2,
    )


def multitask() -> MultitaskConfig:
    """Pretrain on PRIMUS's windows: which of eight transformations was applied (Saeed et al.)."""
    return MultitaskConfig(
        recipe="multitask",
        view=_PRIMUS_VIEW,
        epochs=30,
        batch_size=300,
        learning_rate=3e-4,
        weight_decay=0.0,
        patch=2,
    )


def aura_aad() -> AlignmentConfig:
    """Pretrain on Ego-Exo4D: align with atomic action descriptions (AURA-MFM)."""
    return replace(_aura("aura-aad", "aura-aad", "text"), text="first")


def aura_commentary() -> AlignmentConfig:
    """Pretrain on Ego-Exo4D: align with expert commentary (AURA-MFM)."""
    return replace(_aura("aura-commentary", "aura-commentary", "text"), text="first")


def aura_video() -> AlignmentConfig:
    """Pretrain on Ego-Exo4D: align with video, a camera at random each time (AURA-MFM)."""
    return _aura("aura-video", "aura-video", "video")


def aura_mocap() -> AlignmentConfig:
    """Pretrain on Ego-Exo4D: align with body poses, from nothing or by `start_from` after texts or video (AURA-MFM)."""
    return _aura("aura-mocap", "aura-mocap", "mocap")


def aura_joint() -> AlignmentConfig:
    """Pretrain on Ego4D and Ego-Exo4D: align IMU with texts, video and body poses at once."""
    return _aura("aura-joint", "all-modalities", "text,video,mocap")


def crossl_pamap2() -> CrosslConfig:
    """Pretrain on hand, ankle and chest of PAMAP2: whichever sensors are seen, one embedding (CroSSL)."""
    return _crossl("crossl-pamap2", "crossl-pamap2", 15.0)


def crossl_realworld() -> CrosslConfig:
    """Pretrain on all seven positions of REALWORLD: whichever sensors are seen, one embedding (CroSSL)."""
    return _crossl("crossl-realworld", "crossl-realworld", 30.0)


def jepa() -> JepaConfig:
    """Pretrain on PRIMUS's windows: predict latents of what is hidden, and let the rest mean its text (JEPA)."""
    return JepaConfig(
        recipe="jepa",
        view=_PRIMUS_VIEW,
        text="first",
        epochs=30,
        batch_size=256,
        learning_rate=1.25e-4,
        warmup=0.1,
        weight_decay=0.04,
        final_weight_decay=0.4,
    )


def all_modalities() -> AllPairsConfig:
    """Pretrain on Ego4D and Ego-Exo4D: every pair of IMU, texts, video and body poses at once."""
    return AllPairsConfig(
        recipe="all-modalities",
        view="all-modalities",
        epochs=15,
        batch_size=512,
        learning_rate=2e-4,
        weight_decay=0.0,
    )


def _aura(recipe: str, view: str, partners: str) -> AlignmentConfig:
    return AlignmentConfig(
        recipe=recipe,
        view=view,
        partners=partners,
        encoder="transformer",
        epochs=30,
        batch_size=1024,
        learning_rate=2e-4,
        weight_decay=1e-5,
    )


def _crossl(recipe: str, view: str, divisor: float) -> CrosslConfig:
    return CrosslConfig(
        recipe=recipe,
        view=view,
        divisor=divisor,
        epochs=50,
        batch_size=256,
        learning_rate=1e-4,
        weight_decay=0.0,
    )


RECIPES: Mapping[str, Callable[[], RunConfig]] = MappingProxyType(
    {
        make.__name__.replace("_", "-"): make
        for make in (
            *(standard_pamap2, standard_realworld, standard_crossl_pamap2),
            *(primus, imu2clip, simclr, multitask),
            *(aura_aad, aura_commentary, aura_video, aura_mocap, aura_joint),
            *(crossl_pamap2, crossl_realworld, jepa, all_modalities),
        )
    }
)


def make_recipe(name: str) -> RunConfig:
    """Return the configuration of a recipe; raises RecipeError that lists the known ones."""
    if name not in RECIPES:
        near = get_close_matches(name, RECIPES, 1)
        hint = f"did you mean {near[0]!r}? Known" if near else "known"
        raise RecipeError(f"unknown recipe {name!r}; {hint}: {', '.join(RECIPES)}")
    return RECIPES[name]()
