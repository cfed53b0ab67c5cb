"""Work in shards: over processes that may die, with results that outlast an interruption."""
