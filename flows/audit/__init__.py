"""The audit: from a snapshot to a report."""
