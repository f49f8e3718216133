"""What a sweep trains: the grid of settings that was asked for, or one of the named ones. Pure.

The named sweeps are what the papers leave open: PRIMUS's weights are untuned and its ablation is told in words, the
share of windows with video and text is its Figure 6, λ of the JEPA has the grid of methods §4.4, and CroSSL's best
masking ratios stand in no source that we have (methods §3, §7, §8).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from types import MappingProxyType

from sensorloom.flows.errors import ConfigError

__all__ = ["NAMED", "Grid", "Variant", "asked_grid", "named_grid"]

_NOT_SWEPT = {"seed": "--seeds N trains each point N times", "snapshot": "all points read one snapshot"}


@dataclass(frozen=True, slots=True)
class Variant:
    """One configuration: a recipe with settings, drawn at the value `x` of the curve `line`."""

    line: str
    x: str
    recipe: str
    settings: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Grid:
    """All configurations of a sweep. `reference` is the x of what is asked to be no worse than any other."""

    name: str
    question: str
    x_label: str
    variants: tuple[Variant, ...]
    reference: str | None = None


@dataclass(frozen=True, slots=True)
class _Named:
    """A named sweep: of which recipe where none is given, and how its grid is made of the recipe's name."""

    recipe: str
    make: Callable[[str], Grid] = field(repr=False)


def asked_grid(recipe: str, over: Sequence[str], taken: Mapping[str, str]) -> Grid:
    """Return the grid of `key=a,b,c` texts: the first key is the axis of x, each choice of the others is a line.

    Values that hold commas are parted by `;`. Raises ConfigError for a text of another form, a key or a value given
    twice, or a key that stands in `taken`, the settings of every point.
    """
    axes = dict(_axis(text) for text in over)
    if not axes:
        raise ConfigError(
            f"over which setting? --over key=a,b,c names one, --named one of {', '.join(NAMED)}"
        )
    for key in axes:
        if sum(text.partition("=")[0].strip() == key for text in over) > 1:
            raise ConfigError(f"--over names {key} twice; give all its values at once: --over {key}=a,b,c")
        if key in taken:
            raise ConfigError(f"{key} is given both by --over and by --set; leave one of them out")
    (x_key, xs), *others = axes.items()
    variants = []
    for choice in product(*(values for _, values in others)):
        fixed = dict(zip((key for key, _ in others), choice, strict=True))
        line = ", ".join(f"{key} {value}" for key, value in fixed.items()) or recipe
        variants += [Variant(line, x, recipe, {x_key: x, **fixed}) for x in xs]
    return Grid(recipe, f"{recipe} over {' and '.join(axes)}", x_key, tuple(variants))


def _axis(text: str) -> tuple[str, tuple[str, ...]]:
    key, equals, listed = (part.strip() for part in text.partition("="))
    values = tuple(value.strip() for value in listed.split(";" if ";" in listed else ",") if value.strip())
    if not (key and equals and values):
        raise ConfigError(f"--over {text!r} is not of the form key=a,b,c")
    if key in _NOT_SWEPT:
        raise ConfigError(f"--over {key} is not swept: {_NOT_SWEPT[key]}")
    if len(set(values)) < len(values):
        raise ConfigError(f"--over {text!r} gives a value twice")
    return key, values


def named_grid(name: str, recipe: str | None) -> Grid:
    """Return the named sweep, of `recipe` or else of its own. Raises ConfigError for an unknown name."""
    if name not in NAMED:
        raise ConfigError(f"unknown sweep {name!r}; known: {', '.join(NAMED)}")
    return NAMED[name].make(recipe or NAMED[name].recipe)


_ALL_TERMS = "SS + MM + NN"
_TERMS: Mapping[str, tuple[str, ...]] = {"SS": ("ss",), "MM": ("mm",), "NN": ("nn_imu", "nn_teacher")}


def _objective_ablation(recipe: str) -> Grid:
    """Every choice of PRIMUS's three terms but none."""
    kept = (_ALL_TERMS, "SS + MM", "MM + NN", "SS + NN", "SS", "MM", "NN")
    variants = []
    for name in kept:
        off = [key for term, keys in _TERMS.items() if term not in name.split(" + ") for key in keys]
        variants.append(Variant(recipe, name, recipe, dict.fromkeys(off, "0")))
    question = "Is PRIMUS, with all three terms, at least as good as with fewer?"
    return Grid("objective-ablation", question, "terms of the loss", tuple(variants), reference=_ALL_TERMS)


def _data_efficiency(recipe: str) -> Grid:
    """Of the shares of windows that keep video and text; IMU2CLIP learns from those alone."""
    lines = dict.fromkeys((recipe, "imu2clip"))
    variants = [
        Variant(line, share, line, {"imu_only": f"{1 - float(share):g}"})
        for line, share in product(lines, ("0.1", "0.25", "0.5", "1"))
    ]
    question = "How few windows with video and text are enough?"
    return Grid("data-efficiency", question, "share of windows with video and text", tuple(variants))


def _semantic_weight(recipe: str) -> Grid:
    variants = [
        Variant(recipe, weight, recipe, {"semantic_weight": weight}) for weight in ("0", "0.1", "0.5", "1")
    ]
    question = "How much should the JEPA be drawn towards texts?"
    return Grid("semantic-weight", question, "weight λ of the semantic term", tuple(variants))


def _loss_weights(recipe: str) -> Grid:
    """Each of PRIMUS's weights α, β, γ for itself, the others 1."""
    variants = [
        Variant(f"weight of {term}", weight, recipe, dict.fromkeys(keys, weight))
        for (term, keys), weight in product(_TERMS.items(), ("0.25", "0.5", "1", "2", "4"))
    ]
    question = "Would PRIMUS be better with other weights than 1 of its three terms?"
    return Grid("loss-weights", question, "weight", tuple(variants))


def _crossl_masking(recipe: str) -> Grid:
    variants = [
        Variant(f"{masking} masks", keep, recipe, {"masking": masking, "keep": keep})
        for masking, keep in product(("spatial", "random", "temporal"), ("0.5", "0.7", "0.9"))
    ]
    question = "Which masks of its latents serve CroSSL best, and how much should they keep?"
    return Grid("crossl-masking", question, "probability to keep", tuple(variants))


NAMED: Mapping[str, _Named] = MappingProxyType(
    {
        "objective-ablation": _Named("primus", _objective_ablation),
        "data-efficiency": _Named("primus", _data_efficiency),
        "semantic-weight": _Named("jepa", _semantic_weight),
        "loss-weights": _Named("primus", _loss_weights),
        "crossl-masking": _Named("crossl-pamap2", _crossl_masking),
    }
)
