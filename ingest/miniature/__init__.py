"""Generated raw trees in the exact download layout of each data set, with known faults."""
