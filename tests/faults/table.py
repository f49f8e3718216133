"""Every planted fault."""

from __future__ import annotations

from tests.faults.aligned_faults import ALIGNED_FAULTS
from tests.faults.fault import Fault
from tests.faults.raw_faults import RAW_FAULTS
from tests.faults.read_faults import READ_FAULTS
from tests.faults.view_faults import VIEW_FAULTS

__all__ = ["FAULTS"]

FAULTS: tuple[Fault, ...] = (*RAW_FAULTS, *READ_FAULTS, *ALIGNED_FAULTS, *VIEW_FAULTS)
