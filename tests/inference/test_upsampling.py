"""Labels at the frame's size: the fused pass against torch's interpolation, and statistics against
a slow count."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from segpipe.core.config.regions import RegionSettings
from segpipe.core.results import ClassStatistics
from segpipe.core.types import VOID, InputGeometry, UInt8
from segpipe.inference.measures.components import components
from segpipe.inference.measures.regions import NO_REGIONS, Regions
from segpipe.inference.models import Preprocessing
from segpipe.inference.upsampling import labels_and_statistics
from segpipe.inference.upsampling_torch import labels_and_sums, to_statistics
from segpipe.verify.recount import Recount

SIZES = [
    (90, 160, 24, 40, 6),
    (64, 64, 64, 64, 3),
    (50, 70, 7, 9, 11),
    (33, 21, 66, 42, 4),
    (1, 1, 3, 3, 2),
    (40, 60, 1, 1, 5),
]


OWN = {
    "corner": (((0.0, 0.0), (0.3, 0.0), (0.0, 0.4)),),
    "twice": (((0.1, 0.1), (0.6, 0.1), (0.6, 0.9), (0.1, 0.9)),),
}
IGNORED = (((0.8, 0.0), (1.0, 0.0), (1.0, 0.3), (0.8, 0.3)),)


def some_regions(height: int, width: int) -> Regions:
    """All built-in regions, two that overlap them, a part that is ignored, and an ego mask over the
    last row."""
    ego = np.zeros((height, width), bool)
    ego[-1:] = height > 1
    return Regions(RegionSettings(polygons=OWN), IGNORED, ego)


def make_logits(classes: int, rows: int, columns: int, seed: int = 0) -> torch.Tensor:
    """Smooth logits, as networks give, with noise."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(1, classes, 4, 4, generator=generator) * 4
    smooth = torch.nn.functional.interpolate(
        coarse, size=(rows, columns), mode="bilinear", align_corners=True
    )
    return smooth[0] + 0.3 * torch.randn(classes, rows, columns, generator=generator)


def fused(
    logits: torch.Tensor, view: InputGeometry, size: tuple[int, int], regions: Regions = NO_REGIONS
) -> tuple[UInt8, ClassStatistics]:
    hwc = logits.permute(1, 2, 0).contiguous()
    return labels_and_statistics(
        hwc.numpy(), hwc.softmax(2).numpy(), view, *size, regions.for_size(view.height, view.width)
    )


def full_view(height: int, width: int, in_height: int, in_width: int) -> InputGeometry:
    return InputGeometry(
        height, width, in_height / height, in_width / width, 0, 0, 0, 0, height, width
    )


@pytest.mark.parametrize(("height", "width", "rows", "columns", "classes"), SIZES)
def test_labels_are_those_of_torch_interpolate(
    height: int, width: int, rows: int, columns: int, classes: int
) -> None:
    logits = make_logits(classes, rows, columns)
    view = full_view(height, width, rows * 4, columns * 4)
    labels, _ = fused(logits, view, (rows * 4, columns * 4))
    full = torch.nn.functional.interpolate(
        logits[None], size=(height, width), mode="bilinear", align_corners=False
    )[0]
    best = full.topk(min(2, classes), 0).values
    clear = (best[0] - best[-1] > 1e-4).numpy()  # a tie may fall either way
    assert np.array_equal(labels[clear], full.argmax(0).numpy().astype(np.uint8)[clear])
    assert clear.mean() > 0.99


@pytest.mark.parametrize(("height", "width", "rows", "columns", "classes"), SIZES)
def test_statistics_are_those_of_a_slow_count(
    height: int, width: int, rows: int, columns: int, classes: int
) -> None:
    logits = make_logits(classes, rows, columns, seed=3)
    view = full_view(height, width, rows * 4, columns * 4)
    regions = some_regions(height, width)
    labels, s = fused(logits, view, (rows * 4, columns * 4), regions)
    members = {
        name: mask & ~regions.ignored(height, width)
        for name, mask in slow_regions(height, width).items()
    }
    assert s.regions == (
        "frame",
        "left",
        "right",
        "near",
        "middle",
        "far",
        "path",
        "corner",
        "twice",
    )
    assert np.array_equal(labels == VOID, ~members["frame"])
    probabilities = logits.softmax(0).numpy()
    y = ((np.arange(height) + 0.5) * rows / height - 0.5).clip(0, rows - 1)
    x = ((np.arange(width) + 0.5) * columns / width - 0.5).clip(0, columns - 1)
    near = probabilities[:, np.floor(y + 0.5).astype(int)][:, :, np.floor(x + 0.5).astype(int)]
    for r, name in enumerate(s.regions):
        assert s.valid_pixels[r] == members[name].sum(), name
        for k in range(classes):
            here = (labels == k) & members[name]
            ys, xs = np.nonzero(here)
            assert s.pixel_count[r, k] == len(ys)
            if len(ys):
                assert (s.x_min[r, k], s.y_min[r, k], s.x_max[r, k], s.y_max[r, k]) == (
                    xs.min(),
                    ys.min(),
                    xs.max(),
                    ys.max(),
                )
                assert (s.centroid_x[r, k], s.centroid_y[r, k]) == (
                    pytest.approx(xs.mean()),
                    pytest.approx(ys.mean()),
                )
                assert s.confidence[r, k] == pytest.approx(near[k][ys, xs].mean(), rel=1e-5)
                number, places, parts, _ = cv2.connectedComponentsWithStats(
                    here.astype(np.uint8), connectivity=8
                )
                assert s.components[r, k] == number - 1
                assert box_of_largest(s, r, k) == slow_largest(places, parts[:, cv2.CC_STAT_AREA])
                assert s.largest[r, k] == pytest.approx(parts[1:, cv2.CC_STAT_AREA].max() / len(ys))
            else:
                assert s.x_min[r, k] == -1
                assert s.components[r, k] == 0
                assert box_of_largest(s, r, k) == (-1, -1, -1, -1)
                assert np.isnan(s.confidence[r, k])
    pixels = -(near * np.log(near)).sum(0)[members["frame"]]
    assert s.mean_entropy == pytest.approx(pixels.mean(), rel=1e-4)


