"""Settings that were accepted: noted once, and forgotten as soon as anything differs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from segpipe.core.config.job import Job, make_job
from segpipe.runtime.files.paths import path_of
from segpipe.store import accepted
from segpipe.store.accepted import is_accepted, remember_accepted, settings_digest
from segpipe.store.manifest import Manifest, decided_by_job
from segpipe.verify import verify
from tests.conftest import ROOT
from tests.s3_server import BUCKET, S3
from tests.tiny_shards import add_shards, age, tiny_store

QUICK = """
import sys
from pathlib import Path
from segpipe.cli.running import job_from
from segpipe.cli.parsers import parser
import segpipe.pipeline.run
from segpipe.sources import discover
from segpipe.store.accepted import is_accepted, settings_digest
from segpipe.store.index import records_and_update
out, image = Path(sys.argv[1]), sys.argv[2]
args = parser().parse_args(["run", image, "-o", str(out)])
job = job_from(args, inputs=tuple(args.inputs), output=args.output)
assert discover(job.inputs).sources
assert len(records_and_update(out, lambda: None)) == 2
assert is_accepted(out, settings_digest(job))
print(*sorted(sys.modules))
"""
SLOW = {
    "torch",
    "torchvision",
    "timm",
    "transformers",
    "numba",
    "pandas",
    "polars",
    "duckdb",
    "prefect",
    "matplotlib",
    "pyarrow.dataset",
}


def job_of(root: object, **more: object) -> Job:
    return make_job({"inputs": ["/footage"], "output": str(root), **more})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A dataset for which the default settings were accepted."""
    add_shards(tiny_store(tmp_path / "out"), range(2))
    age(tmp_path / "out")
    remember_accepted(tmp_path / "out", settings_digest(job_of(tmp_path / "out")))
    return tmp_path / "out"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder of a model, as far as its files go."""
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("config.json", "model.safetensors"):
        (folder / name).write_text(name)
    return folder


def test_the_same_settings_are_accepted(root: Path) -> None:
    assert is_accepted(root, settings_digest(job_of(root)))
    # Neither what is read nor how fast decides the rows
    others = {
        "inputs": ["/other"],
        "worker": {"lanes": 1},
        "time": {"offset_s": 5},
        "sampling": {"stream": "all"},
        "store": {"compression_level": 9},
    }
    assert is_accepted(root, settings_digest(job_of(root, **others)))
    before = (root / "index" / accepted.FILE).stat()
    remember_accepted(root, settings_digest(job_of(root)))
    assert (root / "index" / accepted.FILE).stat().st_mtime_ns == before.st_mtime_ns
    assert not [f for f in verify(root).findings if f.table == "index"]


@pytest.mark.parametrize(
    "other",
    [
        {"sampling": {"every_n": 2}},
        {"model": {"source": "fake:"}},
        {"model": {"precision": "float16"}},
        {"model": {"device": "cuda"}},
        {"store": {"frames_per_shard": 7}},
        {"regions": {"path_width": 3.0}},
        {"ignore_regions": [[[0, 0], [1, 0], [1, 1]]]},
        {"ego_mask": "auto"},
        {"quality": {"min_contrast": 9.0}},
    ],
    ids=str,
)
def test_other_settings_are_not(root: Path, other: dict[str, object]) -> None:
    assert not is_accepted(root, settings_digest(job_of(root, **other)))


def test_all_of_the_manifest_that_a_job_decides_counts() -> None:
    beside = {"format", "schema_version", "model"}
    assert set(decided_by_job(job_of("/out"))) == set(Manifest.model_fields) - beside


def test_another_manifest_version_or_device_is_not(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = job_of(root)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    assert not is_accepted(root, settings_digest(job))
    monkeypatch.undo()
    monkeypatch.setattr(accepted, "__version__", "99")
    assert not is_accepted(root, settings_digest(job))
    monkeypatch.undo()
    assert is_accepted(root, settings_digest(job))
    manifest = root / "dataset.json"
    manifest.write_text(manifest.read_text().replace("road", "rode"))
    assert not is_accepted(root, settings_digest(job))
    manifest.unlink()
    assert not is_accepted(root, settings_digest(job))
    remember_accepted(root, settings_digest(job))


@pytest.mark.parametrize("source", ["smp:{}", "{}", "hf:{}"])
def test_other_weights_are_not(root: Path, model: Path, source: str) -> None:
    job = job_of(root, model={"source": source.format(model)})
    remember_accepted(root, settings_digest(job))
    assert is_accepted(root, settings_digest(job))
    weights, new = model / "model.safetensors", model / "new"
    status = weights.stat()
    new.write_text("MODEL.safetensors")
    os.utime(new, ns=(status.st_atime_ns, status.st_mtime_ns))
    new.replace(weights)
    assert weights.stat().st_size == status.st_size
    assert not is_accepted(root, settings_digest(job))
    remember_accepted(root, settings_digest(job))
    (model / "segpipe.json").write_text("{}")
    assert not is_accepted(root, settings_digest(job))


def test_weights_of_a_torchvision_model_count(root: Path, model: Path) -> None:
    weights = model / "model.safetensors"
    job = job_of(root, model={"source": f"torchvision:fcn_resnet50?weights={weights}"})
    remember_accepted(root, settings_digest(job))
    assert is_accepted(root, settings_digest(job))
    weights.write_text("other")
    assert not is_accepted(root, settings_digest(job))


def test_weights_that_are_replaced_while_the_model_is_loaded(root: Path, model: Path) -> None:
    job = job_of(root, model={"source": f"smp:{model}"})
    before = settings_digest(job)
    (model / "model.safetensors").write_text("another model's")
    remember_accepted(root, before)
    assert not is_accepted(root, settings_digest(job))


@pytest.mark.parametrize(
    "damage",
    [
        Path.unlink,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"\xff{"),
        lambda path: path.write_text("[]"),
        lambda path: path.write_text(json.dumps({"settings": "x", "manifest": "y"})),
        lambda path: (path.unlink(), path.mkdir()),
    ],
)
def test_a_note_that_is_none(root: Path, damage: Callable[[Path], object]) -> None:
    path = root / "index" / accepted.FILE
    damage(path)
    assert not is_accepted(root, settings_digest(job_of(root)))
    remember_accepted(root, settings_digest(job_of(root)))
    assert is_accepted(root, settings_digest(job_of(root))) == path.is_file()


def test_a_copy_of_the_dataset_keeps_it_and_another_does_not_take_it(
    root: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(root, tmp_path / "copy")
    assert is_accepted(copy, settings_digest(job_of(copy)))
    other = tiny_store(tmp_path / "other").root
    (other / "dataset.json").write_text((other / "dataset.json").read_text() + "\n")
    shutil.copy(root / "index" / accepted.FILE, other / "index")
    assert not is_accepted(other, settings_digest(job_of(other)))


def test_on_an_object_store(s3: S3) -> None:
    url = f"s3://{BUCKET}/set"
    tiny_store(url)
    root, digest = path_of(url), settings_digest(job_of(url))
    assert not is_accepted(root, digest)
    remember_accepted(root, digest)
    assert is_accepted(root, digest)
    s3.put("set/dataset.json", "{}")
    assert not is_accepted(root, digest)


def test_the_quick_path_imports_nothing_slow(root: Path, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    done = subprocess.run(
        [sys.executable, "-c", QUICK, root, tmp_path / "a.jpg"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not SLOW & set(done.stdout.split())
