"""Generate one PAMAP2 subject file in the layout of the download."""

from __future__ import annotations

import argparse
from pathlib import Path

from harness import emit

from sensorloom.ingest.miniature.sample import SampleSpec, write_sample

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--out", type=Path, required=True)
parser.add_argument("--minutes", type=float, required=True)
parser.add_argument("--work", type=Path, required=True)
arguments = parser.parse_args()
write_sample(arguments.out, SampleSpec(datasets=("pamap2",), takes=1, minutes=arguments.minutes))
emit({})
