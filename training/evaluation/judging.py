"""The steps of an evaluation: which protocols were asked for, how far the work is, and why some have no score."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, TypeVar, get_args

from sensorloom.embed.encoder import EncoderSpec
from sensorloom.training.errors import RunError, StreamError
from sensorloom.training.evaluation.classification import Tune
from sensorloom.training.evaluation.fitting import FitProgress

__all__ = ["ALL", "USUAL", "Asked", "Listen", "Protocol", "Steps"]

Protocol = Literal[
    "retrieval",
    "offsets",
    "scales",
    "missing",
    "zero-shot",
    "linear-probe",
    "transfer",
    "few-shot",
    "positions",
    "fine-tune",
    "from-scratch",
]
ALL: tuple[Protocol, ...] = get_args(Protocol)
USUAL: tuple[Protocol, ...] = tuple(name for name in ALL if name not in ("fine-tune", "from-scratch"))
"""All that works on embeddings, which are made once; the others train the whole encoder."""
WITHOUT_CLASSES: tuple[Protocol, ...] = ("retrieval", "offsets", "scales", "missing")
"""Those that need no labels, one step each; the others have a step for every view with labels."""
Listen = Callable[[str, int, int], None]
"""Called with what is under way, the steps done and all steps."""
Score = TypeVar("Score")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What to judge a run by: `views` with labels or of longer windows, nothing for all that its encoder can take.

    `spec` names the encoder that says classes in words, which must be that of the run's texts and videos; `tune`
    changes how classifiers are fitted, and `seeds` says how often. Raises RunError for a protocol that nobody knows.
    """

    protocols: tuple[str, ...] = USUAL
    views: tuple[str, ...] = ()
    spec: EncoderSpec | None = None
    tune: Tune | None = None
    seeds: int = 1

    def __post_init__(self) -> None:
        unknown = [name for name in self.protocols if name not in ALL]
        if unknown or not self.protocols:
            raise RunError(f"unknown protocols: {', '.join(unknown) or 'none'}; known: {', '.join(ALL)}")
        if self.seeds < 1:
            raise RunError(f"classifiers are fitted with at least 1 seed, got {self.seeds}")

    def is_of_classes(self) -> bool:
        """Return whether any protocol needs a view with labels."""
        return not {*self.protocols} <= {*WITHOUT_CLASSES}


class Steps:
    """Takes one step after the other and tells of it; a step that makes no sense here says why and the rest goes on."""

    def __init__(self, asked: Asked, views: int, listen: Listen | None) -> None:
        self._protocols, self._listen = asked.protocols, listen
        own = sum(name in WITHOUT_CLASSES for name in asked.protocols)
        self._done, self._total = 0, own + views * (len(asked.protocols) - own)

    def take(
        self,
        protocol: Protocol,
        view: str,
        make: Callable[[FitProgress], Iterable[Score]],
        left_out: dict[str, str],
    ) -> tuple[Score, ...]:
        """Return what `make` gives, nothing where `protocol` was not asked for.

        It is called with a listener for its own progress. Where it raises RunError or StreamError the sentence is kept
        in `left_out` and there is nothing.
        """
        if protocol not in self._protocols:
            return ()
        name = f"{protocol} on {view}"

        def tell(line: str, _: int, __: int) -> None:
            self.tell(f"{name}: {line}")

        self.tell(name)
        try:
            return tuple(make(tell))
        except (RunError, StreamError) as error:
            left_out[protocol] = str(error)
            return ()
        finally:
            self._done += 1
            self.tell(name)

    def tell(self, line: str) -> None:
        """Tell what is under way, between steps too."""
        if self._listen is not None:
            self._listen(line, self._done, self._total)
