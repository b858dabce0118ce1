"""Make conversation.flac and conversation.rttm: four synthetic voices plan a field trip.

Needs the `flite` command (Debian: `apt install flite`) and speakerdiar's own packages:

    python examples/data/make_conversation.py

The reference is exact. Every utterance is synthesised alone, trimmed to its sound, and then placed; its turn is where
it was placed. Silence inside an utterance of more than `LONGEST_PAUSE` seconds splits its turn.
"""

from __future__ import annotations

import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray
from scipy.signal import butter, fftconvolve, sosfilt

Samples = NDArray[np.float64]
Turn = tuple[float, float, str]

RATE = 16_000
HERE = Path(__file__).resolve().parent
FRAME = RATE // 100  # 10 ms
SOUND_DB = -38.0  # a frame is sound where its level is within this of the utterance's loudest frame
LONGEST_PAUSE = 0.5
NOISE_DBFS = -68.0
LEAD_IN, LEAD_OUT = 0.6, 0.8


@dataclass(frozen=True)
class Voice:
    """A flite voice. `shift` scales pitch and formants together; `tempo` stretches time, above 1 is slower."""

    flite: str
    shift: float
    tempo: float
    level_dbfs: float
    seed: int
    pitch_hz: int | None = None


@dataclass(frozen=True)
class Line:
    """What someone says, `gap` seconds after the floor became free; below 0 it is an interruption.

    With `over`, the line is a back-channel: it begins that many seconds after the line before it began, and leaves the
    floor where it was.
    """

    speaker: str
    text: str
    gap: float = 0.35
    over: float | None = None


VOICES = {
    "ada": Voice("slt", 1.0, 1.0, -24.0, seed=1),
    "ben": Voice("rms", 0.86, 1.0, -26.0, seed=2),
    "cleo": Voice("kal16", 1.22, 1.25, -25.0, seed=3, pitch_hz=150),
    "duncan": Voice("awb", 1.06, 1.0, -27.0, seed=4),
}

SCRIPT = (
    Line("ada", "Good morning everyone. Shall we settle the plan for the field trip?"),
    Line("ben", "Yes. I have called the station on the coast, and they can take all twelve of us from noon onwards."),
    Line("ada", "Wonderful.", over=2.6),
    Line("cleo", "Do they still have the boat? Last year the engine failed twice, and we lost a whole day.", 0.45),
    Line("duncan", "The boat has been repaired. I asked them. What worries me more is the weather on Friday.", -0.4),
    Line("cleo", "Oh, good.", over=1.9),
    Line("ben", "How bad is it going to be?", 0.25),
    Line("duncan", "Strong wind, and rain until the evening. Nobody should go out on the water in that.", 0.4),
    Line("ada", "Right.", over=2.2),
    Line("ada", "Then let us take the samples on Thursday, when we arrive, and keep Friday for the laboratory.", -0.5),
    Line("cleo", "That works for me. I need two hours for the cameras, and somebody with a steady hand.", 0.3),
    Line("ben", "Take me.", -0.35),
    Line("duncan", "And who drives the second van? I can only do the first half of the journey.", 0.5),
    Line("ada", "I will drive. Ben, could you bring the spare batteries and the long rope?", 0.3),
    Line("ben", "Sure. They are packed already, next to the nets.", 0.3),
    Line("cleo", "Great.", over=1.2),
    Line("cleo", "And please, this time, do not forget the coffee.", -0.4),
    Line("duncan", "I would never forget the coffee.", 0.2),
    Line("ada", "Very well. Thursday at seven, at the main gate.", 0.4),
    Line("ben", "See you then.", -0.25),
)


def main() -> None:
    """Write the recording and its reference beside this file."""
    placed, turns, length = place(SCRIPT)
    mix = np.random.default_rng(0)
    audio = noise(length, mix)
    for start, samples in placed:
        audio[start : start + len(samples)] += samples[: length - start]
    soundfile.write(HERE / "conversation.flac", audio, RATE, subtype="PCM_16", compression_level=1.0)
    lines = [f"SPEAKER conversation 1 {a:.3f} {b - a:.3f} <NA> <NA> {who} <NA> <NA>\n" for a, b, who in sorted(turns)]
    (HERE / "conversation.rttm").write_text("".join(lines), encoding="utf-8")


