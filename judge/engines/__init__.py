"""Where shards of a run are executed."""
