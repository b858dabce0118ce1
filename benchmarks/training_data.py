"""How many examples a worker makes in a second, and how many a network learns from: whether a device has to wait.

    OMP_NUM_THREADS=1 python benchmarks/training_data.py --speech POOL [--noise FOLDER] [--recipes A,B] [KEY=VALUE]

POOL is what `speakerdiar train` takes for `data.clips`. Examples are made in this process, as one worker of a loader
makes them, and counted by seconds of the processor; then batches are learnt from, on the GPU where there is one.
`workers` is how many it takes so that learning never waits. KEY=VALUE changes settings of the recipes.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from contextlib import nullcontext
from itertools import islice
from typing import Any

import torch

from speakerdiar.training.composing import compose, recipe_class

BATCHES = 12
WARM = 3
"""Batches that don't count: kernels are made, and windows are kept."""


def main() -> None:
    """Print a line for each recipe."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--speech", required=True)
    parser.add_argument("--noise")
    parser.add_argument("--recipes", default="segmentation,sortformer,embedding")
    parser.add_argument("settings", nargs="*", help="key=value")
    arguments = parser.parse_args()
    print(f"{'recipe':14}{'made/s a core':>16}{'learnt/s':>12}{'workers':>10}")
    for name in arguments.recipes.split(","):
        more = [f"data.noise=[{arguments.noise}]"] if arguments.noise else []
        config = compose([f"recipe={name}", f"data.clips=[{arguments.speech}]", *more, *arguments.settings])
        config.data.workers = 0
        made, learnt = speeds(config)
        print(f"{name:14}{made:16.1f}{learnt:12.1f}{learnt / made:10.1f}", flush=True)


def speeds(config: Any) -> tuple[float, float]:
    """Return the examples that are made in a second of a core, and those that are learnt from in a second."""
    recipe = recipe_class(config.recipe.name)(config)
    loader = iter(recipe.training_data())
    learner = recipe.learner().to("cuda" if torch.cuda.is_available() else "cpu").train()
    size = config.data.batch_size
    batches: list[Any] = list(islice(loader, WARM))
    began = time.process_time()
    batches += islice(loader, BATCHES)
    made = size * BATCHES / (time.process_time() - began)
    rate = size * BATCHES / seconds(learn(learner, batches, config.trainer.precision))
    return made, rate


def seconds(steps: Iterator[None]) -> float:
    """Return how long steps take, those at the beginning left out."""
    for _ in islice(steps, WARM):
        pass
    began = time.perf_counter()
    for _ in steps:
        pass
    return time.perf_counter() - began


def learn(learner: Any, batches: list[Any], precision: str) -> Iterator[None]:
    """Learn from one batch after the other."""
    optimizer = torch.optim.AdamW([weight for weight in learner.parameters() if weight.requires_grad])
    device = learner.device
    for batch in batches:
        half = torch.autocast(device.type, torch.bfloat16) if "bf16" in precision else nullcontext()
        with half:
            loss = learner.losses(learner.transfer_batch_to_device(batch, device, 0))["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if device.type == "cuda":
            torch.cuda.synchronize()
        yield


if __name__ == "__main__":
    main()
