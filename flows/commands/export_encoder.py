"""The subcommand export encoder: the encoder of a finished run as one file that runs without this project."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import rich_click as click
from rich.markup import escape

from sensorloom.flows.commands.shared import (
    Session,
    err,
    human_bytes,
    out,
    pass_session,
    prepare_for_torch,
    print_facts,
    print_table,
    shared_options,
)
from sensorloom.training.encoder_endings import check_ending

__all__ = ["encoder"]

EXIT_DONE = 0


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--out",
    "path",
    required=True,
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="encoder.pt (TorchScript), or encoder.onnx (ONNX, needs the onnx extra)",
)
@shared_options
@pass_session
def encoder(session: Session, run: Path, path: Path) -> int:
    """The IMU encoder of RUN with its best weights, as one file that needs nothing of this project.

    FILE takes (imu float32[B, S, 6, T], imu_present bool[B, S, 2]), of a JEPA also imu_valid bool[B, S, 2, T], and
    gives an embedding of each window. What it takes, with rate, length, slots, channels and units, and where it comes
    from stand in it as JSON. It was compared with the run before it is there.
    """
    check_ending(path)
    prepare_for_torch(session)
    from sensorloom.training.export_encoder import export_encoder
    from sensorloom.training.loaded import load_run

    store = session.config.store.url if "store.url" in session.settings else None
    loaded = load_run(run, store=store)
    facts = export_encoder(loaded, path)
    if loaded.unfinished:
        err.print(f"[yellow]The run was stopped before its end: {escape(loaded.unfinished)}[/]")
    print_facts(session, {"path": str(path), **facts}, lambda: _print(facts, path))
    return EXIT_DONE


def _print(facts: dict[str, Any], path: Path) -> None:
    imu, output = facts["inputs"]["imu"], facts["output"]
    masks = [name for name in facts["inputs"] if name != "imu"]
    out.print(
        f"[bold]{escape(str(path))}[/]: encoder of {facts['recipe']} on view {facts['view']},"
        f" {human_bytes(facts['bytes'])}, sha256 {facts['sha256'][:12]}"
    )
    of_length = "unit vectors" if output["unit_length"] else "not normalised"
    rows = [
        (
            "imu",
            f"{imu['dtype']}{imu['shape']}",
            f"{', '.join(imu['slots'])}; {imu['rate_hz']} Hz; m/s², rad/s",
        ),
        *((name, f"bool{facts['inputs'][name]['shape']}", "accelerometer, gyroscope") for name in masks),
        ("→ embedding", f"{output['dtype']}{output['shape']}", of_length),
    ]
    print_table("", ("", "type and shape", ""), rows)
