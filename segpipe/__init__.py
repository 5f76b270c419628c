"""segpipe: footage in, a queryable Parquet dataset of masks and class statistics out."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from segpipe.core.old_names import name_new_places
from segpipe.core.version import __version__

if TYPE_CHECKING:
    from segpipe.store.dataset import open_dataset as open_dataset

# Torch reads this when it first allocates: large tensors in huge pages cost a lane a tenth less
# time on a CPU (docs/adr/0002).
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

name_new_places()
__all__ = ["__version__", "open_dataset"]


def __getattr__(name: str) -> Any:
    # Loaded on first use, so that `import segpipe` and the command line's help stay light.
    if name == "open_dataset":
        from segpipe.store.dataset import open_dataset

        return open_dataset
    raise AttributeError(f"module 'segpipe' has no attribute {name!r}")
