"""Ranks: where they are found, in which order of preference, and what ranks that disagree are told."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import distributed

from sensorloom.store.errors import StorageError
from sensorloom.training.errors import StreamError
from sensorloom.training.mixture import MixtureStream
from sensorloom.training.stream import TripletStream
from sensorloom.training.streaming.ranks import agree, find_ranks
from tests.training.forked import forks
from tests.training.generated_triplets import write_triplets


@pytest.fixture(autouse=True)
def _no_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)


def as_torchrun(monkeypatch: pytest.MonkeyPatch, rank: str | None, world_size: str | None) -> None:
    for name, value in (("RANK", rank), ("WORLD_SIZE", world_size)):
        if value is not None:
            monkeypatch.setenv(name, value)


def test_alone_a_process_takes_everything() -> None:
    assert find_ranks() == (0, 1)
    agree({"snapshot": "a"})


def test_torchrun_is_believed_before_there_is_a_group(monkeypatch: pytest.MonkeyPatch) -> None:
    as_torchrun(monkeypatch, "3", "8")
    assert find_ranks() == (3, 8)


def test_given_numbers_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    as_torchrun(monkeypatch, "3", "8")
    assert find_ranks(1, 2) == (1, 2)
    assert find_ranks(0, 1) == (0, 1)


@pytest.mark.parametrize(("rank", "num_ranks"), [(1, None), (None, 2), (0, None)])
def test_half_a_place_is_refused(rank: int | None, num_ranks: int | None) -> None:
    with pytest.raises(
        StreamError, match=f"rank and num_ranks belong together, got rank={rank} and num_ranks={num_ranks};"
    ):
        find_ranks(rank, num_ranks)


@pytest.mark.parametrize(
    ("rank", "world_size"),
    [("1", None), (None, "2"), ("2", "2"), ("-1", "2"), ("0", "0"), ("one", "2"), ("", "2"), ("0", "")],
)
def test_an_environment_that_names_no_rank_is_refused(
    monkeypatch: pytest.MonkeyPatch, rank: str | None, world_size: str | None
) -> None:
    as_torchrun(monkeypatch, rank, world_size)
    with pytest.raises(StreamError, match=f"has RANK={rank} and WORLD_SIZE={world_size}, which is no rank"):
        find_ranks()


def told(work: Callable[[], object]) -> Any:
    """What a rank learns of its place, and of the others as it works; here the launcher is wrong."""
    found = find_ranks()
    try:
        work()
    except Exception as error:
        return found, f"{type(error).__name__}: {error}"
    return found, None


def in_a_group(meeting: Path, works: Sequence[Callable[[], object]]) -> list[Any]:
    """Return what each rank of a process group of forked processes is told; one that waits in vain fails."""
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()

    def join(rank: int) -> None:
        torch.set_num_threads(1)
        distributed.init_process_group(
            "gloo",
            init_method=meeting.as_uri(),
            rank=rank,
            world_size=len(works),
            timeout=timedelta(seconds=30),
        )
        queue.put((rank, told(works[rank])))
        distributed.barrier()
        distributed.destroy_process_group()

    children = [context.Process(target=join, args=(rank,), daemon=True) for rank in range(len(works))]
    for child in children:
        child.start()
    for child in children:
        child.join(60)
        assert child.exitcode == 0
    heard = dict(queue.get() for _ in children)
    return [heard[rank] for rank in sorted(heard)]


def of_a_group(meeting: Path, answers: Sequence[Mapping[str, Any] | Exception]) -> list[Any]:
    """Return what each rank is told that hands in an identity or an error."""
    pairs = [(None, answer) if isinstance(answer, Exception) else (answer, None) for answer in answers]
    return in_a_group(meeting, [partial(agree, *pair) for pair in pairs])


@forks
def test_a_group_is_believed_before_the_environment_and_its_ranks_agree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_torchrun(monkeypatch, "7", "9")
    same = {"snapshot": "a", "rules": {"min_gap_s": 5.0}}
    assert of_a_group(tmp_path / "meeting", [same] * 3) == [((rank, 3), None) for rank in range(3)]


@forks
def test_every_rank_hears_what_differs_and_both_values(tmp_path: Path) -> None:
    mine = {"view": "tiny", "snapshot": "a1", "seed": 0}
    answers = of_a_group(tmp_path / "meeting", [mine, mine, {**mine, "snapshot": "b2"}])
    sentences = {sentence for _, sentence in answers}
    assert len(sentences) == 1
    assert "snapshot is 'a1' on rank 0 and 'b2' on rank 2" in sentences.pop()


@forks
def test_a_field_that_a_rank_lacks_differs_too(tmp_path: Path) -> None:
    answers = of_a_group(tmp_path / "meeting", [{"seed": 1}, {"seed": 1, "rules": "x"}])
    assert all("rules is None on rank 0 and 'x' on rank 1" in sentence for _, sentence in answers)


SAME = {"view": "tiny", "seed": 0}


@forks
def test_the_others_hear_at_once_which_rank_failed_and_why(tmp_path: Path) -> None:
    answers = of_a_group(tmp_path / "meeting", [SAME, StorageError("the disk is gone"), SAME])
    own = "StorageError: the disk is gone"
    others = f"StreamError: rank 1 could not open its stream, so no rank can go on. There it was {own}"
    assert [sentence for _, sentence in answers] == [others, own, others]


@forks
def test_each_rank_that_failed_hears_its_own_error(tmp_path: Path) -> None:
    failed = [StreamError("no split 'tran'"), {**SAME, "seed": 1}, OSError("no route")]
    answers = of_a_group(tmp_path / "meeting", failed)
    first, other, last = (sentence for _, sentence in answers)
    assert (first, last) == ("StreamError: no split 'tran'", "OSError: no route")
    assert (
        other == f"StreamError: rank 0 could not open its stream, so no rank can go on. There it was {first}"
    )


def test_alone_a_process_hears_its_own_error() -> None:
    error = StorageError("the disk is gone")
    with pytest.raises(StorageError, match="the disk is gone") as caught:
        agree(None, error)
    assert caught.value is error


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    url = str(tmp_path_factory.mktemp("triplets") / "store")
    write_triplets(url)
    return url


def open_stream(store: str, **options: Any) -> TripletStream:
    return TripletStream(store, **{"view": "tiny", "split": "train", "batch_size": 12, **options})


def mix(store: str, **options: Any) -> MixtureStream:
    return MixtureStream({"one": open_stream(store), "other": open_stream(store, seed=1)}, **options)


@forks
@pytest.mark.parametrize(
    ("right", "wrong", "own"),
    [
        (
            open_stream,
            partial(open_stream, split="tran"),
            "StreamError: split 'tran' of view 'tiny' has no windows",
        ),
        (open_stream, partial(open_stream, columns=("imo",)), "StreamError: unknown columns ['imo']"),
        (
            open_stream,
            partial(open_stream, batch_size=13),
            "OrderError: the global batch_size must be a multiple of",
        ),
        (partial(mix, batch_size=12), partial(mix, batch_size=12, weights=[1]), "OrderError: "),
        (
            partial(mix, batch_size=12),
            partial(mix, batch_size=13),
            "OrderError: the global batch_size must be",
        ),
    ],
    ids=["split", "columns", "batch", "weights of a mixture", "batch of a mixture"],
)
def test_a_stream_that_one_rank_cannot_open_is_opened_by_none(
    tmp_path: Path, store: str, right: Callable[[str], object], wrong: Callable[[str], object], own: str
) -> None:
    works = [partial(right, store), partial(wrong, store), partial(right, store)]
    sentences = [sentence for _, sentence in in_a_group(tmp_path / "meeting", works)]
    assert sentences[1].startswith(own)
    others = (
        f"StreamError: rank 1 could not open its stream, so no rank can go on. There it was {sentences[1]}"
    )
    assert sentences[::2] == [others] * 2


@forks
def test_ranks_that_are_given_open_without_the_others(tmp_path: Path, store: str) -> None:
    alone = partial(open_stream, store, rank=0, num_ranks=1)
    answers = in_a_group(tmp_path / "meeting", [alone, partial(alone, split="tran"), lambda: None])
    assert [sentence is None for _, sentence in answers] == [True, False, True]
