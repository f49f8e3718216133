"""What each protocol of each paper fits: which head, from which start, by which settings, to which weights.

Axes: B windows of a batch · N windows · C classes · D width of the features.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from sensorloom.training.assemble import build_objective, build_supervised
from sensorloom.training.batch import Batch
from sensorloom.training.class_texts import ClassTexts, Wording
from sensorloom.training.configs import (
    AlignmentConfig,
    AllPairsConfig,
    CrosslConfig,
    EncoderConfig,
    JepaConfig,
    PrimusConfig,
    RunConfig,
)
from sensorloom.training.embeddings import EmbeddedSplit, embed_split
from sensorloom.training.errors import RunError
from sensorloom.training.facts import facts_of
from sensorloom.training.fitting import AURA_FIT, CROSSL_FIT, PRIMUS_FIT, Examples, FeatureRows, FitSettings
from sensorloom.training.heads import CrosslHead, HeadKind, TransferHead, linear_head
from sensorloom.training.loaded import LoadedRun, open_split
from sensorloom.training.objective import embed
from sensorloom.training.objectives.supervised import Supervised
from sensorloom.training.stream import TripletStream

__all__ = [
    "PROTOCOLS",
    "Bench",
    "Contender",
    "LabelledView",
    "Paper",
    "ProtocolName",
    "SayClasses",
    "contenders",
    "in_text_space",
    "open_labelled",
    "paper_of",
    "refusal",
]

ProtocolName = Literal["zero-shot", "linear-probe", "transfer", "fine-tune", "from-scratch"]
PROTOCOLS: tuple[ProtocolName, ...] = get_args(ProtocolName)
Paper = Literal["primus", "aura", "crossl"]
"""Whose downstream settings: PRIMUS's [methods §1.7], AURA-MFM's [§2.7] or CroSSL's [§3]."""
SayClasses = Callable[[Wording], ClassTexts]
"""Gives the texts of a view's classes: `partial(encode_class_texts, classes, encoder)`."""

_AURA_VIEWS = ("har-pamap2", "har-egoexo4d-aura")
_CPU = torch.device("cpu")
_ROLES = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class LabelledView:
    """A view with classes as a run sees it: by role (train, val, test) its windows, and the features of them.

    `features` and `streams` have the windows of a split in the same order, that of storage.
    """

    view: str
    classes: tuple[str, ...]
    features: Mapping[str, EmbeddedSplit]
    streams: Mapping[str, TripletStream]


@dataclass(frozen=True, slots=True)
class Bench:
    """Who is judged, on what: a run, a labelled view, how its classes are said, and where it is computed.

    `say` is None where no encoder of texts is at hand.
    """

    loaded: LoadedRun
    labelled: LabelledView
    say: SayClasses | None = None
    device: torch.device = _CPU

    @property
    def config(self) -> RunConfig:
        """The configuration of the run."""
        return self.loaded.record.config

    @property
    def width(self) -> int:
        """Width D of the features."""
        return self.labelled.features["test"].vectors["imu"][0].shape[1]

    def examples(self, role: str, *, whole: bool, chosen: Tensor | None = None) -> Examples:
        """Return the labelled windows of a split: features, or whole windows; of `chosen` rows int64 where given."""
        split = self.labelled.features[role]
        row_N = labelled_rows(split) if chosen is None else chosen
        label_N = split.label_N[row_N]
        if whole:
            return _Windows(self.labelled.streams[role], row_N, label_N, self.device)
        return FeatureRows(split.vectors["imu"][0][row_N].to(self.device), label_N)


@dataclass(frozen=True, slots=True)
class Contender:
    """One classifier of a protocol: what `make` gives is fitted by `settings`, or taken as it is where they are None.

    With `whole` it takes batches of windows and all its weights learn, else features. `wording` is how its texts say
    the classes, None for one without texts.
    """

    head: HeadKind
    make: Callable[[], nn.Module]
    settings: FitSettings | None
    wording: Wording | None = None
    whole: bool = False


def open_labelled(
    loaded: LoadedRun,
    view: str,
    *,
    splits: tuple[str, str, str] = ("train", "val", "test"),
    snapshot: str | None = None,
    device: torch.device = _CPU,
) -> LabelledView:
    """Open the splits to learn from, to choose by and to score on, and embed them by the run.

    Raises RunError where the view has no classes, and as `open_split` and `embed_split` do: where the run's encoder
    cannot take these windows, or it is a classifier itself.
    """
    streams = {
        role: open_split(loaded, view, split, snapshot=snapshot)
        for role, split in zip(_ROLES, splits, strict=True)
    }
    classes = streams["test"].classes
    if not classes:
        raise RunError(
            f"view {view!r} has no classes to tell apart; choose a labelled view (har-…, crossl-…)"
        )
    loaded.objective.to(device)
    features = {role: embed_split(loaded.objective, stream, device) for role, stream in streams.items()}
    return LabelledView(view, classes, features, streams)


def paper_of(config: RunConfig, view: str) -> Paper:
    """Return whose downstream settings a run has on a view: CroSSL's runs their own, else whose view it is."""
    if isinstance(config, CrosslConfig):
        return "crossl"
    return "aura" if view in _AURA_VIEWS else "primus"


