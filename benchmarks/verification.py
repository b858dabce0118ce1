"""The default threshold of an embedder, and its error rates on speakers it wasn't chosen on.

    python benchmarks/verification.py --speech POOL --noise NOISE [--embedder NAME]

POOL is a folder of single-speaker clips with a `manifest.jsonl` whose lines hold `audio`, `speaker`, `corpus` and
`utterances` (start and end in seconds); NOISE a folder of noise. Every other speaker serves to choose the threshold,
the rest to judge it. A side of a trial is some utterances in a row of 4 s or more. Both sides are of one corpus, as
recorded; a further line is for trials whose second side went through another room, channel, tilt and noise.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from speakerdiar.audio import load
from speakerdiar.errors import InputError
from speakerdiar.metrics import det_curve, errors_at
from speakerdiar.models.verification import Verifier
from speakerdiar.models.weights.make_ge2e_plda import distorted

RATE = 16000
SIDE_SECONDS = 4.0
SIDES = 4
IMPOSTORS = 10


@dataclass(frozen=True)
class Side:
    """Some utterances of a speaker, as recorded and as heard elsewhere: a vector each."""

    speaker: str
    corpus: str
    vectors: tuple[NDArray[np.float32], NDArray[np.float32]]


@dataclass(frozen=True)
class Scored:
    """Scores of trials, whether each is of one speaker, and whether its second side was distorted."""

    scores: NDArray[np.float64]
    same: NDArray[np.bool_]
    far: NDArray[np.bool_]


def main() -> None:
    """Embed the sides, choose the threshold on one half of the speakers and print the errors on the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--speech", type=Path, required=True)
    parser.add_argument("--noise", type=Path, required=True)
    parser.add_argument("--embedder", default="ge2e")
    arguments = parser.parse_args()

    verifier = Verifier(arguments.embedder)
    sides = list(embedded(arguments.speech, arguments.noise, verifier))
    speakers = sorted({side.speaker for side in sides})
    every = trials(verifier, [side for side in sides if side.speaker in speakers[::2]])
    chosen = part(every, ~every.far)
    threshold = det_curve(chosen.scores, chosen.same).eer_threshold
    print(f"{len(sides)} sides of {len(speakers)} speakers; threshold {threshold:.3f}\n")
    print(f"{'':32} {'one':>6} {'two':>6} {'EER %':>6} {'minDCF':>6} {'miss %':>6} {'FA %':>6}")
    report("chosen on", chosen, threshold)
    held_out = [side for side in sides if side.speaker not in speakers[::2]]
    judged = trials(verifier, held_out)
    report("held out", part(judged, ~judged.far), threshold)
    for corpus in sorted({side.corpus for side in held_out}):
        alike = trials(verifier, [side for side in held_out if side.corpus == corpus])
        report(f"  {corpus}", part(alike, ~alike.far), threshold)
    report("held out, one side distorted", part(judged, judged.far), threshold)


def report(name: str, found: Scored, threshold: float) -> None:
    """Print a line: trials of one and two speakers, error rates of the curve, and those at the threshold."""
    if found.same.all() or not found.same.any():
        return
    curve = det_curve(found.scores, found.same)
    miss, false_accept = errors_at(found.scores, found.same, threshold)
    print(
        f"{name:32} {curve.targets:6} {curve.nontargets:6} {100 * curve.eer:6.2f} {curve.min_dcf().cost:6.3f} "
        f"{100 * miss:6.2f} {100 * false_accept:6.2f}"
    )


def embedded(pool: Path, noise: Path, verifier: Verifier) -> Iterator[Side]:
    """Yield the sides of each speaker that hold speech."""
    random = np.random.default_rng(11)
    noises = [load(str(path)) for path in sorted(noise.rglob("*.opus"))]
    for line in (pool / "manifest.jsonl").read_text().splitlines():
        entry = json.loads(line)
        samples = load(str(pool / entry["audio"]))
        for first, last in spans(entry["utterances"]):
            heard = samples[round(first * RATE) : round(last * RATE)]
            versions = (heard, distorted(heard, noises, random))
            try:
                near, far = (verifier.embed(version, sample_rate=RATE) for version in versions)
            except InputError:  # noise has drowned the voice
                continue
            yield Side(entry["speaker"], entry["corpus"], (near, far))


def spans(utterances: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return start and end of utterances in a row that last long enough, a few at most."""
    found: list[tuple[float, float]] = []
    first = None
    for start, end in utterances:
        first = start if first is None else first
        if end - first >= SIDE_SECONDS:
            found.append((first, end))
            first = None
    return found[:SIDES]


def trials(verifier: Verifier, sides: list[Side]) -> Scored:
    """Score all pairs of a speaker's sides, and each side against some of other speakers of its corpus."""
    random = np.random.default_rng(12)
    rows = []
    for one, other in combinations(range(len(sides)), 2):
        if sides[one].speaker == sides[other].speaker:
            rows.append((one, other, True))
    for one, side in enumerate(sides):
        others = [k for k, other in enumerate(sides) if other.corpus == side.corpus and other.speaker != side.speaker]
        rows += [(one, int(k), False) for k in random.permutation(others)[:IMPOSTORS]]
    far = np.arange(len(rows)) % 2 == 1
    pairs = zip(rows, far, strict=True)
    scores = [verifier.compare(sides[one].vectors[0], sides[other].vectors[int(f)]) for (one, other, _), f in pairs]
    return Scored(np.array(scores), np.array([same for *_, same in rows]), far)


def part(found: Scored, chosen: NDArray[np.bool_]) -> Scored:
    """Return some of the trials."""
    return Scored(found.scores[chosen], found.same[chosen], found.far[chosen])


if __name__ == "__main__":
    main()
