"""Live streams recorded: the queue, the window of time, shards that roll with time."""
