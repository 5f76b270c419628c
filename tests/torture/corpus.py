"""The corpus: every mutation written into a folder, or a part of it in which every kind is
there."""

from __future__ import annotations

import itertools
import os
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from random import Random

from PIL import Image

from tests.footage import make_video, picture
from tests.torture import boxes, coded, damage, exif, images, others, places, streams, times
from tests.torture.recipes import Recipe, slug

NEIGHBOUR_FRAMES = 20
LONG_AGO = 1_700_000_000
AMONG = ("truncated", "bit-flipped", "broken EXIF")
"""Kinds among whose images good ones are put, first and last in the order of names: they share
shards with the bad."""


@dataclass(frozen=True)
class Mutation:
    """`path` is what to run over: the file, or the folder around a name that no argument can
    carry."""

    kind: str
    name: str
    path: Path


def all_recipes() -> list[Recipe]:
    """Every mutation, not yet made. The same each time."""
    found = itertools.chain(
        *(m.recipes() for m in (damage, images, exif, boxes, coded, times, streams, others, places))
    )
    return list(found)


def chosen(count: int | None) -> list[Recipe]:
    """`count` of all mutations, taken from each kind in turn; all without a count. Each kind is
    there at least once."""
    recipes = all_recipes()
    if count is None:
        return recipes
    kinds: dict[str, list[Recipe]] = defaultdict(list)
    for recipe in recipes:
        kinds[recipe.kind].append(recipe)
    for kind, members in kinds.items():
        Random(kind).shuffle(members)
    turns = itertools.chain(*itertools.zip_longest(*kinds.values()))
    return list(itertools.islice((r for r in turns if r is not None), max(count, len(kinds))))


def make_corpus(folder: Path, count: int | None = None) -> list[Mutation]:
    """Write the mutations, each kind into a folder of its own. They are old: a young film without
    its index would be left alone, as one that is still being written."""
    mutations = []
    for recipe in chosen(count):
        place = folder / slug(recipe.kind)
        place.mkdir(parents=True, exist_ok=True)
        path = place / recipe.file
        mutations.append(Mutation(recipe.kind, recipe.name, recipe.write(path) or path))
    for path in folder.rglob("*"):
        os.utime(path, (LONG_AGO, LONG_AGO), follow_symlinks=False)
    return mutations


def good_neighbours(folder: Path) -> dict[Path, int]:
    """Good files among the bad: a video and three images, with the number of frames of each."""
    folder.mkdir(parents=True, exist_ok=True)
    found = {make_video(folder / "good.mp4", frames=NEIGHBOUR_FRAMES): NEIGHBOUR_FRAMES}
    for number, (kind, name) in enumerate(
        zip(AMONG, ("0-good.jpg", "zz-good.png", "mm-good.webp"), strict=True)
    ):
        place = folder / slug(kind)
        place.mkdir(exist_ok=True)
        Image.fromarray(picture(number)).save(place / name)
        found[place / name] = 1
    return found
