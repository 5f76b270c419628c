"""A training step on a CPU, with and without what `segpipe.training.on_cpu` does, in turns.

python -m tests.benchmarks.training_step [--encoder tu-tf_efficientnet_lite2] [--rounds 3]
"""

from __future__ import annotations

import argparse
import statistics
import time
from contextlib import nullcontext

import torch

from segpipe.training.networks import build_network
from segpipe.training.on_cpu import depthwise_in_float32, keep_memory
from segpipe.training.settings import Network

SIZE = (8, 3, 352, 480)


def step(network: torch.nn.Module, x: torch.Tensor, y: torch.Tensor, bfloat16: bool) -> float:
    """Seconds of one forward and backward pass."""
    began = time.perf_counter()
    with torch.autocast("cpu", torch.bfloat16) if bfloat16 else nullcontext():
        logits = network(x)
    logits = torch.nn.functional.interpolate(logits.float(), size=y.shape[-2:], mode="bilinear")
    torch.nn.functional.cross_entropy(logits, y).backward()  # type: ignore[no-untyped-call]
    network.zero_grad()
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--encoder", default="tu-tf_efficientnet_lite2")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    x = torch.randn(SIZE).contiguous(memory_format=torch.channels_last)
    y = torch.randint(0, 11, (SIZE[0], *SIZE[2:]))
    names = ("float32", "bfloat16", "bfloat16, depthwise in float32")
    networks = []
    for name in names:
        settings = Network(
            architecture="FPN", encoder=args.encoder, weights="none", options={"upsampling": 1}
        )
        network = build_network(settings, 11).to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        if "depthwise" in name:
            depthwise_in_float32(network)
        networks.append(network)
    for kept in (False, True):
        if kept:
            keep_memory()
        times: list[list[float]] = [[] for _ in names]
        for _ in range(args.rounds + 1):
            for i, network in enumerate(networks):
                times[i].append(step(network, x, y, bfloat16=i > 0))
        middle = [statistics.median(t[1:]) for t in times]  # the first one allocates
        for name, value in zip(names, middle, strict=True):
            note = "memory kept" if kept else "memory given back"
            print(
                f"{note:18} {name:32} {value:6.2f} s a step   {middle[1] / value:5.2f} of "
                "bfloat16's speed"
            )


if __name__ == "__main__":
    main()
