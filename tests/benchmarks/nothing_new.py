"""What a run costs that finds nothing new, over many known images and videos.

    python -m tests.benchmarks.nothing_new [FOLDER] [--images N] [--videos N]

The footage (files of a few bytes: a known file isn't opened) and its dataset are made in FOLDER,
where they aren't there yet; without FOLDER in a temporary one. Prints the seconds on the clock and
of the processor, and the peak memory, of `segpipe run` in a process of its own; exits with 1 where
they are over the limits.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from segpipe.core.config.job import Job, make_job
from segpipe.core.types import FrameFailure, FrameRef, Shard
from segpipe.pipeline.facts_key import facts_key
from segpipe.pipeline.footage import find_footage, note_addresses
from segpipe.pipeline.nothing_new import note_all_done
from segpipe.pipeline.reports import Prepared
from segpipe.sources import FoundSource, source_of
from segpipe.sources.ids import indexed_frame_id
from segpipe.sources.images.folder import ImageFolder
from segpipe.store import Store, exclusive
from segpipe.store.accepted import remember_accepted, settings_digest
from segpipe.store.address_file import write_addresses
from segpipe.store.addresses import Addresses
from segpipe.store.sources import write_source_metadata
from segpipe.telemetry.candidates import track_files
from segpipe.telemetry.metadata import Photo, SourceMetadata
from tests.tiny_shards import age, tiny_store

ROOT = Path(__file__).parents[2]
LIMIT_S, LIMIT_BYTES = 20.0, 1e9
FOLDERS = 100
YESTERDAY_S = 86_400


def make_footage(folder: Path, images: int, videos: int) -> None:
    """Files that all differ, a day old."""
    then = time.time() - YESTERDAY_S
    for number in range(images + videos):
        suffix = "jpg" if number < images else "mp4"
        path = folder / f"{number % FOLDERS:02d}" / f"{number:06d}.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"file {number}")
        os.utime(path, (then, then))


def make_dataset(job: Job) -> None:
    """A dataset in which all of the footage was done, a failed frame for each file."""
    store = tiny_store(Path(job.output))
    addresses = Addresses([])
    footage = find_footage(job, addresses).footage
    for source in footage.sources:
        photos = tuple(
            Photo(f.name, Path(f.uri).name, f.size_bytes, f.mtime_ns)
            for f in source.files
            if source_of(source.info.kind).files_are_frames
        )
        metadata = SourceMetadata(source.info, _key(job, source), photos=photos)
        write_source_metadata(store.root, replace(metadata, drive_id=source.info.source_id))
        for shard in _shards(source):
            _write(store, shard)
    age(Path(job.output))
    with exclusive(store.root):
        note_addresses(addresses, footage)
        write_addresses(store.root, addresses)
        store.update_index()
        remember_accepted(store.root, settings_digest(job))
        keys = {s.info.source_id: _key(job, s) for s in footage.sources}
        ready = Prepared(job, None, store, (), footage=footage, facts_keys=keys)
        note_all_done(ready, store.records())


def _key(job: Job, source: FoundSource) -> str:
    return facts_key(job, source, track_files(source.path, job.track))


def _shards(source: FoundSource) -> list[Shard]:
    if source_of(source.info.kind).files_are_frames:
        return ImageFolder(source.info, source.files).shards(512)
    name = f"{source.info.source_id}-00000000-00000001"
    return [Shard(name, source.info, 1, source.files, 0, 1, siblings=1, expected=1)]


def _write(store: Store, shard: Shard) -> None:
    source_id = shard.source.source_id
    if source_of(shard.source.kind).files_are_frames:
        refs = ImageFolder(shard.source, shard.files).refs(shard)
    else:
        refs = [FrameRef(indexed_frame_id(source_id, 0), source_id, shard.source.uri, 0, 0.0)]
    with store.writer(shard) as writer:
        for ref in refs:
            writer.add(FrameFailure(ref, "made so"))


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", nargs="?")
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--videos", type=int, default=10_000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(args.folder or temporary).resolve()
        footage, output = folder / "footage", folder / "dataset"
        content = {"inputs": [str(footage)], "output": str(output), "model": {"source": "fake:"}}
        if not output.exists():
            make_footage(footage, args.images, args.videos)
            make_dataset(make_job(content))
        command = [sys.executable, "-m", "segpipe", "run", str(footage), "-o", str(output)]
        began = time.perf_counter()
        done = subprocess.run(
            [*command, "--set", "model.source=fake:"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        wall_s = time.perf_counter() - began
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = used.ru_utime + used.ru_stime
    peak = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print(done.stdout + done.stderr)
    print(f"{wall_s:.1f} s, {cpu_s:.1f} s of the processor, {peak / 1e6:.0f} MB at most")
    quick = "nothing new" in done.stdout and "made so" not in done.stdout
    return 0 if quick and cpu_s <= LIMIT_S and peak <= LIMIT_BYTES else 1


if __name__ == "__main__":
    sys.exit(main())
