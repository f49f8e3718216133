"""The tables and figures that `reproduce` makes anew: from which data, by which runs, judged how. Pure.

What each holds is in methods §1.7, §2.7 and §7. Both encoders of AURA-MFM's tables are trained; its IMU2CLIP is a
checkpoint of unknown make (§0 row 14), so there is none of ours beside it. PRIMUS's figures print no values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

from sensorloom.flows.errors import ConfigError

__all__ = ["REPRODUCTIONS", "PlannedRun", "Reproduction", "reproduction"]

Layout = Literal["retrieval", "classes", "PRIMUS Figure 4", "PRIMUS Figure 5", "PRIMUS Figure 6"]


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """A run of a table under its name there, and the protocols that it is judged by."""

    name: str
    recipe: str
    settings: Mapping[str, str]
    protocols: tuple[str, ...]
    share: float = 1.0
    """Of the windows that keep their video and text."""
    partner: str = ""
    """What the paper calls the modality beside IMU, which is text of ours more than once."""


@dataclass(frozen=True, slots=True)
class Reproduction:
    """A table or figure: from which data sets, with which views of labels, by which runs, in which layout."""

    name: str
    title: str
    datasets: tuple[str, ...]
    views: tuple[str, ...]
    runs: tuple[PlannedRun, ...]
    layout: Layout
    notes: tuple[str, ...] = ()


_AURA_ENCODERS: Mapping[str, str] = {"RNN": "cnn-gru", "Transformer": "transformer"}
_AURA_PARTNERS: Mapping[str, str] = {"EC": "aura-commentary", "AAD": "aura-aad", "Video": "aura-video"}
_FEW_SHOT = ("few-shot",)
_NO_BASELINE = "IMU2CLIP of the paper is a checkpoint of unknown make, so no run of ours stands for it."


def _aura(partners: Mapping[str, str], protocols: tuple[str, ...]) -> tuple[PlannedRun, ...]:
    return tuple(
        PlannedRun(f"{partner} {encoder}", recipe, {"encoder": setting}, protocols, partner=partner)
        for partner, recipe in partners.items()
        for encoder, setting in _AURA_ENCODERS.items()
    )


def _aura_classes() -> tuple[PlannedRun, ...]:
    """AURA's rows; the encoders from nothing are told by the first run of each, as they depend on no pretraining."""
    runs = _aura(_AURA_PARTNERS, ("zero-shot", "transfer", "fine-tune"))
    first = [replace(run, protocols=(*run.protocols, "from-scratch")) for run in runs[: len(_AURA_ENCODERS)]]
    return (*first, *runs[len(_AURA_ENCODERS) :])


def _primus_terms() -> tuple[PlannedRun, ...]:
    """The parts of the objective that methods §7 tells of: with and without each term, and the pair that falls."""
    off = {"SS": ("ss",), "MM": ("mm",), "NN": ("nn_imu", "nn_teacher")}
    kept = ("SS + MM + NN", "MM + NN", "SS + MM", "SS + NN")
    return tuple(
        PlannedRun(
            f"PRIMUS, {name}",
            "primus",
            {key: "0" for term, keys in off.items() if term not in name.split(" + ") for key in keys},
            _FEW_SHOT,
        )
        for name in kept
    )


def _primus_shares() -> tuple[PlannedRun, ...]:
    return tuple(
        PlannedRun(f"{name}, {share:.0%} aligned", recipe, {"imu_only": f"{1 - share:g}"}, _FEW_SHOT, share)
        for name, recipe in (("PRIMUS", "primus"), ("IMU2CLIP", "imu2clip"))
        for share in (0.1, 0.25, 0.5, 1.0)
    )


_ALL = (
    Reproduction(
        "aura-table2",
        "Retrieval between IMU and body poses, expert commentary, action descriptions and video",
        ("egoexo4d",),
        (),
        _aura({"Mocap": "aura-mocap", **_AURA_PARTNERS}, ("retrieval",)),
        "retrieval",
        (_NO_BASELINE,),
    ),
    Reproduction(
        "aura-table3",
        "Activities of Ego-Exo4D after pretraining on Ego-Exo4D",
        ("egoexo4d",),
        ("har-egoexo4d-aura",),
        _aura_classes(),
        "classes",
        (_NO_BASELINE,),
    ),
    Reproduction(
        "aura-table4",
        "Activities of PAMAP2 after pretraining on Ego-Exo4D",
        ("egoexo4d", "pamap2"),
        ("har-pamap2",),
        _aura_classes(),
        "classes",
        (_NO_BASELINE,),
    ),
    Reproduction(
        "primus-figure4",
        "Accuracy by labels a class after each way of pretraining",
        ("egoexo4d", "ego4d", "realworld"),
        ("har-egoexo4d", "har-ego4d", "har-realworld"),
        tuple(
            PlannedRun(name, recipe, {}, _FEW_SHOT)
            for name, recipe in (
                ("PRIMUS", "primus"),
                ("IMU2CLIP", "imu2clip"),
                ("SimCLR", "simclr"),
                ("MultitaskSSL", "multitask"),
            )
        ),
        "PRIMUS Figure 4",
        ("Standard training, the paper's encoder from nothing, has no curve here.",),
    ),
    Reproduction(
        "primus-figure5",
        "Accuracy by labels a class with parts of PRIMUS's objective",
        ("egoexo4d", "realworld"),
        ("har-egoexo4d", "har-realworld"),
        _primus_terms(),
        "PRIMUS Figure 5",
    ),
    Reproduction(
        "primus-figure6",
        "Accuracy by the share of windows that keep their video and text",
        ("egoexo4d",),
        ("har-egoexo4d",),
        _primus_shares(),
        "PRIMUS Figure 6",
        ("The grid of shares is ours: the paper's text names 10 % and 100 %.",),
    ),
)
REPRODUCTIONS: Mapping[str, Reproduction] = MappingProxyType({plan.name: plan for plan in _ALL})


def reproduction(name: str) -> Reproduction:
    """Return what is made anew under this name. Raises ConfigError that lists the known names."""
    if name not in REPRODUCTIONS:
        raise ConfigError(f"nothing is known of {name!r}; known: {', '.join(REPRODUCTIONS)}")
    return REPRODUCTIONS[name]
