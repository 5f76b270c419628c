"""What the config of a model of transformers says: its input, its classes, and whether it can be
used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from segpipe.core.errors import ModelError
from segpipe.inference.models.segpipe_json import (
    FILE,
    ClassEntry,
    classes_of_outputs,
    read_model_file,
    threshold_of,
)
from segpipe.inference.models.spec import ClassInfo


def is_universal(config: Any) -> bool:
    """Whether it is a mask classification model, such as Mask2Former."""
    return any(
        "Universal" in a or "ForInstanceSegmentation" in a for a in config.architectures or []
    )


def check_config(config: Any, source: str) -> None:
    """Raises ModelError for a model whose input isn't RGB, or whose labels aren't one class for
    each pixel."""
    for part in (config, getattr(config, "backbone_config", None)):
        channels = getattr(part, "num_channels", None)
        if channels not in {None, 3}:
            raise ModelError(
                f"{source}: the network takes {channels} channels (num_channels); segpipe gives "
                "it 3, RGB"
            )
    if (
        getattr(config, "problem_type", None) == "multi_label_classification"
        and len(config.id2label) > 1
    ):
        raise ModelError(
            f"{source}: its {len(config.id2label)} classes don't exclude each other "
            "(problem_type: multi_label_classification); "
            "segpipe gives each pixel one class: use a model whose classes compete, or one model "
            "for each class"
        )
    if is_universal(config) and len(config.id2label) == 1:
        (name,) = config.id2label.values()
        raise ModelError(
            f"{source}: a universal model with one class ({name}) has no score for the rest of "
            "the picture, "
            "so every pixel would be of it; use a semantic model, or train it with a "
            "background class"
        )


def classes_of(
    config: Any, folder: Path, source: str
) -> tuple[tuple[ClassInfo, ...], float | None]:
    """The classes and the threshold: those of the folder's `segpipe.json` where it has one, else
    the checkpoint's."""
    names = {int(k): str(v) for k, v in config.id2label.items()}
    stated = read_model_file(folder, source)
    if stated.preprocessing is not None:
        raise ModelError(
            f"{source}: {FILE} describes the preprocessing, but a model of transformers brings "
            "its own "
            "(preprocessor_config.json): change that one"
        )
    entries = stated.classes or tuple(ClassEntry(names[i]) for i in sorted(names))
    return (
        classes_of_outputs(entries, len(names), source),
        threshold_of(len(names), stated.threshold, source),
    )
