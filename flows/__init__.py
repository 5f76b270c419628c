"""Prefect flows. Prefect stays in here: everything below works without it."""
