"""Which share of each global batch this process takes, and whether all ranks read the same stream."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from torch import distributed

from sensorloom.training.errors import StreamError

__all__ = ["agree", "find_ranks"]


def find_ranks(rank: int | None = None, num_ranks: int | None = None) -> tuple[int, int]:
    """Return (rank, number of ranks): as given, else of the process group, else of torchrun, else (0, 1).

    torchrun (like other launchers) sets RANK and WORLD_SIZE in the environment, so a stream that is opened
    before `init_process_group` takes its share as well. Raises StreamError for one number without the other
    and for variables that are no rank.
    """
    if rank is not None and num_ranks is not None:
        return rank, num_ranks
    if rank is not None or num_ranks is not None:
        raise StreamError(
            f"rank and num_ranks belong together, got rank={rank} and num_ranks={num_ranks}; give both, or "
            "neither to take those of torch.distributed or torchrun"
        )
    if _in_a_group():
        return distributed.get_rank(), distributed.get_world_size()
    return _ranks_of_launcher()


def agree(identity: Mapping[str, Any] | None, error: Exception | None = None) -> None:
    """Compare `identity`, a mapping of plain values, with that of every other rank of the process group.

    A collective: every rank must call it, after having chosen its device where the group is one of GPUs. One that has
    nothing to compare because it failed hands in its `error`, so that the others need not wait for it. Without a group
    there is nothing to compare.

    Raises `error` itself on the rank that has one; StreamError on every rank that has none if another one has, naming
    that rank and its error; StreamError, the same on every rank, naming the first field that differs and both values.
    """
    answers: list[Any] = [(identity, None)]
    if _in_a_group():
        answers = [None] * distributed.get_world_size()
        told = None if error is None else f"{type(error).__name__}: {error}"
        distributed.all_gather_object(answers, (None if identity is None else dict(identity), told))
    if error is not None:
        raise error
    for rank, (_, told) in enumerate(answers):
        if told is not None:
            raise StreamError(
                f"rank {rank} could not open its stream, so no rank can go on. There it was {told}"
            )
    _compare([identity or {} for identity, _ in answers])


def _compare(identities: Sequence[Mapping[str, Any]]) -> None:
    first = identities[0]
    for rank, other in enumerate(identities):
        for name in dict.fromkeys((*first, *other)):
            if first.get(name) != other.get(name):
                raise StreamError(
                    f"the ranks do not read the same stream: {name} is {first.get(name)!r} on rank 0 and "
                    f"{other.get(name)!r} on rank {rank}; open it alike on every rank, a snapshot by its id "
                    "where its ref may move meanwhile"
                )


def _in_a_group() -> bool:
    return distributed.is_available() and distributed.is_initialized()


def _ranks_of_launcher() -> tuple[int, int]:
    rank, num_ranks = os.environ.get("RANK"), os.environ.get("WORLD_SIZE")
    if rank is None and num_ranks is None:
        return 0, 1
    try:
        found = int(rank or ""), int(num_ranks or "")
    except ValueError:
        found = (-1, 0)
    if not 0 <= found[0] < found[1]:
        raise StreamError(
            f"the environment has RANK={rank} and WORLD_SIZE={num_ranks}, which is no rank of a number of "
            "ranks; unset both, or give rank and num_ranks"
        )
    return found
