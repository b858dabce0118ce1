"""Makes ge2e_plda.npz: the PLDA that tells GE2E embeddings of one voice from those of two.

    python -m speakerdiar.models.weights.make_ge2e_plda --speech POOL --noise NOISE

POOL is a folder of single-speaker clips with a `manifest.jsonl` whose lines hold `audio`, `speaker` and `utterances`
(start and end in seconds); NOISE a folder of noise. The file that ships was made from 481 speakers of LibriSpeech,
speechocean762, VCTK and Arabic speech commands (all CC BY 4.0) and the noises of ESC-10 (CC BY 3.0).

Every speaker is heard three times: as recorded, and twice through another room, channel, tilt and noise, so that what a
microphone adds counts as variation within a voice. The result depends on the data and the seed alone.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import scipy.signal
from numpy.typing import NDArray

from speakerdiar.audio import load
from speakerdiar.clustering.plda import train_plda
from speakerdiar.models.embedders.ge2e import Ge2eEmbedder
from speakerdiar.models.weights import FOLDER

RATE = 16000
WINDOW = 25600
VERSIONS = 3
WINDOWS_EACH = 10

Samples = NDArray[np.float32]


def main() -> None:
    """Read the clips, embed windows of them, train, and write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--speech", type=Path, required=True)
    parser.add_argument("--noise", type=Path, required=True)
    parser.add_argument("--without", type=Path, help="a text file of speakers to leave out, one a line")
    parser.add_argument("--out", type=Path, default=FOLDER / "ge2e_plda.npz")
    parser.add_argument("--dimension", type=int, default=128)
    arguments = parser.parse_args()

    left_out = set(arguments.without.read_text().split()) if arguments.without else set()
    noises = [load(str(path)) for path in sorted(arguments.noise.rglob("*.opus"))]
    embeddings, speakers = embedded_windows(arguments.speech, left_out, noises)
    plda = train_plda(embeddings, speakers, dimension=arguments.dimension)
    plda.save(arguments.out)
    print(f"{len(embeddings)} windows of {len(np.unique(speakers))} speakers -> {arguments.out}")


def embedded_windows(
    pool: Path, left_out: set[str], noises: list[Samples]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return embeddings (N, 256) of windows of every speaker in every version, and the speakers' numbers (N,)."""
    random = np.random.default_rng(5)
    embedder = Ge2eEmbedder()
    found, numbers = [], []
    for number, voice in enumerate(voices(pool, left_out)):
        for version in range(VERSIONS):
            heard = voice if version == 0 else distorted(voice, noises, random)
            room = len(heard) - WINDOW
            if room <= 0:
                continue
            first = int(random.integers(0, min(WINDOW, room) + 1))
            starts = np.arange(first, room, max(WINDOW, room // WINDOWS_EACH))
            found.append(embedder.embed_windows(heard, starts, WINDOW))
            numbers.append(np.full(len(starts), number))
    return np.concatenate(found), np.concatenate(numbers)


def voices(pool: Path, left_out: set[str]) -> Iterator[Samples]:
    """Yield the speech of each speaker, without the pauses."""
    for line in (pool / "manifest.jsonl").read_text().splitlines():
        entry = json.loads(line)
        if entry["speaker"] in left_out:
            continue
        samples = load(str(pool / entry["audio"]))
        spoken = [samples[int(start * RATE) : int(end * RATE)] for start, end in entry["utterances"]]
        yield without_pauses(np.concatenate(spoken))


def without_pauses(samples: Samples) -> Samples:
    """Drop frames of 20 ms that are far below the speech, and have none within 0.15 s."""
    frames = samples[: len(samples) // 320 * 320].reshape(-1, 320)
    peaks = np.abs(frames).max(axis=1)
    loud = peaks > 0.05 * np.percentile(peaks, 99)
    return np.asarray(frames[np.convolve(loud, np.ones(15), "same") > 0].ravel())


def distorted(samples: Samples, noises: list[Samples], random: np.random.Generator) -> Samples:
    """Send speech through a room, a channel and noise."""
    heard = samples.astype(np.float64)
    if random.random() < 0.5:
        heard = scipy.signal.fftconvolve(heard, room_response(random))[: len(heard)]
    if random.random() < 0.4:
        band = [random.uniform(150, 400), random.uniform(2800, 3800)]
        heard = scipy.signal.sosfilt(scipy.signal.butter(4, band, "band", fs=RATE, output="sos"), heard)
    low = scipy.signal.lfilter([0.3], [1, -0.7], heard)
    heard = low + 10 ** (random.normal(0, 3) / 20) * (heard - low)  # spectral tilt
    if random.random() < 0.5:
        noise = noises[random.integers(len(noises))].astype(np.float64)
    else:
        noise = scipy.signal.lfilter([1], [1, -0.9], random.standard_normal(5 * RATE))
    noise = np.resize(noise, len(heard))
    share = 10 ** (-random.uniform(5, 30) / 20) * np.sqrt(np.mean(heard**2) / (np.mean(noise**2) + 1e-12))
    return np.asarray(heard + share * noise, dtype=np.float32)


def room_response(random: np.random.Generator) -> NDArray[np.float64]:
    """The direct sound, and behind it a tail of noise that dies away."""
    length = int(random.uniform(0.15, 0.5) * RATE)
    tail = random.standard_normal(length) * np.exp(-6 * np.arange(length) / length)
    tail *= 10 ** (-random.uniform(0, 15) / 20) / np.sqrt(np.sum(tail**2))
    return np.concatenate([[1.0], np.zeros(40), tail])


if __name__ == "__main__":
    main()
