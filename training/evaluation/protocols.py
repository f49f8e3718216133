"""What each protocol of each paper fits: which head, from which start, by which settings, to which weights.

Axes: B windows of a batch · N windows · C classes · D width of the features.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

from torch import Tensor, nn

from sensorloom.training.assemble import build_supervised, build_unbound
from sensorloom.training.batch import Batch
from sensorloom.training.configs import (
    AlignmentConfig,
    AllPairsConfig,
    CrosslConfig,
    EncoderConfig,
    JepaConfig,
    PrimusConfig,
    RunConfig,
)
from sensorloom.training.errors import RunError
from sensorloom.training.evaluation.class_texts import ClassTexts, Wording, have_prompts
from sensorloom.training.evaluation.fitting import AURA_FIT, CROSSL_FIT, PRIMUS_FIT, FitSettings
from sensorloom.training.evaluation.heads import CrosslHead, HeadKind, TransferHead, linear_head
from sensorloom.training.evaluation.labelled import Bench
from sensorloom.training.facts import facts_of
from sensorloom.training.loaded import open_split
from sensorloom.training.objective import features
from sensorloom.training.objectives.supervised import Supervised

__all__ = [
    "PROTOCOLS",
    "Contender",
    "Paper",
    "ProtocolName",
    "contenders",
    "in_text_space",
    "paper_of",
    "refusal",
]

ProtocolName = Literal["zero-shot", "linear-probe", "transfer", "fine-tune", "from-scratch"]
PROTOCOLS: tuple[ProtocolName, ...] = get_args(ProtocolName)
Paper = Literal["primus", "aura", "crossl"]
"""Whose downstream settings: PRIMUS's [methods §1.7], AURA-MFM's [§2.7] or CroSSL's [§3]."""

_AURA_VIEWS = ("har-pamap2", "har-egoexo4d-aura")


@dataclass(frozen=True, slots=True)
class Contender:
    """One classifier of a protocol: what `make` gives is fitted by `settings`, or taken as it is where they are None.

    With `whole` it takes batches of windows and all its weights learn, else features. `texts` are those of the classes,
    None for one without.
    """

    head: HeadKind
    make: Callable[[], nn.Module]
    settings: FitSettings | None
    texts: ClassTexts | None = None
    whole: bool = False


def paper_of(config: RunConfig, view: str) -> Paper:
    """Return whose downstream settings a run has on a view: CroSSL's runs their own, else whose view it is."""
    if isinstance(config, CrosslConfig):
        return "crossl"
    return "aura" if view in _AURA_VIEWS else "primus"


def in_text_space(config: RunConfig) -> bool:
    """Return whether a run's embeddings of sensors were trained to lie with vectors of texts, or of videos.

    Not where `imu_only` kept every window from them.
    """
    if getattr(config, "imu_only", 0.0) >= 1:
        return False
    match config:
        case PrimusConfig():
            return config.mm > 0 or config.nn_teacher > 0
        case AlignmentConfig():
            return _names_frozen(config.partners)
        case AllPairsConfig():
            return _names_frozen(config.modalities)
        case JepaConfig():
            return config.semantic != "none" and config.semantic_weight > 0
        case _:
            return False


def refusal(protocol: ProtocolName, config: RunConfig, *, has_texts: bool) -> str | None:
    """Return why a protocol makes no sense for a run, None where it does; `has_texts`: texts can be encoded."""
    if protocol == "zero-shot" and not in_text_space(config):
        return f"{config.recipe} was trained without texts and videos, so no text can name its classes"
    if protocol in ("zero-shot", "transfer") and not has_texts and not isinstance(config, CrosslConfig):
        return f"{protocol} holds windows against the texts of classes, and no encoder of texts is at hand"
    return None


