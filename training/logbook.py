"""Where a run says how it goes: `metrics.jsonl`, and TensorBoard's files where they are asked for.

Of several ranks one writes; the logbooks of the others take everything and write nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sensorloom.training.errors import RunError
from sensorloom.training.journal import Journal

__all__ = ["Logbook"]


class Logbook:
    """Write records of steps and epochs into `run_dir`, or with None nowhere.

    `position` is that of a checkpoint, as of `Journal`, and `step` its step: what was written after it is forgotten.
    Raises RunError if `tensorboard` is asked for and not installed.
    """

    def __init__(
        self, run_dir: Path | None, *, position: int = 0, step: int = 0, tensorboard: bool = False
    ) -> None:
        self._board = _open_board(run_dir / "tensorboard", step) if run_dir and tensorboard else None
        self._journal = Journal(run_dir / "metrics.jsonl", position) if run_dir else None

    def write(self, record: Mapping[str, Any]) -> None:
        """Write a record of "kind" step or epoch; TensorBoard has its numbers, named "<kind>/<name>"."""
        if self._journal:
            self._journal.write(record)
        if self._board:
            kind = record["kind"]
            step = record["step"] - (kind == "epoch")  # the last step of the epoch
            for name, value in record.items():
                if isinstance(value, float):
                    self._board.add_scalar(f"{kind}/{name}", value, step)

    def flush(self) -> int:
        """Make what was written survive a power cut; return its length in bytes, to be stored in a checkpoint."""
        if self._board:
            self._board.flush()
        if self._journal:
            self._journal.flush()
        return self._journal.position if self._journal else 0

    def close(self) -> None:
        """Close the files."""
        if self._board:
            self._board.close()
        if self._journal:
            self._journal.close()


def _open_board(folder: Path, step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise RunError(
            "tensorboard=true needs a package that is not installed: `pip install 'sensorloom[tensorboard]'`, or leave "
            "the setting out; metrics.jsonl has the same numbers"
        ) from error
    # TensorBoard passes over what it has of this step and later: a resumed run says it again.
    return SummaryWriter(str(folder), purge_step=step or None)
