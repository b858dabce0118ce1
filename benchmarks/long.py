"""Time and memory of local segmentation and clustering on long recordings: linear and flat, or not.

    python benchmarks/long.py                        clustering of 1, 4 and 24 hours; all of 15 minutes and an hour
    python benchmarks/long.py --audio-hours 24       all of 24 hours, from a file (some twenty minutes)
    python benchmarks/long.py --audio-hours 1 --full with networks of full size

First what comes behind the networks, on vectors of voices drawn at random and on turns of people who take turns at
random: from the embeddings' store to the turns, by both clusterings. Then whole recordings, the examples' conversation
again and again, through networks of a few per cent of the size. Every length runs in a process of its own, so that peak
memory is that length's own. "an hour" sets the seconds for an hour against those of the first length: 1 is linear.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from long_recordings import made
from numpy.typing import NDArray
from peak_memory import memory

HOURS = [1.0, 4.0, 24.0]
AUDIO_HOURS = [0.25, 1.0]
PEOPLE, SPEAKERS, DIMENSION, FEATURES = 8, 3, 256, 128


def main() -> None:
    """Run every length in a process of its own, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, nargs="*", default=HOURS, help="of clustering")
    parser.add_argument("--audio-hours", type=float, nargs="*", default=AUDIO_HOURS, help="of whole recordings")
    parser.add_argument("--full", action="store_true", help="networks of full size")
    parser.add_argument("--threads", default="2")
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        what, *given = arguments.child
        print("\n" + json.dumps(whole(*given) if what == "whole" else clustering(what, float(given[0]))))
        return
    load = os.getloadavg()[0]
    print(f"{platform.machine()}, {os.cpu_count()} cores, {arguments.threads} threads, load {load:.1f} at start")
    for kind in ("vbx", "ahc"):
        report(f"clustering by {kind}", [child([kind, hours], arguments.threads) for hours in arguments.hours])
    with tempfile.TemporaryDirectory() as folder:
        if arguments.audio_hours:
            from full_size_parts import write_pipeline

            weights = write_pipeline(Path(folder) / "pipeline", small=not arguments.full)
            files = (made(hours, folder) for hours in arguments.audio_hours)
            report("whole recordings", [child(["whole", weights, file], arguments.threads) for file in files])


