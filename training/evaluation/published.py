"""The numbers that the papers print, each with what it was measured on, to stand beside a run's own. Pure.

From AURA-MFM's Tables 2 to 4; of PRIMUS's figures, which print none, see `published_figures`. Table 2 is by the
corrected assignment of its rows [methods §7].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, get_args

__all__ = [
    "CITED_IMU2CLIP",
    "PARTNERS_OF",
    "TABLES_OF_CLASSES",
    "TABLE_2",
    "PublishedRetrieval",
    "PublishedScore",
    "PublishedTable",
    "published_classes",
    "published_retrieval",
]

Partner = Literal["Mocap", "EC", "AAD", "Video"]
Model = Literal["IMU2CLIP", "AURA-RNN", "AURA-Transformer"]
Protocol = Literal["zero-shot", "transfer", "fine-tune", "from-scratch"]


@dataclass(frozen=True, slots=True)
class PublishedRetrieval:
    """Finding the `key` of a `query`, both modalities of ours; `partner` is the paper's name of the one beside IMU.

    `candidates` is None where the paper does not say.
    """

    query: str
    key: str
    partner: Partner
    model: Model
    candidates: int | None
    r1: float
    r10: float
    r50: float
    mrr: float
    measured_on: str

    @property
    def task(self) -> str:
        """The task as the paper calls it: `IMU→EC`."""
        return f"IMU→{self.partner}" if self.query == "imu" else f"{self.partner}→IMU"


@dataclass(frozen=True, slots=True)
class PublishedScore:
    """One cell of a table of classification: who, by which protocol, macro-F1 and accuracy."""

    model: str
    protocol: Protocol
    macro_f1: float
    accuracy: float
    doubt: str = ""
    """Why this number is not to be trusted, nothing if no reason is known."""


@dataclass(frozen=True, slots=True)
class PublishedTable:
    """A table of classification: its name, the data, our view of the same data and classes, and its cells."""

    name: str
    view: str
    data: str
    windows: int
    classes: int
    scores: tuple[PublishedScore, ...]
    notes: tuple[str, ...]


_KEY: Mapping[Partner, str] = {"Mocap": "mocap", "EC": "text", "AAD": "text", "Video": "video"}
_CANDIDATES: Mapping[Partner, int] = {"Mocap": 240, "EC": 1000, "AAD": 1216, "Video": 1280}
_MODELS: tuple[Model, ...] = ("IMU2CLIP", "AURA-RNN", "AURA-Transformer")
_Row = tuple[float, float, float, float]

# R@1, R@10, R@50 and MRR of the three models, from IMU and to IMU; IMU2CLIP has no mocap.
_TABLE_2: Mapping[Partner, tuple[tuple[_Row | None, _Row, _Row], tuple[_Row | None, _Row, _Row]]] = {
    "Mocap": (
        (None, (0.0250, 0.1875, 0.5500, 0.0849), (0.2208, 0.6666, 0.8541, 0.3667)),
        (None, (0.0333, 0.1875, 0.5291, 0.0915), (0.2208, 0.6541, 0.8458, 0.3607)),
    ),
    "EC": (
        (
            (0.0010, 0.0149, 0.0719, 0.0095),
            (0.0120, 0.1030, 0.4199, 0.0497),
            (0.0199, 0.1720, 0.4869, 0.0710),
        ),
        (
            (0.0020, 0.0099, 0.0780, 0.0093),
            (0.0140, 0.1180, 0.4629, 0.0560),
            (0.0309, 0.1749, 0.4930, 0.0819),
        ),
    ),
    "AAD": (
        (
            (0.0000, 0.0041, 0.0402, 0.0051),
            (0.0148, 0.1472, 0.4679, 0.0626),
            (0.0106, 0.1085, 0.4185, 0.0510),
        ),
        (
            (0.0008, 0.0082, 0.0460, 0.0063),
            (0.0222, 0.1562, 0.4745, 0.0714),
            (0.0164, 0.1233, 0.4268, 0.0602),
        ),
    ),
    "Video": (
        (
            (0.0000, 0.0078, 0.0453, 0.0057),
            (0.0171, 0.1328, 0.4367, 0.0605),
            (0.0101, 0.1109, 0.4101, 0.0505),
        ),
        (
            (0.0000, 0.0093, 0.0390, 0.0053),
            (0.0164, 0.1429, 0.4734, 0.0652),
            (0.0164, 0.1140, 0.4109, 0.0561),
        ),
    ),
}


def _table_2() -> tuple[PublishedRetrieval, ...]:
    found = []
    for partner, directions in _TABLE_2.items():
        pair = ("imu", _KEY[partner])
        for (query, key), rows in zip((pair, pair[::-1]), directions, strict=True):
            found += [
                PublishedRetrieval(
                    *(query, key, partner, model, _CANDIDATES[partner], *row),
                    measured_on=f"Ego-Exo4D, {_CANDIDATES[partner]} windows of test takes",
                )
                for model, row in zip(_MODELS, rows, strict=True)
                if row is not None
            ]
    return tuple(found)


TABLE_2 = _table_2()
"""AURA-MFM, Table 2: eight tasks. Its test takes were recorded in sessions that also occur in training [methods §0]."""

CITED_IMU2CLIP = (
    PublishedRetrieval(
        "imu", "text", "AAD", "IMU2CLIP", None, 0.0486, 0.1875, 0.4826, 0.104, "Ego4D narrations, as cited"
    ),
    PublishedRetrieval(
        "video", "imu", "Video", "IMU2CLIP", None, 0.1219, 0.4531, 0.8000, 0.226, "Ego4D video, as cited"
    ),
)
"""What AURA-MFM cites of IMU2CLIP on Ego4D, of a candidate set that it does not state."""

_ALL: tuple[Protocol, ...] = ("zero-shot", "transfer", "fine-tune")
_MIXED = (
    "pretrained with the GRU over time, but scored by code that runs it over channels"  # methods §7, Table 3
)


def _scores(
    model: str, *cells: tuple[float, float], protocols: Sequence[Protocol] = _ALL, doubt: str = ""
) -> tuple[PublishedScore, ...]:
    return tuple(
        PublishedScore(model, protocol, *cell, doubt) for protocol, cell in zip(protocols, cells, strict=True)
    )


def _from_scratch(model: str, macro_f1: float, accuracy: float) -> tuple[PublishedScore, ...]:
    return _scores(model, (macro_f1, accuracy), protocols=("from-scratch",))


TABLE_3 = PublishedTable(
    name="AURA-MFM Table 3",
    view="har-egoexo4d-aura",
    data="Ego-Exo4D, 418 test windows, 8 classes",
    windows=418,
    classes=8,
    scores=(
        *_from_scratch("random RNN", 0.4078, 0.6626),
        *_from_scratch("random Transformer", 0.6251, 0.7511),
        *_scores("IMU2CLIP", (0.0747, 0.1961), (0.4332, 0.6315), (0.5983, 0.7033)),
        *_scores("EC RNN", (0.5757, 0.7057), (0.5662, 0.7368), (0.6228, 0.7464)),
        *_scores("EC Transformer", (0.6217, 0.7081), (0.6285, 0.7559), (0.6491, 0.7535)),
        *_scores("AAD RNN", (0.0805, 0.2009), (0.3163, 0.5263), (0.4801, 0.6626), doubt=_MIXED),
        *_scores("AAD Transformer", (0.6226, 0.7320), (0.7217, 0.8181), (0.7506, 0.8277)),
        *_scores("Video RNN", (0.1111, 0.2057), (0.3532, 0.4808), (0.5219, 0.6842), doubt=_MIXED),
        *_scores("Video Transformer", (0.5901, 0.7224), (0.6966, 0.8062), (0.7217, 0.7990)),
    ),
    notes=(
        "The paper's texts of EC name the task, and its classes are groups of tasks; ours leave the name out.",
        "Its test takes are of recording sessions that also occur in training.",
    ),
)
TABLE_4 = PublishedTable(
    name="AURA-MFM Table 4",
    view="har-pamap2",
    data="PAMAP2, 544 random test windows, 18 classes",
    windows=544,
    classes=18,
    scores=(
        *_from_scratch("random RNN", 0.5908, 0.6488),
        *_from_scratch("random Transformer", 0.6548, 0.7022),
        *_scores(
            "IMU2CLIP",
            (0.0404, 0.0404),
            protocols=("zero-shot",),
            doubt="zero-shot: the paper prints one number for F1 and accuracy",
        ),
        *_scores("IMU2CLIP", (0.6498, 0.6709), (0.6536, 0.6893), protocols=("transfer", "fine-tune")),
        *_scores("EC RNN", (0.0151, 0.0238), (0.5915, 0.6084), (0.6727, 0.7077)),
        *_scores("EC Transformer", (0.0293, 0.0422), (0.5070, 0.5845), (0.7222, 0.7389)),
        *_scores("AAD RNN", (0.0293, 0.0496), (0.3965, 0.4926), (0.6255, 0.6617), doubt=_MIXED),
        *_scores("AAD Transformer", (0.0580, 0.0937), (0.3838, 0.4852), (0.7521, 0.7738)),
        *_scores("Video RNN", (0.0170, 0.0294), (0.3581, 0.4558), (0.6590, 0.6948), doubt=_MIXED),
        *_scores("Video Transformer", (0.0111, 0.0165), (0.5305, 0.5533), (0.6983, 0.7408)),
    ),
    notes=(
        "The paper's 4357/544/544 windows are a random split, so windows of one participant stand on both sides.",
        "It raised PAMAP2's 100 Hz to 200 Hz on straight lines.",
    ),
)
TABLES_OF_CLASSES: Mapping[str, PublishedTable] = MappingProxyType(
    {table.view: table for table in (TABLE_3, TABLE_4)}
)

PARTNERS_OF: Mapping[str, tuple[Partner, ...]] = MappingProxyType(
    {
        "aura-mocap": ("Mocap",),
        "aura-commentary": ("EC",),
        "aura-aad": ("AAD",),
        "aura-video": ("Video",),
        "primus": ("AAD", "Video"),
        "all-modalities": ("Mocap", "EC", "AAD", "Video"),
    }
)
"""Views whose modalities come from what AURA-MFM retrieved, though other windows; see `published_retrieval`."""

_PARTNERS_OF_TEXT: Mapping[str, tuple[Partner, ...]] = MappingProxyType(
    {"atomic": ("AAD",), "commentary": ("EC",), "narration": (), "summary": ()}
)
"""Which of them is which kind of text of ours; Ego4D's are in none of AURA-MFM's."""


def published_retrieval(view: str, query: str, key: str) -> tuple[PublishedRetrieval, ...]:
    """Return the published rows of finding `key` by `query` in the data of `view`, none where no paper has them.

    A view of a paper's own rules (`…-repo`) stands beside the same rows. PRIMUS's windows are those of AURA-MFM's AAD
    at 50 Hz, and IMU2CLIP's on Ego4D are the nearest to them, so both are told. One kind of text ("text: atomic")
    stands beside the rows of that kind, one camera beside those of video.
    """
    name = view.removesuffix("-repo")
    partners = {*PARTNERS_OF.get(name, ())} & {
        *_PARTNERS_OF_TEXT.get(_slot(query) or _slot(key), get_args(Partner))
    }
    cited = CITED_IMU2CLIP if name == "primus" else ()
    pair = (query.partition(":")[0], key.partition(":")[0])
    return tuple(
        row for row in (*TABLE_2, *cited) if row.partner in partners and (row.query, row.key) == pair
    )


def _slot(modality: str) -> str:
    """Return the kind of text of "text: atomic", nothing of a modality that is no kind of text."""
    column, _, slot = modality.partition(": ")
    return slot if column == "text" else ""


def published_classes(view: str) -> PublishedTable | None:
    """Return the published table of classification of the data and classes of `view`, None where no paper has one."""
    return TABLES_OF_CLASSES.get(view)
