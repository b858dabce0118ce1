"""A small Sortformer taught on simulated conversations of two and three people, judged on people it never heard.

    python benchmarks/sortformer_training.py --speech POOL [--output FOLDER] [--steps N] [key=value ...]

POOL is a folder of single-speaker clips with a `manifest.jsonl`; every tenth person is held out. It is the recipe
`sortformer` as `speakerdiar train` runs it, with the settings that are printed first; `key=value` changes more of them.
The curve is the diarization error rate, with no collar and overlap scored, of conversations of held-out people, as the
diarizer finds turns in them by itself (its own post-processing, no number of speakers given). At the end the saved
folder is opened and judged once more, on conversations that no validation drew.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

import speakerdiar
from speakerdiar.annotation import Diarization
from speakerdiar.metrics import DiarizationErrorRate
from speakerdiar.simulation import Conversation
from speakerdiar.simulation.scene import Simulator
from speakerdiar.training.composing import compose
from speakerdiar.training.runner import train
from speakerdiar.training.sortformer import SortformerLearner, SortformerRecipe

SETTINGS = {
    "recipe.people": "[2,3]",
    "recipe.speakers": "3",
    "recipe.seconds": "[12,12]",
    "recipe.scene": "clean",
    "recipe.speech": "energy",
    "recipe.ats_weight": "0.2",
    "recipe.pil_weight": "1.0",
    "recipe.pair_weight": "1.0",
    "data.batch_size": "12",
    "optim.rate": "1.5e-3",
    "trainer.validate_every": "200",
    "trainer.validation_batches": "8",
    "trainer.precision": "bf16-mixed",
    "trainer.ema": "0.99",
    "trainer.accelerator": "cpu",
    "trainer.devices": "1",
    "trainer.tensorboard": "false",
    "trainer.progress": "false",
}
TESTED = 200
"""Conversations at the end."""


class Told(SortformerLearner):
    """Prints the curve."""

    began = time.perf_counter()
    lost: dict[str, list[float]]

    def losses(self, batch: Any) -> dict[str, Any]:
        """Note the losses."""
        found = super().losses(batch)
        self.lost = getattr(self, "lost", {})
        for name, value in found.items():
            self.lost.setdefault(name, []).append(float(value.detach()))
        return found

    def judged(self, observations: Any) -> dict[str, float]:
        """Print the figures of a validation beside the mean losses since the last one."""
        figures = super().judged(observations)
        parts = {**{name: float(np.mean(values)) for name, values in self.lost.items()}, **figures}
        self.lost = {}
        told = "  ".join(f"{name} {value:.3f}" for name, value in parts.items())
        print(f"step {self.global_step:5}  {time.perf_counter() - self.began:5.0f} s  {told}", flush=True)
        return figures


class ToldRecipe(SortformerRecipe):
    """The recipe with the curve on the terminal."""

    def learner(self) -> SortformerLearner:
        """Make what learns."""
        made = super().learner()
        return Told(made.network, made.optim, made.steps, made.options, made.hearing)

    def tested(self) -> list[Conversation]:
        """Return conversations of held-out people that no validation drew."""
        held = self._pools[1]
        assert held is not None, "every tenth is held out"
        simulator: Simulator = self._simulator(held)
        return [simulator.draw(np.random.default_rng([self.config.data.seed + 1, index])) for index in range(TESTED)]


def main() -> None:
    """Train, and judge what was saved."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--speech", type=Path, required=True)
    parser.add_argument("--output", type=Path, default=Path("sortformer"))
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("settings", nargs="*", help="key=value")
    arguments = parser.parse_args()

    settings = {
        **SETTINGS,
        "data.clips": f"[{arguments.speech}]",
        "trainer.max_steps": str(arguments.steps),
        "output": str(arguments.output),
        **dict(one.split("=", 1) for one in arguments.settings),
    }
    config = compose(["recipe=sortformer", *(f"{key}={value}" for key, value in settings.items())])
    print(" ".join(f"{key}={value}" for key, value in settings.items()), flush=True)
    folder = train(config, ToldRecipe)
    print((arguments.output / "result.json").read_text().strip())
    report(folder, ToldRecipe(config).tested())


def report(folder: Path, tested: list[Conversation]) -> None:
    """Open the saved model and print its error rate on conversations."""
    model = speakerdiar.load_model(folder)
    metric, right = DiarizationErrorRate(), 0
    for index, one in enumerate(tested):
        (guess,) = model.diarize([one.samples], sample_rate=16000)
        truth = Diarization(f"{index}", len(one.samples) / 16000, one.turns)
        metric.add(truth, replace(guess, recording_id=f"{index}"))
        right += len({turn.speaker for turn in guess.turns}) == len({turn.speaker for turn in one.turns})
    total = metric.total
    figures = {
        "conversations": len(tested),
        "der": total.rate,
        "miss": total.miss / total.total,
        "false_alarm": total.false_alarm / total.total,
        "confusion": total.confusion / total.total,
        "overlap_share": overlap_share(tested),
        "right_number_of_speakers": right / len(tested),
    }
    print(json.dumps({name: round(value, 4) for name, value in figures.items()}))


def overlap_share(tested: list[Conversation]) -> float:
    """Return the share of the time with speech in which two or more talk."""
    speech = several = 0.0
    for one in tested:
        borders = sorted({border for turn in one.turns for border in (turn.start, turn.end)})
        for start, end in pairwise(borders):
            count = sum(turn.start <= start and turn.end >= end for turn in one.turns)
            speech += (end - start) * (count > 0)
            several += (end - start) * (count > 1)
    return several / speech


if __name__ == "__main__":
    main()
