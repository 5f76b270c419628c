"""The model folder that training leaves: `config.json`, `model.safetensors`, `segpipe.json`,
`README.md`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import nn

from segpipe.core.taxonomy import Taxonomy
from segpipe.inference.models.preprocess import Preprocessing
from segpipe.runtime.files.atomic import publish, temp_path, write_text
from segpipe.training.networks import network_config
from segpipe.training.settings import TrainingJob


def preprocessing_of(job: TrainingJob) -> Preprocessing:
    """The preprocessing that the trained model carries."""
    given = job.input
    return Preprocessing(
        shortest_edge=given.shortest_edge,
        multiple_of=given.multiple_of,
        interpolation=given.interpolation,
        mean=given.mean,
        std=given.std,
    )


def save_model(
    network: nn.Module, taxonomy: Taxonomy, preprocessing: Preprocessing, folder: Path
) -> Path:
    """Write a trained network so that `smp:FOLDER`, segmentation-models-pytorch and `segpipe train`
    can load it again."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = folder / "model.safetensors"
    # A tensor that shares memory with another, or isn't laid out plainly, is refused by
    # safetensors: copy.
    save_file(
        {k: v.detach().cpu().contiguous().clone() for k, v in network.state_dict().items()},
        temp_path(weights),
        {"format": "pt"},
    )
    publish(weights)
    weights.chmod(0o644)
    write_text(
        folder / "config.json", json.dumps(network_config(network), indent=2, sort_keys=True) + "\n"
    )
    write_text(
        folder / "segpipe.json", json.dumps(describe(taxonomy, preprocessing), indent=2) + "\n"
    )
    return folder


def describe(taxonomy: Taxonomy, preprocessing: Preprocessing) -> dict[str, Any]:
    """What `segpipe.json` says: classes with colour and common class, and the preprocessing where
    it isn't the default."""
    default = asdict(Preprocessing())
    return {
        "classes": [
            {"id": i, "name": c.name, "colour": list(c.colour), "common_class": c.common_class}
            for i, c in enumerate(taxonomy.classes)
        ],
        "preprocessing": {k: v for k, v in asdict(preprocessing).items() if v != default[k]},
    }
