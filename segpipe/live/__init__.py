"""Live streams into a dataset: read in a process of their own, segmented, committed shard by shard as time passes."""
