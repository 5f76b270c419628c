"""How often what failed is tried again."""

from __future__ import annotations

MOST_ATTEMPTS = 5
"""A transient failure is tried again by each run until it has failed so often; then only
--retry-failed tries it."""
