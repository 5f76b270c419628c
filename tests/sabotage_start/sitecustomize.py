"""Put before all on PYTHONPATH by tests: processes that read can't start, as in an environment
where something is missing."""

import os
import signal
import sys

if "segpipe.runtime.isolation.serve" in " ".join(sys.orig_argv):
    print(
        "something before the end\nlibfootage.so.7: cannot open shared object file\n",
        file=sys.stderr,
        flush=True,
    )
    if os.environ.get("SABOTAGE_START") == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    os._exit(3)
