"""The building: imports go down floors only, and each heavy library stays in its rooms."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.conftest import ROOT

FLOORS = {
    "errors": 0, "frames": 0, "results": 0, "overlap": 0, "text": 0, "secrets": 0, "units": 0,
    "stopping": 0, "isolation": 0, "sections": 0, "where": 0,
    "config": 1, "telemetry": 1, "sources": 1, "masks": 1, "taxonomy": 1, "regions": 1, "ego": 1, "taxonomy_files": 2,
    "components": 2, "quality": 2, "stats": 2, "upsampling": 2, "upsampling_torch": 2, "models": 2, "sample": 2,
    "store": 3, "worker": 3,
    "stages": 4, "reading": 4, "pipeline": 4, "training": 4, "survey": 4, "verify": 4, "live": 5, "run_report": 5, "run": 5,
    "evaluation": 5, "bench": 6, "report": 6, "analytics": 6, "cli": 7,
}  # fmt: skip
ROOMS = {
    "prefect": ("flows/",),
    "torch": (
        "segpipe/models/",
        "segpipe/worker.py",
        "segpipe/upsampling_torch.py",
        "segpipe/training/",
        "segpipe/evaluation/onnx_export.py",
    ),
    "torchvision": ("segpipe/models/", "segpipe/training/", "segpipe/cli/running.py"),
    "lightning": ("segpipe/training/",),
    "torchmetrics": ("segpipe/training/module.py",),
    "onnxruntime": ("segpipe/evaluation/onnx_export.py",),
    "matplotlib": ("segpipe/evaluation/", "segpipe/training/curves.py", "segpipe/analytics/picture.py"),
    "transformers": ("segpipe/models/hf.py",),
    "segmentation_models_pytorch": ("segpipe/models/kinds.py", "segpipe/models/smp.py", "segpipe/training/"),
    "av": ("segpipe/sources/", "segpipe/telemetry/", "segpipe/sample/drive.py", "segpipe/report/overlay_video.py"),
    "pyarrow": ("segpipe/store/", "segpipe/report/", "segpipe/analytics/", "segpipe/verify/", "segpipe/cli/analysing.py"),
    "fsspec": (),
    "s3fs": (),
    "upath": ("segpipe/store/",),
    "duckdb": ("segpipe/store/dataset.py", "segpipe/analytics/", "segpipe/cli/reading.py"),
    "numba": ("segpipe/upsampling.py", "segpipe/components.py"),
    "jinja2": ("segpipe/report/page.py",),
    "gpxpy": ("segpipe/telemetry/gpx.py",),
    "pynmea2": ("segpipe/telemetry/nmea.py",),
    "telemetry_parser": ("segpipe/telemetry/gopro.py",),
    "pyproj": ("segpipe/telemetry/", "segpipe/store/geo.py"),
    "h3": ("segpipe/analytics/",),
    "geopandas": ("segpipe/analytics/",),
    "shapely": ("segpipe/analytics/",),
}
FILES = sorted([*(ROOT / "segpipe").rglob("*.py"), *(ROOT / "flows").glob("*.py"), *(ROOT / "scripts").glob("*.py")])


def imports(path: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [a.name for a in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [node.module, *(f"{node.module}.{a.name}" for a in node.names)]
    return found


def part(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


@pytest.mark.parametrize(
    "path", [f for f in FILES if "segpipe" in f.relative_to(ROOT).parts], ids=lambda p: str(p.relative_to(ROOT))
)
def test_imports_go_down(path: Path) -> None:
    place = path.relative_to(ROOT / "segpipe").parts[0].removesuffix(".py")
    if place in {"__init__", "__main__"}:
        return
    assert place in FLOORS, f"{place} has no floor yet: give it one in this test"
    for module in imports(path):
        if module.startswith("segpipe.") and part(module) in FLOORS and part(module) != place:
            assert FLOORS[part(module)] <= FLOORS[place], f"{path.name} on floor {FLOORS[place]} imports {module}"
        assert not module.startswith(("flows", "tests", "scripts")), module


@pytest.mark.parametrize("library", ROOMS)
def test_libraries_stay_in_their_rooms(library: str) -> None:
    for path in FILES:
        place = str(path.relative_to(ROOT))
        if any(m == library or m.startswith(library + ".") for m in imports(path)):
            assert place.startswith(ROOMS[library]), f"{place} imports {library}"


def test_the_library_does_not_print() -> None:
    for path in FILES:
        place = str(path.relative_to(ROOT))
        if place.startswith("segpipe/") and not place.startswith("segpipe/cli/"):
            calls = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call)]
            assert not [c for c in calls if isinstance(c.func, ast.Name) and c.func.id == "print"], place
