"""Properties of the parsers of segpipe, tried with made-up input: `make test` with a few examples,
always the same ones, `make fuzz` with new ones for an hour.

What was found once stands beside the property as an `@example`, or as a test of its own."""

from __future__ import annotations

from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis.database import DirectoryBasedExampleDatabase

ROOT = Path(__file__).parent.parent.parent
DATABASE = ROOT / ".hypothesis" / "examples"
"""What `make fuzz` found, and tries first the next time. Git ignores it."""

# No deadlines: a busy machine is no fault of a parser.
_ALWAYS = {"deadline": None, "suppress_health_check": list(HealthCheck)}
settings.register_profile("quick", max_examples=25, derandomize=True, database=None, **_ALWAYS)
settings.register_profile(
    "long", max_examples=500, database=DirectoryBasedExampleDatabase(DATABASE), **_ALWAYS
)
settings.load_profile("quick")