def box_of_largest(s: ClassStatistics, r: int, k: int) -> tuple[int, int, int, int]:
    return (
        s.largest_x_min[r, k],
        s.largest_y_min[r, k],
        s.largest_x_max[r, k],
        s.largest_y_max[r, k],
    )


def slow_largest(places: np.ndarray, areas: np.ndarray) -> tuple[int, int, int, int]:
    """The box of the largest component; of equal ones, of the one met first, row by row."""
    order = [int(n) for n in places.reshape(-1) if n]
    biggest = next(n for n in order if areas[n] == areas[1:].max())
    ys, xs = np.nonzero(places == biggest)
    return xs.min(), ys.min(), xs.max(), ys.max()


def test_the_largest_of_equals_is_the_first_and_a_region_cuts_it() -> None:
    """Two bars of four pixels and one of six that the halves of the frame cut into three and
    three."""
    logits = torch.zeros(2, 8, 16)
    for rows, columns in (((6, 7), (0, 4)), ((1, 2), (11, 15)), ((4, 5), (5, 11))):
        logits[1, slice(*rows), slice(*columns)] = 5.0
    logits[0] = 1.0
    view, regions = full_view(8, 16, 8, 16), Regions(RegionSettings(builtin=("left", "right")))
    _, s = fused(logits, view, (8, 16), regions)
    boxes = [box_of_largest(s, r, 1) for r in range(3)]
    assert boxes == [(5, 4, 10, 4), (0, 6, 3, 6), (11, 1, 14, 1)]
    assert s.components[:, 1].tolist() == [3, 2, 2]
    logits[1, 4, 5:11] = 0.0  # the two bars of four are left: the upper one is met first
    assert box_of_largest(fused(logits, view, (8, 16), regions)[1], 0, 1) == (11, 1, 14, 1)


@pytest.mark.parametrize("dense", [0.1, 0.9])
def test_verify_counts_the_same_components_among_specks(dense: float) -> None:
    """In noise many components are equally large: both ways of counting choose the same one."""
    rng = np.random.default_rng(0)
    labels = (rng.integers(1, 4, (40, 60)) * (rng.random((40, 60)) < dense)).astype(np.uint8)
    regions = Regions(RegionSettings())
    counted = Recount(regions, ("a", "b", "c", "d")).count(labels)
    ours = components(labels, regions.for_size(40, 60), 4)
    assert len(counted) == np.count_nonzero(ours.count)
    for (region, k), theirs in counted.items():
        r = regions.names.index(region)
        assert theirs["components"] == ours.count[r, k]
        box = [theirs[f"largest_{n}"] for n in ("x_min", "y_min", "x_max", "y_max")]
        assert box == ours.box[r, k].tolist(), (region, k)


def slow_regions(height: int, width: int) -> dict[str, np.ndarray]:
    """The regions by their definition, pixel by pixel: horizon at half the height, a corridor of
    2.2 camera heights."""
    found = {
        n: np.zeros((height, width), bool)
        for n in ("frame", "left", "right", "near", "middle", "far", "path", "corner", "twice")
    }
    for row in range(height):
        for column in range(width):
            x, y = (column + 0.5) / width, (row + 0.5) / height
            below = (y - 0.5) / 0.5
            found["frame"][row, column] = True
            found["left" if x < 0.5 else "right"][row, column] = True
            if below >= 0:
                found["far" if below < 0.3 else "middle" if below < 0.6 else "near"][
                    row, column
                ] = True
            found["path"][row, column] = abs(column + 0.5 - width / 2) <= 1.1 * (
                row + 0.5 - height / 2
            )
            found["corner"][row, column] = x / 0.3 + y / 0.4 < 1
            found["twice"][row, column] = 0.1 <= x < 0.6 and 0.1 <= y < 0.9
    return found


