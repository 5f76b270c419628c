"""A model folder is closed: what it holds is read from regular files of limited size, and none of
its values leads to a network, to code, or to another file (docs/models.md)."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

from segpipe.core.errors import ModelError

MAX_JSON_BYTES = 4 << 20
MAX_INTEGER, MAX_COUNT = 65_536, 1_000
"""Largest number in a configuration, and largest number of layers and the like."""
MAX_TEXT = 1_000
_COUNTS = re.compile(r"layer|depth|block|stage|head|quer|iteration|level|stride|upsampling")
_LEADS_AWAY = frozenset(
    {
        "auto_map",
        "backbone_kwargs",
        "checkpoint_path",
        "class_info_file",
        "custom_pipelines",
        "model_args",
        "pretrained_cfg",
        "quantization_config",
        "repo_path",
    }
)
"""Keys that make a library import code, or open another file or an address."""
_FREE = frozenset({"_name_or_path", "id2label", "label2id", "transformers_version"})
"""Notes and names of classes: nothing opens what they hold."""
_TIMM_NAME = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)?")


def check_file(path: Path, source: str) -> None:
    """Raises ModelError for a file of a model folder that isn't a regular one, or is a link out of
    the folder. The hub's cache links its snapshots to blobs beside them, and those count as
    inside."""
    target = path.resolve()
    root = path.parent.resolve()
    blobs = root.parent.parent / "blobs"
    in_cache = root.parent.name == "snapshots" and target.parent == blobs
    if target.exists() and target.parent != root and not in_cache:
        raise ModelError(
            f"{source}: {path.name} in {path.parent} is a link to {target}; a model folder must "
            "hold its files itself: copy the file into it"
        )
    if target.exists() and not target.is_file():
        raise ModelError(f"{source}: {path} isn't a regular file; a model is read from files only")


def read_json(path: Path, source: str) -> dict[str, Any]:
    """A JSON file of a model folder that holds a mapping. Raises ModelError."""
    check_file(path, source)
    content = json_of(path, source)
    if not isinstance(content, dict):
        raise ModelError(f"{source}: {path} holds no mapping")
    return content


def json_of(path: Path, source: str) -> Any:
    """What a JSON file of at most MAX_JSON_BYTES holds. Raises ModelError."""
    try:
        if not path.is_file() and path.exists():
            raise ValueError("not a regular file")
        if (size := path.stat().st_size) > MAX_JSON_BYTES:
            raise ValueError(f"{size} bytes; at most {MAX_JSON_BYTES} are read")
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_number)
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(
            f"{source}: {path} can't be read ({' '.join(str(error).split())[:200]})"
        ) from None


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number of JSON")


def check_values(content: dict[str, Any], origin: str) -> None:
    """Raises ModelError for a configuration of transformers of which a value leads out of its
    folder, or is too large. `origin` names the file, and its model before it."""
    for key, value in content.items():
        if key in _FREE:
            continue
        if key in _LEADS_AWAY and value:
            raise ModelError(
                f"{origin} has {key}, which leads to code, a file or an address outside the "
                "folder; a model folder is closed: remove the key, or use a model without it"
            )
        if key == "backbone" and value is not None:
            _check_backbone(content, origin)
        check_value(value, key, origin)


def check_value(value: Any, key: str, origin: str) -> None:
    """Raises ModelError for a value, or one inside it, that is too large or names another place."""
    if isinstance(value, dict):
        check_values(value, origin)
    elif isinstance(value, list):
        if len(value) > MAX_INTEGER:
            raise ModelError(f"{origin}: {key} has {len(value)} values; at most {MAX_INTEGER}")
        for item in value:
            check_value(item, key, origin)
    elif isinstance(value, str):
        _check_text(value, key, origin)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        most = MAX_COUNT if _COUNTS.search(key) else MAX_INTEGER
        if not math.isfinite(value) or (isinstance(value, int) and abs(value) > most):
            raise ModelError(f"{origin}: {key} is {str(value)[:40]}; at most {most} is allowed")


def _check_text(value: str, key: str, origin: str) -> None:
    if len(value) > MAX_TEXT or re.search(r"[/\\:\x00-\x1f]", value):
        raise ModelError(
            f"{origin}: {key} is {value[:80]!r}; a model folder is closed, so that no value may "
            "be an address, a path or the name of a hub's repository: remove it"
        )


def _check_backbone(content: dict[str, Any], origin: str) -> None:
    """A backbone by name is asked for at the hub, timm's own architectures excepted."""
    name = content["backbone"]
    timm = content.get("model_type") == "timm_backbone"
    if not timm or not isinstance(name, str) or not _TIMM_NAME.fullmatch(name):
        raise ModelError(
            f"{origin}: the backbone {str(name)[:80]!r} would be fetched from the hub; a model "
            "folder is closed: save the model with backbone_config, which describes the backbone"
        )
