"""The folder of a training run: whose it is, what it was started with, its checkpoints whole or not
at all."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO

from segpipe.core.errors import DatasetError, TrainingError
from segpipe.core.taxonomy import Taxonomy
from segpipe.runtime.files.atomic import publish, temp_path, write_text
from segpipe.store.lock import exclusive
from segpipe.training.data import LabelledSet
from segpipe.training.settings import TrainingJob

RUN, LAST, BEST = "run.json", "checkpoints/last.ckpt", "checkpoints/best.ckpt"
OURS = ("checkpoints", "model", "tensorboard", "evaluation", "history.csv", "curves.png", RUN)


class WholeCheckpoints(TorchCheckpointIO):
    """Checkpoints written aside in their own folder, flushed and renamed: a kill leaves the one
    before."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        torch.save(checkpoint, temp_path(target))
        publish(target)

    def load_checkpoint(
        self, path: Any, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """The checkpoint, weights-only whatever the caller asks for: a pickle runs code."""
        return read_checkpoint(Path(path))


def describe_run(job: TrainingJob, taxonomy: Taxonomy, train: LabelledSet) -> dict[str, Any]:
    """What decides the weights, in JSON types: settings, classes, training images.

    Another machine or folder changes no more than rounding, and the size at which the model is used
    changes nothing where validation doesn't choose the weights.
    """
    found = job.model_dump(mode="json")
    for key in ("output", "card", "machine"):
        del found[key]
    if job.schedule.keep == "last" and not job.schedule.patience:
        del found["input"]["shortest_edge"]
    names = [[c.name, list(c.values), list(c.colour)] for c in taxonomy.classes]
    digest = hashlib.sha256(train.counts.tobytes())
    for pair in train.pairs:
        digest.update(f"{pair.image.name}\0{pair.label.name}\0".encode())
    return {
        "settings": found,
        "classes": names,
        "images": f"{len(train)} ({digest.hexdigest()[:12]})",
    }


def check_run(out: Path, now: dict[str, Any], fresh: bool) -> None:
    """Refuse a folder that is something else, or holds another run's checkpoint. Raises
    TrainingError."""
    if not out.exists():
        return
    if not out.is_dir():
        raise TrainingError(f"{out}: not a folder; choose another output")
    begun = (out / RUN).is_file()
    if not begun and any(p.name != ".lock" for p in out.iterdir()):
        raise TrainingError(
            f"{out}: a folder with other things in it; choose an empty or a new one as output"
        )
    if fresh or not begun or not (out / LAST).exists():
        return
    try:
        then = json.loads((out / RUN).read_text(encoding="utf-8"))
        different = sorted(
            [
                f"settings: {k}"
                for k in now["settings"]
                if now["settings"][k] != then["settings"].get(k)
            ]
            + [k for k in ("classes", "images") if now[k] != then[k]]
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        raise TrainingError(
            f"{out / RUN} is damaged: choose another output, or throw the run away with --fresh"
        ) from None
    if different:
        raise TrainingError(
            f"{out}: holds a run with other {', '.join(different)}; go on with the old ones, "
            "choose another output, or throw "
            "the old run away with --fresh"
        )


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint, weights-only. Raises TrainingError where it can't be read."""
    if path.exists() and not path.is_file():
        raise TrainingError(f"{path}: not a regular file; start again with --fresh")
    try:
        found: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001 - torch raises many kinds for a damaged file
        line = " ".join(str(error).split())[:120]
        raise TrainingError(
            f"{path}: the checkpoint can't be read ({line}); start again with --fresh"
        ) from None
    return found


def is_first_process() -> bool:
    """Whether this is the process that writes: the others are started by Lightning's strategies."""
    return os.environ.get("LOCAL_RANK", "0") == "0" and os.environ.get("RANK", "0") == "0"


@contextlib.contextmanager
def held(out: Path) -> Iterator[None]:
    """Make the folder and hold it for this run. Raises TrainingError where another run holds it."""
    if not is_first_process():
        yield
        return
    out.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(exclusive(out))
        except DatasetError:
            raise TrainingError(
                f"{out}: another training run is writing there; wait for it, or choose "
                "another output"
            ) from None
        yield


def begin(out: Path, now: dict[str, Any], fresh: bool) -> None:
    """Forget the old run where asked to, and note what this one is."""
    if not is_first_process():
        return
    if fresh:
        for name in OURS:
            path = out / name
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
    write_text(out / RUN, json.dumps(now, indent=2) + "\n")