def contenders(bench: Bench, protocol: ProtocolName) -> tuple[Contender, ...]:
    """Return the classifiers of a protocol for a run on a view, by the settings of whose paper it is (`paper_of`).

    - zero-shot: the texts of the classes; AURA-MFM's bare names, else PRIMUS's prompts. Nothing is trained.
    - linear-probe: a Linear from zero; and, where the run lies with texts and all classes have prompts, PRIMUS's that
      starts from them.
    - transfer: AURA-MFM's head over bare names; of CroSSL, whatever its preset, the small MLP on the latents of its
      frozen encoders side by side, the aggregator dropped.
    - fine-tune: the same, all weights; a plain Linear where no texts are at hand.
    - from-scratch: nothing pretrained. PRIMUS's standard training (a Linear on features that are not made of length
      1), for the others their fine-tuning.

    Raises RunError where `refusal` says why there is none, and what encoding the texts raises.
    """
    reason = refusal(protocol, bench.config, has_texts=bench.say is not None)
    if reason:
        raise RunError(f"{protocol} on view {bench.labelled.view!r}: {reason}")
    paper = paper_of(bench.config, bench.labelled.view)
    match protocol:
        case "zero-shot":
            return (_linear(bench, "names" if paper == "aura" else "prompts", None),)
        case "linear-probe":
            return _probes(bench)
        case "transfer":
            return (_tuned(bench, paper),)
        case "fine-tune":
            return (_tuned(bench, paper, lambda: copy.deepcopy(bench.loaded.objective)),)
        case "from-scratch":
            return (_from_nothing(bench, paper),)


class _OnEncoder(nn.Module):
    """A head on what an objective makes of the sensors of a batch."""

    def __init__(self, objective: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.objective, self.head = objective, head

    def forward(self, batch: Batch) -> Tensor:
        """Return logits [B, C]."""
        logits_BC: Tensor = self.head(features(self.objective, batch)["imu"][0])
        return logits_BC


class _Standard(nn.Module):
    """PRIMUS's standard training as a classifier of batches."""

    def __init__(self, supervised: Supervised) -> None:
        super().__init__()
        self.supervised = supervised

    def forward(self, batch: Batch) -> Tensor:
        """Return logits [B, C]."""
        return self.supervised.predict(batch)


def _probes(bench: Bench) -> tuple[Contender, ...]:
    plain = _linear(bench, None, PRIMUS_FIT)
    if bench.say is None or not in_text_space(bench.config) or not have_prompts(bench.labelled.classes):
        return (plain,)
    return (plain, _linear(bench, "prompts", PRIMUS_FIT))


def _linear(bench: Bench, wording: Wording | None, settings: FitSettings | None) -> Contender:
    """Return a Linear that starts as the texts of the classes, or from zero; not fitted without settings."""
    classes = len(bench.labelled.classes)
    texts = bench.say(wording) if bench.say and wording else None
    kind: HeadKind = "linear from zero" if texts is None else "linear from class texts"
    return Contender(
        "class texts" if settings is None else kind,
        lambda: linear_head(bench.width, classes, texts),
        settings,
        texts,
    )


def _tuned(bench: Bench, paper: Paper, start: Callable[[], nn.Module] | None = None) -> Contender:
    """Return the head of the paper on frozen features, or on the objective of `start`, whose weights learn too."""
    kind, head, texts = _head(bench, paper)
    settings = CROSSL_FIT if paper == "crossl" else AURA_FIT
    if start is None:
        return Contender(kind, head, settings, texts)
    return Contender(kind, lambda: _OnEncoder(start(), head()), settings, texts, whole=True)


def _head(bench: Bench, paper: Paper) -> tuple[HeadKind, Callable[[], nn.Module], ClassTexts | None]:
    classes = len(bench.labelled.classes)
    if paper == "crossl":
        return "MLP 128", lambda: CrosslHead(bench.width, classes), None
    if bench.say is None:
        return "linear", lambda: nn.Linear(bench.width, classes), None
    texts = bench.say("names")
    return "text MLP", lambda: TransferHead(bench.width, texts), texts


def _from_nothing(bench: Bench, paper: Paper) -> Contender:
    config, classes = bench.config, len(bench.labelled.classes)
    if paper == "primus" and isinstance(config, EncoderConfig):
        samples = bench.loaded.record.window_shape[2]
        return Contender(
            "linear",
            lambda: _Standard(build_supervised(config, samples, classes)),
            PRIMUS_FIT,
            whole=True,
        )
    facts = facts_of(open_split(bench.loaded, config.view, config.train_split, batch_size=1))
    return _tuned(bench, paper, lambda: build_unbound(config, facts))


def _names_frozen(names: str) -> bool:
    return bool({name.strip() for name in names.split(",")} & {"text", "video"})
