"""A file that is known to hit the time-out is not given it again by each run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from segpipe.runtime import isolation
from tests.conftest import ROOT
from tests.footage import make_video, picture
from tests.pipeline.test_run import FAKE, snapshot

Call = Callable[..., tuple[int, str, str]]
SHORT = ("--set", "read.timeout_s=1")


@pytest.fixture
def sabotage(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    isolation.end_all()
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "sabotage"))
    monkeypatch.setenv("SEGPIPE_READER_SANDBOX", "off")  # it counts its hangs in a file
    # Processor time decides, however busy the machine is
    monkeypatch.setattr("segpipe.runtime.isolation.child.PATIENCE", 100)
    yield monkeypatch
    isolation.end_all()


def night(folder: Path, number: int) -> None:
    """One more image: a run has something to do."""
    Image.fromarray(picture(number)).save(folder / f"night-{number}.png")


@pytest.mark.slow
@pytest.mark.attack("a film whose index takes for ever, in five runs")
def test_a_film_that_hangs_costs_the_time_out_once(
    tmp_path: Path, segpipe: Call, sabotage: pytest.MonkeyPatch
) -> None:
    footage, out, hangs = tmp_path / "footage", tmp_path / "out", tmp_path / "hangs"
    footage.mkdir()
    sabotage.setenv("SABOTAGE_SPIN", str(hangs))
    make_video(footage / "clip.mp4")
    night(footage, 0)
    assert segpipe("run", footage, "-o", out, *FAKE, *SHORT)[0] == 6
    after_first = len(hangs.read_text().splitlines())
    for number in range(1, 5):
        night(footage, number)
        assert "1 frame in" in segpipe("run", footage, "-o", out, *FAKE, *SHORT)[1]
    assert len(hangs.read_text().splitlines()) == after_first
    (row,) = (r for r in snapshot(out)["frames"] if r["status"] == "error")
    assert row["error_class"] == "permanent"
    assert "raise read.timeout_s, and --retry-failed tries it again" in row["error"]
    # Who asks for it gets another try, and the film as it is.
    isolation.end_all()
    sabotage.delenv("SABOTAGE_SPIN")
    assert segpipe("run", footage, "-o", out, *FAKE, "--retry-failed")[0] == 0
    assert len(snapshot(out)["masks"]) == 45


@pytest.mark.slow
@pytest.mark.attack("an image that a decoder never finishes, in five runs")
def test_an_image_that_hangs_costs_the_time_out_once(
    tmp_path: Path, segpipe: Call, sabotage: pytest.MonkeyPatch
) -> None:
    footage, out = tmp_path / "footage", tmp_path / "out"
    footage.mkdir()
    Image.fromarray(picture(9)).save(footage / "hang.png")
    night(footage, 0)
    assert segpipe("run", footage, "-o", out, *FAKE, *SHORT)[0] == 6
    for number in range(1, 5):
        night(footage, number)
        assert "1 frame in" in segpipe("run", footage, "-o", out, *FAKE, *SHORT)[1]
    assert "nothing new" in segpipe("run", footage, "-o", out, *FAKE, *SHORT)[1]
