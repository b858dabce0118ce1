"""Views of voices: as long as asked, of whom they say, with the frames in which the person talks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from fakes_roles import FakeEmbedder

from speakerdiar.annotation import Segment
from speakerdiar.errors import ConfigError
from speakerdiar.nn.kaldi_fbank import FbankOptions, KaldiFbank
from speakerdiar.simulation.clips import ClipPool
from speakerdiar.simulation.conversation import Clip
from speakerdiar.simulation.scene import Scene
from speakerdiar.training.teachers import Teacher
from speakerdiar.training.voice_views import Company, ViewMaker, VoiceViews, WholeViews

RATE = 16000


def tone(hertz: float, seconds: float) -> np.ndarray:
    return np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE).astype(np.float32)


POOL = ClipPool({f"s{hertz}": [Clip(tone(hertz, 2.0)), Clip(tone(hertz, 3.0))] for hertz in (500, 900, 1600, 2800)})
ALONE = Company(other=0.0, thinned=0.0)
MAKER = ViewMaker(pool=POOL, scene=Scene(), company=ALONE)
FBANK = KaldiFbank(FbankOptions(mel_bins=24))


def views(maker: ViewMaker = MAKER, **options: Any) -> VoiceViews:
    return VoiceViews(maker, WholeViews(FBANK), size=6, **options)


def loudest(samples: np.ndarray) -> float:
    """Hz of the loudest frequency."""
    return float(np.abs(np.fft.rfft(samples)).argmax() * RATE / len(samples))


def test_batches_are_as_long_as_asked_and_have_frames_for_each_part() -> None:
    drawn = views(seconds=(0.6, 1.2)).stream(np.random.default_rng(0))
    lengths = set()
    for _ in range(5):
        batch = next(drawn)
        frames = batch.features.shape[1]
        assert batch.features.shape == (6, frames, 24)
        assert batch.kept.shape == (6, 1, -(-frames // 8))
        assert batch.kept.all()
        assert batch.people.max() < 4
        assert batch.taught.shape == (6, 0)
        lengths.add(frames)
    assert len(lengths) > 1
    assert all(56 <= frames <= 120 for frames in lengths)


def test_the_same_chance_gives_the_same_batch() -> None:
    first, again, other = (views().draw(np.random.default_rng(seed)) for seed in (3, 3, 4))
    for one, two in zip(first, again, strict=True):
        torch.testing.assert_close(one, two)
    assert not torch.equal(first.people, other.people)


def test_a_speed_is_another_voice() -> None:
    made = views(speeds=(0.8, 1.25))
    assert made.classes == 8
    rng = np.random.default_rng(0)
    for person, hertz in ((0, 1600 * 0.8), (1, 1600 * 1.25), (2, 2800 * 0.8)):
        clips, _ = made._voice(person, 1.0, rng)
        assert loudest(clips[0].samples) == pytest.approx(hertz, rel=0.01)


def test_clips_that_are_too_short_get_company_of_the_same_speaker() -> None:
    clips, _ = views()._voice(1, 5.0, np.random.default_rng(0))
    assert len(clips) == 2


def test_the_other_talks_where_the_plan_says_and_may_be_left_out() -> None:
    clips = [Clip(tone(500, 4.0))]
    others = ClipPool({"other": [Clip(tone(2800, 4.0))]})
    base = Company(other=1.0, part=(0.4, 0.4), thinned=0.0)
    rng = np.random.default_rng(0)
    for overlap, alone, share in ((0.0, 0.0, 0.6), (1.0, 0.0, 1.0), (1.0, 1.0, 0.6)):
        maker = replace(MAKER, pool=others, company=replace(base, overlap=overlap, alone=alone))
        for view in maker.views([clips] * 4, 2.0, rng):
            assert view.kept.mean() == pytest.approx(share, abs=0.05)
            spectrum = np.abs(np.fft.rfft(view.samples))
            assert spectrum[2800 * 2] > 0.05 * spectrum.max()


def test_pauses_are_not_kept_and_thinning_leaves_half_at_least() -> None:
    paused = [Clip(tone(500, 2.0), (Segment(0.5, 1.5),))]
    (view,) = MAKER.views([paused], 2.0, np.random.default_rng(0))
    assert np.flatnonzero(view.kept).tolist() == list(range(6, 19))
    thinned = replace(MAKER, company=replace(ALONE, thinned=1.0))
    shares = [view.kept.mean() for view in thinned.views([[Clip(tone(500, 2.0))]] * 20, 2.0, np.random.default_rng(0))]
    assert 0.5 <= min(shares) < max(shares) <= 1


def test_where_hardly_anyone_talks_the_best_of_some_views_is_taken() -> None:
    silent = [Clip(tone(500, 4.0), (Segment(0.0, 0.2),))]
    (view,) = replace(MAKER, least=10).views([silent], 1.0, np.random.default_rng(0))
    assert len(view.samples) == RATE


def test_a_teacher_hears_the_middle_of_a_clip_once() -> None:
    class Counting(FakeEmbedder):
        heard: tuple[int, ...] = ()

        def embed(self, waveform: np.ndarray, segments: object = None) -> np.ndarray:
            self.heard += (len(waveform),)
            return super().embed(waveform)

    embedder = Counting()
    teacher = Teacher(embedder)
    clip = Clip(tone(500, 10.0))
    first, again = (teacher.vector(("s", 1), clip) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert embedder.heard == (4 * embedder.sample_rate,)
    assert np.linalg.norm(first) == pytest.approx(1)
    batch = views(teacher=teacher).draw(np.random.default_rng(0))
    assert batch.taught.shape == (6, teacher.dimension)


@pytest.mark.parametrize(
    "options", [{"seconds": (0.1, 1.0)}, {"seconds": (2.0, 1.0)}, {"speeds": ()}, {"speeds": (3.0,)}]
)
def test_what_cannot_be_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(options))):
        views(**options)


@pytest.mark.parametrize("options", [{"other": 1.5}, {"part": (0.0, 0.5)}])
def test_company_that_cannot_be_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(options))):
        Company(**options)
