"""The rules of the house that a machine can check: who may import whom, and what.

Only imports are read (by AST), so the tests need nothing installed.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LAYERS = (
    "store",
    "ingest",
    "align",
    "embed",
    "training",
    "flows",
)  # each may import itself and those before it
MODULES = sorted(path.relative_to(ROOT) for layer in LAYERS for path in (ROOT / layer).rglob("*.py"))

# More than one stage lives in embed: vectors of frames and of texts, golden vectors, then windows with them.
STORE_USERS = {f"{layer}/stage.py" for layer in LAYERS}
STORE_USERS |= {f"embed/{name}.py" for name in ("keys", "texts", "checked", "build")}
STORE_USERS |= {
    f"training/{name}.py"
    for name in (
        *("stream", "streaming/shards", "splits", "checkpoint", "run", "loaded", "evaluate", "search/query"),
    )
}
ONLY_IN = {
    "prefect": {"flows/tasks.py", "flows/pipelines.py"},
    "dask": {"flows/engine.py"},
    "distributed": {"flows/engine.py"},
    "av": {
        f"ingest/{name}.py"
        for name in ("video", "video_file", "video_decode", "video_scaling", "video_picture")
    }
    | {"ingest/miniature/video.py"},
    # The second trains the tiny model that the first loads, and is never imported by the pipeline.
    "open_clip": {"embed/clip.py", "embed/generated_model.py"},
    "rerun": {"flows/recording.py"},
    "webdataset": {"flows/exports/webdataset.py"},
    "zarr": {"store/arrays.py"},
    "onnxruntime": {"training/export_encoder.py"},
    # Judges in tests and benchmarks only: docs/decisions/008-reading-vrs.md.
    "projectaria_tools": set(),
    "pyvrs": set(),
}
PURE_STREAMING = ("apportion", "order", "shuffle_quality", "soundness", "spacing")
PURE_FORBIDDEN = {"os", "pathlib", "time", "random", "logging"}
DRAWERS = {"utils", "util", "common", "helpers", "helper", "misc", "base"}


@cache
def imports(module: Path) -> tuple[tuple[str, int], ...]:
    """Return every imported module, fully qualified, with its line; also those inside functions."""
    return tuple(_imports(module))


def _imports(module: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse((ROOT / module).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((name.name, node.lineno) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}:{node.lineno}: imports are absolute in this project"
            assert node.module is not None
            yield node.module, node.lineno
            yield from ((f"{node.module}.{name.name}", node.lineno) for name in node.names)


def offences(is_wrong: Callable[[Path, str], bool]) -> list[str]:
    """Return where a module imports what is wrong for it; one test a rule, for there are hundreds of modules."""
    return [
        f"{module}:{line}: must not import {name}"
        for module in MODULES
        for name, line in imports(module)
        if is_wrong(module, name)
    ]


def is_pure(module: Path) -> bool:
    posix = module.as_posix()
    return (
        (module.parts[0] == "align" and module.name != "stage.py")
        or posix
        in {"ingest/take.py", "ingest/source.py", "ingest/checks.py", "store/layout.py", "store/manifest.py"}
        or posix in {f"training/streaming/{name}.py" for name in PURE_STREAMING}
        or posix == "training/metrics.py"
        or posix.startswith("flows/pages/")
    )


@cache
def third_parties() -> set[str]:
    """Every package that is imported anywhere and is neither ours nor the standard library's."""
    import sys

    names = {name.partition(".")[0] for module in MODULES for name, _ in imports(module)}
    return names - set(sys.stdlib_module_names) - {"sensorloom"}


def test_a_package_imports_only_those_below_it() -> None:
    def is_wrong(module: Path, name: str) -> bool:
        layer = ".".join(name.split(".")[1:2])
        above = LAYERS[LAYERS.index(module.parts[0]) + 1 :]
        return name.startswith("sensorloom.") and layer in above

    assert not offences(is_wrong)


def test_only_the_shells_import_the_store() -> None:
    def is_wrong(module: Path, name: str) -> bool:
        is_shell = module.parts[0] in {"store", "flows"} or module.as_posix() in STORE_USERS
        return name.startswith("sensorloom.store") and not is_shell

    assert not offences(is_wrong)


def test_a_heavy_package_has_one_door() -> None:
    def is_wrong(module: Path, name: str) -> bool:
        package = name.partition(".")[0]
        return package in ONLY_IN and module.as_posix() not in ONLY_IN[package]

    assert not offences(is_wrong)


def test_torch_is_imported_in_embed_and_training_only() -> None:
    def is_wrong(module: Path, name: str) -> bool:
        return name.partition(".")[0] == "torch" and module.parts[0] not in {"embed", "training"}

    assert not offences(is_wrong)


def test_the_core_is_pure() -> None:
    forbidden = PURE_FORBIDDEN | (third_parties() - {"numpy", "scipy"})

    def is_wrong(module: Path, name: str) -> bool:
        return is_pure(module) and name.partition(".")[0] in forbidden

    assert not offences(is_wrong)


@pytest.mark.parametrize("folder", ["ingest/readers", "training/objectives"])
def test_siblings_do_not_know_one_another(folder: str) -> None:
    prefix = "sensorloom." + folder.replace("/", ".")

    def is_wrong(module: Path, name: str) -> bool:
        is_sibling = module.parent.as_posix() == folder and module.name != "__init__.py"
        return is_sibling and name.startswith(prefix) and not name.startswith(f"{prefix}.{module.stem}")

    assert not offences(is_wrong)


def test_there_are_no_drawers() -> None:
    assert not [module for module in MODULES if module.stem in DRAWERS]


def test_every_package_is_listed_for_installation() -> None:
    """setuptools takes the list in pyproject.toml literally: a forgotten folder would vanish from the wheel."""
    import tomllib

    tool = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    folders = {".".join(("sensorloom", *module.parent.parts)) for module in MODULES} | {"sensorloom"}
    assert set(tool["packages"]) == folders
    assert {
        name: folder.replace("/", ".") for name, folder in tool["package-dir"].items() if name != "sensorloom"
    } == {name: name.removeprefix("sensorloom.") for name in folders if name != "sensorloom"}
