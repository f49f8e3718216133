"""Write a sample: miniature raw trees beside one another, and the truth about them.

`OUT/<dataset>/…` has the layout of the download, `OUT/truth.json` says what was planted,
`OUT/GENERATED.txt` says in plain words that nothing here was recorded. A sample appears whole or not at
all.
"""

from __future__ import annotations

import difflib
import json
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType

from sensorloom.ingest.miniature import ego4d, egoexo4d, pamap2, realworld
from sensorloom.ingest.miniature.spec import MiniatureDataset, Order, SampleError, SampleSpec, Truth
from sensorloom.ingest.miniature.tree import Tree

__all__ = ["DATASETS", "FAULTS", "write_sample"]

GENERATOR_VERSION = 4

DATASETS: Mapping[str, MiniatureDataset] = MappingProxyType(
    {
        "pamap2": pamap2.DATASET,
        "realworld": realworld.DATASET,
        "ego4d": ego4d.DATASET,
        "egoexo4d": egoexo4d.DATASET,
    }
)

FAULTS: Mapping[str, str] = MappingProxyType(
    {fault: f"{name}: {line}" for name, dataset in DATASETS.items() for fault, line in dataset.faults.items()}
)

_NOTE_FILE, _TRUTH_FILE = "GENERATED.txt", "truth.json"
_NOTE = """This data is generated. No person wore a sensor and nothing was recorded.

sensorloom wrote these files from a random seed, in the layout and with the quirks of the data sets they
are named after: {datasets}. Use them to try the pipeline and to test it, never as evidence
about people, sensors or methods. Subjects, heart rates and movements are invented.
truth.json lists what was planted: clock offsets, gaps, stalls, missing rows and faults.
"""


def write_sample(out: Path, spec: SampleSpec, *, progress: Callable[[str], None] | None = None) -> Truth:
    """Write the sample `spec` describes to the folder `out` and return its truth.

    `progress` is called with the id of each take once it is written. An earlier sample in `out` is
    replaced, at the end and at once; anything else there is never touched. The same spec gives the same
    bytes.

    Raises `SampleError` for an unknown data set or fault, more faults than takes, a folder that holds other
    files or one that cannot be written.
    """
    _check_names(spec)
    _check_faults(spec)
    _check_target(out)
    out = out.absolute()
    partial, old = (out.with_name(f".{out.name}.sample-{state}") for state in ("partial", "old"))
    for leftover in (partial, old):
        shutil.rmtree(leftover, ignore_errors=True)
    try:
        truth = _fill(partial, spec, progress or (lambda _: None))
        if out.exists():
            out.rename(old)
        partial.rename(out)
    except OSError as error:
        raise SampleError(f"{out}: cannot be written: {error.strerror}; choose another folder") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)
    return truth


def _faults_of(spec: SampleSpec, dataset: str) -> tuple[str, ...]:
    return tuple(fault for fault in DATASETS[dataset].faults if fault in spec.faults)


def _check_faults(spec: SampleSpec) -> None:
    """Refuse what cannot come out right before minutes go into it: more faults of a data set than takes."""
    for name in sorted(spec.datasets):
        faults = _faults_of(spec, name)
        if spec.takes is not None and len(faults) > spec.takes:
            raise SampleError(
                f"{name}: {len(faults)} faults ({', '.join(faults)}) need a take each, and there are {spec.takes};"
                " raise takes or ask for fewer faults"
            )


def _fill(root: Path, spec: SampleSpec, progress: Callable[[str], None]) -> Truth:
    takes: dict[str, Truth] = {}
    files: dict[str, int] = {}
    for name in sorted(spec.datasets):
        dataset, tree = DATASETS[name], Tree(root / name)
        faults = _faults_of(spec, name)
        takes |= dataset.write(tree, Order(spec.seed, spec.takes, spec.minutes, faults, progress))
        files |= {f"{name}/{uri}": size for uri, size in tree.files.items()}
    truth: Truth = {
        "generator_version": GENERATOR_VERSION,
        "spec": asdict(spec),
        "files": files,
        "takes": takes,
    }
    note = _NOTE.format(datasets=", ".join(sorted(spec.datasets)))
    Tree(root).write(_NOTE_FILE, note.encode())
    text = json.dumps(truth, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    Tree(root).write(_TRUTH_FILE, text.encode())
    loaded: Truth = json.loads(text)
    return loaded


def _check_names(spec: SampleSpec) -> None:
    for name in spec.datasets:
        _check_known("data set", name, DATASETS)
    for fault in spec.faults:
        _check_known("fault", fault, FAULTS)
        owner = next(name for name, dataset in DATASETS.items() if fault in dataset.faults)
        if owner not in spec.datasets:
            raise SampleError(
                f"fault {fault!r} belongs to {owner}, which is not asked for; add it to datasets"
            )


def _check_known(what: str, name: str, known: Iterable[str]) -> None:
    names = sorted(known)
    if name in names:
        return
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise SampleError(f"unknown {what} {name!r}{hint} Known: {', '.join(names)}.")


def _check_target(out: Path) -> None:
    """Raise unless `out` is free, empty, or holds an earlier sample and nothing besides."""
    if not out.exists():
        return
    if not out.is_dir():
        raise SampleError(f"{out} is a file; name a folder for the sample")
    present = {
        path.relative_to(out).as_posix(): path.stat().st_size for path in out.rglob("*") if path.is_file()
    }
    earlier = _earlier_files(out)
    for uri in sorted(present):
        if uri not in earlier:
            raise SampleError(
                f"{out} holds {uri}, which no sample wrote; choose an empty folder or move that file away"
            )
        if earlier[uri] not in (None, present[uri]):
            raise SampleError(
                f"{out}/{uri} has {present[uri]} bytes, a sample wrote {earlier[uri]}; choose another folder"
            )


def _earlier_files(out: Path) -> Mapping[str, int | None]:
    """What the sample in `out` wrote, with sizes where they are known; empty when there is none."""
    try:
        files: dict[str, int | None] = dict(json.loads((out / _TRUTH_FILE).read_text())["files"])
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return files | {_NOTE_FILE: None, _TRUTH_FILE: None}
