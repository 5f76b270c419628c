"""The model folder that training leaves: `config.json`, `model.safetensors`, `segpipe.json`, `README.md`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors.torch import save_file
from torch import nn

from segpipe.models.preprocess import Preprocessing
from segpipe.store.files import aside, publish, write_text
from segpipe.taxonomy import Taxonomy
from segpipe.training.networks import network_config

if TYPE_CHECKING:
    from segpipe.training.settings import TrainingJob


def save_model(network: nn.Module, taxonomy: Taxonomy, preprocessing: Preprocessing, folder: Path) -> Path:
    """Write a trained network so that `smp:FOLDER`, segmentation-models-pytorch and `segpipe train` can load it again."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = folder / "model.safetensors"
    # A tensor that shares memory with another, or isn't laid out plainly, is refused by safetensors: copy.
    save_file({k: v.detach().cpu().contiguous().clone() for k, v in network.state_dict().items()}, aside(weights), {"format": "pt"})
    publish(weights)
    weights.chmod(0o644)
    write_text(folder / "config.json", json.dumps(network_config(network), indent=2, sort_keys=True) + "\n")
    write_text(folder / "segpipe.json", json.dumps(describe(taxonomy, preprocessing), indent=2) + "\n")
    return folder


def describe(taxonomy: Taxonomy, preprocessing: Preprocessing) -> dict[str, Any]:
    """What `segpipe.json` says: classes with their colours, and the preprocessing where it isn't the default."""
    default = asdict(Preprocessing())
    return {
        "classes": [{"id": i, "name": c.name, "colour": list(c.colour)} for i, c in enumerate(taxonomy.classes)],
        "preprocessing": {k: v for k, v in asdict(preprocessing).items() if v != default[k]},
    }


def recipe_of(job: TrainingJob, parameters: int, rows: Sequence[dict[str, float]], seconds: float) -> list[str]:
    """The recipe, as lines of Markdown for the card."""
    network, plan, loss = job.network, job.schedule, " + ".join(f"{t.weight:g} {t.name}" for t in job.loss)
    encoder = f" on {network.encoder}" if network.architecture not in {"simple_cnn"} and network.encoder else ""
    begins = network.start or ("ImageNet weights in the encoder" if network.weights == "imagenet" and encoder else "random weights")
    size = f"shorter edge {job.input.shortest_edge}" if job.input.shortest_edge else "the image's own size"
    return [
        f"- Network: {network.architecture}{encoder}, {parameters / 1e6:.2f} M parameters, from {begins}.",
        f"- Input: {size}, edges to multiples of {job.input.multiple_of}, OpenCV's {job.input.interpolation} interpolation.",
        f"- Loss: {loss}; {job.optimiser.name}, highest rate {job.optimiser.rate:g}, {plan.curve} schedule.",
        f"- {len(rows)} epochs, {int(rows[-1]['step']) if rows else 0} steps of {plan.batch} crops of {job.augmentation.crop[0]}x"
        f"{job.augmentation.crop[1]}, {seconds / 60:.0f} minutes"
        + (f"; exponential moving average of the weights ({plan.average:g})" if plan.average else "")
        + f"; the {plan.keep} weights are kept.",
    ]
