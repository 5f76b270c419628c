"""Datasets of earlier schema versions, brought to the present one without inference."""

from __future__ import annotations

from segpipe.store.migration.migrate import Migrated, migrate

__all__ = ["Migrated", "migrate"]
