"""Who spoke when in the demo conversation, against its reference. Writes RTTM, JSON and a picture to `demo-out/`.

    python examples/demo.py

The conversation is synthetic (`examples/data/make_conversation.py`), so its reference is exact.
"""

from __future__ import annotations

import time
from pathlib import Path

import speakerdiar
from speakerdiar.metrics import score_files
from speakerdiar.plotting import save_plot

DATA = Path(__file__).resolve().parent / "data"
OUT = Path("demo-out")


def main() -> None:
    """Diarize, show, score, save."""
    print("Loading the model ...", flush=True)
    model = speakerdiar.load_model()
    began = time.perf_counter()
    [diarization] = model.diarize(DATA / "conversation.flac")
    took = time.perf_counter() - began
    [reference] = speakerdiar.load(DATA / "conversation.rttm")

    show(diarization)
    print(f"\n{diarization.duration:.0f} s of audio, {len(diarization.speakers)} speakers, diarized in {took:.1f} s.\n")
    report = score_files({reference.recording_id: reference}, {reference.recording_id: diarization})
    print(f"Against the reference, {len(reference.speakers)} speakers:\n\n{report.to_table()}\n")

    for path in (diarization.save(OUT / "conversation.rttm"), diarization.save(OUT / "conversation.json")):
        print(f"wrote {path}")
    print(f"wrote {save_plot(diarization, OUT / 'conversation.png', reference=reference)}")
    print("\nYour own recording:\n\n    .venv/bin/speakerdiar diarize FILE\n    .venv/bin/speakerdiar --help")


def show(diarization: speakerdiar.Diarization) -> None:
    """Print the turns as a table."""
    print(f"\n{'start':>8} {'end':>8} {'length':>8}  speaker")
    for turn in diarization:
        print(f"{turn.start:8.2f} {turn.end:8.2f} {turn.duration:8.2f}  {turn.speaker}")


if __name__ == "__main__":
    main()
