"""How a model of segmentation-models-pytorch wants its pictures: what its folder says, or the
encoder's own normalisation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from segpipe.core.errors import ModelError
from segpipe.inference.models.closed import check_file, read_json
from segpipe.inference.models.hub import first_lines
from segpipe.inference.models.preprocess import Preprocessing
from segpipe.inference.models.segpipe_json import ModelFile

ENCODER_STRIDE = 32


def preprocessing_of(
    stated: ModelFile, folder: Path, arguments: dict[str, Any], source: str, offline: bool = True
) -> Preprocessing:
    """What `segpipe.json` states, else what the library's examples save, else what the encoder
    was trained with. `offline`: the numbers may come from the hub's cache, but not from the
    hub."""
    if stated.preprocessing is not None:
        return stated.preprocessing
    saved = folder / "albumentations_config_eval.json"
    check_file(saved, source)
    if saved.exists():
        try:
            return _albumentations(read_json(saved, source), source)
        except (KeyError, TypeError, AttributeError) as error:
            raise ModelError(
                f"{source}: {saved.name} isn't as albumentations writes it ({error!r})"
            ) from None
    return _encoder_defaults(arguments, source, offline)


def _encoder_defaults(arguments: dict[str, Any], source: str, offline: bool) -> Preprocessing:
    """The encoder's normalisation; the frame's own size, rounded up to what the encoder's strides
    can take.

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
            config = hf_hub_download(
                place["repo_id"],
                "config.json",
                revision=place["revision"],
                etag_timeout=5,
                local_files_only=offline,
            )
            params = {"input_range": [0, 1], **read_json(Path(config), source)}
        mean, std, highest = tuple(params["mean"]), tuple(params["std"]), params["input_range"][1]
    except Exception as error:  # no network has many names
        raise ModelError(
            f"{source}: nothing in its folder says how pictures are normalised, and the numbers "
            f"of the encoder {encoder} "
            f"can't be had ({first_lines(error)}); write them into segpipe.json: "
            '{"preprocessing": {"multiple_of": 32, "scale": 0.00392157, "mean": [0.485, 0.456, '
            "0.406], "
            '"std": [0.229, 0.224, 0.225]}}'
        ) from None
    return Preprocessing(
        multiple_of=ENCODER_STRIDE,
        rounding="up",
        mean=mean,
        std=std,
        scale=1 / 255 if highest == 1 else 1.0,
    )


def _albumentations(content: dict[str, Any], source: str) -> Preprocessing:
    """Resize and Normalize of a saved albumentations pipeline; anything else changes the pixels and
    is refused."""
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
                f"{source}: the step {name} of its albumentations preprocessing isn't supported; "
                "describe it in segpipe.json"
            )
    return Preprocessing(**fields)
