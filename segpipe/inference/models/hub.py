"""Files of a model: from a folder, or from the Hugging Face hub with errors that say what to do."""

from __future__ import annotations

from pathlib import Path

from segpipe.core.errors import ModelError
from segpipe.inference.models.closed import check_file


def is_local(name: str) -> bool:
    """Whether a model's name is a folder of this machine, not an id of the hub."""
    return bool(name) and Path(name).expanduser().is_dir()


def model_folder(source: str, name: str, patterns: list[str]) -> Path:
    """The folder that holds a model's files: `name` itself where it is one, else a download (or the
    cache) of hub id `name`. Only files that match `patterns` are fetched. Raises ModelError."""
    path = Path(name).expanduser()
    if is_local(name):
        return path
    if path.exists() or name.startswith((".", "/", "~")) or name.count("/") > 1 or not name:
        raise ModelError(
            f"{source}: no folder {name!r}; name a folder with config.json and "
            "model.safetensors, or a hub id"
        )
    import huggingface_hub
    from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError

    try:
        return Path(
            huggingface_hub.snapshot_download(name, allow_patterns=patterns, etag_timeout=5)
        )
    except HFValidationError as error:
        raise ModelError(
            f"{source}: {name!r} is neither a folder nor a valid hub id ({first_line(error)})"
        ) from None
    except GatedRepoError:
        raise ModelError(
            f"{source}: the hub asks for a login and consent to its terms; run `hf auth "
            "login` first"
        ) from None
    except RepositoryNotFoundError:
        raise ModelError(
            f"{source}: the hub has no model {name!r}, or it is private; `hf auth login` if it "
            "is yours"
        ) from None
    except Exception as error:  # the hub's client lets errors of several HTTP libraries through
        raise ModelError(
            f"{source}: no folder {name!r} here, and the hub can't be reached "
            f"({first_line(error)}); download the model on a connected machine and give its folder"
        ) from None


def weights_in(folder: Path, source: str) -> list[Path]:
    """The safetensors files of a model folder. A folder that has only pickled weights is refused: a
    pickle runs code."""
    found = sorted(folder.glob("*.safetensors"))
    if found:
        for file in found:
            check_file(file, source)
        return found
    pickles = sorted(
        p.name for pattern in ("*.bin", "*.pt", "*.pth", "*.ckpt") for p in folder.glob(pattern)
    )
    if pickles:
        raise ModelError(
            f"{source}: the weights are a pickle ({', '.join(pickles)}), which can run code when "
            "loaded; "
            "convert them to model.safetensors"
        )
    raise ModelError(f"{source}: no model.safetensors in {folder}")


def first_line(error: Exception) -> str:
    """What an error says, for people, in one line."""
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:200]


def first_lines(error: Exception) -> str:
    """What an error says in its first two lines, as one line: some libraries
    name the file in the first, and what is wrong with it in the second."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:2])[:300] or type(error).__name__
