"""What is kept of recordings, and the hints of how good it is."""

from __future__ import annotations

import numpy as np
import pytest
from fakes_roles import FakeEmbedder
from fakes_voices import SlowSegmenter, tone
from numpy.typing import NDArray

from speakerdiar.errors import AudioNotFoundError, InputError
from speakerdiar.models.verification import Verifier
from speakerdiar.voiceprints.clips import (
    CLEAR_DECIBELS,
    Clip,
    HeardClip,
    agreements,
    is_among,
    listen,
    voice_of,
    warnings_about,
)


def unit(*numbers: float) -> NDArray[np.float32]:
    vector = np.array(numbers, dtype=np.float32)
    return np.asarray(vector / np.linalg.norm(vector), dtype=np.float32)


def heard(
    vector: NDArray[np.float32], halves: float | None = None, seconds: float = 12.0, clearness: float = 20.0
) -> HeardClip:
    return HeardClip(vector, seconds, "talk.wav", halves, clearness)


@pytest.fixture(scope="module")
def verifier() -> Verifier:
    return Verifier(FakeEmbedder(), segmenter=SlowSegmenter())


def test_a_clip_is_the_vector_of_the_speech_and_its_seconds(verifier: Verifier) -> None:
    samples, rate = tone(300, seconds=3)
    padded = np.concatenate([np.zeros(2 * rate, np.float32), samples])
    [clip] = listen(verifier, padded, rate)
    assert clip.seconds == pytest.approx(3, abs=0.5)
    np.testing.assert_allclose(clip.vector, verifier.embed(padded, sample_rate=rate), atol=1e-6)
    assert clip.halves is None


def test_halves_of_a_long_clip_tell_two_voices(verifier: Verifier) -> None:
    one, other = tone(300, seconds=6), tone(1500, seconds=6)
    same, mixed = listen(
        verifier, [tone(300, seconds=12), (np.concatenate([one[0], other[0]]), one[1])], sample_rate=None
    )
    assert same.halves == pytest.approx(1, abs=1e-3)
    assert mixed.halves is not None
    assert mixed.halves < 0.2


def test_clips_that_say_too_little_or_are_not_there_are_refused(verifier: Verifier) -> None:
    with pytest.raises(InputError, match=r"audio_0001: 0\.6 s of speech heard"):
        listen(verifier, [tone(300), tone(300, seconds=0.6)], None)
    with pytest.raises(AudioNotFoundError, match=r"gone\.wav"):
        listen(verifier, "gone.wav", None)


@pytest.mark.parametrize(("decibels", "clear"), [(30, True), (15, True), (3, False)])
def test_noise_shows_in_the_pauses(verifier: Verifier, decibels: float, clear: bool) -> None:
    samples, rate = tone(300)
    noise = np.random.default_rng(0).normal(scale=samples.std() / 10 ** (decibels / 20), size=len(samples))
    [clip] = listen(verifier, (samples + noise.astype(np.float32)) / 2, rate)
    assert clip.clearness == pytest.approx(decibels, abs=2)
    assert (clip.clearness >= CLEAR_DECIBELS) == clear


def test_longer_clips_count_more_but_none_outweighs_many() -> None:
    east, north = unit(1, 0), unit(0, 1)
    assert np.allclose(voice_of([Clip(east, 5), Clip(north, 5)]), [0.5, 0.5])
    long = voice_of([Clip(east, 60), Clip(north, 4)])
    assert np.allclose(long, np.array([60 / 64, 1 / 2]) / (60 / 64 + 1 / 2))
    assert voice_of([Clip(east, 3600), Clip(north, 10), Clip(north, 10)]).argmax() == 1


def test_agreement_is_the_score_with_all_other_clips() -> None:
    clips = [Clip(unit(1, 0, 0), 5), Clip(unit(1, 0, 0), 5), Clip(unit(0, 1, 0), 5)]
    assert agreements(clips, None) == pytest.approx([np.sqrt(0.5), np.sqrt(0.5), 0], abs=1e-6)
    assert agreements(clips[:1], None) == []
    centred = agreements([Clip(unit(1, 0.1), 5), Clip(unit(1, -0.1), 5)], np.array([1, 0], np.float32))
    assert centred == pytest.approx([-1, -1], abs=0.01)


def test_one_clip_is_known_again() -> None:
    clips = [Clip(unit(1, 2, 3), 5)]
    assert is_among(Clip(unit(1, 2, 3), 5), clips)
    assert not is_among(Clip(unit(1, 2, 3.1), 5), clips)
    assert not is_among(Clip(unit(1, 2, 3), 5), [])


@pytest.mark.parametrize(
    ("clip", "score", "threshold", "said"),
    [
        (heard(unit(1, 0)), 0.9, 0.5, None),
        (heard(unit(1, 0)), 0.49, 0.5, "unlike the other clips of Ana (score 0.49, one voice from 0.50 on)"),
        (heard(unit(1, 0), halves=0.3), 0.9, 0.5, "halves are unlike one another (score 0.30)"),
        (heard(unit(1, 0), halves=0.5), 0.5, 0.5, None),
        (heard(unit(1, 0), halves=0.3), 0.3, None, None),
        (heard(unit(1, 0), clearness=8.9), 0.9, None, "talk.wav: noisy"),
        (heard(unit(1, 0), seconds=1.5), 0.9, 0.5, "Ana: 3.0 s of speech in all"),
        (Clip(unit(1, 0), 12.0), 0.1, 0.5, None),
    ],
)
def test_doubts_are_told(clip: Clip, score: float, threshold: float | None, said: str | None) -> None:
    other = Clip(unit(0, 1), clip.seconds)
    warnings = list(warnings_about("Ana", [clip, other], [score, 0.0], threshold))
    assert len(warnings) == (said is not None)
    assert said is None or said in warnings[0]


def test_a_clip_alone_is_compared_with_nothing() -> None:
    assert list(warnings_about("Ana", [heard(unit(1, 0))], [], 0.99)) == []
