"""What PRIMUS's text says of its figures, which carry no printed values, and of which data. Pure. [methods §7]"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

__all__ = ["CLAIMS", "FIGURES", "FIGURE_VIEWS", "Claim", "Figure"]

Figure = Literal["PRIMUS Figure 4", "PRIMUS Figure 5", "PRIMUS Figure 6"]


@dataclass(frozen=True, slots=True)
class Claim:
    """What PRIMUS's text says of a figure that prints no values."""

    figure: Figure
    sentence: str


CLAIMS = (
    Claim(
        "PRIMUS Figure 4",
        "Up to 15 points of accuracy above IMU2CLIP on Ego-Exo4D with fewer than 500 labels a class.",
    ),
    Claim("PRIMUS Figure 4", "On par with IMU2CLIP on Ego4D."),
    Claim("PRIMUS Figure 4", "Best on REALWORLD, mainly with fewer than 100 labels a class."),
    Claim("PRIMUS Figure 5", "L_SS adds up to 5 points on REALWORLD and about 0 on Ego-Exo4D."),
    Claim("PRIMUS Figure 5", "L_SS + L_NN without L_MM falls to 10 to 15 % accuracy."),
    Claim(
        "PRIMUS Figure 6",
        "10 % of windows with video and text give PRIMUS what 100 % give IMU2CLIP, at 500 labels a class.",
    ),
)
"""The means of 5 trials with standard errors, over about 250,000 windows of pretraining."""
FIGURES: Mapping[Figure, str] = MappingProxyType(
    {
        "PRIMUS Figure 4": "accuracy by labels a class, beside other ways of pretraining",
        "PRIMUS Figure 5": "accuracy by labels a class, beside parts of the objective",
        "PRIMUS Figure 6": "accuracy by the share of windows with video and text",
    }
)
"""What each figure holds; that 4 comes before 5 is read from the order of the claims, 6 is named in the text."""
FIGURE_VIEWS = ("har-egoexo4d", "har-ego4d", "har-ego4d-15", "har-realworld")
"""Views of the data sets that PRIMUS's figures and claims are of [methods §1.7]."""
