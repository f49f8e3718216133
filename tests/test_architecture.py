"""The rules of the house that a machine can check: who may import whom, and what.

Only imports are read (by AST), so the tests need nothing installed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
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


def is_pure(module: Path) -> bool:
    posix = module.as_posix()
    return (
        (module.parts[0] == "align" and module.name != "stage.py")
        or posix in {"ingest/take.py", "ingest/checks.py", "store/layout.py", "store/manifest.py"}
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


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_a_package_imports_only_those_below_it(module: Path) -> None:
    allowed = LAYERS[: LAYERS.index(module.parts[0]) + 1]
    for name, line in imports(module):
        parts = name.split(".")
        if parts[0] == "sensorloom" and len(parts) > 1 and parts[1] in LAYERS:
            assert parts[1] in allowed, f"{module}:{line}: {module.parts[0]} must not import {name}"


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_only_the_shells_import_the_store(module: Path) -> None:
    if module.parts[0] in {"store", "flows"} or module.as_posix() in STORE_USERS:
        return
    for name, line in imports(module):
        assert not name.startswith("sensorloom.store"), (
            f"{module}:{line}: only stage modules and flows import the store"
        )


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_a_heavy_package_has_one_door(module: Path) -> None:
    for name, line in imports(module):
        package = name.partition(".")[0]
        if package in ONLY_IN:
            assert module.as_posix() in ONLY_IN[package], (
                f"{module}:{line}: {package} only in {sorted(ONLY_IN[package])}"
            )
        if package == "torch":
            assert module.parts[0] in {"embed", "training"}, (
                f"{module}:{line}: torch only in embed and training"
            )


@pytest.mark.parametrize("module", [module for module in MODULES if is_pure(module)], ids=str)
def test_the_core_is_pure(module: Path) -> None:
    forbidden = PURE_FORBIDDEN | (third_parties() - {"numpy", "scipy"})
    for name, line in imports(module):
        assert name.partition(".")[0] not in forbidden, (
            f"{module}:{line}: the pure core must not import {name}"
        )


@pytest.mark.parametrize("folder", ["ingest/readers", "training/objectives"])
def test_siblings_do_not_know_one_another(folder: str) -> None:
    prefix = "sensorloom." + folder.replace("/", ".")
    for module in MODULES:
        if module.parent.as_posix() == folder and module.name != "__init__.py":
            for name, line in imports(module):
                own = f"{prefix}.{module.stem}"
                assert not name.startswith(prefix) or name.startswith(own), (
                    f"{module}:{line}: must not import {name}"
                )


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
