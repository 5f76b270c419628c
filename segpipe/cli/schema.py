"""The command schema: the JSON schema of a config file."""

from __future__ import annotations

import json
from argparse import Namespace
from typing import Any

from segpipe.core.errors import EXIT_OK


def schema(args: Namespace) -> int:
    """`segpipe schema`."""
    print(json.dumps(schema_of(args.kind), indent=2, ensure_ascii=False))
    return EXIT_OK


def schema_of(kind: str) -> dict[str, Any]:
    """The JSON schema of a config file of a `kind`, job or training. It requires no key at the
    top: the command line may give inputs and output."""
    from segpipe.core.config.job import Job
    from segpipe.training.settings import TrainingJob

    model = Job if kind == "job" else TrainingJob
    content = model.model_json_schema()
    content.pop("required", None)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **content}
