"""Answer queries: windows found by a text or by another window, in a store or by the vectors of a run."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any

from sensorloom.flows.audit.report_windows import TextShown
from sensorloom.flows.config import Config
from sensorloom.flows.errors import ConfigError
from sensorloom.flows.queries.facts import Answer, Asked, Hit
from sensorloom.flows.queries.texts import EncodeText, text_encoder
from sensorloom.ingest.take import NS_PER_S
from sensorloom.store.repository import Repository
from sensorloom.training.errors import RunError as TrainingRunError
from sensorloom.training.loaded import LoadedRun, load_run, open_split
from sensorloom.training.record import read_record
from sensorloom.training.search.query import Match, QueryView, index_run
from sensorloom.training.search.query_modalities import MODALITIES, Modality, check_run, modalities_of
from sensorloom.training.streaming.shards import OpenView

__all__ = ["MAX_FOUND", "OfRun", "Searcher", "check_query", "open_run", "open_store"]

MAX_FOUND = 100
"""At most so many windows are found by one query."""
MAX_TEXT = 1000
"""Characters of a text; an encoder reads 77 tokens."""


@dataclass
class Searcher:
    """An open view, by whose vectors windows are found; `run` is the run's folder, "" of a store alone.

    `encoder` and `fingerprint` are of what encodes texts, "" and nothing where no vectors of texts or videos tell. One
    thread at a time may use it.
    """

    config: Config
    repo: Repository
    view: OpenView
    windows: QueryView
    run: str
    encoder: str = ""
    fingerprint: Mapping[str, Any] | str | None = None

    def answer(self, asked: Asked) -> Answer:
        """Find what is asked for.

        Raises `ConfigError` for a query without sense; `StreamError` for a window, a split or a modality that is not
        there; `RunError` where vectors cannot be held against each other; and as `text_encoder` does.
        """
        by, of = check_query(asked)
        self.windows.check(by, of)
        number = self.windows.number(asked.window_id) if asked.window_id else None
        vector = self._encoder(asked.text) if number is None else self.windows.vector(number, by)
        count = self.windows.rows(of, asked.split)  # reads what is not in memory yet
        started = time.perf_counter()
        # By its own kind of vector a window finds itself, which tells nothing.
        without = number if by == of else None
        found = self.windows.find(vector, of, asked.k, split=asked.split, without=without)
        search_ms = (time.perf_counter() - started) * 1e3
        hits = tuple(self._hit(rank, match, of, number) for rank, match in enumerate(found, 1))
        return Answer(
            asked=asked,
            view=self.view.view,
            snapshot_id=self.view.snapshot_id,
            run=self.run,
            encoder=self.encoder,
            windows=count,
            search_ms=round(search_ms, 3),
            hits=hits,
        )

    def _hit(self, rank: int, match: Match, of: Modality, asked: int | None) -> Hit:
        row = self.windows.row(match.window)
        take = self._take(row["take_id"])
        begin_ns = take.get("start_ns") or 0
        texts = sorted(row["texts"] or (), key=lambda text: int(text["slot"]))
        return Hit(
            rank=rank,
            score=round(min(match.score, 1.0), 6),  # the length of a float16 vector is 1 to within 1e-3
            window_id=row["window_id"],
            take_id=row["take_id"],
            dataset=row["dataset"],
            split=row["split"] or "",
            label=row["label"] or "",
            start_s=(row["start_ns"] - begin_ns) / NS_PER_S,
            stop_s=(row["stop_ns"] - begin_ns) / NS_PER_S,
            matched=self._matched(match, of, texts),
            texts=tuple(TextShown(text["source"], text["text"], text["offset_ms"]) for text in texts),
            is_query=asked is not None and self.windows.overlap(match.window, asked),
            is_generated=take.get("origin") == "generated",
        )

    def _matched(self, match: Match, of: Modality, texts: list[Mapping[str, Any]]) -> str:
        if of == "video":
            return str((self.windows.attribute("video_slots") or ())[match.item])
        # A row of a store by hand may tell fewer texts than its tensors.
        return str(texts[match.item]["text"]) if of == "text" and match.item < len(texts) else ""

    def _take(self, take_id: str) -> Mapping[str, Any]:
        """Return the row of a take, nothing of one that was dropped since the view was built."""
        return self._takes.get(take_id, {})

    @cached_property
    def _encoder(self) -> EncodeText:
        """The encoder of texts, loaded with the first of them."""
        if not self.fingerprint:
            raise ConfigError(
                f"view {self.view.view!r} carries no vectors of texts or videos, so nothing tells which encoder a text"
                " is for; run `sensorloom embed` and `sensorloom build`, or ask in another view"
            )
        snapshot = self.repo.resolve(self.view.snapshot_id)
        return text_encoder(self.config, self.repo, snapshot, self.encoder, self.fingerprint)

    @cached_property
    def _takes(self) -> Mapping[str, Mapping[str, Any]]:
        table = self.repo.scan(self.repo.resolve(self.view.snapshot_id), "takes")
        rows = table.collect().to_dicts()
        return {row["take_id"]: row for row in rows}


def open_store(config: Config, view: str = "", of: str = "video") -> Searcher:
    """Open the view to search of the configured store and ref: the one named, or the largest with vectors `of`.

    Raises `ConfigError` where no view has such vectors, `StreamError` for a view that is not there.
    """
    repo = Repository.open(config.store.url)
    opened = OpenView(repo, config.store.ref, view or _largest(repo, config.store.ref, of))
    windows = QueryView(opened)
    return Searcher(config, repo, opened, windows, "", *_encoder_of(windows))


@dataclass(frozen=True, slots=True)
class OfRun:
    """What to search by what a run makes of it: the folder `run`, and which `view`, "" for the run's own.

    `store` overrides where the run's snapshot lies.
    """

    run: Path
    view: str = ""
    store: str | None = None


def open_run(
    config: Config,
    place: OfRun,
    asked: Asked | None = None,
    tell: Callable[[str, int, int], None] = lambda *_: None,
) -> Searcher:
    """Open a view with what a run makes of its windows, on the run's snapshot.

    That is made and kept beside the run where it is not there yet; `tell` hears of it. Where it is known what will be
    `asked`, what the run cannot answer is refused before. Raises `ConfigError` for a view that the run cannot take,
    `StreamError` for one that is not there, and as `load_run` and `index_run` do.
    """
    record = read_record(place.run)
    if asked is not None:
        check_run(*check_query(asked), modalities_of(record.config))
    loaded = load_run(place.run, store=place.store)
    own, snapshot_id = loaded.record.config.view, loaded.record.snapshot_id
    opened = OpenView(loaded.repo, snapshot_id, place.view or own)
    if opened.view != own:
        _check_fits(loaded, opened)
    windows = QueryView(opened, index_run(loaded, opened, tell))
    encoder = _encoder_of(windows)
    if loaded.vectors_of and not encoder[1]:
        encoder = _encoder_of(QueryView(OpenView(loaded.repo, snapshot_id, own)))
    return Searcher(config, loaded.repo, opened, windows, str(place.run), *encoder)


def _encoder_of(windows: QueryView) -> tuple[str, Mapping[str, Any] | str | None]:
    """Return name and fingerprint of the encoder whose vectors of texts and videos a view carries."""
    return windows.attribute("encoder") or "", windows.attribute("fingerprint")


def _check_fits(loaded: LoadedRun, view: OpenView) -> None:
    """Raise `ConfigError` unless the run can take the windows of the view, and texts mean the same in both."""
    splits = {name for table in view.tables(("split",)) for name in table["split"].to_pylist() if name}
    try:
        for split in sorted(splits)[:1]:
            open_split(loaded, view.view, split, batch_size=1)
    except TrainingRunError as error:
        raise ConfigError(str(error)) from error
    found = QueryView(view).attribute("fingerprint")
    if loaded.vectors_of and found and found != loaded.vectors_of:
        raise ConfigError(
            f"view {view.view!r} carries vectors of another encoder than the one that the run in {loaded.run_dir} was"
            " trained with, so a text means something else in each; embed and build it with the latter"
        )


def _largest(repo: Repository, ref: str, of: str) -> str:
    """Return the view with the most windows that has vectors `of` a modality; of equals the first by name."""
    snapshot = repo.resolve(ref)
    names = sorted(name.partition(":")[2] for name in snapshot.tables if name.startswith("windows:"))
    sizes = {
        name: sum(shard.rows for shard in repo.manifest(snapshot, f"windows:{name}").shards) for name in names
    }
    for name in sorted(names, key=lambda name: (-sizes[name], name)):
        if of in QueryView(OpenView(repo, ref, name)).modalities:
            return name
    if of not in ("text", "video"):
        raise ConfigError(
            f"vectors of {of} are made by a run; name one that was trained with it: `sensorloom query --run RUN`"
        )
    raise ConfigError(
        f"no view of snapshot {snapshot.id[:12]} has vectors of {of}; run `sensorloom embed` and `sensorloom build`"
    )


def check_query(asked: Asked) -> tuple[Modality, Modality]:
    """Return the two modalities of a query; raises `ConfigError` for one without sense."""
    for name, value in (("by", asked.by), ("of", asked.of)):
        if value not in MODALITIES:
            near = get_close_matches(value, MODALITIES, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ConfigError(f"{name} {value!r} is none of {', '.join(MODALITIES)}{hint}")
    if bool(asked.text.strip()) == bool(asked.window_id):
        raise ConfigError("a query is a text or the id of a window, one of both")
    if asked.text and asked.by != "text":
        raise ConfigError(f"a text finds by its words, not by {asked.by}; say nothing of `by`")
    if len(asked.text) > MAX_TEXT:
        raise ConfigError(
            f"the text has {len(asked.text)} characters, at most {MAX_TEXT} are read; shorten it"
        )
    if not 1 <= asked.k <= MAX_FOUND:
        raise ConfigError(f"k must be 1 to {MAX_FOUND}, got {asked.k}")
    by = next(name for name in MODALITIES if name == asked.by)
    return by, next(name for name in MODALITIES if name == asked.of)
