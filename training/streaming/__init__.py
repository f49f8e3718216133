"""What the stream is made of: order, sharding over ranks, shards, gathering, texts and masks."""
