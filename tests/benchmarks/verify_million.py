"""How long `segpipe verify` takes for a million frames.

python -m tests.benchmarks.verify_million [FOLDER] [--frames N]: the dataset is made there (about 6
GB; one that is there is taken as it is), without FOLDER in a temporary one. 64 frames of 960×540
are segmented by the project's own code, from noise that has as many runs and classes as street
scenes, and written again and again with new keys, as shards of 512. Exit code 1 where verification
takes longer than a minute or finds anything.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa

from segpipe.core.config.job import Job
from segpipe.core.results import FrameResult
from segpipe.core.types import FileStamp, FrameRef, InputGeometry, Shard, SourceInfo
from segpipe.inference.measures.base import MeasureContext
from segpipe.inference.measures.measuring import SourceMeasures
from segpipe.inference.measures.regions import Regions
from segpipe.inference.models.preprocess import Preprocessing
from segpipe.inference.models.spec import ClassInfo, ModelSpec
from segpipe.inference.upsampling import labels_and_statistics
from segpipe.sources.ids import indexed_frame_id
from segpipe.sources.video.names import video_info
from segpipe.store import Store, make_manifest
from segpipe.store.manifest import FILE
from segpipe.store.rows import RowBuffer
from segpipe.store.sources import write_source_metadata
from segpipe.telemetry.metadata import SourceMetadata

ROOT = Path(__file__).parents[2]
LIMIT_S = 60.0
FRAMES, SHARD, SHARDS_OF_SOURCE = 1_000_000, 512, 8
TEMPLATE, HEIGHT, WIDTH, ROWS, COLUMNS = 64, 540, 960, 135, 240
NAMES = (
    "sky",
    "building",
    "pole",
    "road",
    "pavement",
    "tree",
    "sign",
    "fence",
    "car",
    "pedestrian",
    "bicyclist",
)
CLASSES = tuple(ClassInfo(i, n, (i * 20, 255 - i * 20, i * 7)) for i, n in enumerate(NAMES))


def scene(rng: np.random.Generator) -> np.ndarray:
    """Logits float32 [h, w, C] of something with the patches of a street: broad ones, and small
    ones where classes meet."""
    logits = np.zeros((ROWS, COLUMNS, len(CLASSES)), np.float32)
    for size, weight in (((5, 2), 4.0), ((12, 12), 1.0), ((40, 40), 0.1)):
        noise = rng.normal(size=(*size, len(CLASSES))).astype(np.float32)
        broad = [
            cv2.resize(noise[..., k], (COLUMNS, ROWS), interpolation=cv2.INTER_CUBIC)
            for k in range(len(CLASSES))
        ]
        logits += weight * np.stack(broad, -1)
    return logits + np.linspace(3.0, -5.0, len(CLASSES), dtype=np.float32)


def template(job: Job) -> dict[str, pa.Table]:
    """The three tables of `TEMPLATE` frames."""
    rng, buffer = np.random.default_rng(1), RowBuffer(CLASSES)
    regions = Regions(job.regions).for_size(HEIGHT, WIDTH)
    view = InputGeometry(HEIGHT, WIDTH, 1.0, 1.0, 0.0, 0.0, 0, 0, HEIGHT, WIDTH)
    measures = SourceMeasures(MeasureContext())
    for i in range(TEMPLATE):
        logits = scene(rng)
        odds = np.exp(logits - logits.max(-1, keepdims=True))
        labels, statistics = labels_and_statistics(
            logits, odds / odds.sum(-1, keepdims=True), view, HEIGHT, WIDTH, regions
        )
        result = FrameResult(FrameRef(str(i), "", "", i, i / 25), labels, statistics)
        buffer.add(measures.of(result))
    return buffer.tables()


class Copier:
    """Writes shards whose rows are the template's, with keys of their own."""

    def __init__(self, store: Store, tables: dict[str, pa.Table]) -> None:
        self.store, self.tables = store, tables
        self.places = {n: np.asarray(t["frame_id"].cast(pa.int64())) for n, t in tables.items()}

    def write(
        self, source: SourceInfo, number: int, frames: int, expected: int, siblings: int
    ) -> None:
        start = number * SHARD
        name = f"{source.source_id}-{start:08d}-{start + frames:08d}"
        shard = Shard(
            name,
            source,
            frames,
            (FileStamp(Path(source.uri).name, 1, 1),),
            start,
            start + frames,
            siblings=siblings,
            expected=expected,
        )
        with self.store.writer(shard) as writer:
            for first in range(start, start + frames, TEMPLATE):
                size = min(TEMPLATE, start + frames - first)
                ids = pa.array(
                    [indexed_frame_id(source.source_id, i) for i in range(first, first + size)]
                )
                for table in self.tables:
                    writer.copy(table, self._rows(table, source, ids, first, size))
            writer.frames = frames

    def _rows(
        self, table: str, source: SourceInfo, ids: pa.Array, first: int, size: int
    ) -> pa.Table:
        rows, place = self.tables[table], self.places[table]
        n = int(np.searchsorted(place, size))
        rows, place = rows.slice(0, n), place[:n]
        new = {
            "frame_id": ids.take(pa.array(place)),
            "source_id": pa.repeat(source.source_id, n),
            "frame_index": pa.array(place + first),
            "pts_s": pa.array((place + first) / 25),
            "uri": pa.repeat(source.uri, n),
        }
        for column in [c for c in new if c in rows.column_names]:
            rows = rows.set_column(
                rows.schema.get_field_index(column), rows.schema.field(column), new[column]
            )
        return rows


def make(root: Path, frames: int) -> None:
    """Write the dataset."""
    job = Job(inputs=("/footage",), output=str(root))
    spec = ModelSpec("fake:", "0" * 12, CLASSES, Preprocessing())
    store = Store(root, job.store, CLASSES)
    store.prepare(make_manifest(job, spec, "float32"))
    copier = Copier(store, template(job))
    shards = []
    for number, first in enumerate(range(0, frames, SHARD * SHARDS_OF_SOURCE)):
        source = video_info(Path(f"/footage/clip{number:05d}.mp4"))
        expected = min(SHARD * SHARDS_OF_SOURCE, frames - first)
        write_source_metadata(root, SourceMetadata(source, key="made"))
        sizes = [min(SHARD, expected - i) for i in range(0, expected, SHARD)]
        shards += [(source, i, size, expected, len(sizes)) for i, size in enumerate(sizes)]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda s: copier.write(*s), shards))


def measure(root: Path) -> bool:
    """`segpipe verify` in a process of its own, as a user runs it; whether all was well in time."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "segpipe", "verify", str(root), "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - began
    if done.returncode:
        print(done.stdout[-2000:], done.stderr[-2000:], sep="\n")
        return False
    said = json.loads(done.stdout)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * (
        1 if sys.platform == "darwin" else 1024
    )
    size_gb = said["size_bytes"] / 1e9
    print(
        f"{said['frames']} frames in {said['shards']} shards, {size_gb:.2f} GB; "
        f"{said['sampled']} masks counted again"
    )
    print(f"{seconds:.1f} s of {LIMIT_S:.0f} s; peak memory {peak / 1e6:.0f} MB")
    return seconds <= LIMIT_S


def main() -> int:
    """Print the figures; 1 where the limit is exceeded."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", nargs="?")
    parser.add_argument("--frames", type=int, default=FRAMES)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(args.folder or temporary)
        if not (root / FILE).exists():
            began = time.perf_counter()
            make(root, args.frames)
            print(f"made {root} in {time.perf_counter() - began:.0f} s")
        return int(not measure(root))


if __name__ == "__main__":
    sys.exit(main())
