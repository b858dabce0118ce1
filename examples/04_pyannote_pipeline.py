"""Diarize with a pyannote pipeline: its stages, the turns, one speaker at a time, overlap and changes, voices.

Run it with a pipeline (a folder, or a name on the Hub: `pip install "speakerdiar[hub]"`) and a recording. By default
these are community-1, from a repository that asks for no token, and the conversation that comes with the examples.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np

import speakerdiar
from speakerdiar.models.diarizers.eend_vc import EendVcDiarizer

PIPELINE = "pyannote-community/speaker-diarization-community-1"
CONVERSATION = Path(__file__).parent / "data" / "conversation.flac"


def main(pipeline: str = PIPELINE, audio: str = str(CONVERSATION)) -> None:
    model = speakerdiar.load_model(pipeline)
    assert isinstance(model, EendVcDiarizer), f"{pipeline} is no pyannote pipeline"
    [found] = model.diarize(audio, hook=tell)

    show("who speaks when", found)
    show("one speaker at a time", found.exclusive)

    heard = model.segment(audio)  # one pass of the segmentation network, no clustering
    print("several talk at once:", " ".join(f"{part.start:.2f}-{part.end:.2f}" for part in heard.overlap) or "never")
    print("others talk from:", " ".join(f"{moment:.2f}" for moment in heard.changes) or "-")
    print("at most", heard.count.max(initial=0), "at once")

    print("likeness of voices:")
    voices = {name: vector / np.linalg.norm(vector) for name, vector in found.embeddings.items()}
    for name, vector in voices.items():
        print(f"  {name}", *(f"{vector @ other:6.2f}" for other in voices.values()))


def tell(stage: str, artifact: Any, done: float, total: float | None) -> None:
    """Print what each stage gives; until it is ready, `done` of `total` says how far it is."""
    if artifact is not None:
        print(f"{stage}: {type(artifact).__name__}")


def show(title: str, found: speakerdiar.Diarization) -> None:
    print(f"{title}: {len(found)} turns of {len(found.speakers)} speakers")
    for turn in found:
        print(f"  {turn.start:7.2f} {turn.end:7.2f}  {turn.speaker}")


if __name__ == "__main__":
    main(*sys.argv[1:])
