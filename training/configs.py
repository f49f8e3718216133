"""What decides the numbers of a run, but for the data itself: one frozen configuration for each objective.

All share the settings of the loop (`RunConfig`), most those of an encoder of sensor windows (`EncoderConfig`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from types import MappingProxyType
from typing import Any, ClassVar, Literal

from sensorloom.training.errors import RecipeError
from sensorloom.training.models.cnn_gru import GruAxis, Pooling
from sensorloom.training.models.jepa_tokens import TokenUnit
from sensorloom.training.models.primus import HeadKind
from sensorloom.training.objectives.crossl import Masking
from sensorloom.training.objectives.multitask import HeadRows
from sensorloom.training.objectives.simclr import SimClrForm
from sensorloom.training.schedule import Schedule
from sensorloom.training.settings import check_config, part
from sensorloom.training.terms.augment import Preset
from sensorloom.training.terms.contrast import TemperatureKind

__all__ = [
    "AlignmentConfig",
    "AllPairsConfig",
    "CrosslConfig",
    "EncoderConfig",
    "EncoderName",
    "JepaConfig",
    "MultitaskConfig",
    "PrimusConfig",
    "RunConfig",
    "SimClrConfig",
    "SupervisedConfig",
    "config_from_json",
    "config_to_json",
]

EncoderName = Literal["cnn-gru", "transformer", "tpn"]
TransformerName = Literal["SS", "S", "B", "L"]
Weighting = Literal["none", "balanced"]
Aggregator = Literal["mlp", "attention"]
Semantic = Literal["none", "cosine", "info_nce"]
Precision = Literal["float32", "bf16"]
TextChoice = Literal["random", "first"]
BestBy = Literal["auto", "loss", "accuracy"]
PARTNERS = ("text", "video", "mocap")
MODALITIES = ("imu", *PARTNERS)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfig:
    """What the loop itself needs to know; `objective` names the family of a configuration."""

    objective: ClassVar[str]

    recipe: str
    view: str
    epochs: int = 20
    batch_size: int = 8
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    amsgrad: bool = False
    """AdamW with the largest second moment so far, as AURA's."""
    schedule: Schedule = "cosine"
    """After a warm-up half a cosine to 0; `constant` is one rate from the first step to the last."""
    warmup: float = 0.01
    """The share of all steps, 10 steps at least, over which the rate of `cosine` rises in a line."""
    best_by: BestBy = "auto"
    """Which epoch is the best: by the merit of `Validation`, by the least loss, or by the accuracy of a classifier."""
    preset: Preset = "paper"
    """`repo` does as the published code does, faults and all; given by `--set` it brings its settings [`presets`]."""
    clip_norm: float = 1.0
    """Largest norm of the whole gradient; 0 leaves gradients as they are."""
    precision: Precision = "float32"
    """`bf16` computes the model under autocast; losses and logits stay float32."""
    compile: bool = False
    """Compile the encoders by torch.compile: a minute or more at the start, and numbers that round differently."""
    tensorboard: bool = False
    """Write the metrics for TensorBoard too, into the folder `tensorboard` of the run."""
    min_gap_s: float = 0.0
    """No two windows of a batch are of one take and start nearer than this; see `BatchRules`."""
    text: TextChoice = "random"
    """Which of a window's texts it is trained with: one at random, anew each time, or the first. That is the one which
    a window at a text was cut for, as in the published pairs."""
    term_norms_every: int = 0
    """Steps between looks at the gradient norm of each term of the loss, which cost a pass each; 0 for none."""
    seed: int = 0
    train_split: str = "train"
    val_split: str = "val"
    snapshot: str = "main"
    device: str = "auto"
    """`auto` takes the first CUDA device if there is one, else the CPU."""
    checkpoint_every: int = 200
    """Steps between checkpoints, besides the one after every epoch."""
    keep_checkpoints: int = 2

    def __post_init__(self) -> None:
        check_config(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderConfig(RunConfig):
    """Which encoder makes a vector of a sensor window."""

    encoder: EncoderName = "cnn-gru"
    gru_axis: GruAxis = "time"
    """`channel` runs the GRU over channels, as the published code of PRIMUS and IMU2CLIP does."""
    pooling: Pooling = "adaptive"
    """The CNN-GRU's third: PRIMUS's, of any window, or IMU2CLIP's `max`, of about 1000 samples."""
    transformer_size: TransformerName = "SS"
    patch: int = 8
    """Samples per Transformer patch; must divide the window."""
    residual: bool = True
    """`False` leaves out the Transformer's skip connections, as AURA's published code does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SupervisedConfig(EncoderConfig):
    """Training from labels."""

    objective: ClassVar[str] = "supervised"

    class_weights: Weighting = "none"
    """`balanced` weights classes by the inverse of their share of the training split."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrimusConfig(EncoderConfig):
    """PRIMUS; the weights of its terms and the queue's length are those of `PrimusWeights` and `PrimusSettings`.

    The preset `repo` halves all weights, as the published code does.
    """

    objective: ClassVar[str] = "primus"

    head: HeadKind = "linear"
    teachers: str = "text,video"
    imu_only: float = 0.0
    """The share of windows that keep their sensors alone [methods §8.5]; see `BatchRules`."""
    ss: float = 1.0
    mm: float = 1.0
    nn_imu: float = 1.0
    nn_teacher: float = 1.0
    queue_length: int = 8192

    def __post_init__(self) -> None:
        check_config(self)
        part("teachers", self.teachers, PARTNERS[:2])


@dataclass(frozen=True, slots=True, kw_only=True)
class AlignmentConfig(EncoderConfig):
    """IMU against one or more partners: IMU2CLIP, AURA-MFM. A mocap partner has an encoder of the same kind."""

    objective: ClassVar[str] = "alignment"

    partners: str = "text,video"
    temperature: TemperatureKind = "clamped"
    """The published code learns it `raw`; of AURA's mocap and commentary it is `fixed` [methods §2, table; §5.1]."""
    imu_only: float = 0.0
    embedding_size: int = 512
    """Of IMU and mocap where no partner is frozen; else it is that of the partners' vectors."""
    start_from: str = ""
    """The folder of a run whose IMU encoder this one goes on with: AURA's second stage [methods §2.6]."""
    start_from_sha256: str = ""
    """The digest of that run's best weights, filled in when this one begins; if given, it must be so."""

    def __post_init__(self) -> None:
        check_config(self)
        part("partners", self.partners, PARTNERS)


@dataclass(frozen=True, slots=True, kw_only=True)
class AllPairsConfig(EncoderConfig):
    """All pairs of any number of modalities at once."""

    objective: ClassVar[str] = "all-pairs"

    modalities: str = "imu,text,video,mocap"
    imu_only: float = 0.0

    def __post_init__(self) -> None:
        check_config(self)
        part("modalities", self.modalities, MODALITIES)


@dataclass(frozen=True, slots=True, kw_only=True)
class SimClrConfig(EncoderConfig):
    """Two views of one window; see `SimClr` for the forms."""

    objective: ClassVar[str] = "simclr"

    form: SimClrForm = "primus"


@dataclass(frozen=True, slots=True, kw_only=True)
class MultitaskConfig(EncoderConfig):
    """Which of eight transformations was applied."""

    objective: ClassVar[str] = "multitask"

    head_rows: HeadRows = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class CrosslConfig(RunConfig):
    """CroSSL over the sensors of all slots."""

    objective: ClassVar[str] = "crossl"

    masking: Masking = "spatial"
    keep: float = 0.9
    aggregator: Aggregator = "mlp"
    mask_token: bool = False
    """A learned vector in the place of what the MLP does not see, instead of zeros."""
    divisor: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class JepaConfig(RunConfig):
    """The sensor JEPA; the semantic settings are those of `SemanticTerm`."""

    objective: ClassVar[str] = "jepa"

    final_weight_decay: float = 0.4
    """At the last step, along half a cosine from `weight_decay` [methods §4.3, §4.4]."""
    patch: int = 10
    """Samples per token; must divide the window."""
    unit: TokenUnit = "channel"
    imu_only: float = 0.0
    semantic: Semantic = "cosine"
    semantic_weight: float = 0.5
    semantic_ramp: float = 0.1
    local_weight: float = 0.0


_FAMILIES: Mapping[str, type[RunConfig]] = MappingProxyType(
    {
        family.objective: family
        for family in (
            *(SupervisedConfig, PrimusConfig, AlignmentConfig, AllPairsConfig),
            *(SimClrConfig, MultitaskConfig, CrosslConfig, JepaConfig),
        )
    }
)
_LATER = frozenset(
    {
        *("precision", "min_gap_s", "term_norms_every"),
        *("preset", "amsgrad", "schedule", "warmup", "best_by", "pooling", "compile", "tensorboard"),
        *("embedding_size", "start_from", "start_from_sha256", "text"),
    }
)
"""Settings that runs of earlier versions were stored without; those had its default."""


def config_to_json(config: RunConfig) -> dict[str, Any]:
    """Return the JSON object of a configuration, its objective beside its settings."""
    return {"objective": config.objective, **asdict(config)}


def config_from_json(record: Mapping[str, Any]) -> RunConfig:
    """Rebuild a configuration from its JSON object; raises RecipeError for a wrong key, type or value.

    One without an objective is of a supervised run, from before there were others.
    """
    name = record.get("objective", SupervisedConfig.objective)
    if name not in _FAMILIES:
        raise RecipeError(f"unknown objective {name!r} of a stored run; known: {', '.join(_FAMILIES)}")
    family = _FAMILIES[name]
    given = {key: value for key, value in record.items() if key != "objective"}
    later: dict[str, Any] = {item.name: item.default for item in fields(family) if item.name in _LATER}
    names = {item.name for item in fields(family)}
    if "final_weight_decay" in names:  # it did not change in earlier versions
        later["final_weight_decay"] = given.get("weight_decay")
    if set(later | given) != names:
        odd = sorted(set(later | given) ^ names)
        raise RecipeError(
            f"a stored configuration must have exactly the known keys; missing or unknown: {odd}"
        )
    return family(**(later | given))
