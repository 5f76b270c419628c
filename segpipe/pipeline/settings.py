"""The part of a job that a frame's way to its rows depends on."""

from __future__ import annotations

from dataclasses import dataclass

from segpipe.core.config.job import Job
from segpipe.core.config.regions import Polygon, RegionSettings
from segpipe.core.config.sections import QualitySettings, ReadSettings, Sampling


@dataclass(frozen=True)
class FrameSettings:
    """How frames are chosen, decoded, judged and divided into regions."""

    sampling: Sampling
    read: ReadSettings
    quality: QualitySettings
    regions: RegionSettings
    ignore_regions: tuple[Polygon, ...] = ()

    @classmethod
    def of(cls, job: Job) -> FrameSettings:
        """Those of a job."""
        return cls(job.sampling, job.read, job.quality, job.regions, job.ignore_regions)
