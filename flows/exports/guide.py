"""The README of an export: what stands in it and how to read it. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sensorloom.ingest.take import counted

__all__ = ["guide", "notes"]

_MEANING = {
    "imu": "per position accelerometer xyz in m/s² with gravity, then gyroscope xyz in rad/s",
    "imu_valid": "per position accelerometer, gyroscope: whether the sample is there; values are 0 where it is not",
    "imu_present": "per position accelerometer, gyroscope: whether the sensor covers enough of the window",
    "video": "per video slot the pooled vector of its frames, of length 1; 0 where there is none",
    "video_present": "per video slot: whether the vector is there",
    "mocap": "per row, ten a second, and joint x, y, z in metres; 0 where not valid",
    "mocap_valid": "per row and joint: whether it is there",
    "text_vectors": "one vector of length 1 for each of the window's `texts`, in their order, which may be none",
}
_UNITS = {"accelerometer_m_s2": "m/s²", "gyroscope_rad_s": "rad/s"}
_FORMAT = {
    "webdataset": """\
One sample a window: `__key__` is the window's id (a dot and the like as in a URL: `urllib.parse.unquote` gives the id
back), `json` tells of the window, and there is one `.npy` for each array:

```python
import webdataset as wds

dataset = wds.WebDataset({paths}, shardshuffle=False).decode()
sample = next(iter(dataset))
```
""",
    "hf-parquet": """\
One row a window: the columns of the window table, and each array as a list of fixed shape:

```python
from datasets import load_dataset

data = load_dataset("parquet", data_files={paths})
row = data[{split}].with_format("numpy")[0]
```

`with_format("numpy")` makes float32 of float16; `with_format("numpy", columns=["video"], dtype="float16")` keeps it (a
`dtype` is that of all columns asked for, times too), and `with_format("arrow")` keeps every type. `texts` and
`text_vectors` are ragged, some to a window: of several rows they come as an array a row.

polars reads it too: `polars.scan_parquet({glob})`; `.to_numpy()` of a column gives the array of all windows.
""",
}


def guide(facts: Mapping[str, Any]) -> str:
    """Return the README, Markdown, of an export that `facts` tell of; its code is to be run in the folder."""
    return "\n".join(
        (
            f"# Windows of the view {facts['view']}",
            "",
            *_origin(facts),
            "",
            "| split | windows | files |",
            "|---|---|---|",
            *(
                f"| {split} | {count:,} | {_files(facts, split)} |"
                for split, count in facts["windows"].items()
            ),
            "",
            "| array of a window | | |",
            "|---|---|---|",
            *(f"| `{name}` | `{kind}` | {_MEANING[name]} |" for name, kind in facts["arrays"].items()),
            "",
            *_names(facts),
            "",
            "What is missing is told by the masks, never by the values. A window's `texts` are all that it pairs with,",
            "each a positive; `label` is null and `label_index` -1 where a window has none. Windows stand in the order",
            "of the store, those of a take together: shuffle them.",
            "",
            "## Reading it",
            "",
            _FORMAT[facts["format"]].format(**_loading(facts)),
            "`export.json` has all of this for programs, with the view's whole recipe and the encoder's fingerprint.",
            "",
        )
    )


def notes(facts: Mapping[str, Any]) -> list[str]:
    """Return in words what the windows do not have, part of them or all."""
    told = ((facts["windows_without_label"], "a label"), (facts["windows_without_split"], "a split"))
    every = sum(facts["windows"].values())
    lines = [
        f"no window has {what}" if count == every else f"{counted(count, 'window')} without {what}"
        for count, what in told
        if count
    ]
    lacking = facts["lacking_columns"]
    return [*lines, f"the view has no {' and no '.join(lacking)}"] if lacking else lines


def _loading(facts: Mapping[str, Any]) -> dict[str, str]:
    """Return, as Python, what a reader is given: a split, the paths of its files or of all, a pattern of its files."""
    split = next(iter(facts["windows"]))
    paths: Any = f"data/{_files(facts, split)}"
    if facts["format"] == "hf-parquet":
        paths = {name: f"data/{name}-*.parquet" for name in facts["windows"]}
    given = {"split": split, "paths": paths, "glob": f"data/{split}-*"}
    return {name: json.dumps(value) for name, value in given.items()}


def _origin(facts: Mapping[str, Any]) -> list[str]:
    generated = facts["generated_takes"]
    lines = [
        f"Exported by sensorloom from snapshot `{facts['snapshot_id']}`; {counted(facts['takes'], 'take')}."
    ]
    if generated:
        share = "all" if generated == facts["takes"] else f"{generated} of {facts['takes']}"
        lines += ["", f"**Generated data**: {share} of the takes were generated, not recorded."]
    errors = {name: error for name, error in facts["imu_worst_error"].items() if error}
    if errors and "imu" in facts["columns"]:
        told = " and ".join(f"{error:.3g} {_UNITS[name]}" for name, error in errors.items())
        lines += ["", f"`imu` was stored in fewer bytes: it is off by at most {told}."]
    if facts["encoder"] and {"video", "text"} & set(facts["columns"]):
        lines += ["", f"Vectors are by the frozen encoder `{facts['encoder']}`."]
    return lines


def _names(facts: Mapping[str, Any]) -> list[str]:
    named = {
        "Positions": facts["positions"],
        "Video slots": facts["video_slots"] if "video" in facts["columns"] else (),
        "Text sources": facts["text_sources"],
        "Classes by `label_index`": facts["classes"],
    }
    lines = [f"{title}: {', '.join(names)}." for title, names in named.items() if names]
    lines += [f"{note[0].upper()}{note[1:]}." for note in notes(facts)]
    return lines


def _files(facts: Mapping[str, Any], split: str) -> str:
    """Return the name of the split's file, or all names as a shell (and WebDataset) would expand them."""
    names = [file["path"].removeprefix("data/") for file in facts["files"] if file["split"] == split]
    if len(names) == 1:
        return str(names[0])
    return str(names[0]).replace("-00000-", f"-{{00000..{len(names) - 1:05d}}}-")
