from __future__ import annotations

import platform
import subprocess
import sys

import pytest

CHURN = """
import resource
import numpy as np
from sensorloom.flows.memory import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    arrays = [np.ones(375_000) for _ in range(8)]  # 3 MB each
    del arrays
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

keep_freed_memory()
first = faults()
print(first, sum(faults() for _ in range(5)))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's allocator can be told")
def test_freed_arrays_are_used_again_without_page_faults():
    done = subprocess.run([sys.executable, "-c", CHURN], capture_output=True, text=True, check=True)
    first, later = map(int, done.stdout.split())
    assert later < first / 10


def test_another_system_is_left_alone(monkeypatch):
    from sensorloom.flows import memory

    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda _: pytest.fail("asked for the C library"))
    memory.keep_freed_memory()
