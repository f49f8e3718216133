"""A content-addressed store: shards, manifests, snapshots, refs. Knows no sensor, no video, no text."""
