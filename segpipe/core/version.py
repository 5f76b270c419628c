"""The version of segpipe."""

__version__ = "0.1.0"
