"""From aligned takes to the shards that training reads."""