def in_text_space(config: RunConfig) -> bool:
    """Return whether a run's sensor embeddings were trained to lie with the vectors of texts, or of videos beside them."""
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
    """Return why a protocol makes no sense for a run, None where it does; `has_texts`: an encoder of texts is at hand."""
    if protocol == "zero-shot" and not in_text_space(config):
        return f"{config.recipe} was trained without texts and videos, so no text can name its classes"
    if protocol in ("zero-shot", "transfer") and not has_texts and not isinstance(config, CrosslConfig):
        return f"{protocol} holds windows against the texts of classes, and no encoder of texts is at hand"
    return None


def contenders(bench: Bench, protocol: ProtocolName) -> tuple[Contender, ...]:
    """Return the classifiers of a protocol for a run on a view, by the settings of whose paper it is (`paper_of`).

    - zero-shot: the texts of the classes; AURA-MFM's bare names, else PRIMUS's prompts. Nothing is trained.
    - linear-probe: a Linear from zero; and, where the run lies with texts, PRIMUS's that starts from its prompts.
    - transfer: AURA-MFM's head over bare names; of CroSSL the small MLP on its frozen encoders.
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
            return (_from_texts(bench, "names" if paper == "aura" else "prompts"),)
        case "linear-probe":
            return _probes(bench)
        case "transfer":
            return (_tuned(bench, paper),)
        case "fine-tune":
            start = _Start(lambda: copy.deepcopy(bench.loaded.objective))
            return (_tuned(bench, paper, start),)
        case "from-scratch":
            return (_from_nothing(bench, paper),)


def labelled_rows(split: EmbeddedSplit) -> Tensor:
    """Return the rows of a split that have a label, int64[N] rising."""
    return (split.label_N >= 0).nonzero()[:, 0]


@dataclass(frozen=True, slots=True)
class _Start:
    """The encoder that all weights of are fitted: a copy of the run's, or one that is not trained."""

    objective: Callable[[], nn.Module]


@dataclass(frozen=True, slots=True)
class _Windows:
    """Windows of a stream by row, as batches on a device."""

    stream: TripletStream
    index_N: Tensor
    label_N: Tensor
    device: torch.device

    def take(self, row_B: Tensor) -> Batch:
        """Return the batch of these rows."""
        index_B = self.index_N[row_B].numpy()
        return self.stream.collate(index_B, 0, index_B).to(self.device)


class _OnEncoder(nn.Module):
    """A head on what an objective makes of the sensors of a batch."""

    def __init__(self, objective: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.objective, self.head = objective, head

    def forward(self, batch: Batch) -> Tensor:
        """Return logits [B, C]."""
        logits_BC: Tensor = self.head(embed(self.objective, batch)["imu"][0])
        return logits_BC


class _Standard(nn.Module):
    """PRIMUS's standard training as a classifier of batches."""

    def __init__(self, supervised: Supervised) -> None:
        super().__init__()
        self.supervised = supervised

    def forward(self, batch: Batch) -> Tensor:
        """Return logits [B, C]."""
        return self.supervised.predict(batch)


def _from_texts(bench: Bench, wording: Wording) -> Contender:
    assert bench.say is not None  # `refusal` told
    texts = bench.say(wording)
    return Contender(
        "class texts", lambda: linear_head(bench.width, len(texts.classes), texts), None, wording
    )


def _probes(bench: Bench) -> tuple[Contender, ...]:
    classes = len(bench.labelled.classes)
    plain = Contender("linear from zero", lambda: linear_head(bench.width, classes), PRIMUS_FIT)
    if bench.say is None or not in_text_space(bench.config):
        return (plain,)
    texts = bench.say("prompts")
    warm = Contender(
        "linear from class texts", lambda: linear_head(bench.width, classes, texts), PRIMUS_FIT, "prompts"
    )
    return (plain, warm)


def _tuned(bench: Bench, paper: Paper, start: _Start | None = None) -> Contender:
    """Return the head of the paper on frozen features, or on the encoder of `start`, whose weights learn too."""
    kind, head, wording = _head(bench, paper)
    settings = CROSSL_FIT if paper == "crossl" else AURA_FIT
    if start is None:
        return Contender(kind, head, settings, wording)
    return Contender(kind, lambda: _OnEncoder(start.objective(), head()), settings, wording, whole=True)


def _head(bench: Bench, paper: Paper) -> tuple[HeadKind, Callable[[], nn.Module], Wording | None]:
    classes = len(bench.labelled.classes)
    if paper == "crossl":
        return "MLP 128", lambda: CrosslHead(bench.width, classes), None
    if bench.say is None:
        return "linear", lambda: nn.Linear(bench.width, classes), None
    texts = bench.say("names")
    return "text MLP", lambda: TransferHead(bench.width, texts), "names"


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
    own = open_split(bench.loaded, config.view, config.train_split, batch_size=1)
    facts = facts_of(own)
    return _tuned(bench, paper, _Start(lambda: build_objective(config, facts)))


def _names_frozen(names: str) -> bool:
    return bool({name.strip() for name in names.split(",")} & {"text", "video"})
