"""The user and password of the Prefect server, as `PREFECT_API_AUTH_STRING` takes them.

    export PREFECT_API_AUTH_STRING=$(python -m flows.password)

The first call makes a password; it lies in Prefect's home, readable by its user alone.
"""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path

USER = "segpipe"


def password_file() -> Path:
    """Where the password lies."""
    return Path(os.environ.get("PREFECT_HOME", "~/.prefect")).expanduser() / "segpipe-password"


def auth_string() -> str:
    """`segpipe:PASSWORD`; a password is made where there is none. Raises OSError."""
    path = password_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW
    try:
        number = os.open(path, flags, 0o600)
    except FileExistsError:
        return f"{USER}:{path.read_text(encoding='ascii').strip()}"
    with os.fdopen(number, "w", encoding="ascii") as file:
        password = secrets.token_urlsafe(24)
        file.write(f"{password}\n")
    return f"{USER}:{password}"


def main() -> int:
    """Print it."""
    try:
        print(auth_string())
    except OSError as error:
        print(f"segpipe: no password ({error}); set PREFECT_API_AUTH_STRING", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
