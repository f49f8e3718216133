"""Windows found by a vector."""
