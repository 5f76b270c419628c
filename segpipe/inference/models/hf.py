"""Models of transformers: semantic and universal segmentation, from a hub id or a folder, with
their own preprocessing."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from segpipe.core.errors import ModelError
from segpipe.core.extras import require
from segpipe.inference.models.arguments import check_elements, elements_of
from segpipe.inference.models.closed import check_file, check_values, read_json
from segpipe.inference.models.hf_config import check_config, classes_of, is_universal
from segpipe.inference.models.hf_preprocessing import check_preprocessing, preprocessing_of
from segpipe.inference.models.hub import first_line, model_folder, weights_in
from segpipe.inference.models.segpipe_json import FILE
from segpipe.inference.models.spec import MAX_CLASSES, ModelSpec, Segmenter, file_digest
from segpipe.inference.models.torch_segmenter import TorchSegmenter
from segpipe.inference.models.weight_files import check_sha256, check_weights

PATTERNS = [
    "config.json",
    "preprocessor_config.json",
    FILE,
    "*.safetensors",
    "*.safetensors.index.json",
]
_READ_BY_LIBRARY = (
    "config.json",
    "generation_config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "video_preprocessor_config.json",
)
_CLOSED: dict[str, Any] = {"trust_remote_code": False, "local_files_only": True}
"""Of every `from_pretrained`: no code of strangers is run, and nothing is fetched."""


def load(
    source: str, name: str, allow_untrained: bool = False, sha256: str | None = None
) -> Segmenter:
    """Load `hf:name`. Raises ModelError; weights that the checkpoint lacks make `spec.trained`
    false."""
    require("hf", source, ModelError)
    import transformers

    folder = model_folder(source, name, PATTERNS)
    weights = weights_in(folder, source)
    check_sha256(weights, sha256, source)
    _check_folder(folder, weights, source)
    with _quiet(transformers):
        try:
            config = transformers.AutoConfig.from_pretrained(folder, **_CLOSED)
            check_config(config, source)
            kind = _model_class(transformers, config, source)
            _check_size(kind, config, weights, f"{source}: {folder / 'config.json'}", source)
            module, info = kind.from_pretrained(
                folder, config=config, use_safetensors=True, output_loading_info=True, **_CLOSED
            )
            processor = transformers.AutoImageProcessor.from_pretrained(folder, **_CLOSED)  # type: ignore[no-untyped-call]
        except ModelError:
            raise
        except Exception as error:  # transformers raises many kinds for a folder that doesn't fit
            raise ModelError(
                f"{source}: {folder} can't be loaded by transformers ({first_line(error)})"
            ) from None
    prep = preprocessing_of(processor.to_dict(), source)
    check_preprocessing(processor, prep, source)
    classes, threshold = classes_of(config, folder, source)
    universal = is_universal(config)
    spec = ModelSpec(
        source,
        file_digest(*weights),
        classes,
        prep,
        "scores" if universal else "logits",
        trained=not info["missing_keys"],
        threshold=threshold,
    )
    if universal:
        return TorchSegmenter(
            module, spec, lambda m, x: _universal_scores(processor, m(pixel_values=x))
        )
    return TorchSegmenter(module, spec, lambda m, x: m(pixel_values=x).logits)


def _check_folder(folder: Path, weights: list[Path], source: str) -> None:
    """Raises ModelError for a folder of which a file leads out of it."""
    if (folder / "adapter_config.json").exists():
        raise ModelError(
            f"{source}: {folder} holds adapter_config.json, which adds to a model elsewhere; a "
            "model folder is closed: merge the adapter into the model and save that"
        )
    for name in _READ_BY_LIBRARY:
        check_file(folder / name, source)
        if (folder / name).exists():
            check_values(read_json(folder / name, source), f"{source}: {folder / name}")
    for index in folder.glob("*.safetensors.index.json"):
        named = read_json(index, source).get("weight_map")
        there = {file.name for file in weights}
        if not isinstance(named, dict) or not set(map(str, named.values())) <= there:
            raise ModelError(
                f"{source}: {index} names files of weights that aren't in the folder; it may "
                f"name {', '.join(sorted(there))}"
            )


def _check_size(kind: Any, config: Any, weights: list[Path], origin: str, source: str) -> None:
    """Compare the network that the configuration describes with its weights, before anything is
    allocated."""
    import torch

    held = check_weights(weights, source)
    if (labels := len(config.id2label)) > MAX_CLASSES:
        raise ModelError(f"{origin} has {labels} classes; at most {MAX_CLASSES} fit a byte")
    with torch.device("meta"):
        described = elements_of(kind.from_config(config, trust_remote_code=False))
    check_elements(described, held, origin)


def _model_class(transformers: Any, config: Any, source: str) -> Any:
    if config.model_type == "oneformer":
        raise ModelError(
            f"{source}: OneFormer wants a text beside the picture, which isn't supported; use "
            "Mask2Former or SegFormer"
        )
    if is_universal(config):
        return transformers.AutoModelForUniversalSegmentation
    if any(
        "SemanticSegmentation" in a or "ImageSegmentation" in a for a in config.architectures or []
    ):
        return transformers.AutoModelForSemanticSegmentation
    raise ModelError(
        f"{source}: {config.architectures} is no model for semantic or universal segmentation"
    )


def _universal_scores(processor: Any, outputs: Any) -> Any:
    """Class scores [N, C, h, w]: each query's class probability times its mask, summed over the
    queries, as the model's own post-processing has it (Cheng et al., MaskFormer, 2021)."""
    import torch

    found = processor.post_process_semantic_segmentation(outputs, return_segmentation_scores=True)
    return torch.stack([f["segmentation_scores"] for f in found])


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
