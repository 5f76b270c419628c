"""Run the flow with a shard that fails: `python -m tests.flow_with_fault CONFIG SHARD_PART
FAILURES`."""

import sys

import flows.segment as module
from segpipe.core.config.job import make_job, read_yaml

config, part, failures = sys.argv[1], sys.argv[2], int(sys.argv[3])
attempts = 0
original = module.run_shard


def run_shard(shard, *rest):  # type: ignore[no-untyped-def]
    global attempts
    if part in shard.name:
        attempts += 1
        if attempts <= failures:
            raise RuntimeError(f"the lights went out (attempt {attempts})")
    return original(shard, *rest)


module.run_shard = run_shard
module.segment_shard = module.segment_shard.with_options(retry_delay_seconds=0)
try:
    module.segment_footage(make_job(read_yaml(config)))
except module.ShardsFailed as error:
    print(f"ShardsFailed: {error}")
    print(f"attempts: {attempts}")
    sys.exit(1)  # at its end Prefect sends what it has logged
print(f"attempts: {attempts}")
