"""The training loop, readable from top to bottom.

A run is a folder: `config.json` (what, on which snapshot), `metrics.jsonl` (one line a step and one an
epoch), `checkpoints/step-…` (everything needed to go on) and `checkpoints/best` (the weights with the best
validation; see `Validation.merit`).

On a CPU with one thread count the same configuration and snapshot give the same numbers, and a run that was killed and
resumed gives the numbers of one that was not, to the last bit. On a GPU both hold up to the order of atomic additions.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from sensorloom.store.repository import Repository
from sensorloom.training.assemble import build_for, columns_for
from sensorloom.training.batch import Batch
from sensorloom.training.best import merit_by
from sensorloom.training.carry import model_tensors, pack, unpack
from sensorloom.training.checkpoint import (
    Checkpoint,
    checkpoint_name,
    latest_checkpoint,
    load_checkpoint,
    prune_checkpoints,
    save_checkpoint,
)
from sensorloom.training.configs import RunConfig, SupervisedConfig, config_to_json
from sensorloom.training.errors import RunError
from sensorloom.training.evaluate import BEST
from sensorloom.training.journal import Journal
from sensorloom.training.objective import after_step, can_collapse, term_norms
from sensorloom.training.record import RunRecord, environment, load_record, pick_device, save_record
from sensorloom.training.rules import BatchRules
from sensorloom.training.schedule import learning_rate
from sensorloom.training.standing import RunState, Timing
from sensorloom.training.stream import TripletStream
from sensorloom.training.validate import plain, validate

__all__ = ["Progress", "RunResult", "train"]

Progress = Callable[[str, int, int], None]
"""Called after every step with a line to show, the steps done and the steps of the whole run."""

_EVAL_BATCH = 256


@dataclass(frozen=True, slots=True)
class RunResult:
    """What became of a run. Speed is of this call, without validation; the rest is of the whole run.

    `scores` are those of `Validation` in the best epoch, None where not finite. `alarm` says which signs of collapse
    lasted, nothing if none did. `vectors_of` names the encoder of the view's texts and videos, None where it has none.
    """

    run_dir: Path
    record: RunRecord
    steps: int
    train_loss: float
    best_epoch: int
    scores: Mapping[str, float | None]
    alarm: str
    vectors_of: str | None
    examples_per_s: float
    data_wait_share: float


def train(
    config: RunConfig,
    store: str | Repository,
    out_dir: Path | str,
    *,
    resume: bool = False,
    progress: Progress | None = None,
) -> RunResult:
    """Train `config` on a view of `store` into the folder `out_dir`; `resume` goes on where a run stopped.

    Raises RunError if the folder holds a run and `resume` is off, if the run to resume had another configuration, or if
    a loss is not finite; StreamError if the view or a split is not there; CheckpointError for a damaged checkpoint.
    """
    with torch.random.fork_rng():
        run = _Run(config, store, Path(out_dir), resume=resume)
        with closing(run.journal):
            while run.stream.epoch < config.epochs:
                for batch in run.waited_batches():
                    run.step(batch)
                    if progress:
                        progress(run.headline(), run.state.step, run.total_steps)
                    if run.state.step % config.checkpoint_every == 0 and run.state.step % len(run.stream):
                        run.save()
                run.finish_epoch()
        return run.result()


class _Run:
    """The parts of one run and what happens to them: a step, the end of an epoch, saving, loading."""

    def __init__(self, config: RunConfig, store: str | Repository, run_dir: Path, *, resume: bool) -> None:
        self.config, self.dir = config, run_dir
        earlier = _earlier_record(config, run_dir, resume=resume)
        snapshot = earlier.snapshot_id if earlier else config.snapshot
        repo = Repository.open(store) if isinstance(store, str) else store
        self.stream = _open_training(repo, config, snapshot)
        self.val_stream = _open_validation(repo, config, self.stream.snapshot_id)
        self.device = pick_device(config.device)
        torch.manual_seed(config.seed)
        self.objective = build_for(config, self.stream).to(self.device)
        self.optimizer = torch.optim.AdamW(
            self.objective.parameters(), weight_decay=config.weight_decay, amsgrad=config.amsgrad
        )
        self.total_steps = config.epochs * len(self.stream)
        self.state, self.timing = RunState(), Timing()
        if earlier is None:
            save_record(run_dir, self._describe(repo.url))
        self.record = earlier or self._describe(repo.url)
        last = latest_checkpoint(run_dir / BEST.parent) if resume else None
        self.journal = Journal(run_dir / "metrics.jsonl", self._load(last) if last else 0)

    def waited_batches(self) -> Iterator[Batch]:
        """Yield the rest of the current epoch on the device, timing the waits for data and the work."""
        asked = time.perf_counter()
        with closing(iter(self.stream)) as batches:
            for batch in batches:
                got = time.perf_counter()
                self.timing.waiting_s += got - asked
                yield batch.to(self.device)
                asked = time.perf_counter()
                self.timing.working_s += asked - got

    def step(self, batch: Batch) -> None:
        """Take one optimiser step; raises RunError if the loss is not finite."""
        config = self.config
        rate = learning_rate(self.state.step, self.total_steps, config.learning_rate, config.schedule)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        with self._precision():
            terms = self.objective(batch)
        every = config.term_norms_every
        told = term_norms(self.objective, terms) if every and self.state.step % every == 0 else {}
        terms["loss"].backward()
        limit = config.clip_norm or math.inf
        norm = torch.nn.utils.clip_grad_norm_(self.objective.parameters(), limit)
        self.optimizer.step()
        told |= after_step(self.objective, (self.state.step + 1) / self.total_steps)
        self._count(batch, {"gradient_norm": norm, **terms}, {"learning_rate": rate, **told})

    def finish_epoch(self) -> None:
        """Validate, keep the weights if they are the best so far, write the epoch's line and a checkpoint."""
        state, epoch = self.state, self.stream.epoch - 1
        with self._precision():
            found = validate(self.objective, self.val_stream, self.device)
        scores = plain(found.scores)
        state = replace(state, train_loss=state.loss_sum / state.examples, loss_sum=0.0, examples=0)
        if found.signs and can_collapse(self.objective):
            state = replace(state, watch=state.watch.after(found.signs))
        merit = merit_by(self.config.best_by, found)
        if state.merit is None or merit > state.merit:
            state = replace(state, best_epoch=epoch, merit=merit, scores=scores)
            save_checkpoint(
                self.dir / BEST, Checkpoint(model_tensors(self.objective), {"epoch": epoch, **scores})
            )
        alarm = {"alarm": state.watch.sentence()} if state.watch.raised else {}
        numbers = {"train_loss": state.train_loss, **scores, **plain(found.signs), **alarm}
        self.journal.write(
            {"kind": "epoch", "epoch": epoch, "step": state.step, **numbers, **self.timing.facts()}
        )
        self.state = state
        self.save()

    def save(self) -> None:
        """Write a checkpoint of everything that later numbers depend on."""
        self.journal.flush()
        state = {
            "run": asdict(self.state),
            "stream": self.stream.state_dict(),
            "metrics_bytes": self.journal.position,
        }
        folder = self.dir / BEST.parent
        tensors = pack(self.objective, self.optimizer, self.device)
        save_checkpoint(folder / checkpoint_name(self.state.step), Checkpoint(tensors, state))
        prune_checkpoints(folder, self.config.keep_checkpoints)

    def headline(self) -> str:
        """Say in a few words how the run is doing."""
        loss = self.state.loss_sum / max(self.state.examples, 1)
        name = "macro-F1" if isinstance(self.config, SupervisedConfig) else "validation"
        best = f", best {name} {self.state.merit:.3f}" if self.state.merit is not None else ""
        best += ", EMBEDDINGS COLLAPSE" if self.state.watch.raised else ""
        epoch = (self.state.step - 1) // len(self.stream) + 1
        return f"epoch {epoch}/{self.config.epochs}, loss {loss:.3f}{best}"

    def result(self) -> RunResult:
        """Sum the run up."""
        state = self.state
        return RunResult(
            run_dir=self.dir,
            record=self.record,
            steps=state.step,
            train_loss=state.train_loss,
            best_epoch=state.best_epoch,
            scores=state.scores,
            alarm=state.watch.sentence(),
            vectors_of=self.stream.encoder_name if {"text", "video"} & {*self.stream.columns} else None,
            **self.timing.facts(),
        )

    def _precision(self) -> torch.autocast:
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.config.precision == "bf16")

    def _describe(self, url: str) -> RunRecord:
        return RunRecord(
            config=self.config,
            store=url,
            snapshot_id=self.stream.snapshot_id,
            classes=self.stream.classes,
            window_shape=self.stream.window_shape,
            parameters=sum(parameter.numel() for parameter in self.objective.parameters()),
            environment=environment(self.device),
        )

    def _count(self, batch: Batch, terms: Mapping[str, Tensor], told: Mapping[str, float]) -> None:
        state, size = self.state, len(batch)
        values = torch.stack([term.detach().float() for term in terms.values()]).tolist()
        numbers = dict(zip(terms, values, strict=True))
        loss, norm = numbers["loss"], numbers["gradient_norm"]
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raise RunError(
                f"step {state.step}: the loss is {loss} and the gradient norm {norm}; lower the learning "
                f"rate ({told['learning_rate']:g} now) or look at windows "
                f"{', '.join(self.stream.window_ids(batch.index_B)[:3])}, …"
            )
        self.timing.examples += size
        self.state = replace(
            state, step=state.step + 1, loss_sum=state.loss_sum + loss * size, examples=state.examples + size
        )
        place = {"kind": "step", "epoch": state.step // len(self.stream), "step": state.step}
        self.journal.write({**place, **numbers, **told, **self.timing.facts()})

    def _load(self, path: Path) -> int:
        """Take everything back from a checkpoint and return the length that the metrics had then."""
        checkpoint = load_checkpoint(path)
        unpack(checkpoint.tensors, self.objective, self.optimizer, self.device)
        state = checkpoint.state
        self.stream.load_state_dict(state["stream"])
        self.state = RunState.from_json(state["run"])
        length: int = state["metrics_bytes"]
        return length


def _earlier_record(config: RunConfig, run_dir: Path, *, resume: bool) -> RunRecord | None:
    earlier = load_record(run_dir)
    if earlier is None:
        return None
    if not resume:
        raise RunError(f"{run_dir} already holds a run; resume it, or choose another folder")
    there, here = config_to_json(earlier.config), config_to_json(config)
    changed = [
        f"{key} was {there.get(key)!r} and is {here[key]!r}" for key in here if here[key] != there.get(key)
    ]
    if changed:
        raise RunError(
            f"the run in {run_dir} had other settings: {'; '.join(changed)}. Resume it with its own, "
            "or choose another folder"
        )
    return earlier


def _open_training(repo: Repository, config: RunConfig, snapshot: str) -> TripletStream:
    """Open the training split: of several texts of a slot one at random each time; labels want whole batches."""
    return TripletStream(
        repo,
        view=config.view,
        split=config.train_split,
        batch_size=config.batch_size,
        snapshot=snapshot,
        seed=config.seed,
        columns=columns_for(config),
        last="drop" if isinstance(config, SupervisedConfig) else "keep",
        text="random",
        rules=BatchRules(min_gap_s=config.min_gap_s, imu_only=getattr(config, "imu_only", 0.0)),
    )


def _open_validation(repo: Repository, config: RunConfig, snapshot: str) -> TripletStream:
    return TripletStream(
        repo,
        view=config.view,
        split=config.val_split,
        batch_size=_EVAL_BATCH,
        snapshot=snapshot,
        seed=config.seed,
        columns=columns_for(config),
        shuffle="none",
        last="keep",
    )