@pytest.mark.parametrize(("height", "width", "rows", "columns", "classes"), SIZES)
def test_the_device_path_gives_the_same(
    height: int, width: int, rows: int, columns: int, classes: int
) -> None:
    check_device_path(torch.device("cpu"), height, width, rows, columns, classes)


@pytest.mark.gpu
@pytest.mark.parametrize(("height", "width", "rows", "columns", "classes"), SIZES)
def test_the_device_path_gives_the_same_on_cuda(
    height: int, width: int, rows: int, columns: int, classes: int
) -> None:
    check_device_path(torch.device("cuda"), height, width, rows, columns, classes)


def check_device_path(
    device: torch.device, height: int, width: int, rows: int, columns: int, classes: int
) -> None:
    logits = make_logits(classes, rows, columns, seed=5)
    view = full_view(height, width, rows * 4, columns * 4)
    regions = some_regions(height, width)
    labels, ours = fused(logits, view, (rows * 4, columns * 4), regions)
    there = logits.to(device)
    other, sums = labels_and_sums(
        there, there.softmax(0), view, rows * 4, columns * 4, regions.for_size(height, width)
    )
    theirs = to_statistics(sums, other.cpu().numpy(), regions.for_size(height, width), classes)
    assert np.mean(labels == other.cpu().numpy()) > 0.999
    assert np.abs(ours.pixel_count - theirs.pixel_count)[0].sum() <= 0.002 * height * width
    assert theirs.mean_confidence == pytest.approx(ours.mean_confidence, rel=1e-3)
    assert theirs.mean_entropy == pytest.approx(ours.mean_entropy, rel=1e-4)
    if np.array_equal(labels, other.cpu().numpy()):
        for name in (
            "x_min",
            "y_min",
            "x_max",
            "y_max",
            "pixel_count",
            "valid_pixels",
            "components",
            "largest",
            "largest_x_min",
            "largest_y_min",
            "largest_x_max",
            "largest_y_max",
        ):
            assert np.array_equal(getattr(ours, name), getattr(theirs, name)), name
        assert np.allclose(ours.centroid_x, theirs.centroid_x, equal_nan=True)
        assert np.allclose(ours.confidence, theirs.confidence, equal_nan=True, rtol=1e-4)


def test_what_a_crop_leaves_out_is_void_and_counts_nowhere() -> None:
    prep = Preprocessing(height=64, width=64, crop_height=32, crop_width=32)
    pixels, view = prep.apply(np.zeros((128, 192, 3), np.uint8))
    assert pixels.shape == (32, 32, 3)
    labels, s = fused(make_logits(3, 8, 8), view, (32, 32))
    assert labels.shape == (128, 192)
    inside = labels[32:96, 48:144]
    assert not np.any(inside == VOID)
    assert np.all(np.delete(labels, np.s_[32:96], axis=0) == VOID)
    assert s.valid_pixels[0] == inside.size == 64 * 96
    assert s.pixel_count[0].sum() == inside.size


def test_a_crop_maps_each_pixel_to_its_place_in_the_network() -> None:
    """Cropped and then upsampled equals the middle of what the whole would be."""
    logits = make_logits(4, 32, 32)
    whole, _ = fused(logits, full_view(128, 128, 128, 128), (128, 128))
    prep = Preprocessing(height=128, width=128, crop_height=64, crop_width=64)
    _, view = prep.apply(np.zeros((128, 128, 3), np.uint8))
    part, _ = fused(logits[:, 8:24, 8:24], view, (64, 64))
    # At the crop's edge the neighbours beyond are missing; inside, all is the same.
    assert np.mean(part[36:92, 36:92] == whole[36:92, 36:92]) > 0.999


def test_a_frame_that_is_ignored_whole_has_no_statistics() -> None:
    everything = Regions(RegionSettings(), (((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)),))
    labels, s = fused(make_logits(3, 8, 8), full_view(32, 32, 32, 32), (32, 32), everything)
    assert np.all(labels == VOID)
    assert s.valid_pixels.sum() == s.pixel_count.sum() == s.components.sum() == 0
    assert np.isnan(s.mean_confidence)
    assert np.isnan(s.mean_entropy)


def test_padding_is_cut_off() -> None:
    prep = Preprocessing(pad_height=64, pad_width=96)
    pixels, view = prep.apply(np.full((48, 80, 3), 9, np.uint8))
    assert pixels.shape == (64, 96, 3)
    assert pixels[48:].max() == 0
    logits = make_logits(3, 64, 96)
    labels, s = fused(logits, view, (64, 96))
    assert np.array_equal(labels, logits.argmax(0).numpy()[:48, :80])
    assert s.valid_pixels[0] == 48 * 80
