"""What every room uses and nothing below it: types, errors, text, units, taxonomies, settings."""
