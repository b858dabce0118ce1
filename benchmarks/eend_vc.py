"""Local segmentation and clustering at full size, with random weights, beside pyannote.audio where a Python has it.

    python benchmarks/eend_vc.py                                       ours, fast and exact, 5 minutes of speech
    python benchmarks/eend_vc.py --pyannote ~/pyannote/bin/python      and pyannote.audio, with the same weights
    python benchmarks/eend_vc.py --eval FOLDER                         how fast and exact agree on a folder's .flac

Every run is a process of its own, so that peak memory is that run's own; all take turns, so that a busy machine burdens
them alike, with as many threads each. Loading weights isn't counted. pyannote.audio gets the samples in memory, ours a
file. What counts is the ratio. The weights are those of `full_size_parts`: the speed is that of trained ones.
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
from pathlib import Path
from typing import Any

from long_recordings import made
from peak_memory import memory

RATE = 16000
MODES = ("fast", "exact")


def main() -> None:
    """Make the weights and the audio, run everything in processes of its own, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--audio", help="measure on this recording instead, as much of it as --seconds says")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--threads", default="2")
    parser.add_argument("--pyannote", help="a Python that has pyannote.audio 4 installed")
    parser.add_argument("--eval", type=Path, help="a folder of .flac files: fast and exact are compared on each")
    parser.add_argument("--weights", help="a pipeline's folder, in place of random weights")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        who, folder, audio = arguments.child
        print("\n" + json.dumps(run_pyannote(folder, audio) if who == "pyannote" else run_ours(who, folder, audio)))
        return
    load = os.getloadavg()[0]
    print(f"{platform.machine()}, {os.cpu_count()} cores, {arguments.threads} threads, load {load:.1f} at start")
    with tempfile.TemporaryDirectory() as place:
        weights = arguments.weights or random_weights(Path(place) / "pipeline")
        if arguments.eval:
            agreements(weights, sorted(arguments.eval.glob("*.flac")), Path(place), arguments.threads)
            return
        file = arguments.audio or made(arguments.seconds / 3600, place)
        compare(weights, samples_of(file, arguments.seconds, Path(place) / "samples.npy"), arguments)


def random_weights(folder: Path) -> Path:
    """Write the pipeline."""
    from full_size_parts import write_pipeline

    return write_pipeline(folder)


def samples_of(file: Path | str, seconds: float, place: Path) -> Path:
    """Write a recording's first seconds as samples, and beside them as a WAV file; return the former."""
    import numpy as np
    import soundfile

    from speakerdiar.audio import load

    samples = load(file, RATE)[: round(seconds * RATE)]
    np.save(place, samples)
    soundfile.write(place.with_suffix(".wav"), samples, RATE, subtype="FLOAT")
    return place


def compare(weights: Path, audio: Path, arguments: argparse.Namespace) -> None:
    """Run all by turns on one recording, and print the best of each and what they agree on."""
    runs: dict[str, list[dict[str, Any]]] = {mode: [] for mode in MODES}
    if arguments.pyannote:
        runs["pyannote"] = []
    for _ in range(arguments.rounds):
        for who, rows in runs.items():
            python = arguments.pyannote if who == "pyannote" else sys.executable
            rows.append(child([python, __file__, "--child", who, weights, audio], arguments.threads))
    best = {who: min(rows, key=lambda row: float(row["seconds"])) for who, rows in runs.items()}
    said(best["fast"])
    for who, row in best.items():
        times = ", ".join(f"{one['seconds']:.1f}" for one in runs[who])
        found = f"{len(row['turns'])} turns, {speakers(row)} speakers"
        print(f"{who:8}: {row['seconds']:7.1f} s ({times}), peak {row['peak_mb']:.0f} MB, {found}")
    print(f"fast is {best['exact']['seconds'] / best['fast']['seconds']:.2f} times as fast as exact")
    if "pyannote" in best:
        theirs = best["pyannote"]
        for who in MODES:
            times, size = theirs["seconds"] / best[who]["seconds"], best[who]["peak_mb"] / theirs["peak_mb"]
            print(f"{who} is {times:.2f} times as fast as pyannote.audio, with {size:.2f} of its memory")
        print(f"turns of exact that pyannote.audio hasn't, or the other way: {differ(best['exact'], theirs)}")
        print(f"DER of exact by pyannote.audio's turns: {100 * error_rate(theirs, best['exact']):.3f} %")
    agreement("fast and exact", best["fast"], best["exact"])


def agreements(weights: Path, files: list[Path], place: Path, threads: str) -> None:
    """Print how fast and exact agree on each of some recordings, and on all."""
    from speakerdiar.metrics import DerComponents

    total, cosines = DerComponents(), []
    for file in files:
        audio = samples_of(file, 1e6, place / f"{file.stem}.npy")
        fast, exact = (child([sys.executable, __file__, "--child", who, weights, audio], threads) for who in MODES)
        components, likeness = agreement(f"{file.stem:12}", fast, exact)
        total += components
        cosines.append(likeness)
    every = sum(cosines) / max(1, len(cosines))
    print(f"all: DER {100 * total.rate:.3f} %, cosine {every:.4f} (mean of the recordings)")


