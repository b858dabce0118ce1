"""Verification of voices that are tones, and of the conversation's turns with the real weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from fakes_roles import RATE, FakeEmbedder, FakeSegmenter
from numpy.typing import NDArray

from speakerdiar.errors import AudioNotFoundError, ConfigError, InputError, UnknownModelError
from speakerdiar.formats import load
from speakerdiar.formats.trials import Trial
from speakerdiar.models import MODELS
from speakerdiar.models.segmenters.energy import EnergyVad
from speakerdiar.models.verification import Verification, Verifier, embed_parts
from speakerdiar.recording import Recording

DATA = Path(__file__).resolve().parents[2] / "examples" / "data"
Samples = NDArray[np.float32]

needs_weights = pytest.mark.skipif(not MODELS["embedded"].is_here(), reason="the embedded weights aren't installed")


def voice(frequency: float, seconds: float = 2.0, pause: float = 0.0) -> Samples:
    """A tone, with silence in front."""
    time = np.arange(round(seconds * RATE)) / RATE
    tone = 0.8 * np.sin(2 * np.pi * frequency * time)
    return np.concatenate([np.zeros(round(pause * RATE)), tone]).astype(np.float32)


class CountingEmbedder(FakeEmbedder):
    """Keeps what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[Samples] = []

    def embed(self, waveform: Samples, segments: Any = None) -> NDArray[np.float32]:
        self.heard.append(waveform)
        return super().embed(waveform, segments)


def tones(embedder: FakeEmbedder | None = None, **options: Any) -> Verifier:
    return Verifier(embedder or FakeEmbedder(), segmenter=FakeSegmenter(), **options)


def test_one_voice_is_the_same_and_two_are_not() -> None:
    verifier = tones(threshold=0.5)
    same = verifier.verify(voice(300), voice(300, seconds=3), sample_rate=RATE)
    assert isinstance(same, Verification)
    assert same.score == pytest.approx(1, abs=1e-3)
    assert (same.threshold, same.same) == (0.5, True)
    other = verifier.verify(voice(300), voice(1500), sample_rate=RATE)
    assert other.score < 0.1
    assert not other.same


def test_a_score_at_the_threshold_is_the_same() -> None:
    score = tones(threshold=0.5).verify(voice(300), voice(330), sample_rate=RATE).score
    assert tones(threshold=score).verify(voice(300), voice(330), sample_rate=RATE).same
    assert not tones(threshold=score + 1e-6).verify(voice(300), voice(330), sample_rate=RATE).same


def test_order_changes_no_score() -> None:
    verifier = tones(threshold=0.5)
    one, other = (voice(300), RATE), (voice(360), RATE)
    assert verifier.verify(one, other).score == pytest.approx(verifier.verify(other, one).score, abs=1e-12)


def test_only_speech_is_embedded() -> None:
    embedder = CountingEmbedder()
    vector = tones(embedder).embed(voice(300, seconds=1.0, pause=3.0), sample_rate=RATE)
    [heard] = embedder.heard
    assert len(heard) / RATE == pytest.approx(1.0, abs=0.5)
    assert vector.shape == (48,)
    assert vector.dtype == np.float32
    assert np.linalg.norm(vector) == pytest.approx(1)


def test_several_recordings_of_a_side_are_one_voice() -> None:
    verifier = tones(threshold=0.5)
    low, high = voice(300), voice(1500)
    mean = verifier.embed([low, high], sample_rate=RATE)
    parts = [verifier.embed(part, sample_rate=RATE) for part in (low, high)]
    np.testing.assert_allclose(mean, sum(parts) / np.linalg.norm(sum(parts)), atol=1e-6)
    assert verifier.verify([low, high], low, sample_rate=RATE).score == pytest.approx(np.sqrt(0.5), abs=0.01)


def test_silence_is_no_voice() -> None:
    silence = Recording("quiet", np.zeros(RATE * 2, np.float32), RATE)
    with pytest.raises(InputError, match="quiet: no speech heard"):
        tones(threshold=0.5).verify(silence, silence)
    with pytest.raises(InputError, match="talk: no speech heard"):
        embed_parts(FakeEmbedder(), np.zeros(RATE, np.float32), np.array([[0.0, 1.0]]), "talk")


def test_an_embedder_of_no_known_threshold_needs_one(tmp_path: Path) -> None:
    verifier = tones()
    assert verifier.threshold is None
    with pytest.raises(ConfigError, match=r"FakeEmbedder: give one.*--trials"):
        verifier.verify(tmp_path / "never read.wav", tmp_path / "nor this.wav")


@pytest.mark.parametrize("threshold", [1.5, -1.01, float("nan")])
def test_a_threshold_is_a_cosine(threshold: float) -> None:
    with pytest.raises(ConfigError, match=f"threshold={threshold}"):
        tones(threshold=threshold)


def test_parts_of_two_rates_and_unknown_names_are_refused() -> None:
    with pytest.raises(ConfigError, match="8000 Hz and the embedder 16000 Hz"):
        Verifier(FakeEmbedder(), segmenter=EnergyVad(sample_rate=8000))
    with pytest.raises(UnknownModelError, match="ge2"):
        Verifier("ge2")


def test_each_recording_of_trials_is_embedded_once(tmp_path: Path) -> None:
    paths = [str(tmp_path / f"{name}.wav") for name in ("low", "high", "low again")]
    for path, frequency in zip(paths, (300, 1500, 300), strict=True):
        soundfile.write(path, voice(frequency), RATE)
    low, high, again = paths
    trials = [Trial(low, again, True), Trial(low, high, False), Trial(again, high, False), Trial(low, low, True)]
    embedder = CountingEmbedder()
    told: list[tuple[int, int]] = []
    scores = tones(embedder).score_trials(trials, lambda done, total: told.append((done, total)))
    assert len(embedder.heard) == 3
    assert told == [(1, 3), (2, 3), (3, 3)]
    np.testing.assert_allclose(scores, [1, 0, 0, 1], atol=0.02)
    with pytest.raises(AudioNotFoundError, match=r"gone\.wav"):
        tones().score_trials([Trial(low, str(tmp_path / "gone.wav"), True)])


@needs_weights
def test_default_threshold_tells_the_voices_of_the_conversation_apart() -> None:
    [truth] = load(DATA / "conversation.rttm")
    verifier = Verifier()
    spoken = {name: [turn for turn in truth if turn.speaker == name and turn.duration > 2.5] for name in truth.speakers}
    file = str(DATA / "conversation.flac")
    voices = {
        name: [verifier.embed(Recording(name, file, offset=turn.start, duration=turn.duration)) for turn in turns[:2]]
        for name, turns in spoken.items()
    }
    assert verifier.threshold is not None
    for name, (first, second) in voices.items():
        assert verifier.compare(first, second) >= verifier.threshold, name
        for other in voices.keys() - {name}:
            assert verifier.compare(first, voices[other][1]) < verifier.threshold, (name, other)
