"""From a job to a dataset: probe, plan, resume, run, report. A shard's path is in `shard`."""