def place(script: tuple[Line, ...]) -> tuple[list[tuple[int, Samples]], list[Turn], int]:
    """Return the sounds with their first samples, the turns in seconds, and the length of the whole in samples."""
    rooms = {name: room(np.random.default_rng(voice.seed)) for name, voice in VOICES.items()}
    placed: list[tuple[int, Samples]] = []
    turns: list[Turn] = []
    free = round(LEAD_IN * RATE)
    before = free
    for line in script:
        samples, sounds = utterance(VOICES[line.speaker], line.text)
        start = free + round(line.gap * RATE) if line.over is None else before + round(line.over * RATE)
        placed.append((start, fftconvolve(samples, rooms[line.speaker])))
        turns += [((start + a) / RATE, (start + b) / RATE, line.speaker) for a, b in sounds]
        if line.over is None:
            before, free = start, start + len(samples)
    return placed, turns, free + round(LEAD_OUT * RATE)


def utterance(voice: Voice, text: str) -> tuple[Samples, list[tuple[int, int]]]:
    """Return one utterance, trimmed to its sound and at the voice's level, and its stretches of sound in samples."""
    samples = synthesise(voice, text)
    sounds = stretches(samples)
    first, last = sounds[0][0], sounds[-1][1]
    samples = samples[first:last]
    loud = np.concatenate([samples[a - first : b - first] for a, b in sounds])
    gain = 10 ** (voice.level_dbfs / 20) / np.sqrt(np.mean(loud**2))
    return samples * gain, [(a - first, b - first) for a, b in sounds]


def synthesise(voice: Voice, text: str) -> Samples:
    """Let flite say it, and play it `shift` times as fast, which raises pitch and formants alike."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        pitch = ["--setf", f"int_f0_target_mean={voice.pitch_hz}"] if voice.pitch_hz else []
        stretch = ["--setf", f"duration_stretch={voice.tempo}"]
        subprocess.run(["flite", "-voice", voice.flite, *stretch, *pitch, "-t", text, "-o", str(path)], check=True)
        samples, rate = soundfile.read(path)
    return np.asarray(soxr.resample(samples, rate * voice.shift, RATE), dtype=np.float64)


def stretches(samples: Samples) -> list[tuple[int, int]]:
    """Return where there is sound, with pauses up to `LONGEST_PAUSE` seconds filled."""
    frames = samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME)
    level = 10 * np.log10(np.mean(frames**2, axis=1) + 1e-12)
    loud = np.flatnonzero(level > level.max() + SOUND_DB)
    cuts = np.flatnonzero(np.diff(loud) * FRAME > LONGEST_PAUSE * RATE)
    firsts, lasts = loud[np.r_[0, cuts + 1]], loud[np.r_[cuts, len(loud) - 1]]
    return [(int(a) * FRAME, (int(b) + 1) * FRAME) for a, b in zip(firsts, lasts, strict=True)]


def room(rng: np.random.Generator) -> Samples:
    """Return the impulse response of a small room: the direct sound first, then 0.25 s of decay, 12 dB weaker."""
    time = np.arange(RATE // 4) / RATE
    tail = rng.standard_normal(len(time)) * 10 ** (-3 * time / 0.25)
    tail[: rng.integers(60, 160)] = 0.0  # the first reflection comes 4 to 10 ms later
    tail *= 10 ** (-12 / 20) / np.sqrt(np.sum(tail**2))
    tail[0] = 1.0
    return tail


def noise(length: int, rng: np.random.Generator) -> Samples:
    """Return the hum of an office: noise that falls towards high frequencies."""
    rumble = sosfilt(butter(1, 500, fs=RATE, output="sos"), rng.standard_normal(length))
    return np.asarray(rumble * 10 ** (NOISE_DBFS / 20) / np.sqrt(np.mean(rumble**2)))


if __name__ == "__main__":
    main()
