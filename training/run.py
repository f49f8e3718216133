"""The training loop, readable from top to bottom.

A run is a folder: `config.json` (what, on which snapshot), `metrics.jsonl` (one line a step and one an
epoch), `checkpoints/step-…` (everything needed to go on) and `checkpoints/best` (the weights with the best
validation; see `Validation.merit`).

On a CPU with one thread count the same configuration and snapshot give the same numbers, and a run that was killed and
resumed gives the numbers of one that was not, to the last bit. On a GPU both hold up to the order of atomic additions.
Several ranks give the numbers of one up to the order of sums, where nothing random depends on the rank, as dropout does
(`parallel`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path

import torch
from torch import Tensor

from sensorloom.store.repository import Repository
from sensorloom.training.assemble import build_for
from sensorloom.training.batch import Batch
from sensorloom.training.best import merit_by
from sensorloom.training.carry import model_tensors, own_tensors, pack, unpack
from sensorloom.training.checkpoint import (
    Checkpoint,
    checkpoint_name,
    latest_checkpoint,
    load_checkpoint,
    prune_checkpoints,
    save_checkpoint,
)
from sensorloom.training.compiled import compile_encoders
from sensorloom.training.configs import RunConfig
from sensorloom.training.errors import RunError
from sensorloom.training.evaluate import BEST, describe_split
from sensorloom.training.interruption import held_interrupts
from sensorloom.training.logbook import Logbook
from sensorloom.training.objective import after_step, can_collapse, never_began, term_norms
from sensorloom.training.optimizer import make_optimizer, set_step
from sensorloom.training.parallel import Ranks, joined, pick_device
from sensorloom.training.record import RunRecord, earlier_record, environment, save_record
from sensorloom.training.splits import open_training, open_validation
from sensorloom.training.standing import RunResult, RunState, Timing, merit_words
from sensorloom.training.start import begun, take_encoder
from sensorloom.training.validate import Validation, plain, validate

__all__ = ["Progress", "RunResult", "train"]

Progress = Callable[[str, int, int], None]
"""Called after every step with a line to show, the steps done and the steps of the whole run."""


def train(
    config: RunConfig,
    store: str | Repository,
    out_dir: Path | str,
    *,
    resume: bool = False,
    progress: Progress | None = None,
) -> RunResult:
    """Train `config` on a view of `store` into the folder `out_dir`; `resume` goes on where a run stopped.

    Under torchrun every rank calls this alike, and `batch_size` is that of all together; a run may resume on another
    number of them.

    Raises RunError if the folder holds a run and `resume` is off, if the run to resume had another configuration, or if
    a loss is not finite; StreamError if the view or a split is not there; CheckpointError for a damaged checkpoint.
    """
    device = pick_device(config.device)
    forked = [device] if device.type == "cuda" else []
    with joined(device) as ranks, torch.random.fork_rng(devices=forked):
        run = _Run(config, store, Path(out_dir), ranks, resume=resume)
        with closing(run.logbook), held_interrupts(wanted=ranks.count == 1) as interrupted:
            while run.stream.epoch < config.epochs:
                for batch in run.waited_batches():
                    run.step(batch)
                    if progress:
                        progress(run.headline(), run.state.step, run.total_steps)
                    is_due = run.state.step % config.checkpoint_every == 0 or interrupted()
                    if is_due and run.state.step % len(run.stream):
                        run.save()
                        _stop(interrupted())
                run.finish_epoch()
                _stop(interrupted())
        return run.result()


def _stop(is_interrupted: bool) -> None:
    if is_interrupted:
        raise KeyboardInterrupt


class _Run:
    """The parts of one run and what happens to them: a step, the end of an epoch, saving, loading.

    On several ranks each has such a run. What they say and write is the first's; the rest is the same on all, but for
    random states.
    """

    def __init__(
        self, config: RunConfig, store: str | Repository, run_dir: Path, ranks: Ranks, *, resume: bool
    ) -> None:
        self.dir, self.ranks, self.device = run_dir, ranks, ranks.device
        earlier = ranks.first(lambda: earlier_record(config, run_dir, resume=resume))
        self.config = config = earlier.config if earlier else ranks.first(lambda: begun(config))
        self.repo = repo = Repository.open(store) if isinstance(store, str) else store
        self.stream = open_training(repo, config, earlier.snapshot_id if earlier else config.snapshot, ranks)
        self.val_stream = open_validation(repo, config, self.stream.snapshot_id)
        torch.manual_seed(config.seed)
        self.objective = build_for(config, self.stream).to(self.device)
        self.record = earlier or self._describe(repo.url)
        self.total_steps = config.epochs * len(self.stream)
        self.state, self.timing = RunState(), Timing()
        self.optimizer = make_optimizer(self.objective, config)
        written = self._begin(latest_checkpoint(run_dir / BEST.parent) if earlier else None)
        self.resumed_from = self.state.step if earlier else None
        if earlier is None and ranks.leads:
            save_record(run_dir, self.record)
        if config.compile:
            compile_encoders(self.objective)
        self.shared = ranks.shared(self.objective)
        self.logbook = Logbook(
            run_dir if ranks.leads else None,
            position=written,
            step=self.state.step,
            tensorboard=config.tensorboard,
        )

    def waited_batches(self) -> Iterator[Batch]:
        """Yield the rest of the current epoch on the device, timing the waits for data and the work."""
        asked = time.perf_counter()
        with closing(iter(self.stream)) as batches:
            for batch in batches:
                got, before = time.perf_counter(), self.state.examples
                yield batch.to(self.device)
                waited_s, asked = got - asked, time.perf_counter()
                self.timing.finish(waited_s, asked - got, self.state.examples - before)

    def step(self, batch: Batch) -> None:
        """Take one optimiser step; raises RunError if the loss is not finite."""
        config, step = self.config, self.state.step
        told = set_step(self.optimizer, config, step, self.total_steps)
        self.optimizer.zero_grad(set_to_none=True)
        with self._precision():
            terms = self.shared(batch)
        wants_norms = config.term_norms_every > 0 and step % config.term_norms_every == 0
        terms["loss"].backward(retain_graph=wants_norms)
        if wants_norms:
            told |= term_norms(self.objective, terms, self.ranks.mean)
        limit = config.clip_norm or math.inf
        norm = torch.nn.utils.clip_grad_norm_(self.objective.parameters(), limit)
        self.optimizer.step()
        told |= after_step(self.objective, (step + 1) / self.total_steps)
        self._count(batch, {"gradient_norm": norm, **terms}, told)

    def finish_epoch(self) -> None:
        """Validate, keep the weights if they are the best so far, write the epoch's line and a checkpoint."""
        state, epoch = self.state, self.stream.epoch - 1
        found = self.ranks.first(self._validated)
        scores = plain(found.scores)
        state = replace(state, train_loss=state.loss_sum / state.examples, loss_sum=0.0, examples=0)
        if found.signs and can_collapse(self.objective):
            state = replace(state, watch=state.watch.after(found.signs))
        merit = merit_by(self.config.best_by, found, epoch)
        if state.merit is None or merit > state.merit:
            state = replace(state, best_epoch=epoch, merit=merit, scores=scores)
            if self.ranks.leads:
                best = Checkpoint(model_tensors(self.objective), {"epoch": epoch, **scores})
                save_checkpoint(self.dir / BEST, best)
        alarm = {"alarm": state.watch.sentence()} if state.watch.raised else {}
        numbers = {"train_loss": state.train_loss, **scores, **plain(found.signs), **alarm}
        self.logbook.write(
            {"kind": "epoch", "epoch": epoch, "step": state.step, **numbers, **self.timing.facts()}
        )
        self.state = state
        self.save()

    def save(self) -> None:
        """Write a checkpoint of everything that later numbers depend on."""
        own = self.ranks.everyone(own_tensors(self.objective, self.device))
        if not self.ranks.leads:
            return
        place = {"stream": self.stream.state_dict(), "metrics_bytes": self.logbook.flush()}
        folder = self.dir / BEST.parent
        whole = Checkpoint(pack(self.objective, self.optimizer, own), {"run": asdict(self.state), **place})
        save_checkpoint(folder / checkpoint_name(self.state.step), whole)
        prune_checkpoints(folder, self.config.keep_checkpoints)

    def headline(self) -> str:
        """Say in a few words how the run is doing."""
        loss = self.state.loss_sum / max(self.state.examples, 1)
        name = merit_words(self.config, self.state.scores)
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
            **{"examples_per_s": 0.0, "data_wait_share": 0.0, **self.timing.facts()},
            data={
                each.split: describe_split(self.repo, each).words for each in (self.stream, self.val_stream)
            },
            resumed_from=self.resumed_from,
            notes=self._notes(),
        )

    def _notes(self) -> tuple[str, ...]:
        split, size, there = self.stream.split, self.config.batch_size, self.stream.num_examples
        large = f"batch_size is {size}, and split {split!r} has {there} windows: a batch is all of them"
        return tuple(note for note in (large if size > there else "", never_began(self.objective)) if note)

    def _precision(self) -> torch.autocast:
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.config.precision == "bf16")

    def _validated(self) -> Validation:
        with self._precision():
            return validate(self.objective, self.val_stream, self.device)

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
        state, ranks = self.state, self.ranks
        found = [term.detach().float() for term in terms.values()]
        *values, size = ranks.mean(torch.stack([*found, found[0].new_tensor(float(len(batch)))])).tolist()
        numbers, examples = dict(zip(terms, values, strict=True)), round(size * ranks.count)
        loss, norm = numbers["loss"], numbers["gradient_norm"]
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raise RunError(
                f"step {state.step}: the loss is {loss} and the gradient norm {norm}; lower the learning "
                f"rate ({told['learning_rate']:g} now) or look at windows "
                f"{', '.join(self.stream.window_ids(batch.index_B)[:3])}, …"
            )
        loss_sum = state.loss_sum + loss * examples
        self.state = replace(
            state, step=state.step + 1, loss_sum=loss_sum, examples=state.examples + examples
        )
        place = {"kind": "step", "epoch": state.step // len(self.stream), "step": state.step}
        self.logbook.write({**place, **numbers, **told, **self.timing.facts()})

    def _begin(self, last: Path | None) -> int:
        """Begin anew, or take everything back from a checkpoint; return the length that the metrics had then."""
        config, ranks = self.config, self.ranks
        if last is None:
            take_encoder(config, self.stream.window_shape, self.objective)
            ranks.seed(config.seed)
            return 0
        checkpoint = load_checkpoint(last)
        is_known = unpack(checkpoint.tensors, self.objective, self.optimizer, ranks.rank)
        state = checkpoint.state
        self.stream.load_state_dict(state["stream"])
        self.state = RunState.from_json(state["run"])
        if not is_known:
            ranks.seed(config.seed + self.state.step)
        length: int = state["metrics_bytes"]
        return length
