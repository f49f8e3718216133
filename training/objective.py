"""What the loop asks of an objective, and what only some of them have.

Every objective is a Module with `columns`, what it needs of the stream, and `forward(batch)` that gives "loss" and
named scalar terms. Those without labels `embed(batch)`: of each modality unit vectors [B, D] and which are there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from sensorloom.training.batch import Batch
from sensorloom.training.terms.collapse import embedding_signs

__all__ = ["after_step", "can_collapse", "collapse_signs", "embed", "features", "term_norms"]


def embed(objective: nn.Module, batch: Batch) -> Mapping[str, tuple[Tensor, Tensor]]:
    """Return the unit vectors [B, D] of each modality by name, and which are there bool[B]."""
    found: Mapping[str, tuple[Tensor, Tensor]] = objective.embed(batch)  # type: ignore[operator]
    return found


def features(objective: nn.Module, batch: Batch) -> Mapping[str, tuple[Tensor, Tensor]]:
    """Return {"imu": (what a classifier learns from [B, D], which are there bool[B])}.

    That is the objective's own `features`, else what it embeds sensors to, unit vectors.
    """
    if not hasattr(objective, "features"):
        return {"imu": embed(objective, batch)["imu"]}
    found: tuple[Tensor, Tensor] = objective.features(batch)  # type: ignore[operator]
    return {"imu": found}


def term_norms(
    objective: nn.Module, terms: Mapping[str, Tensor], mean: Callable[[Tensor], Tensor] | None = None
) -> dict[str, float]:
    """Return the norm of the gradient of each term but "loss", as "gradient_norm/<term>"; weights play no part.

    The graph stays, for the step itself. A term that leads back to no parameter is left out. `mean` is that of several
    ranks, of whose gradients the gradient is the mean.
    """
    weights = [weight for weight in objective.parameters() if weight.requires_grad]
    norms = {}
    for name, term in terms.items():
        if name != "loss" and term.requires_grad:
            found = torch.autograd.grad(term, weights, retain_graph=True, allow_unused=True)
            flat = torch.cat([each.flatten() for each in found if each is not None])
            flat = flat if mean is None else mean(flat)
            norms[f"gradient_norm/{name}"] = torch.linalg.vector_norm(flat).item()
    return norms


def after_step(objective: nn.Module, progress: float) -> Mapping[str, float]:
    """Let the objective do what follows each optimiser step (average weights, clamp τ); return what it tells.

    `progress` is the share of all steps that are done. Nothing for an objective that has nothing to do.
    """
    if not hasattr(objective, "after_step"):
        return {}
    told: Mapping[str, float] = objective.after_step(progress)  # type: ignore[operator]
    return told


def never_began(objective: nn.Module) -> str:
    """Return a sentence on the terms that training never began, nothing where all were computed."""
    said: Callable[[], str] | None = getattr(objective, "never_began", None)
    return said() if said is not None else ""


def can_collapse(objective: nn.Module) -> bool:
    """Tell whether nothing but care keeps the embeddings apart, so that signs of collapse must raise an alarm.

    Such an objective has `signs` of its own. A contrast holds embeddings apart by its negatives; where they follow
    vectors of a frozen encoder they lie in a cone as narrow as those do, which looks like collapse and is none.
    """
    return hasattr(objective, "signs")


def collapse_signs(objective: nn.Module, batch: Batch) -> Mapping[str, float]:
    """Return the signs of collapse on a batch: the objective's own, else those of its embeddings of sensors."""
    if can_collapse(objective):
        signs: Mapping[str, float] = objective.signs(batch)  # type: ignore[operator]
        return signs
    imu_BD, there_B = embed(objective, batch)["imu"]
    return {f"imu/{name}": value for name, value in embedding_signs(imu_BD[there_B]).items()}