def child(arguments: list[Any], threads: str) -> dict[str, Any]:
    """Run a measurement in a process of its own."""
    environment = {**os.environ, "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
    command = [sys.executable, __file__, "--child", *map(str, arguments)]
    run = subprocess.run(command, capture_output=True, text=True, env=environment)
    if run.returncode:
        raise SystemExit(run.stderr[-2000:])
    result: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return result


def report(title: str, rows: list[dict[str, Any]]) -> None:
    """Print a row for each length."""
    print(f"\n{title}")
    for row in rows:
        each = row["seconds"] / row["hours"] / (rows[0]["seconds"] / rows[0]["hours"])
        stages = ", ".join(f"{name} {seconds:.1f}" for name, seconds in row["stages"].items())
        print(
            f"  {row['hours']:5.2f} h: {row['seconds']:8.1f} s ({stages}), an hour {each:.2f}, "
            f"{row['hours'] * 3600 / row['seconds']:8.0f} x real time, peak {row['peak_mb']:.0f} MB, "
            f"{row['windows']} windows, {row['turns']} turns, {row['speakers']} speakers"
        )


def clustering(kind: str, hours: float) -> dict[str, Any]:
    """Cluster random voices and make turns of them; seconds of each stage."""
    from speakerdiar.clustering.slot_ahc import AhcSlots
    from speakerdiar.clustering.slot_vbx import VbxSlots
    from speakerdiar.clustering.slots import SlotClusterer
    from speakerdiar.config import PostProcessingParams, SpeakerCount
    from speakerdiar.models.diarizers.eend_vc_stages import PyannoteStages
    from speakerdiar.models.diarizers.window_pieces import SlotStore
    from speakerdiar.postprocessing.frame_turns import frame_confidence, turn_confidence

    speech, who = random_speech(hours)
    store = SlotStore(SPEAKERS, DIMENSION)
    for first in range(0, len(speech), 120):
        store.add(random_vectors(who[first : first + 120], first))
    clusterer: SlotClusterer = AhcSlots() if kind == "ahc" else VbxSlots(random_plda())
    stages, anyone = PyannoteStages(clusterer=clusterer, least_frames=2), SpeakerCount()
    seconds: dict[str, float] = defaultdict(float)
    vectors = clocked(store.all, "store", seconds)()
    count = clocked(stages.count, "count", seconds)(speech, anyone)
    clusters = clocked(stages.cluster, "cluster", seconds)(speech, vectors, anyone)
    active = clocked(stages.reconstruct, "reconstruct", seconds)(speech, clusters, count, anyone)
    turns = clocked(stages.turns, "turns", seconds)(active, speech, PostProcessingParams())
    clocked(turn_confidence, "confidence", seconds)(turns, speech, clusters.labels)
    clocked(frame_confidence, "confidence", seconds)(speech, clusters.labels, active)
    found = {"turns": len(turns), "speakers": len(clusters.centroids), "windows": len(speech)}
    return {"hours": hours, "seconds": sum(seconds.values()), "stages": seconds, **found, **memory()}


def random_speech(hours: float) -> tuple[Any, NDArray[np.int64]]:
    """People who talk after, and sometimes over, one another; and who each local speaker is, (windows, speakers)."""
    from speakerdiar.postprocessing.local_speech import LocalSpeech
    from speakerdiar.windows import WindowGrid

    grid, random = WindowGrid(), np.random.default_rng(0)
    samples = round(hours * 3600 * grid.rate)
    windows = grid.count(samples)
    frames = grid.total_frames(windows) + grid.frames
    talks = np.zeros((PEOPLE, frames), dtype=bool)
    at = 0
    while at < frames:
        length = 30 + int(random.exponential(300))  # frames; 5 s on average
        talks[random.integers(PEOPLE), at : at + length] = True
        at += max(1, length + int(random.normal(30, 60)))
    bits = np.zeros((windows, grid.frames), dtype=np.uint8)
    who = np.full((windows, SPEAKERS), -1, dtype=np.int64)
    for window, first in enumerate(grid.first_frame(np.arange(windows)).tolist()):
        seen = talks[:, first : first + grid.frames]
        here = np.flatnonzero(seen.any(axis=1))
        here = here[np.argsort(seen[here].argmax(axis=1), kind="stable")][:SPEAKERS]
        who[window, : len(here)] = here
        for slot, person in enumerate(here):
            bits[window] |= seen[person].astype(np.uint8) << slot
    return LocalSpeech(bits, SPEAKERS, grid, samples, np.full_like(bits, 250)), who


def random_vectors(who: NDArray[np.int64], seed: int) -> NDArray[np.float32]:
    """A vector for each local speaker, (windows, speakers, D): the voice, and as much of something else."""
    voices = np.random.default_rng(0).normal(size=(PEOPLE, DIMENSION))
    noise = np.random.default_rng(1 + seed).normal(size=(*who.shape, DIMENSION))
    vectors = np.where((who >= 0)[..., None], voices[who] + 0.5 * noise, np.nan)
    return vectors.astype(np.float32)


def random_plda() -> Any:
    """A PLDA of rotations, and of variances between speakers that fall off."""
    from speakerdiar.clustering.plda import Plda

    random = np.random.default_rng(2)
    lda, tr = (np.linalg.qr(random.normal(size=(size, size)))[0] for size in (DIMENSION, FEATURES))
    zeros = np.zeros(DIMENSION)
    psi = 8.0 * 0.97 ** np.arange(FEATURES)
    return Plda.from_kaldi(zeros, lda[:, :FEATURES], zeros[:FEATURES], zeros[:FEATURES], tr, psi)


def whole(folder: str, audio: str) -> dict[str, Any]:
    """Diarize a recording; seconds of each stage."""
    import torch

    import speakerdiar

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    model: Any = speakerdiar.load_model(folder)
    seconds: dict[str, float] = defaultdict(float)
    for part, method in (("segmenter", "segment_windows"), ("embedder", "embed_masks"), ("stages", "cluster")):
        owner = getattr(model, part)
        # Some parts are frozen: the clock goes beside their fields, not into one.
        object.__setattr__(owner, method, clocked(getattr(owner, method), part, seconds))
    windows = 0

    def count(stage: str, artifact: Any, *_: float | None) -> None:
        nonlocal windows
        if stage == "segmentation" and artifact is not None:
            windows = len(artifact)

    started = time.perf_counter()
    [result] = model.diarize(audio, hook=count)
    total = time.perf_counter() - started
    stages = {**seconds, "rest": total - sum(seconds.values())}
    found = {"turns": len(result), "speakers": len(result.speakers), "windows": windows}
    return {"hours": result.duration / 3600, "seconds": total, "stages": stages, **found, **memory()}


def clocked(function: Callable[..., Any], name: str, seconds: dict[str, float]) -> Callable[..., Any]:
    """Add the time that a function takes to `seconds[name]`."""

    def run(*given: Any, **named: Any) -> Any:
        started = time.perf_counter()
        result = function(*given, **named)
        seconds[name] += time.perf_counter() - started
        return result

    return run


if __name__ == "__main__":
    main()
