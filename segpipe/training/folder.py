"""The model folder that training leaves: `config.json`, `model.safetensors`, `segpipe.json`, `README.md`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import nn

from segpipe.models.preprocess import Preprocessing
from segpipe.store.files import aside, publish, write_text
from segpipe.taxonomy import Taxonomy
from segpipe.training.networks import network_config


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
