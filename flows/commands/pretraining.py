"""What a run without labels prints at its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.markup import escape

from sensorloom.flows.commands.shared import Session, err, out, print_facts, print_table
from sensorloom.training.guessing import pair_verdicts

if TYPE_CHECKING:
    from sensorloom.training.run import RunResult

__all__ = ["report_pretraining", "speed_facts", "speed_words"]


def report_pretraining(session: Session, result: RunResult) -> None:
    """Print losses, retrieval against chance and speed; on standard error that embeddings collapsed, if they did."""
    config, scores = result.record.config, result.scores
    losses: list[tuple[Any, ...]] = [("loss in training, last epoch", result.train_loss)]
    losses += [
        (f"{name.removeprefix('val_')} on {config.val_split}", _number(value))
        for name, value in scores.items()
        if name.startswith("val_")
    ]
    pairs = [name.removesuffix("/mrr") for name in scores if name.endswith("/mrr")]
    rows = [
        (
            pair.replace("-", " → "),
            *(_number(scores[f"{pair}/{of}"]) for of in ("r10", "r10_chance", "mrr", "mrr_chance")),
            int(scores[f"{pair}/candidates"] or 0),
        )
        for pair in pairs
    ]

    def lines() -> None:
        title = (
            f"{config.recipe} on view {config.view}, best epoch {result.best_epoch + 1} of {config.epochs}"
        )
        print_table(title, ("", "mean"), losses)
        if rows:
            columns = ("retrieval", "R@10", "chance", "MRR", "chance", "candidates")
            print_table(f"Retrieval on split {config.val_split!r}", columns, rows)
        for split, words in result.data.items():
            out.print(f"{escape(split)}: {escape(words)}")
        for sentence in (*pair_verdicts(scores), *result.notes):
            out.print(f"[yellow]{escape(sentence)}[/]")
        for note in _notes(result):
            out.print(f"[dim]{escape(note)}[/]")
        out.print(f"{result.steps} steps; {speed_words(result)}")

    print_facts(session, _facts(result), lines)
    if result.alarm:
        err.print(
            f"[bold]Embeddings collapse:[/] {escape(result.alarm)}; see these signs in metrics.jsonl before using it"
        )


def _facts(result: RunResult) -> dict[str, Any]:
    config = result.record.config
    numbers = {
        name: getattr(result, name)
        for name in ("steps", "train_loss", "best_epoch", "scores", "alarm", "vectors_of")
    }
    return {
        "run": str(result.run_dir),
        "recipe": config.recipe,
        "view": config.view,
        "snapshot_id": result.record.snapshot_id,
        **numbers,
        "verdict": list(pair_verdicts(result.scores)),
        "notes": list(result.notes),
        "data": dict(result.data),
        **speed_facts(result),
    }


def speed_words(result: RunResult) -> str:
    """Say where a resumed run went on, and how fast this call trained if it took a step."""
    speed = (
        f"{result.examples_per_s:,.0f} examples/s, {result.data_wait_share:.1%} of the time waiting for data"
    )
    said = (result.resumed_words(), "" if result.was_finished else speed)
    return "; ".join(each for each in said if each)


def speed_facts(result: RunResult) -> dict[str, Any]:
    """Return the same for machines: no speed where this call took no step."""
    done = result.was_finished
    return {
        "resumed_from": result.resumed_from,
        "examples_per_s": None if done else result.examples_per_s,
        "data_wait_share": None if done else result.data_wait_share,
    }


def _notes(result: RunResult) -> list[str]:
    name = result.vectors_of
    if name == "generated":
        note = (
            "Texts and videos are vectors of the model `generated`, which was trained on generated pictures"
        )
        return [f"{note}: these scores say nothing about real recordings."]
    if name is not None and ".random" in name:
        return [f"Texts and videos are vectors of random weights ({name}): these scores mean nothing."]
    return []


def _number(value: float | None) -> float | str:
    return "not finite" if value is None else value
