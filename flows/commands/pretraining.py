"""What a run without labels prints at its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.markup import escape

from sensorloom.flows.commands.shared import Session, err, out, print_facts, print_table

if TYPE_CHECKING:
    from sensorloom.training.run import RunResult

__all__ = ["report_pretraining"]


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
        for note in _notes(result):
            out.print(f"[dim]{escape(note)}[/]")
        out.print(
            f"{result.steps} steps, {result.examples_per_s:,.0f} examples/s,"
            f" {result.data_wait_share:.1%} of the time waiting for data"
        )

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
        "examples_per_s": result.examples_per_s,
        "data_wait_share": result.data_wait_share,
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
