"""A hook of MkDocs: pages that mkdocs.yml doesn't name are added to the last section, the decisions
in docs/adr as a group of their own."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any


def on_config(config: Any) -> Any:
    """Complete the navigation; called once, before the site is built."""
    docs = Path(config["docs_dir"])
    pages = [str(p.relative_to(docs)) for p in sorted(docs.rglob("*.md"))]
    named = set(re.findall(r"[\w/-]+\.md", str(config["nav"])))
    (section,) = config["nav"][-1].values()
    section += [p for p in pages if p not in named and "/" not in p]
    section.append({"Decisions": [p for p in pages if p.startswith("adr/")]})
    return config
