"""Every recipe trains on generated data through the command line, and what it is then worth on people it never saw.

    python benchmarks/demo_pretrain.py FOLDER      (`make demo-pretrain`)

Generates raw trees larger than those of `make demo`, ingests, embeds and builds them, runs `sensorloom train` for every
recipe and for two controls that cannot learn, and judges runs by the classes of labelled views, two commands at a time
on a core each. Ends with a table beside chance, and with exit code 1 where a recipe misses its margin or a control
reaches one. Finished runs stay, so that a call that was killed goes on. All scores are of generated data: they say that
pipeline and objectives work, nothing of people.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SENSORLOOM = Path(sys.executable).with_name("sensorloom")
JOBS = 2
# Takes of each data set, and the minutes of each.
TREES: Mapping[str, tuple[int, float]] = {
    "egoexo4d": (31, 0.75),
    "ego4d": (8, 0.4),
    "pamap2": (9, 3.0),
    "realworld": (48, 0.5),
}
BUILT: Mapping[str, str] = {
    # Wearers of Ego-Exo4D's own val split: each task that they do is done by others in train. A hash of a dozen people
    # that do one task each would ask of movements that were never seen.
    "split.val": json.dumps([f"egoexo4d/{300 + number}" for number in (1, 7, 12, 17)]),
    # One rate, so that the labelled views at 50 Hz fit every encoder; and a fourth of the samples of 200 Hz.
    "views.aura-aad.rate_hz": "50",
    "views.aura-commentary.rate_hz": "50",
    "views.aura-video.rate_hz": "50",
    "views.aura-video.stride_s": "2.5",
    "views.aura-mocap.rate_hz": "50",
    "views.all-modalities.rate_hz": "50",
    # Windows at texts, as those of AURA's and PRIMUS's pairs: a tile shows parts of what several texts tell.
    "views.all-modalities.anchor": '"texts"',
    "views.all-modalities.texts": '["narration", "atomic"]',
    # Windows that overlap are more to learn from, and more candidates. Where somebody stands says nothing of how they
    # move: of places in the world that lesson takes more takes than these.
    "views.aura-mocap.stride_s": "1",
    "views.aura-mocap.mocap": '"root-centred"',
    "views.all-modalities.mocap": '"root-centred"',
}
VIEWS = (
    *("primus", "aura-aad", "aura-commentary", "aura-video", "aura-mocap", "all-modalities", "har-egoexo4d"),
    *("har-pamap2", "har-realworld", "crossl-pamap2", "crossl-realworld"),
)
FAST = ("learning_rate=1e-3", "batch_size=16", "text=first")
RNN = (*FAST, "encoder=cnn-gru")
# Half the tokens, and texts held against one another: the cosine of a window with its own text alone teaches in some
# hundred steps what is common to all texts.
CONTRASTED = ("semantic=info_nce", "semantic_weight=1")
# The published probes are for thousands of windows, and take two hundred in twenty small steps.
FITTED: Mapping[str, tuple[str, ...]] = {
    "har-realworld": ("--fit", "learning_rate=1e-2", "--fit", "batch_size=16")
}
MARGIN, MARGIN_OF_CONTROLS = 5.0, 2.5
TEXT, MOCAP = "imu-text", "imu-mocap"


@dataclass(frozen=True, slots=True)
class Plan:
    """A run: the recipe, its settings, the pairs whose R@10 is held against chance, and whether it cannot learn.

    `judged_on` is a view of labels to measure accuracy on too (see `judgements`).
    """

    name: str
    settings: tuple[str, ...]
    pairs: tuple[str, ...] = ()
    recipe: str = ""
    is_control: bool = False
    judged_on: str = ""


PLANS = (
    Plan("aura-mocap", (*RNN, "epochs=6"), (MOCAP,)),
    Plan("jepa", (*FAST, *CONTRASTED, "unit=triad", "patch=25", "epochs=12"), (TEXT,)),
    Plan("multitask", (*FAST, "epochs=2"), judged_on="har-egoexo4d"),
    Plan("primus", (*FAST, "epochs=8", "queue_length=512"), (TEXT,), judged_on="har-egoexo4d"),
    Plan("aura-joint", (*RNN, "epochs=8"), (TEXT, MOCAP)),
    Plan("all-modalities", (*FAST, "epochs=8"), (TEXT, MOCAP)),
    Plan("crossl-realworld", (*FAST, "epochs=3"), judged_on="crossl-realworld"),
    Plan("crossl-pamap2", (*FAST, "epochs=4"), judged_on="crossl-pamap2"),
    Plan("imu2clip", (*FAST, "epochs=8"), (TEXT,), judged_on="har-egoexo4d"),
    Plan("simclr", (*FAST, "epochs=6"), judged_on="har-egoexo4d"),
    Plan("aura-aad", (*RNN, "epochs=8"), (TEXT,), judged_on="har-egoexo4d"),
    Plan("aura-commentary", (*RNN, "epochs=12"), (TEXT,), judged_on="har-egoexo4d"),
    Plan("aura-video", (*RNN, "epochs=8"), judged_on="har-egoexo4d"),
    Plan("standard-pamap2", ()),
    Plan("standard-realworld", ("epochs=10",)),
    Plan("standard-crossl-pamap2", ("epochs=10",)),
    Plan("untrained-aad", (*RNN, "epochs=2", "learning_rate=1e-12"), (TEXT,), "aura-aad", is_control=True),
    Plan(
        "untrained-mocap", (*RNN, "epochs=2", "learning_rate=1e-12"), (MOCAP,), "aura-mocap", is_control=True
    ),
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args().folder.resolve()
    began = time.monotonic()
    if not (folder / "ready").exists():
        shutil.rmtree(folder, ignore_errors=True)
        prepare(folder)
        (folder / "ready").touch()
    say(f"data ready after {time.monotonic() - began:.0f} s")
    told = side_by_side([lambda plan=plan: train(folder, plan) for plan in PLANS])
    scores = dict(zip((plan.name for plan in PLANS), told, strict=True))
    print_tables(scores)
    say(f"all of it took {time.monotonic() - began:.0f} s")
    missed = [line for plan in PLANS for line in verdict(plan, scores[plan.name])]
    for line in missed:
        say(f"MISSED {line}")
    sys.exit(1 if missed else 0)


def prepare(folder: Path) -> None:
    """Generate, ingest, embed and build."""
    settings = [f"--set={key}={value}" for key, value in BUILT.items()]
    store = ["--store", str(folder / "store")]

    def generate(name: str) -> None:
        takes, minutes = TREES[name]
        size = ["--takes", str(takes), "--minutes", str(minutes)]
        command("sample", str(folder / name), "--datasets", name, *size)

    side_by_side([lambda name=name: generate(name) for name in TREES])
    for name in TREES:
        command(
            "ingest",
            name,
            "--raw",
            str(folder / name / name),
            *store,
            *settings,
            f"--engine=processes:{JOBS}",
        )
    command("embed", *store, *settings, f"--engine=processes:{JOBS}")
    for view in VIEWS:
        command("build", view, *store, *settings)


def train(folder: Path, plan: Plan) -> dict[str, Any]:
    """Run a plan, and return what the command line told of it: at once where it is finished already."""
    kept, out = folder / f"{plan.name}.json", folder / "runs" / plan.name
    if kept.exists():
        told: dict[str, Any] = json.loads(kept.read_text())
        return told
    shutil.rmtree(out, ignore_errors=True)
    store = ["--store", str(folder / "store")]
    settings = [f"--set={each}" for each in plan.settings]
    told = facts("train", plan.recipe or plan.name, "--out", str(out), *store, *settings)
    if plan.judged_on:
        views = []
        for protocol, split, view in judgements(plan):
            asked = ["--protocols", protocol, "--split", split, "--on", view, *FITTED.get(view, ())]
            views += facts("evaluate", str(out), *asked, *store)["views"]
        told["judged"] = {"views": views}
    kept.write_text(json.dumps(told))
    return told


def judgements(plan: Plan) -> Iterator[tuple[str, str, str]]:
    """Yield the protocol, the split and the view of each: a probe is not scored on what it was chosen by."""
    if plan.judged_on == "har-egoexo4d":  # whose wearers are all of train or val
        yield "zero-shot", "val", plan.judged_on
        yield "linear-probe", "test", "har-realworld"
    else:
        yield "linear-probe", "test", plan.judged_on


def facts(*arguments: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(command(*arguments, "--json"))
    return told


def command(*arguments: str) -> str:
    """Run `sensorloom` on one core and return what it printed; stop everything with what it complained of."""
    began = time.monotonic()
    threads = {"OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
    done = subprocess.run(
        [str(SENSORLOOM), *arguments], env=os.environ | threads, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"sensorloom {' '.join(arguments)} ended with {done.returncode}:\n{done.stderr}")
    say(f"{time.monotonic() - began:6.0f} s  sensorloom {' '.join(arguments[:2])}")
    return done.stdout


def side_by_side(tasks: Sequence[Callable[[], Any]]) -> list[Any]:
    with ThreadPoolExecutor(JOBS) as pool:
        return list(pool.map(lambda task: task(), tasks))


def verdict(plan: Plan, told: Mapping[str, Any]) -> Iterator[str]:
    """Say of each pair that is held against chance what is wrong with it."""
    for pair in plan.pairs:
        times = ratio(told, pair)
        if plan.is_control and times > MARGIN_OF_CONTROLS:
            yield f"{plan.name}: a control finds {pair} {times:.1f} times as often as chance"
        if not plan.is_control and times < MARGIN:
            yield f"{plan.name}: {pair} {times:.1f} times chance, {MARGIN:g} are asked for"


def ratio(told: Mapping[str, Any], pair: str) -> float:
    scores = told["scores"]
    return float(scores[f"{pair}/r10"] / scores[f"{pair}/r10_chance"])


def print_tables(told: Mapping[str, Mapping[str, Any]]) -> None:
    say("\nGenerated data. Held-out people, split val of the best epoch: R@10, chance, times, candidates")
    for name, each in told.items():
        scores = each.get("scores", {})
        for pair in sorted(key.removesuffix("/mrr") for key in scores if key.endswith("/mrr")):
            numbers = (
                f"{scores[f'{pair}/r10']:6.3f} {scores[f'{pair}/r10_chance']:6.3f} {ratio(each, pair):6.1f}"
            )
            say(f"{name:24} {pair:12} {numbers} {scores[f'{pair}/candidates']:6.0f}")
        if each.get("alarm"):
            say(f"{name:24} alarm: {each['alarm']}")
    say("\nGenerated data. Classes of held-out people: accuracy, macro-F1, chance (most frequent, uniform)")
    for name, each in told.items():
        for line in class_lines(name, each):
            say(line)


def class_lines(name: str, told: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each protocol that a run was judged by, its own classifier too."""
    scores = [score for view in told.get("judged", {}).get("views", ()) for score in view["scores"]]
    if "macro_f1" in told:
        scores.append({**told, "protocol": "from labels", "paper": ""})
    for score in scores:
        chance = score["chance"]
        words = f"{score['protocol']} {score['paper']}"
        numbers = (
            score["accuracy"],
            score["macro_f1"],
            chance["majority_accuracy"],
            chance["uniform_accuracy"],
        )
        yield f"{name:24} {words:22}" + "".join(f" {number:6.3f}" for number in numbers)


def say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    main()
