"""The sample drive: footage with known truth, rendered by this package."""

from __future__ import annotations

from segpipe.training.sample.drive import DriveFiles, DriveSettings, render_drive, render_frame

__all__ = ["DriveFiles", "DriveSettings", "render_drive", "render_frame"]
