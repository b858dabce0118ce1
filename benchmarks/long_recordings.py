"""Long recordings for benchmarks, made of the examples' conversation."""

from __future__ import annotations

from pathlib import Path

CONVERSATION = Path(__file__).resolve().parents[1] / "examples" / "data" / "conversation.flac"


def made(hours: float, folder: str) -> Path:
    """Write a long recording: the conversation again and again, with another level and fresh noise each time."""
    import numpy as np
    import soundfile

    talk, rate = soundfile.read(CONVERSATION, dtype="float32")
    random = np.random.default_rng(0)
    path = Path(folder) / f"{hours:g}h.wav"
    left = round(hours * 3600 * rate)
    with soundfile.SoundFile(path, "w", samplerate=rate, channels=1, subtype="PCM_16") as file:
        while left > 0:
            part = talk[:left] * random.uniform(0.2, 1.0)
            file.write(part + random.normal(0, 10 ** random.uniform(-4, -3), len(part)).astype(np.float32))
            left -= len(part)
    return path
