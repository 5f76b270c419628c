"""Put before all on PYTHONPATH by tests: the modules that WITHOUT names aren't installed here, for
this process and those that it starts."""

import os
from importlib.machinery import PathFinder

_NAMES = set(filter(None, os.environ.get("WITHOUT", "").split(",")))
_find_spec = PathFinder.find_spec


def _find_others(fullname, path=None, target=None):
    return None if fullname in _NAMES else _find_spec(fullname, path, target)


PathFinder.find_spec = _find_others
