"""A Prefect server with a password, on this machine alone, that pages of other sites can't use.

    export PREFECT_API_AUTH_STRING=$(python -m flows.password)
    python -m flows.server [--port 4200] [--background]

Prefect's own `prefect server start` has no password unless it is told, and answers pages of any
site.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from typing import NoReturn

HOST = "127.0.0.1"
LEAST_LENGTH = 12
"""Characters of a password."""


def settings(environment: Mapping[str, str], port: int) -> dict[str, str]:
    """The server's environment. Raises ValueError where the password is missing or short."""
    said = environment.get("PREFECT_API_AUTH_STRING", "")
    user, _, password = said.partition(":")
    if not user or len(password) < LEAST_LENGTH:
        found = "isn't set" if not said else f"is no USER:PASSWORD of {LEAST_LENGTH} or more"
        raise ValueError(
            f"PREFECT_API_AUTH_STRING {found}: the server needs a password; run export "
            "PREFECT_API_AUTH_STRING=$(python -m flows.password)"
        )
    return {
        **environment,
        "PREFECT_SERVER_API_AUTH_STRING": said,
        "PREFECT_SERVER_API_HOST": HOST,
        "PREFECT_SERVER_API_PORT": str(port),
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": f"http://{HOST}:{port},http://localhost:{port}",
        # Without a connection to Prefect's telemetry a background server ends.
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }


def main() -> NoReturn:
    """Start the server in this process's place."""
    parser = argparse.ArgumentParser(prog="python -m flows.server", description="Start the server.")
    port = int(os.environ.get("PREFECT_SERVER_API_PORT", "4200"))
    parser.add_argument("--port", type=int, default=port, help=f"default {port}")
    parser.add_argument("--background", action="store_true", help="return at once")
    args = parser.parse_args()
    try:
        environment = settings(os.environ, args.port)
    except ValueError as error:
        print(f"segpipe: {error}", file=sys.stderr)
        sys.exit(2)
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", HOST]
    command += ["--port", str(args.port), *(["--background"] if args.background else [])]
    os.execve(sys.executable, command, environment)  # noqa: S606 - our own command, and no shell


if __name__ == "__main__":
    main()
