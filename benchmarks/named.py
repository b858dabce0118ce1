"""What enrolled voices are worth: error rates with and without names, and how many names are right.

    python benchmarks/named.py --eval FOLDER --noise FOLDER [--conversations 40] [--seed 0] [--threshold T]

FOLDER of --eval holds recordings with an RTTM file beside each. What a speaker says alone there is split in two: the
first part is for enrolment, conversations are simulated from the rest. Enrolled are those who talk, and everyone from
the other recordings. Columns: diarization error rate and its confusion (strict: collar 0, overlap scored), the share of
the correctly diarized time of enrolled speakers that has the right name, the share of that of the one who isn't
enrolled that has none, and the mean error of the number of speakers.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from speakerdiar import load_model
from speakerdiar.annotation import Diarization
from speakerdiar.audio import load
from speakerdiar.formats import rttm
from speakerdiar.metrics import DerComponents, der, speaker_mapping
from speakerdiar.mixins import SpkDiarizationMixin
from speakerdiar.mixins.naming import spoken_alone
from speakerdiar.simulation import Acoustics, Clip, TurnTaking, simulate
from speakerdiar.voiceprints import VoiceprintStore

RATE = 16000
SECONDS = 90.0
LEAST_SECONDS = 7.0
ENROL_SECONDS = 12.0
ENROL_SHARE = 0.4

Samples = NDArray[np.float32]


@dataclass(frozen=True)
class Voice:
    """A speaker: which recording they come from, what they are enrolled with, and what they say in conversations."""

    recording: str
    enrolment: Samples
    clips: tuple[Clip, ...]


@dataclass(frozen=True)
class Talk:
    """A conversation, who speaks in it, and its turns."""

    samples: Samples
    names: tuple[str, ...]
    reference: Diarization


@dataclass(frozen=True)
class Row:
    """How voices are enrolled: with noise at so many dB, for so many seconds, all or all but one."""

    title: str
    snr: float | None = None
    seconds: float = ENROL_SECONDS
    one_unknown: bool = False


ROWS = (
    Row("all enrolled"),
    Row("one not enrolled", one_unknown=True),
    Row("enrolled with 3 s", seconds=3.0),
    Row("enrolled in noise, 10 dB", snr=10.0),
    Row("enrolled in noise, 5 dB", snr=5.0),
    Row("10 dB, one not enrolled", snr=10.0, one_unknown=True),
)


def main() -> None:
    """Simulate, diarize without names and with each kind of enrolment, and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--eval", type=Path, required=True)
    parser.add_argument("--noise", type=Path, required=True)
    parser.add_argument("--conversations", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threshold", type=float)
    arguments = parser.parse_args()

    voices = {name: voice for path in sorted(arguments.eval.glob("*.rttm")) for name, voice in voices_of(path)}
    rng = np.random.default_rng(arguments.seed)
    talks = [talk_of(voices, rng) for _ in range(arguments.conversations)]
    noise = np.concatenate([load(path, RATE) for path in sorted(arguments.noise.rglob("*.opus"))[::5]])
    print(f"{len(voices)} voices, {len(talks)} conversations of {SECONDS:.0f} s\n")
    print(f"{'':28} {'DER %':>6} {'conf %':>6} {'name %':>6} {'none %':>6} {'count':>6}")
    model = load_model()
    report("without names", [(talk, found, ()) for talk, found in zip(talks, diarized(model, talks), strict=True)])
    for row in ROWS:
        clips = {name: heard_in(voice.enrolment, row, noise, rng) for name, voice in voices.items()}
        results = []
        for talk in talks:
            known = enrolled(talk, voices, row)
            with VoiceprintStore.of(
                {name: (clips[name], RATE) for name in known}, threshold=arguments.threshold
            ) as store:
                [found] = model.diarize(talk.samples, sample_rate=RATE, voiceprints=store)
            results.append((talk, found, known))
        report(row.title, results)


def voices_of(path: Path) -> list[tuple[str, Voice]]:
    """Return the speakers of a recording who say enough alone, the first part of it for enrolment."""
    samples = load(path.with_suffix(".flac"), RATE)
    [reference] = rttm.load(path)
    found = []
    for speaker, segments in spoken_alone(reference, float("inf")).items():
        pieces = [samples[round(s.start * RATE) : round(s.end * RATE)] for s in segments if s.duration >= 0.4]
        parts = [part for piece in pieces for part in np.array_split(piece, max(1, round(len(piece) / (4 * RATE))))]
        total = sum(map(len, parts)) / RATE
        if total < LEAST_SECONDS:
            continue
        ends = np.cumsum([len(part) for part in parts]) / RATE
        split = int(np.searchsorted(ends, min(ENROL_SECONDS, ENROL_SHARE * total))) + 1
        clips = tuple(Clip(part) for part in parts[split:])
        found.append((f"{path.stem}/{speaker}", Voice(path.stem, np.concatenate(parts[:split]), clips)))
    return found


def talk_of(voices: Mapping[str, Voice], rng: np.random.Generator) -> Talk:
    """Simulate a conversation of two to four of the voices."""
    count = int(rng.integers(2, 5))
    names = tuple(str(name) for name in rng.choice(list(voices), count, replace=False))
    plan = TurnTaking().plan(count, SECONDS, rng)
    made = simulate({name: voices[name].clips for name in names}, SECONDS, RATE, rng, plan, acoustics=Acoustics())
    return Talk(made.samples, names, Diarization("talk", SECONDS, made.turns))


def heard_in(clip: Samples, row: Row, noise: Samples, rng: np.random.Generator) -> Samples:
    """Return an enrolment clip as long and as noisy as a row says."""
    kept = clip[: round(row.seconds * RATE)]
    if row.snr is None:
        return kept
    first = int(rng.integers(len(noise) - len(kept)))
    part = noise[first : first + len(kept)]
    gain = np.sqrt(np.mean(kept**2) / np.mean(part**2) * 10 ** (-row.snr / 10))
    return np.asarray(kept + gain * part, dtype=np.float32)


def enrolled(talk: Talk, voices: Mapping[str, Voice], row: Row) -> tuple[str, ...]:
    """Return who is enrolled: those who talk, but for the first where one is unknown, and all of other recordings."""
    here = {voices[name].recording for name in talk.names}
    others = [name for name, voice in voices.items() if voice.recording not in here]
    return (*talk.names[row.one_unknown :], *others)


def diarized(model: SpkDiarizationMixin, talks: Sequence[Talk]) -> list[Diarization]:
    """Diarize without names."""
    return [model.diarize(talk.samples, sample_rate=RATE)[0] for talk in talks]


def report(title: str, results: Sequence[tuple[Talk, Diarization, tuple[str, ...]]]) -> None:
    """Print a line of figures."""
    total = sum((der(talk.reference, found) for talk, found, _ in results), start=DerComponents())
    named, right, unknown, nameless = (sum(column) for column in zip(*map(names_of, results), strict=True))
    count = np.mean([abs(len(found.speakers) - len(talk.names)) for talk, found, _ in results])
    shares = [
        f"{100 * part / whole:6.1f}" if whole else f"{'':6}" for part, whole in ((right, named), (nameless, unknown))
    ]
    print(
        f"{title:28} {100 * total.rate:6.2f} {100 * total.confusion / total.total:6.2f} {' '.join(shares)} {count:6.2f}"
    )


def names_of(result: tuple[Talk, Diarization, tuple[str, ...]]) -> tuple[float, float, float, float]:
    """Return seconds diarized correctly: of enrolled speakers, with the right name; of others, without a name."""
    talk, found, known = result
    named = right = unknown = nameless = 0.0
    for who, speaker in speaker_mapping(talk.reference, found).items():
        seconds = shared(talk.reference, speaker, found, who)
        if speaker in known:
            named, right = named + seconds, right + seconds * (who == speaker)
        elif known:
            unknown, nameless = unknown + seconds, nameless + seconds * (who not in known)
    return named, right, unknown, nameless


def shared(reference: Diarization, speaker: str, found: Diarization, who: str) -> float:
    """Return the seconds in which both say that their speaker talks."""
    ours = [turn.segment for turn in reference.supported() if turn.speaker == speaker]
    theirs = [turn.segment for turn in found.supported() if turn.speaker == who]
    return sum((one & other).duration for one in ours for other in theirs)


if __name__ == "__main__":
    main()
