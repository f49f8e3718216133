"""What training costs beside its arithmetic: steps/s of every recipe through `train`, against a bare loop.

The loop has the store, the stream, the augmentations, the checks and the logging; the bare loop steps over one batch
that is ready on the device, augmented already. Both in one process, in turns, so that a busy machine slows both.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from typing import Any

from harness import Contender, SetupError, Turns, drive, need, options, say, scratch

CPU_BATCH = 64
_PER_RECIPE = {
    "over_bare": "steps/s through `train` over those of a bare loop over one ready batch",
    "over_bare_processor": "the same in processor time of all threads, which other work hardly moves",
    "steps_per_s": "steps/s through `train`",
    "data_wait_share": "share of the loop's time that it waited for batches",
}


def main() -> None:
    arguments = _parse()
    drive(lambda: _bench(arguments))


def _parse() -> argparse.Namespace:
    parser = options(__doc__)
    parser.add_argument("--recipes", default="all", help="all, or names with commas")
    parser.add_argument(
        "--batch",
        type=int,
        default=0,
        help=f"windows of a batch; 0: {CPU_BATCH} on a CPU, the recipe's own else",
    )
    parser.add_argument("--block", type=int, default=8, help="timed steps of a turn")
    parser.add_argument(
        "--threads", type=int, default=2, help="cores for the trainer, the stream's threads among them"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    return parser.parse_args()


def _bench(arguments: argparse.Namespace) -> tuple[Mapping[str, float], Mapping[str, str]]:
    need("torch")
    import torch
    from train_steps import steps_of

    from sensorloom.training.recipes import RECIPES, make_recipe

    has_gpu = torch.cuda.is_available() if arguments.device == "auto" else arguments.device != "cpu"
    device = "cuda" if has_gpu else "cpu"
    names = list(RECIPES) if arguments.recipes == "all" else arguments.recipes.split(",")
    unknown = [name for name in names if name not in RECIPES]
    if unknown:
        raise SetupError(f"unknown recipes {', '.join(unknown)}; known: {', '.join(RECIPES)}")
    tell = say(arguments.quiet)
    steps = steps_of(arguments.rounds, arguments.block)
    numbers: dict[str, float] = {}
    for name in names:
        config = make_recipe(name)
        batch = arguments.batch or (
            config.batch_size if has_gpu and config.batch_size > CPU_BATCH else CPU_BATCH
        )
        given = {
            "recipe": name,
            "batch": batch,
            "block": arguments.block,
            "rounds": arguments.rounds,
            "threads": arguments.threads,
            "device": device,
        }
        tell(f"{name}: {steps} steps of {batch} windows on {device}")
        with scratch(arguments.work) as folder:
            found = _run(Turns(1, arguments.threads, folder), given, config.view, batch * steps)
        key = name.replace("-", "_")
        numbers |= {f"{key}_{measure}": found[measure] for measure in _PER_RECIPE}
    ratios = [value for key, value in numbers.items() if key.endswith("_over_bare")]
    told = {"train_over_bare": min(ratios), **numbers, "threads": arguments.threads, "is_gpu": float(has_gpu)}
    return told, _meaning(told)


def _run(turns: Turns, given: Mapping[str, Any], view: str, windows: int) -> Mapping[str, float]:
    data = Contender("data", "train_data.py", ("--view", view, "--windows", str(windows)))
    Turns(1, 1, turns.folder).play([data])
    options = [text for name, value in given.items() for text in (f"--{name}", str(value))]
    steps = Contender("steps", "train_steps.py", (*options, "--store", str(turns.folder / "data" / "store")))
    (found,) = turns.play([steps])["steps"]
    return found


def _meaning(numbers: Mapping[str, float]) -> dict[str, str]:
    meaning = {
        "train_over_bare": f"the least over the recipes: {_PER_RECIPE['over_bare']}",
        "threads": "cores that the trainer had, the stream's threads among them",
        "is_gpu": "1 where the model was on a GPU",
    }
    for key in numbers.keys() - meaning.keys():
        measure = next(measure for measure in _PER_RECIPE if key.endswith(f"_{measure}") and measure != key)
        meaning[key] = f"{key.removesuffix(f'_{measure}').replace('_', '-')}: {_PER_RECIPE[measure]}"
    return {key: meaning[key] for key in numbers}


if __name__ == "__main__":
    sys.exit(main())
