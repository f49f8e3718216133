"""A run beside the published numbers, each with the data it was measured on. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from sensorloom.ingest.take import counted
from sensorloom.training.configs import EncoderConfig, RunConfig
from sensorloom.training.evaluate import EvalResult
from sensorloom.training.evaluation.published import PublishedTable, published_classes

__all__ = ["Comparison", "ComparisonRow", "compare", "encoder_words", "render_text"]


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """One line: who, the two scores, and what they were measured on."""

    name: str
    macro_f1: float
    accuracy: float
    measured_on: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """The lines of a table and what a reader must know before comparing them."""

    title: str
    rows: tuple[ComparisonRow, ...]
    notes: tuple[str, ...]


_PAPER_NOTE = (
    "The paper trained these from random weights for 100 epochs with batch 1024, learning rate 5e-5 and a head of text "
    "embeddings."
)  # methods §2.7


def compare(result: EvalResult) -> Comparison:
    """Return the run, its chance levels and the published rows of the same view."""
    config, chance = result.record.config, result.chance
    rows = (
        ComparisonRow(f"this run ({encoder_words(config)})", result.macro_f1, result.accuracy, result.data),
        ComparisonRow(
            "chance: always the most frequent class",
            chance.majority_macro_f1,
            chance.majority_accuracy,
            "the same",
        ),
        ComparisonRow(
            "chance: every class equally often", chance.uniform_macro_f1, chance.uniform_accuracy, "the same"
        ),
        *_published_rows(published_classes(config.view)),
    )
    return Comparison(
        f"{config.recipe}, split {result.split!r}, {len(result.record.classes)} classes", rows, _notes(result)
    )


def render_text(comparison: Comparison) -> str:
    """Return the table as plain text, one line per row and note."""
    width = max(len(row.name) for row in comparison.rows)
    lines = [comparison.title, f"{'':{width}}  macro-F1  accuracy  measured on"]
    lines += [
        f"{row.name:{width}}  {row.macro_f1:8.4f}  {row.accuracy:8.4f}  {row.measured_on}"
        for row in comparison.rows
    ]
    return "\n".join([*lines, *(f"Note: {note}" for note in comparison.notes)])


def encoder_words(config: RunConfig) -> str:
    """Return what makes a vector of a sensor window in a run, as a table names it."""
    if not isinstance(config, EncoderConfig):
        return {"crossl": "TCN a sensor", "jepa": "JEPA"}.get(config.objective, config.objective)
    names = {
        "cnn-gru": f"CNN-GRU, GRU over {config.gru_axis}",
        "transformer": f"Transformer {config.transformer_size}",
        "tpn": "TPN",
    }
    return names[config.encoder]


def _published_rows(table: PublishedTable | None) -> tuple[ComparisonRow, ...]:
    """Return the rows without pretraining: encoder and head trained from random weights."""
    if table is None:
        return ()
    return tuple(
        ComparisonRow(f"{table.name}, {score.model}", score.macro_f1, score.accuracy, table.data)
        for score in table.scores
        if score.protocol == "from-scratch"
    )


def _notes(result: EvalResult) -> tuple[str, ...]:
    absent = [item.name for item in result.classes if not item.support]
    notes = []
    if "generated" in result.data:
        notes.append(
            "This run was measured on generated data; its scores say nothing about the real data set."
        )
    if absent:
        notes.append(
            f"Classes without a window in this split: {', '.join(absent)}; macro-F1 is over the classes that "
            f"occur ({result.macro_f1_all:.4f} counting absent ones as 0)."
        )
    if result.untaught:
        all_of_it = all(item.name in result.untaught for item in result.classes if item.support)
        then = (
            "these are all of its classes, so its scores say nothing"
            if all_of_it
            else "nobody could learn them"
        )
        notes.append(
            f"Classes of this split without a window in the training split: {', '.join(result.untaught)}; {then}."
        )
    if result.shared_participants:
        notes.append(
            f"{counted(result.shared_participants, 'participant')} of this split: also in the training split."
        )
    published = published_classes(result.record.config.view)
    if published is not None:
        notes += [*published.notes, _PAPER_NOTE]
    else:
        notes.append("No published numbers from random weights are known for this view.")
    return tuple(notes)
