"""Linking speakers across recordings: seconds, memory and errors, and where the default threshold comes from.

    OMP_NUM_THREADS=1 python benchmarks/linking.py [--sizes 1000 100000] [--speech POOL] [--eval FOLDER]

Drawn voices are linked first (`--sizes` alone leaves them out): people who appear in 1 to 20 recordings of four
speakers, whose vectors are as similar on average as GE2E's. POOL is a folder of single-speaker clips with a
`manifest.jsonl` (see `benchmarks/verification.py`): each speaker's utterances are cut into parts, as if of several
recordings; every other speaker serves to choose the threshold, the rest to judge it. FOLDER holds recordings with their
turns (RTTM) beside them: each of a minute or more is cut in two, all halves and the shorter ones are diarized and
linked, and judged against the turns.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import time
from collections import Counter
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from peak_memory import memory

from speakerdiar.annotation import Diarization
from speakerdiar.audio import load
from speakerdiar.clustering.affinity import directions
from speakerdiar.clustering.linking import link
from speakerdiar.formats import load as load_turns
from speakerdiar.matching import match
from speakerdiar.mixins.embedding import EmbeddingMixin
from speakerdiar.models import load_model
from speakerdiar.models.embedders import make_embedder
from speakerdiar.recording import Recording
from speakerdiar.voiceprint import from_centre
from speakerdiar.voiceprints.linking import link_recordings

SIZES = (1_000, 10_000, 20_000)
SIZE, BETWEEN, WITHIN = 256, 0.18, 0.82
"""Dimensions of a vector, and the mean cosines of two people and of two recordings of one, as GE2E's, centred."""
MOST_RECORDINGS, SPEAKERS = 20, 4
DRAWN_THRESHOLD = 0.76
RATE = 16000
PART_SECONDS, MOST_PARTS = (7.0, 20.0), 4
"""A part of a speaker has so many seconds at least and at most."""
TRIED = np.arange(0.60, 0.901, 0.02)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES)
    parser.add_argument("--speech", type=Path)
    parser.add_argument("--eval", type=Path)
    arguments = parser.parse_args()
    if arguments.sizes:
        drawn(arguments.sizes)
    if arguments.speech is not None:
        threshold_on(arguments.speech)
    if arguments.eval is not None:
        halves_of(arguments.eval)


def drawn(sizes: list[int]) -> None:
    """Print seconds, memory and errors on drawn voices, each number in a process of its own."""
    print(f"{'speakers':>9} {'people':>8} {'found':>8} {'seconds':>8} {'peak MB':>8} {'precision':>9} {'recall':>8}")
    context = multiprocessing.get_context("spawn")
    for size in sizes:
        report = context.SimpleQueue()
        process = context.Process(target=one_run, args=(size, report))
        process.start()
        people, found, seconds, peak, precision, recall = report.get()
        process.join()
        print(f"{size:9} {people:8} {found:8} {seconds:8.1f} {peak:8.0f} {precision:9.4f} {recall:8.4f}", flush=True)


def one_run(size: int, report: Any) -> None:
    vectors, recordings, who = voices(size)
    began = time.perf_counter()
    labels = link(vectors, recordings, np.full(size, 20.0), threshold=DRAWN_THRESHOLD)
    seconds = time.perf_counter() - began
    right = pair_rates(labels, who)
    report.put((len(set(who.tolist())), int(labels.max()) + 1, seconds, memory()["peak_mb"], *right))


def voices(size: int) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
    """Draw vectors (size, SIZE), the recording of each, and who it is; nobody is twice in a recording."""
    random = np.random.default_rng(0)
    lots = np.repeat(np.arange(size), random.integers(1, MOST_RECORDINGS + 1, size))[:size]
    who = random.permutation(lots)
    # In each recording, who comes a second time is moved to a recording of their own.
    recordings = np.arange(size) // SPEAKERS
    _, first = np.unique(np.stack([recordings, who], axis=1), axis=0, return_index=True)
    again = np.setdiff1d(np.arange(size), first)
    recordings[again] = size + np.arange(len(again))
    noise = [random.normal(size=(count, SIZE)).astype(np.float32) / np.sqrt(SIZE) for count in (1, who.max() + 1, size)]
    shares = np.sqrt([BETWEEN, WITHIN - BETWEEN, 1 - WITHIN]).astype(np.float32)
    return directions(shares[0] * noise[0] + shares[1] * noise[1][who] + shares[2] * noise[2]), recordings, who


