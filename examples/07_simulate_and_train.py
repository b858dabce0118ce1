"""Simulate conversations from clips of single speakers, train a segmentation network on them, and diarize with it.

The clips are turns of the four voices that come with the examples: two are learnt, two validate. That is enough to see
how it is done, and far too little to learn voices from: give folders of speech of hundreds of people instead.

    python examples/07_simulate_and_train.py [STEPS]      # 400 steps take some minutes on a CPU
"""

import json
import sys
from pathlib import Path

import numpy as np

import speakerdiar
from speakerdiar.metrics import der
from speakerdiar.simulation.clips import read_clips
from speakerdiar.simulation.scene import Scene, Simulator
from speakerdiar.training.composing import compose
from speakerdiar.training.runner import train

AUDIO = Path(__file__).parent / "data" / "conversation.flac"
STEPS = int(sys.argv[1]) if len(sys.argv) > 1 else 400
SETTINGS = {
    "recipe": "segmentation",
    "recipe.people": "[1,2]",
    "recipe.lstm_layers": 2,
    "data.clips": "[clips.jsonl]",
    "data.held_out": 2,
    "data.workers": 0,
    "trainer.max_steps": STEPS,
    "trainer.validate_every": max(1, STEPS // 4),
    "trainer.validation_batches": 1,
    "trainer.tensorboard": "false",
    "output": "trained",
}


def main() -> None:
    [truth] = speakerdiar.load(AUDIO.with_suffix(".rttm"))
    clips = [
        {"audio_filepath": str(AUDIO), "speaker": turn.speaker, "offset": turn.start, "duration": turn.duration}
        for turn in truth
    ]
    Path("clips.jsonl").write_text("\n".join(map(json.dumps, clips)))

    simulator = Simulator(read_clips(["clips.jsonl"]), Scene(seconds=20, speakers=(2, 3), noise=0.5))
    for seed in range(3):
        made = simulator.draw(np.random.default_rng(seed))
        print(f"a simulated conversation of {len(made.samples) / 16000:.0f} s with {len(made.turns)} turns")

    model = train(compose([f"{key}={value}" for key, value in SETTINGS.items()]))
    print("validation:", json.loads((model.parent / "result.json").read_text()))
    [found] = speakerdiar.load_model(model).diarize(AUDIO)
    print(f"who speaks when: {len(found.turns)} turns; {der(truth, found).rate:.0%} wrong")


if __name__ == "__main__":
    main()
