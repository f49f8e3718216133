"""What can go wrong in training.

SensorloomError
└── TrainingError
    ├── StreamError          the stream cannot be opened as asked: fix the view, split, column or batch size
    │   ├── StateError       a saved position belongs to another stream: load it into the one it came from
    │   └── OrderError       a batch size, rank, seed or epoch that no order has (also a ValueError)
    ├── RecipeError          no such recipe or setting, or a value of the wrong type
    ├── WindowShapeError     an encoder cannot take windows of this shape (also a ValueError)
    ├── CheckpointError      a checkpoint is missing, cut or damaged: use an older one
    └── RunError             a run folder is not what the call expects, or the numbers left the finite range
        ├── NoRunError       a folder holds no run: name another
        └── UnfitError       a view or a protocol that was asked for does not fit the run: ask for another
"""

from __future__ import annotations

from sensorloom import SensorloomError

__all__ = [
    "CheckpointError",
    "NoRunError",
    "OrderError",
    "RecipeError",
    "RunError",
    "StateError",
    "StreamError",
    "TrainingError",
    "UnfitError",
    "WindowShapeError",
]


class TrainingError(SensorloomError):
    """Training, evaluation or streaming cannot go on."""


class StreamError(TrainingError):
    """A stream cannot be opened or iterated as asked."""


class StateError(StreamError):
    """A saved stream position does not belong to this stream."""


class OrderError(StreamError, ValueError):
    """A batch size, rank, seed or epoch lies outside what an order can have."""


class RecipeError(TrainingError):
    """A recipe or a setting of one is unknown, or its value has the wrong type or range."""


class WindowShapeError(TrainingError, ValueError):
    """An encoder was built for, or can only take, windows of another shape."""


class CheckpointError(TrainingError):
    """A checkpoint is missing, truncated or damaged."""


class RunError(TrainingError):
    """A run folder is not what the call expects, or a loss is not finite."""


class NoRunError(RunError):
    """A folder that was named holds no run."""


class UnfitError(RunError):
    """A view or a protocol that was asked for does not fit the run."""
