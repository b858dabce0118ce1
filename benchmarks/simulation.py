"""Simulated conversations: how many times faster than real time a core makes them, dry and with all that can be added.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/simulation.py [--speech POOL] [--noise FOLDER]

POOL is what `speakerdiar simulate` takes for clips; drawn sounds stand in for speech where it isn't named. Figures are
seconds of conversation over seconds of a processor, so that other work on the machine hardly counts; reading clips and
writing files don't count at all.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from speakerdiar.errors import MissingExtraError
from speakerdiar.simulation import Acoustics, Clip
from speakerdiar.simulation.channel import CODECS, Channel
from speakerdiar.simulation.clips import ClipPool, read_clips, read_noises
from speakerdiar.simulation.scene import Scene, Simulator

RATE = 16000
SPEAKERS, CLIPS, CLIP_SECONDS = 40, 8, 4.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--speech", nargs="*", default=[])
    parser.add_argument("--noise", nargs="*", default=[])
    parser.add_argument("--conversations", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=30.0)
    arguments = parser.parse_args()
    pool = read_clips(arguments.speech, RATE) if arguments.speech else drawn_pool()
    noises = read_noises(arguments.noise, RATE) if arguments.noise else [drawn(5.0, 1)]
    print(f"{arguments.conversations} conversations of {arguments.seconds:g} s, times real time a core:")
    for name, scene in scenes(arguments.seconds):
        try:
            print(f"{name:24}{speed(Simulator(pool, scene, noises, RATE), arguments.conversations):8.0f}", flush=True)
        except MissingExtraError as error:
            print(f"{name:24}{error}")


def scenes(seconds: float) -> Iterator[tuple[str, Scene]]:
    """Yield what is measured: one thing added at a time, then all of them."""
    dry = Scene(seconds=seconds)
    room = Acoustics(room=1)
    yield "dry", dry
    yield "speed", replace(dry, speed=(0.9, 1.1))
    yield "room, decay", replace(dry, acoustics=room)
    yield "room, image", replace(dry, acoustics=replace(room, room_model="image"))
    yield "noise", replace(dry, noise=1.0)
    yield "babble", replace(dry, babble=1.0)
    yield "clicks", replace(dry, clicks=1.0)
    yield "telephone", replace(dry, channel=Channel(telephone=1.0))
    for codec in CODECS:
        yield codec, replace(dry, channel=Channel(codec=1.0, codecs=(codec,)))
    channel = Channel(telephone=0.2, codec=0.5, codecs=("ulaw", "gsm", "mp3"), clipping=0.1, level=(-45.0, -15.0))
    mixed = replace(dry, speed=(0.9, 1.1), acoustics=replace(room, room=0.5), noise=0.7, babble=0.2, clicks=0.3)
    yield (
        "room, noise and codec",
        replace(dry, acoustics=room, noise=1.0, channel=Channel(codec=1.0, codecs=("ulaw", "gsm", "mp3"))),
    )
    yield "as one would train", replace(mixed, channel=channel)


def speed(simulator: Simulator, conversations: int) -> float:
    """Return seconds of conversation for each second of a processor."""
    simulator.draw(np.random.default_rng(0))  # imports, and what is made once
    begun = time.process_time()
    for index in range(conversations):
        simulator.draw(np.random.default_rng([1, index]))
    return conversations * simulator.scene.seconds / (time.process_time() - begun)


def drawn_pool() -> ClipPool:
    """Clips of noise: what they sound like makes no difference to how long things take."""
    clips = {
        f"s{speaker}": [Clip(drawn(CLIP_SECONDS, CLIPS * speaker + clip)) for clip in range(CLIPS)]
        for speaker in range(SPEAKERS)
    }
    return ClipPool(clips, {}, RATE)


def drawn(seconds: float, seed: int) -> NDArray[np.float32]:
    return (0.1 * np.random.default_rng(seed).standard_normal(round(seconds * RATE))).astype(np.float32)


if __name__ == "__main__":
    main()