def pair_rates(labels: NDArray[np.int64], who: NDArray[np.int64]) -> tuple[float, float]:
    """Return of the pairs of one label the share of one person, and of the pairs of one person that of one label."""
    both, found, true = (
        sum(count * (count - 1) // 2 for count in Counter(names).values())
        for names in (zip(labels.tolist(), who.tolist(), strict=True), labels.tolist(), who.tolist())
    )
    return both / max(found, 1), both / max(true, 1)


def threshold_on(pool: Path) -> None:
    """Print pair-wise rates of every threshold on either half of the speakers."""
    embedder = make_embedder("ge2e")
    found = list(parts(pool, embedder))
    names = sorted({name for name, *_ in found})
    print(f"\n{len(found)} parts of {len(names)} speakers; pairs right, and found, on either half")
    print(f"{'threshold':>9} {'precision':>9} {'recall':>7} {'F1':>7}   {'precision':>9} {'recall':>7} {'F1':>7}")
    halves = [[row for row in found if (names.index(row[0]) % 2 == 1) == held_out] for held_out in (False, True)]
    for threshold in TRIED:
        cells = [judged(half, embedder.centre, float(threshold)) for half in halves]
        print(f"{threshold:9.2f}" + "  ".join(f" {p:9.3f} {r:7.3f} {2 * p * r / (p + r):7.3f}" for p, r in cells))


def parts(pool: Path, embedder: EmbeddingMixin) -> Iterator[tuple[str, NDArray[np.float32], float]]:
    """Yield speaker, vector and seconds of what would be a speaker's part in a recording: some utterances in a row."""
    for line in (pool / "manifest.jsonl").read_text().splitlines():
        entry = json.loads(line)
        samples, first, kept = load(str(pool / entry["audio"])), 0.0, 0
        for _, end in entry["utterances"]:
            if end - first >= PART_SECONDS[0] and kept < MOST_PARTS:
                spoken = samples[round(first * RATE) : round(min(end, first + PART_SECONDS[1]) * RATE)]
                yield entry["speaker"], embedder.embed(spoken)[0], len(spoken) / RATE
                first, kept = end, kept + 1


def judged(
    rows: list[tuple[str, NDArray[np.float32], float]], centre: NDArray[np.float32] | None, threshold: float
) -> tuple[float, float]:
    """Link the parts, each as if of a recording of its own, and return how the pairs are found."""
    vectors = from_centre(np.stack([vector for _, vector, _ in rows]), centre)
    labels = link(vectors, np.arange(len(rows)), [seconds for *_, seconds in rows], threshold=threshold)
    _, who = np.unique([name for name, *_ in rows], return_inverse=True)
    return pair_rates(labels, who)


def halves_of(folder: Path) -> None:
    """Print how the speakers of both halves of real recordings are linked."""
    model = load_model("embedded")
    results, truth = [], {}
    for path in sorted(folder.glob("*.flac")):
        [turns] = load_turns(path.with_suffix(".rttm"))
        seconds = len(load(str(path))) / RATE
        spans = [(0.0, seconds / 2), (seconds / 2, seconds / 2)] if seconds >= 60 else [(0.0, seconds)]
        for number, (offset, duration) in enumerate(spans):
            recording = Recording(f"{path.stem}/{number}", str(path), offset=offset, duration=duration)
            results += model.diarize(recording)
            truth[recording.id] = turns
    linked = link_recordings(results, embedder=make_embedder("ge2e"))
    people = {result.recording_id: whose(result, truth[result.recording_id]) for result in linked.results}
    print()
    for id, found in people.items():
        print(f"{id:16} " + ", ".join(f"{true} is {name}" for true, name in found.items()))
    both = [(people[id], people[id[:-1] + "1"]) for id in people if id[:-1] + "1" in people and id.endswith("0")]
    again = [one[true] == other[true] for one, other in both for true in one if true in other]
    pairs = list(combinations(people, 2))
    strangers = [(a, b) for a, b in pairs if a.split("/")[0] != b.split("/")[0]]
    mixed = [f"{a} and {b}" for a, b in strangers if {*people[a].values()} & {*people[b].values()}]
    print(f"\n{sum(again)} of {len(again)} speakers have one name in both halves")
    print(f"{len(mixed)} of {len(strangers)} pairs of different recordings share a person: {'; '.join(mixed)}")


def whose(result: Diarization, turns: Diarization) -> dict[str, str]:
    """Return the name that each true speaker has in a result, by the time they share."""
    true = turns.crop(result.extent)
    gain = np.array(
        [
            [
                sum((a.segment & b.segment).duration for a in true for b in result if (a.speaker, b.speaker) == pair)
                for pair in ((one, other) for other in result.speakers)
            ]
            for one in true.speakers
        ]
    ).reshape(len(true.speakers), len(result.speakers))
    return match(gain, true.speakers, result.speakers)


if __name__ == "__main__":
    main()
