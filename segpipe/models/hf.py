"""Models of transformers: semantic and universal segmentation, from a hub id or a folder, with their own preprocessing."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from segpipe.errors import ModelError
from segpipe.models.colours import colour_of
from segpipe.models.hub import model_folder, weights_in
from segpipe.models.preprocess import Preprocessing
from segpipe.models.spec import ClassInfo, ModelSpec, Segmenter, file_digest
from segpipe.models.torch_segmenter import TorchSegmenter

PATTERNS = ["config.json", "preprocessor_config.json", "*.safetensors", "*.safetensors.index.json"]
_RESAMPLE = {0: "nearest", 1: "lanczos", 2: "linear", 3: "cubic", 4: "area"}  # Pillow's numbers
_TOLERANCE = 0.02
"""Largest difference, in normalised units, between our input and the checkpoint's own processor's: a rounded byte."""


def load(source: str, name: str, allow_untrained: bool = False) -> Segmenter:
    """Load `hf:name`. Raises ModelError; weights that the checkpoint lacks make `spec.trained` false."""
    try:
        import transformers
    except ImportError:
        raise ModelError(f"{source}: transformers isn't installed; pip install 'segpipe[hf]'") from None
    folder = model_folder(source, name, PATTERNS)
    weights = weights_in(folder, source)
    with _quiet(transformers):
        try:
            config = transformers.AutoConfig.from_pretrained(folder)
            module, info = _model_class(transformers, config, source).from_pretrained(
                folder, config=config, use_safetensors=True, output_loading_info=True
            )
            processor = transformers.AutoImageProcessor.from_pretrained(folder)  # type: ignore[no-untyped-call]
        except ModelError:
            raise
        except Exception as error:  # transformers raises many kinds for a folder that doesn't fit
            raise ModelError(f"{source}: {folder} can't be loaded by transformers ({_line(error)})") from None
    prep = preprocessing_of(processor.to_dict(), source)
    _check_preprocessing(processor, prep, source)
    names = {int(k): str(v) for k, v in config.id2label.items()}
    classes = tuple(ClassInfo(i, names[i], colour_of(i, names[i])) for i in sorted(names))
    universal = _is_universal(config)
    spec = ModelSpec(
        source, file_digest(*weights), classes, prep, "scores" if universal else "logits", trained=not info["missing_keys"]
    )
    if universal:
        return TorchSegmenter(module, spec, lambda m, x: _universal_scores(processor, m(pixel_values=x)))
    return TorchSegmenter(module, spec, lambda m, x: m(pixel_values=x).logits)


def _is_universal(config: Any) -> bool:
    return any("Universal" in a or "ForInstanceSegmentation" in a for a in config.architectures or [])


def _model_class(transformers: Any, config: Any, source: str) -> Any:
    if config.model_type == "oneformer":
        raise ModelError(
            f"{source}: OneFormer wants a text beside the picture, which isn't supported; use Mask2Former or SegFormer"
        )
    if _is_universal(config):
        return transformers.AutoModelForUniversalSegmentation
    if any("SemanticSegmentation" in a or "ImageSegmentation" in a for a in config.architectures or []):
        return transformers.AutoModelForSemanticSegmentation
    raise ModelError(f"{source}: {config.architectures} is no model for semantic or universal segmentation")


def _universal_scores(processor: Any, outputs: Any) -> Any:
    """Class scores [N, C, h, w]: each query's class probability times its mask, summed over the queries, as the
    model's own post-processing has it (Cheng et al., MaskFormer, 2021)."""
    import torch

    found = processor.post_process_semantic_segmentation(outputs, return_segmentation_scores=True)
    return torch.stack([f["segmentation_scores"] for f in found])


def preprocessing_of(settings: dict[str, Any], source: str) -> Preprocessing:
    """Translate an image processor's settings. Raises ModelError for a rule that isn't known."""
    resample = settings.get("resample")
    kind = _RESAMPLE.get(2 if resample is None else int(resample))
    if kind is None:
        raise ModelError(f"{source}: its preprocessing resamples in a way that isn't supported ({resample})")
    fields: dict[str, Any] = {"backend": "torchvision", "interpolation": kind}
    size = settings.get("size") or {}
    if settings.get("do_resize"):
        if {"height", "width"} <= size.keys():
            fields |= {"height": size["height"], "width": size["width"]}
        elif "shortest_edge" in size:
            fields |= {"shortest_edge": size["shortest_edge"], "longest_edge": size.get("longest_edge")}
        else:
            raise ModelError(f"{source}: its preprocessing resizes by {size}; height and width, or shortest_edge, are supported")
        if settings.get("size_divisor"):
            fields |= {"multiple_of": settings["size_divisor"], "rounding": "up"}
    if settings.get("do_center_crop"):
        crop = settings.get("crop_size") or {}
        fields |= {"crop_height": crop.get("height"), "crop_width": crop.get("width")}
    if settings.get("do_pad") and settings.get("pad_size"):
        fields |= {"pad_height": settings["pad_size"]["height"], "pad_width": settings["pad_size"]["width"]}
    if settings.get("do_rescale"):
        fields["scale"] = float(settings.get("rescale_factor", 1 / 255))
    if settings.get("do_normalize") and settings.get("image_mean") is not None:
        fields |= {"mean": tuple(settings["image_mean"]), "std": tuple(settings["image_std"])}
    return Preprocessing(**fields)


def _check_preprocessing(processor: Any, prep: Preprocessing, source: str) -> None:
    """Hold our translation against the checkpoint's own processor on pictures of two shapes: exact, or refused."""
    rng = np.random.default_rng(0)
    for height, width in ((540, 960), (768, 480)):
        rgb = np.kron(rng.integers(0, 256, (height // 12, width // 12, 3)), np.ones((12, 12, 1))).astype(np.uint8)
        pixels, _ = prep.apply(rgb)
        ours = ((pixels * prep.scale - np.asarray(prep.mean)) / np.asarray(prep.std)).transpose(2, 0, 1)
        theirs = np.asarray(processor(images=rgb, return_tensors="np", data_format="channels_first")["pixel_values"])[0]
        if ours.shape != theirs.shape or np.abs(ours - theirs).max() > _TOLERANCE:
            raise ModelError(
                f"{source}: its preprocessing ({type(processor).__name__}) can't be followed exactly: it makes "
                f"{theirs.shape} of a {height} x {width} picture, we {ours.shape}"
            )


@contextlib.contextmanager
def _quiet(transformers: Any) -> Iterator[None]:
    """Transformers prints progress bars and notes on missing weights, which we say ourselves."""
    logging = transformers.utils.logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(50)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
