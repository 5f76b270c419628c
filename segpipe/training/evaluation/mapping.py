"""Between a model's classes and a data set's: the same names, a mapping of one's own, or the common
names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from segpipe.core.errors import ConfigError
from segpipe.core.taxonomy import Taxonomy
from segpipe.core.taxonomy_files import common_name
from segpipe.core.types import VOID, UInt8
from segpipe.inference.models.spec import ClassInfo, ModelSpec


@dataclass(frozen=True, slots=True)
class ClassMapping:
    """What is compared: `names`; two tables uint8 [256] lead there from the model's labels and from
    the data's classes.

    Truth that the model has no class for is VOID (not measured, listed in `unmeasured`). What the
    model finds and the data has no class for is `len(names)`: a miss wherever the truth is
    something else.
    """

    kind: str
    names: tuple[str, ...]
    of_model: UInt8
    of_truth: UInt8
    unmeasured: tuple[str, ...]


def map_spec(
    spec: ModelSpec, data: Taxonomy, given: Mapping[str, str] | None = None
) -> ClassMapping:
    """Map a model's classes, with the common names that it brings, to a data set's. Raises
    ConfigError.

    A one-class model says of every pixel whether it is of its class: all other classes of the data
    are its background.
    """
    found = map_classes(
        [c.name for c in spec.classes], data, given, [c.common_name for c in spec.classes]
    )
    return (
        found if spec.threshold is None else _with_rest(found, spec.classes[0], len(data.classes))
    )


def map_classes(
    model: Sequence[str],
    data: Taxonomy,
    given: Mapping[str, str] | None = None,
    common: Sequence[str] | None = None,
) -> ClassMapping:
    """Map a model's classes to a data set's.

    `given` maps names of the model to names of the data. Without it, equal names (in whatever case
    and order) are mapped one to one; otherwise both go to the common names: `common` of the
    model's classes, or those of the crosswalk. Raises ConfigError where nothing fits.
    """
    if given is not None:
        return _by_names("mapping", model, data, _checked(given, model, data))
    lower = {n.lower(): n for n in data.names}
    if {n.lower() for n in model} == set(lower):
        return _by_names("same classes", model, data, {n: lower[n.lower()] for n in model})
    return _by_common(model, [common_name(n) for n in model] if common is None else common, data)


def _with_rest(found: ClassMapping, rest: ClassInfo, classes: int) -> ClassMapping:
    """The mapping with `rest` as a further class: what the data has beside the mapped classes."""
    own, k = rest.id, len(found.names)
    if found.of_model[own] != k:
        return found  # the data has a class for it
    of_model = np.where(found.of_model == k, k + 1, found.of_model).astype(np.uint8)
    of_model[own] = k
    of_truth = found.of_truth.copy()
    of_truth[:classes][of_truth[:classes] == VOID] = k
    names = (*found.names, rest.name)
    return replace(found, names=names, of_model=of_model, of_truth=of_truth, unmeasured=())


def _checked(given: Mapping[str, str], model: Sequence[str], data: Taxonomy) -> dict[str, str]:
    wrong = [k for k in given if k not in model] + [
        v for v in given.values() if v not in data.names
    ]
    if wrong or not given:
        raise ConfigError(
            f"mapping: {', '.join(map(str, wrong)) or 'it is empty'}; it maps the model's "
            f"classes ({', '.join(model)}) to "
            f"the data's ({', '.join(data.names)})"
        )
    return dict(given)


def _by_names(
    kind: str, model: Sequence[str], data: Taxonomy, pairs: Mapping[str, str]
) -> ClassMapping:
    names = tuple(n for n in data.names if n in pairs.values())
    place = {n: i for i, n in enumerate(names)}
    of_model = _table([place.get(pairs.get(n, ""), len(names)) for n in model], len(names))
    of_truth = _table([place.get(n, VOID) for n in data.names], VOID)
    return ClassMapping(
        kind, names, of_model, of_truth, tuple(n for n in data.names if n not in place)
    )


def _by_common(model: Sequence[str], theirs: Sequence[str], data: Taxonomy) -> ClassMapping:
    ours = [c.common_class for c in data.classes]
    names = tuple(dict.fromkeys(n for n in ours if n in theirs and n != "other"))
    if not names:
        raise ConfigError(
            f"the model's classes ({', '.join(list(model)[:8])}…) and the data's "
            f"({', '.join(data.names[:8])}…) have no common "
            "name; give --mapping FILE, a YAML file of model class: data class"
        )
    place = {n: i for i, n in enumerate(names)}
    of_model = _table([place.get(n, len(names)) for n in theirs], len(names))
    of_truth = _table([place.get(n, VOID) for n in ours], VOID)
    return ClassMapping(
        "common names",
        names,
        of_model,
        of_truth,
        tuple(c.name for c in data.classes if c.common_class not in place),
    )


def _table(values: Sequence[int], rest: int) -> UInt8:
    table = np.full(256, rest, np.uint8)
    table[: len(values)] = values
    return table
