"""Models of segmentation-models-pytorch: a hub id or a folder of `save_pretrained`.

Beside the library's `config.json` and `model.safetensors`, the folder may hold `segpipe.json` with classes, colours and
preprocessing. Without it, the albumentations file that the library's examples save is followed, or else the encoder's
own normalisation.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from segpipe.errors import ModelError
from segpipe.models.colours import colour_of
from segpipe.models.hub import model_folder, weights_in
from segpipe.models.kinds import OWN, SMP_ARCHITECTURES, build_kind
from segpipe.models.preprocess import Preprocessing
from segpipe.models.spec import ClassInfo, ModelSpec, Segmenter, file_digest
from segpipe.models.torch_segmenter import TorchSegmenter

PATTERNS = ["config.json", "model.safetensors", "segpipe.json", "albumentations_config_eval.json"]
ENCODER_STRIDE = 32


def load(source: str, name: str) -> Segmenter:
    """Load `smp:name`. Raises ModelError where files are missing, broken, or don't fit each other."""
    return load_folder(source, model_folder(source, name, PATTERNS))


def load_folder(source: str, folder: Path) -> Segmenter:
    """Load a folder that segmentation-models-pytorch saved."""
    from safetensors.torch import load_file

    config = _json(folder / "config.json", source)
    weights = weights_in(folder, source)
    kind = config.pop("_model_class", None)
    if kind not in {*SMP_ARCHITECTURES, *OWN}:
        raise ModelError(
            f"{source}: {folder / 'config.json'} names no architecture of segmentation-models-pytorch ({kind!r}); "
            f"allowed are {', '.join((*SMP_ARCHITECTURES, *OWN))}"
        )
    arguments = {k: v for k, v in config.items() if not k.startswith("_")}
    try:
        module = build_kind(kind, arguments)
        state = load_file(weights[0])
        module.load_state_dict(state, strict=True)
    except Exception as error:  # the library and safetensors raise many kinds for a config or weights that don't fit
        raise ModelError(f"{source}: config and weights in {folder} don't fit ({_first_line(error)})") from None
    del state
    meta = _json(folder / "segpipe.json", source) if (folder / "segpipe.json").exists() else {}
    classes = _classes(meta, source)
    outputs = int(arguments.get("classes", 1))
    classes = classes or tuple(ClassInfo(i, f"class_{i}", colour_of(i, f"class_{i}")) for i in range(outputs))
    if len(classes) != outputs:
        raise ModelError(f"{source}: segpipe.json lists {len(classes)} classes, but the network gives {outputs}")
    if outputs == 1:
        raise ModelError(f"{source}: the network has one output; segmentation into classes needs two or more")
    spec = ModelSpec(source, file_digest(*weights), classes, _preprocessing(meta, folder, arguments, source))
    return TorchSegmenter(module, spec)


def _json(path: Path, source: str) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{source}: {path} can't be read ({_first_line(error)})") from None
    if not isinstance(content, dict):
        raise ModelError(f"{source}: {path} holds no mapping")
    return content


def _classes(meta: dict[str, Any], source: str) -> tuple[ClassInfo, ...]:
    try:
        found = [ClassInfo(int(c["id"]), str(c["name"]), _colour(c)) for c in meta.get("classes", [])]
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{source}: a class in segpipe.json needs id, name and colour ({error!r})") from None
    if [c.id for c in found] != list(range(len(found))):
        raise ModelError(f"{source}: the ids of the classes in segpipe.json must be 0, 1, 2, …; found {[c.id for c in found]}")
    return tuple(found)


def _colour(entry: dict[str, Any]) -> tuple[int, int, int]:
    red, green, blue = entry.get("colour") or colour_of(int(entry["id"]), str(entry["name"]))
    return int(red), int(green), int(blue)


def _preprocessing(meta: dict[str, Any], folder: Path, arguments: dict[str, Any], source: str) -> Preprocessing:
    if "preprocessing" in meta:
        try:
            fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in meta["preprocessing"].items()}
            return Preprocessing(**fields)
        except (TypeError, AttributeError, ModelError) as error:
            raise ModelError(f"{source}: segpipe.json, preprocessing: {error}") from None
    saved = folder / "albumentations_config_eval.json"
    if saved.exists():
        try:
            return _albumentations(_json(saved, source), source)
        except (KeyError, TypeError, AttributeError) as error:
            raise ModelError(f"{source}: {saved.name} isn't as albumentations writes it ({error!r})") from None
    return _encoder_defaults(arguments, source)


def _encoder_defaults(arguments: dict[str, Any], source: str) -> Preprocessing:
    """The encoder's normalisation; the frame's own size, rounded up to what the encoder's strides can take.

    The library keeps the numbers with timm (`tu-` encoders) or on the hub; they are never guessed.
    """
    from huggingface_hub import hf_hub_download
    from segmentation_models_pytorch.encoders import encoders, get_preprocessing_params

    encoder = str(arguments.get("encoder_name", "resnet34"))
    try:
        if encoder.startswith("tu-"):
            params = get_preprocessing_params(encoder)
        else:
            place = encoders[encoder]["pretrained_settings"]["imagenet"]
            config = hf_hub_download(place["repo_id"], "config.json", revision=place["revision"], etag_timeout=5)
            params = {"input_range": [0, 1], **_json(Path(config), source)}
        mean, std, highest = tuple(params["mean"]), tuple(params["std"]), params["input_range"][1]
    except Exception as error:  # no network has many names
        raise ModelError(
            f"{source}: nothing in its folder says how pictures are normalised, and the numbers of the encoder {encoder} "
            f"can't be had ({_first_line(error)}); write them into segpipe.json: "
            '{"preprocessing": {"multiple_of": 32, "scale": 0.00392157, "mean": [0.485, 0.456, 0.406], '
            '"std": [0.229, 0.224, 0.225]}}'
        ) from None
    return Preprocessing(multiple_of=ENCODER_STRIDE, rounding="up", mean=mean, std=std, scale=1 / 255 if highest == 1 else 1.0)


def _albumentations(content: dict[str, Any], source: str) -> Preprocessing:
    """Resize and Normalize of a saved albumentations pipeline; anything else changes the pixels and is refused."""
    fields: dict[str, Any] = {"multiple_of": ENCODER_STRIDE, "rounding": "up", "scale": 1 / 255}
    for step in content.get("transform", {}).get("transforms", []):
        name = str(step.get("__class_fullname__", "")).rpartition(".")[2]
        if name == "Resize":
            kinds = {0: "nearest", 1: "linear", 2: "cubic", 3: "area", 4: "lanczos"}
            fields |= {"height": step["height"], "width": step["width"], "multiple_of": 1}
            fields["interpolation"] = kinds[step.get("interpolation", 1)]
        elif name == "Normalize":
            fields |= {"mean": tuple(step["mean"]), "std": tuple(step["std"])}
            fields["scale"] = 1.0 / step.get("max_pixel_value", 255.0)
        elif name not in {"ToTensorV2", "Compose", "NoOp"}:
            raise ModelError(
                f"{source}: the step {name} of its albumentations preprocessing isn't supported; describe it in segpipe.json"
            )
    return Preprocessing(**fields)


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:2])[:300] or type(error).__name__
