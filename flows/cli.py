"""The command line `sensorloom`. Subcommands are thin: they parse, call a run, print facts and choose the exit code.

Exit codes: 0 done · 1 a gate failed or the run could not finish · 2 bad usage or configuration · 3 some takes failed,
the rest was committed.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import rich_click as click
from rich.markup import escape

from sensorloom import SensorloomError, __version__
from sensorloom.flows.commands import data, inspect, lineage, training
from sensorloom.flows.commands.bench_training import bench
from sensorloom.flows.commands.embed import embed
from sensorloom.flows.commands.export import export
from sensorloom.flows.commands.plan import plan
from sensorloom.flows.commands.query import query
from sensorloom.flows.commands.reproduce import reproduce
from sensorloom.flows.commands.sample import sample
from sensorloom.flows.commands.shared import err, shared_options
from sensorloom.flows.commands.sweep import sweep
from sensorloom.flows.errors import ConfigError

__all__ = ["main"]

EXIT_FAILED, EXIT_USAGE = 1, 2
_EXTRAS = {
    "av": "ingest",
    "open_clip": "ingest,embed",
    "distributed": "dask",
    "webdataset": "export",
    "onnxruntime": "onnx",
    "onnxscript": "onnx",
    "onnx": "onnx",
    "rerun": "rerun",
}

_SECTIONS = {
    "Prepare data": (sample, plan, data.run, data.ingest, embed, data.build),
    "Look at it": (data.audit, inspect.show, inspect.log, lineage.diff, lineage.trace, lineage.rerun),
    "Keep the store": (inspect.verify, inspect.gc),
    "Train": (training.train, sweep, training.evaluate, reproduce, query, export, bench),
}

click.rich_click.MAX_WIDTH = 110
click.rich_click.COMMAND_GROUPS = {
    "sensorloom": [
        {"name": name, "commands": [command.name or "" for command in commands]}
        for name, commands in _SECTIONS.items()
    ]
}


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="sensorloom")
@shared_options
def cli() -> None:
    """Raw wearable recordings to aligned, committed, streamed training windows.

    Try it on generated data: `sensorloom sample raw`, `sensorloom run --raw raw`, `sensorloom train standard-pamap2`.
    """


for _commands in _SECTIONS.values():
    for _command in _commands:
        cli.add_command(_command)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code; an expected error is one sentence, never a traceback."""
    sys.exit(_run(argv))


def _run(argv: Sequence[str] | None) -> int:
    try:
        code = cli.main(args=argv, prog_name="sensorloom", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return EXIT_USAGE
    except click.Abort:
        err.print("interrupted; what was committed stands, a rerun does only what is left")
        return 130
    except ModuleNotFoundError as error:
        if error.name not in _EXTRAS:
            raise
        extra = escape(f"pip install 'sensorloom[{_EXTRAS[error.name]}]'")
        err.print(
            f"[bold red]error[/] this command needs {error.name}, which the base install leaves out: {extra}"
        )
        return EXIT_USAGE
    except SensorloomError as error:
        err.print(f"[bold red]error[/] {escape(str(error))}{_hint(error)}")
        return EXIT_USAGE if _is_usage(error) else EXIT_FAILED
    return code if isinstance(code, int) else 0


def _hint(error: SensorloomError) -> str:
    """Return what to do next where the message cannot know it."""
    from sensorloom.store.errors import DamageError, FormatVersionError

    if isinstance(error, DamageError) and not isinstance(error, FormatVersionError):
        return "; run `sensorloom verify` to list all that is damaged"
    return ""


def _is_usage(error: SensorloomError) -> bool:
    """Tell whether the person at the command line asked for something that is not there."""
    from sensorloom.align.errors import SettingsError, SplitError
    from sensorloom.embed.errors import DeviceError, EncoderError
    from sensorloom.ingest.errors import LayoutError
    from sensorloom.store.errors import NotFoundError, UsageError
    from sensorloom.training.errors import NoRunError, RecipeError, StreamError, UnfitError

    asked = (
        ConfigError,
        DeviceError,
        EncoderError,
        LayoutError,
        SettingsError,
        SplitError,
        NotFoundError,
        UsageError,
        NoRunError,
        RecipeError,
        StreamError,
        UnfitError,
    )
    # Not imported for this alone: it brings what writes videos, which a trainer need not have.
    sampling = sys.modules.get("sensorloom.ingest.miniature.spec")
    return isinstance(error, asked) or (sampling is not None and isinstance(error, sampling.SampleError))
