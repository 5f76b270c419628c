"""Large photographs are ordinary, and take so little memory that they fit beside each other; what
the reader may allocate measures it, and no clock."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segpipe.core.config.job import QualitySettings, ReadSettings, Sampling
from segpipe.core.types import ModelInput
from segpipe.inference.measures.base import MeasureContext
from segpipe.inference.measures.measuring import picture_meter
from segpipe.inference.measures.regions import NO_REGIONS
from segpipe.inference.models.preprocess import Preprocessing
from segpipe.pipeline.read import ReadRequest, ShardReader
from segpipe.runtime import isolation
from segpipe.sources import ImageFolder
from segpipe.sources.decoding import PLAIN
from tests.footage import picture
from tests.pipeline.test_run import FAKE, snapshot

Call = Callable[..., tuple[int, str, str]]
SIZES = {"50": (8160, 6120), "64": (9216, 6912)}


@pytest.fixture
def own_reader() -> None:
    """No reader that is at work already: it has the environment of its start."""
    isolation.end_all()


def photographs(folder: Path, size: tuple[int, int], count: int) -> None:
    folder.mkdir()
    noise = np.random.default_rng(1).integers(0, 255, (306, 408, 3), dtype=np.uint8)
    large = Image.fromarray(noise).resize(size, Image.Resampling.BILINEAR)
    for number in range(count):
        large.putpixel((0, 0), (200, number * 80, 0))
        exif = Image.Exif()
        exif[0x0112] = (1, 6, 8)[number]
        large.save(folder / f"{number}.jpg", exif=exif, quality=70, progressive=number == 2)


@pytest.mark.attack("a folder of photographs of 50 or 64 million pixels")
@pytest.mark.slow
@pytest.mark.parametrize("pixels", SIZES)
@pytest.mark.parametrize("memory", [None, "600MB"])
@pytest.mark.usefixtures("own_reader")
def test_large_photographs_are_read_one_after_the_other(
    memory: str | None, pixels: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A third of what is allowed is enough."""
    if memory:
        monkeypatch.setenv("SEGPIPE_READER_MEMORY", memory)
    photographs(tmp_path / "card", SIZES[pixels], 3)
    (shard,) = ImageFolder.open(sorted((tmp_path / "card").iterdir())).shards(10)
    street = Preprocessing(height=448, width=800, interpolation="area")
    meter = picture_meter(MeasureContext(NO_REGIONS, QualitySettings(), in_sequence=False))
    request = ReadRequest(shard, Sampling(), PLAIN, street, meter=meter)
    came = list(ShardReader(request, ReadSettings(timeout_s=600)).frames())
    width, height = SIZES[pixels]
    assert [(i.view.width, i.view.height) for i in came if isinstance(i, ModelInput)] == [
        (width, height),
        (height, width),
        (height, width),
    ]


@pytest.mark.attack("SEGPIPE_READER_MEMORY that is no size, too small, or negative")
@pytest.mark.parametrize("text", ["lots", "", "-2GB", "10MB", "0", "2GB; rm -r /"])
@pytest.mark.usefixtures("own_reader")
def test_a_bad_size_of_the_readers_memory_is_refused_aloud(
    text: str, tmp_path: Path, segpipe: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEGPIPE_READER_MEMORY", text)
    Image.fromarray(picture(1)).save(tmp_path / "a.png")
    code, printed, errors = segpipe("run", tmp_path / "a.png", "-o", tmp_path / "out", *FAKE)
    assert (code, printed, errors.count("\n")) == (2, "", 1)
    assert f"SEGPIPE_READER_MEMORY: {text!r} is" in errors
    assert snapshot(tmp_path / "out")["frames"] == []
