"""Whether a taxonomy contradicts what a data set says of its own labels."""

from __future__ import annotations

from pathlib import Path

from segpipe.core.errors import ConfigError
from segpipe.core.taxonomy import Taxonomy, TaxonomyClass
from segpipe.core.types import VOID

NAMED_AT_MOST = 4


def check_against(given: Taxonomy, own: Taxonomy, file: Path) -> None:
    """Raises ConfigError where `given` says something else of the label values than `own`, the
    content of `file`.

    Renaming a class, merging classes and ignoring some is allowed. A contradiction is a value with
    two names whose common names differ, a name that moved to other values, or a class for a value
    that the data ignores. Where the two agree in no class at all, every renamed class is one.
    """
    wrong = contradictions(given, own)
    if not wrong:
        return
    shown = "; ".join(wrong[:NAMED_AT_MOST])
    more = f"; and {len(wrong) - NAMED_AT_MOST} more" if len(wrong) > NAMED_AT_MOST else ""
    raise ConfigError(
        f"taxonomy {given.name} contradicts {file}: {shown}{more}. Leave the taxonomy out "
        "(segpipe evaluate and compare "
        f"then use {file.name}) or give the right one; if {file.name} is wrong, correct or "
        "remove it"
    )


def contradictions(given: Taxonomy, own: Taxonomy) -> list[str]:
    """Sentences, one for each contradiction, in the order of the label values."""
    if given.encoding != own.encoding:
        kinds = {"index": "a value for each pixel", "colour": "colours"}
        return [f"labels are {kinds[own.encoding]} there, {kinds[given.encoding]} in {given.name}"]
    there, here = _by_code(own), _by_code(given)
    moved = _moved(given, own)
    renamed, wrong, agreeing = [], [], 0
    for code in sorted(set(here) & {*there, *own.ignore}, key=_order):
        mine = here[code]
        if code not in there:
            if code != VOID:
                wrong.append(f"{code} is ignored there, {mine.name} in {given.name}")
            continue
        theirs = there[code]
        sentence = f"{code} is {theirs.name} there, {mine.name} in {given.name}"
        if _same(mine, theirs):
            agreeing += 1
        elif {mine.name.lower(), theirs.name.lower()} & moved or "other" not in (
            mine.common_class,
            theirs.common_class,
        ):
            wrong.append(sentence)
        else:
            renamed.append(sentence)
    return wrong if agreeing else [*wrong, *renamed]


def _order(code: object) -> tuple[object, ...]:
    return code if isinstance(code, tuple) else (code,)


def _same(a: TaxonomyClass, b: TaxonomyClass) -> bool:
    return a.name.lower() == b.name.lower() or (
        a.common_class == b.common_class and a.common_class != "other"
    )


def _moved(given: Taxonomy, own: Taxonomy) -> set[str]:
    """Names, in lower case, that both have, for values that have nothing in common."""
    here = {c.name.lower(): _codes(c, given) for c in given.classes}
    there = {c.name.lower(): _codes(c, own) for c in own.classes}
    return {name for name in here.keys() & there.keys() if not here[name] & there[name]}


def _codes(c: TaxonomyClass, taxonomy: Taxonomy) -> set[object]:
    return {c.colour} if taxonomy.encoding == "colour" else set(c.values)


def _by_code(taxonomy: Taxonomy) -> dict[object, TaxonomyClass]:
    return {code: c for c in taxonomy.classes for code in _codes(c, taxonomy)}
