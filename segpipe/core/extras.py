"""The optional parts of segpipe: what each one brings, and one sentence where it is missing."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from segpipe.core.errors import ConfigError, SegpipeError
from segpipe.core.version import __version__

EXTRAS = {
    "analysis": ("geopandas", "h3", "jinja2", "matplotlib", "polars", "shapely"),
    "completion": ("argcomplete",),
    "export": ("onnx", "onnxruntime", "onnxscript"),
    "flows": ("prefect",),
    "hf": ("transformers",),
    "s3": ("s3fs", "upath"),
    "train": ("lightning", "matplotlib", "polars", "tensorboard", "torchmetrics"),
}
"""The modules that segpipe imports out of each extra of pyproject.toml."""

_CHECKOUT = Path(__file__).parent.parent.parent


def require(
    extra: str,
    purpose: str,
    error: type[SegpipeError] = ConfigError,
    modules: tuple[str, ...] = (),
) -> None:
    """Raises `error` with one line where a module of `extra` isn't installed, or one of `modules`
    where only those are needed. `purpose` says what needs it, such as `segpipe aggregate`. Nothing
    is imported."""
    missing = [name for name in modules or EXTRAS[extra] if not _installed(name)]
    if missing:
        verb = "isn't" if len(missing) == 1 else "aren't"
        raise error(
            f"{purpose} needs the extra '{extra}' ({', '.join(missing)} {verb} installed): "
            f"{install_hint(extra)}"
        )


def install_hint(extra: str) -> str:
    """The commands that install `extra`. segpipe itself is on no package index."""
    folder = _CHECKOUT if (_CHECKOUT / "pyproject.toml").is_file() else "PATH/TO/segpipe"
    return (
        f"pip install -e '{folder}[{extra}]' (a checkout), or "
        f"pip install 'segpipe-{__version__}-py3-none-any.whl[{extra}]' (the wheel)"
    )


def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ValueError:  # a module without a spec, which is one that is loaded
        return True