def agreement(name: str, fast: dict[str, Any], exact: dict[str, Any]) -> tuple[Any, float]:
    """Print how far the turns and the vectors of two runs agree; return both."""
    import numpy as np

    from speakerdiar.metrics import der

    mine, theirs = np.load(fast["kept"]), np.load(exact["kept"])
    same = (mine["bits"] == theirs["bits"]).mean()
    a, b = mine["embeddings"], theirs["embeddings"]
    lengths = np.linalg.norm(a, axis=2) * np.linalg.norm(b, axis=2)
    cosines = np.einsum("wsd,wsd->ws", a, b) / np.where(lengths > 0, lengths, np.nan)
    clustered = cosines[(theirs["alone"] >= 0.2 * theirs["bits"].shape[1]) & np.isfinite(cosines)]
    components, likeness = der(diarization(exact), diarization(fast)), float(np.nanmean(cosines))
    worst = np.nanquantile(cosines, 0.05)
    print(
        f"{name}: DER {100 * components.rate:.3f} %, cosine {likeness:.4f} (a twentieth below {worst:.3f}; clustered "
        f"ones {clustered.mean():.4f}), frames of windows alike {100 * same:.2f} %, "
        f"speakers {speakers(fast)} and {speakers(exact)}, seconds {fast['seconds']:.1f} and {exact['seconds']:.1f}"
    )
    return components, likeness


def said(row: dict[str, Any]) -> None:
    """Print what the segmentation hears, which decides how much there is to embed."""
    import numpy as np

    bits = np.load(row["kept"])["bits"]
    shares = np.bincount(bits.ravel(), minlength=8) / bits.size
    sets = {"+".join(str(s) for s in range(3) if kept >> s & 1) or "none": share for kept, share in enumerate(shares)}
    print("frames with local speakers " + ", ".join(f"{name} {100 * v:.1f} %" for name, v in sets.items() if v))
    talking = sum((bits >> s & 1).any(axis=1).mean() for s in range(3))
    print(f"{len(bits)} windows, {talking:.2f} local speakers talk in one")


def speakers(row: dict[str, Any]) -> int:
    """Speakers of a run."""
    return len({name for *_, name in row["turns"]})


def diarization(row: dict[str, Any]) -> Any:
    """The turns of a run."""
    from speakerdiar import Diarization, Turn

    return Diarization("run", row["duration"], tuple(Turn(*turn) for turn in row["turns"]))


def error_rate(reference: dict[str, Any], found: dict[str, Any]) -> float:
    """DER of a run by another's turns."""
    from speakerdiar.metrics import der

    return der(diarization(reference), diarization(found)).rate


def differ(ours: dict[str, Any], theirs: dict[str, Any]) -> int:
    """Turns, to the millisecond, that only one of two runs has."""
    spans = [{(round(s, 3), round(e, 3)) for s, e, _ in row["turns"]} for row in (ours, theirs)]
    return len(spans[0] ^ spans[1])


def child(command: list[Any], threads: str) -> dict[str, Any]:
    """Run a measurement in a process of its own."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
    environment = {**os.environ, **dict.fromkeys(names, threads), "PYANNOTE_METRICS_ENABLED": "0"}
    run = subprocess.run([str(part) for part in command], capture_output=True, text=True, env=environment)
    if run.returncode:
        raise SystemExit(run.stderr[-2000:])
    result: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return result


def run_ours(mode: str, folder: str, samples: str) -> dict[str, Any]:
    """Diarize a recording with this library; keep bits and vectors in a file."""
    import numpy as np
    import torch

    import speakerdiar

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    model = speakerdiar.load_model(folder, exact=mode == "exact")
    kept: dict[str, Any] = {}

    def keep(stage: str, artifact: Any, *_: float | None) -> None:
        if artifact is not None:
            kept[stage] = artifact

    started = time.perf_counter()
    [result] = model.diarize(str(Path(samples).with_suffix(".wav")), hook=keep)
    seconds = time.perf_counter() - started
    speech, file = kept["segmentation"], f"{samples}.{mode}.npz"
    np.savez(file, bits=speech.bits, alone=speech.alone(), embeddings=kept["embeddings"])
    turns = [(turn.start, turn.end, turn.speaker) for turn in result]
    return {"seconds": seconds, **memory(), "turns": turns, "duration": result.duration, "kept": file}


def run_pyannote(folder: str, samples: str) -> dict[str, Any]:
    """Diarize a recording with pyannote.audio."""
    import warnings

    import numpy as np
    import torch

    warnings.simplefilter("ignore")
    from pyannote.audio import Pipeline

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    pipeline = Pipeline.from_pretrained(folder)
    waveform = torch.from_numpy(np.load(samples))[None]
    started = time.perf_counter()
    result = pipeline({"waveform": waveform, "sample_rate": RATE}).speaker_diarization
    seconds = time.perf_counter() - started
    turns = [(segment.start, segment.end, name) for segment, _, name in result.itertracks(yield_label=True)]
    return {"seconds": seconds, **memory(), "turns": turns, "duration": waveform.shape[1] / RATE}


if __name__ == "__main__":
    main()
