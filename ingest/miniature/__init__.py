"""Generated raw trees in the exact download layout of each data set, with known truth and known faults."""

from sensorloom.ingest.miniature.sample import DATASETS, FAULTS, write_sample
from sensorloom.ingest.miniature.spec import SampleError, SampleSpec

__all__ = ["DATASETS", "FAULTS", "SampleError", "SampleSpec", "write_sample"]
