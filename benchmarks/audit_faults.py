"""Contender: every fault of `tests/faults` planted, and everything generated without one audited."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from harness import FOLDER, emit

sys.path.insert(0, str(FOLDER.parent))  # the tests are never installed

from tests.faults.confusion import compare
from tests.faults.runner import Runner


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    arguments = parser.parse_args()
    os.environ["XDG_CACHE_HOME"] = str(arguments.work / "cache")
    found = compare(Runner(arguments.work))
    (arguments.work / "tables.json").write_text(json.dumps(found.tables))
    emit(found.numbers)


if __name__ == "__main__":
    main()
