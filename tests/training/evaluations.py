"""Made-up evaluations for tests of tables and pages: every part is there, every number is told apart."""

from __future__ import annotations

from typing import Any

import numpy as np

from sensorloom.training.chance import retrieval_chance
from sensorloom.training.evaluation.classification import HeadFacts, ProtocolScore, SeedScore
from sensorloom.training.evaluation.few_shot import FewShotCurve, FewShotPoint
from sensorloom.training.evaluation.judged import ClassifiedView, Evaluation
from sensorloom.training.evaluation.offsets import OffsetScores
from sensorloom.training.evaluation.retrieval import RetrievalScores
from sensorloom.training.evaluation.robustness import MissingScores, PositionScores
from sensorloom.training.evaluation.scales import ScaleScores
from sensorloom.training.metrics import Chance

__all__ = ["classified", "curve", "evaluation", "protocol", "retrieved"]

CHANCE = Chance(0.5, 0.22, 0.33, 0.31)
HEADS = {
    "zero-shot": HeadFacts("class texts", "nothing", "prompts", "generated", None),
    "linear-probe": HeadFacts("linear from zero", "head", None, None, None),
    "transfer": HeadFacts("text MLP", "head", "names", "generated", None),
    "fine-tune": HeadFacts("text MLP", "all", "names", "generated", None),
    "from-scratch": HeadFacts("text MLP", "all", "names", "generated", None),
}


def retrieved(
    query: str = "imu", key: str = "text", variant: Any = "one-right", candidates: int = 80
) -> RetrievalScores:
    chance = retrieval_chance(candidates)
    return RetrievalScores(query, key, variant, candidates, candidates, 0.0625, 0.5, 0.875, 0.1875, chance)


def protocol(name: Any, macro_f1: float, accuracy: float, **changes: Any) -> ProtocolScore:
    facts: dict[str, Any] = {
        "paper": "aura",
        "view": "har-pamap2",
        "split": "test",
        "classes": ("rest", "slow", "fast"),
        "head": HEADS[name],
        "macro_f1_error": None,
        "accuracy_error": None,
        "confusion": np.array([[5, 1, 0], [2, 3, 0], [0, 0, 1]]),
        "chance": CHANCE,
        "windows": 12,
        "train_windows": 30,
        "seeds": (SeedScore(0, macro_f1, accuracy),),
    }
    return ProtocolScore(protocol=name, macro_f1=macro_f1, accuracy=accuracy, **(facts | changes))


def curve(accuracies: tuple[float, ...] = (0.25, 0.75), short: tuple[str, ...] = ()) -> FewShotCurve:
    points = tuple(
        FewShotPoint(shots, right, 0.03125, right, 0.03125, 3 * shots, short, (right,) * 5)
        for shots, right in zip((5, 50), accuracies, strict=True)
    )
    return FewShotCurve(
        "linear-probe", "primus", "har-pamap2", "test", ("rest", "slow", "fast"),
        HEADS["linear-probe"], points, CHANCE, 12,
    )  # fmt: skip


def classified(view: str = "har-pamap2", **changes: Any) -> ClassifiedView:
    facts: dict[str, Any] = {
        "snapshot_id": "cd34",
        "split": "test",
        "data": "generated miniature of pamap2, 12 windows of 2 participants",
        "windows": 12,
        "classes": ("rest", "slow", "fast"),
        "shared_participants": 0,
        "pretrained_takes": 0,
        "scores": (
            protocol("zero-shot", 0.111, 0.121),
            protocol("linear-probe", 0.412, 0.422),
            protocol("transfer", 0.513, 0.523),
        ),
        "few_shot": (curve(),),
        "positions": (PositionScores("chest", 12, 0.61, 0.62, 0.71, 0.72, CHANCE),),
        "left_out": {"from-scratch": "there was no time"},
    }
    return ClassifiedView(view=view, **(facts | changes))


def evaluation(**changes: Any) -> Evaluation:
    facts: dict[str, Any] = {
        "run": "runs/aura-aad",
        "recipe": "aura-aad",
        "objective": "alignment",
        "encoder": "Transformer SS",
        "view": "aura-aad",
        "snapshot_id": "ab12",
        "split": "test",
        "data": "generated miniature of egoexo4d, 80 windows of 3 participants",
        "windows": 80,
        "shared_participants": 0,
        "vectors_of": "generated",
        "retrieval": (
            retrieved(),
            retrieved(variant="all-right"),
            retrieved(variant="other-takes", candidates=60),
            retrieved("text", "imu"),
        ),
        "offsets": (OffsetScores(5.0, "best-score", 2.5, retrieved()),),
        "scales": (
            ScaleScores(
                view="aad-10s",
                snapshot_id="ab12",
                length_s=10.0,
                pieces=2,
                data="generated miniature of egoexo4d, 40 windows of 3 participants",
                windows=40,
                pretrained_takes=1,
                pretrained_participants=2,
                retrieval=(retrieved(candidates=40), retrieved("text", "imu", candidates=40)),
            ),
        ),
        "missing": (
            MissingScores("", 1.0, (retrieved(),), 80),
            MissingScores("head.gyroscope", 0.53, (retrieved(),), 80),
        ),
        "views": (classified(),),
        "left_out": {},
        "not_judged": {"har-egoexo4d": "its windows are of 50 Hz"},
    }
    return Evaluation(**(facts | changes))
