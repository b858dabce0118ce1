"""Local segmentation and clustering as a whole, on tones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fakes import RATE, tone_reference, tones
from fakes_local import ToneSegmenter, tone_pipeline
from fakes_roles import FakeEmbedder
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from speakerdiar.annotation import Segment
from speakerdiar.clustering.ahc import AhcClusterer
from speakerdiar.errors import ConfigError, SpeakerCountError
from speakerdiar.metrics import der
from speakerdiar.models.diarizers import eend_vc
from speakerdiar.models.diarizers.eend_vc import EendVcDiarizer

TALK = [(0.5, 4.0, 0), (3.0, 6.5, 1), (7.0, 9.0, 2), (8.0, 11.0, 0), (11.0, 14.0, 3)]


@pytest.fixture(scope="module")
def talk() -> np.ndarray:
    return tones(TALK, 15.0)


def test_tones_are_told_apart_with_their_overlap(talk: np.ndarray) -> None:
    [found] = tone_pipeline().diarize(talk, sample_rate=RATE)
    truth = tone_reference(TALK, 15.0)
    assert found.speakers == tuple(f"SPEAKER_{k:02d}" for k in range(4))
    assert der(truth, found, collar=0.25).rate < 0.02
    assert [segment.duration for segment in found.overlap] == pytest.approx([1.0, 1.0], abs=0.11)


def test_one_has_the_floor_at_a_time(talk: np.ndarray) -> None:
    [found] = tone_pipeline().diarize(talk, sample_rate=RATE)
    assert found.exclusive.overlap == ()
    assert set(found.exclusive.speakers) <= set(found.speakers)
    assert sum(s.duration for s in found.exclusive.speech) == pytest.approx(sum(s.duration for s in found.speech))


def test_each_speaker_has_a_vector(talk: np.ndarray) -> None:
    [found] = tone_pipeline().diarize(talk, sample_rate=RATE)
    assert set(found.embeddings) == set(found.speakers)
    assert all(vector.shape == (48,) and np.isfinite(vector).all() for vector in found.embeddings.values())


@settings(max_examples=12)
@given(st.integers(1, 6), st.booleans())
def test_the_count_is_met_in_the_turns(count: int, exactly: bool) -> None:
    audio = tones(TALK, 15.0)
    options: dict[str, Any] = {"num_speakers": count} if exactly else {"min_speakers": count, "max_speakers": count + 1}
    [found] = tone_pipeline().diarize(audio, sample_rate=RATE, **options)
    assert len(found.speakers) in ({count} if exactly else {count, count + 1})


def test_more_speakers_than_there_is_to_tell_apart(talk: np.ndarray) -> None:
    with pytest.raises(SpeakerCountError, match="500 speakers were asked for"):
        tone_pipeline().diarize(talk, sample_rate=RATE, num_speakers=500)


@pytest.mark.parametrize("seconds", [0.01, 0.5, 2.0, 2.01, 15.0])
def test_silence_is_nobody_whatever_was_asked_for(seconds: float) -> None:
    silence = np.zeros(round(seconds * RATE), dtype=np.float32)
    [found] = tone_pipeline().diarize(silence, sample_rate=RATE, num_speakers=3, include_tensor_outputs=True)
    assert not found
    assert not found.exclusive
    assert found.scores is not None
    assert found.scores.data.shape[1] == 0


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("seconds", [0.25, 1.0, 2.0, 2.3])
def test_no_turn_runs_past_the_end(seconds: float, exact: bool) -> None:
    [found] = tone_pipeline(exact=exact).diarize(tones([(0, 9, 0)], seconds), sample_rate=RATE)
    assert found.speakers == ("SPEAKER_00",)
    assert max(turn.end for turn in found) <= seconds
    assert max(turn.end for turn in found.exclusive) <= seconds


def test_pieces_make_no_difference(talk: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    [whole] = tone_pipeline().diarize(talk, sample_rate=RATE)
    for seconds in (0.3, 1.7, 2.0, 5.0):
        monkeypatch.setattr(eend_vc, "PIECE_SECONDS", seconds)
        [found] = tone_pipeline().diarize(talk, sample_rate=RATE)
        assert found.turns == whole.turns


def test_short_recordings_share_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    batches: list[int] = []
    segmenter = ToneSegmenter()
    score = segmenter._score_batch

    def noted(windows: NDArray[np.float32]) -> NDArray[np.float32]:
        batches.append(len(windows))
        return score(windows)

    monkeypatch.setattr(segmenter, "_score_batch", noted)
    model = EendVcDiarizer(segmenter, FakeEmbedder(), "ahc")
    audio = [tones([(0.0, 0.4 + 0.2 * k, k % 4)], 1.0 + 0.1 * k) for k in range(8)]
    together = model.diarize(audio, sample_rate=RATE, batch_size=8)
    assert batches == [8]
    assert together == model.diarize(audio, sample_rate=RATE)


def test_stages_are_told_in_order(talk: np.ndarray) -> None:
    told: list[tuple[str, Any, float, float | None]] = []
    tone_pipeline().diarize(talk, sample_rate=RATE, hook=lambda *news: told.append(news))
    stages = list(dict.fromkeys(stage for stage, *_ in told))
    assert stages == ["segmentation", "embeddings", "count", "clusters", "frames"]
    artifacts = {stage: artifact for stage, artifact, *_ in told if artifact is not None}
    windows = ToneSegmenter().grid.count(len(talk))
    assert artifacts["segmentation"].bits.shape == (windows, 20)
    assert artifacts["embeddings"].shape == (windows, 3, 48)
    assert artifacts["count"].max() == 2
    assert artifacts["clusters"].labels.shape == (windows, 3)
    assert artifacts["frames"].shape == (len(artifacts["count"]), 4)
    assert all(done <= (total or np.inf) for *_, done, total in told)


def test_confidence_is_high_where_windows_agree(talk: np.ndarray) -> None:
    [found] = tone_pipeline().diarize(talk, sample_rate=RATE, confidence=True)
    assert all(turn.confidence is not None and 0.5 < turn.confidence <= 1 for turn in found)
    assert found.confidence is not None
    assert len(found.confidence.scores) == pytest.approx(15.0 / found.confidence.resolution, abs=1)


def test_scores_are_shares_of_windows(talk: np.ndarray) -> None:
    [found] = tone_pipeline().diarize(talk, sample_rate=RATE, include_tensor_outputs=True)
    assert found.scores is not None
    assert found.scores.speakers == found.speakers
    assert found.scores.data.min() >= 0
    assert found.scores.data.max() == pytest.approx(1.0)


def test_one_pass_says_what_happens_without_clustering(talk: np.ndarray) -> None:
    found = tone_pipeline().segment(talk, sample_rate=RATE)
    assert [tuple(segment) for segment in found.speech] == [
        pytest.approx((0.5, 6.5), abs=0.11),
        pytest.approx((7.0, 14.0), abs=0.11),
    ]
    assert [tuple(segment) for segment in found.overlap] == [
        pytest.approx((3.0, 4.0), abs=0.11),
        pytest.approx((8.0, 9.0), abs=0.11),
    ]
    assert any(abs(moment - 11.0) < 0.2 for moment in found.changes)


def test_vectors_of_segments(talk: np.ndarray) -> None:
    vectors = tone_pipeline().embed(talk, [(1.0, 3.0), Segment(9.2, 11.0), (4.2, 6.2)], sample_rate=RATE)
    likeness = vectors @ vectors.T
    assert likeness[0, 1] > 0.99 > 0.5 > likeness[0, 2]
    assert tone_pipeline().embed(talk, sample_rate=RATE).shape == (1, 48)


def test_any_clusterer_will_do(talk: np.ndarray) -> None:
    model = EendVcDiarizer(ToneSegmenter(), FakeEmbedder(), AhcClusterer(threshold=0.3))
    [found] = model.diarize(talk, sample_rate=RATE)
    assert der(tone_reference(TALK, 15.0), found, collar=0.25).rate < 0.02


def test_a_coarser_step_has_fewer_windows(talk: np.ndarray) -> None:
    sizes = []
    for step in (None, 0.5):
        [found] = tone_pipeline(step=step).diarize(
            talk,
            sample_rate=RATE,
            hook=lambda stage, artifact, *_: (
                sizes.append(len(artifact)) if stage == "segmentation" and artifact is not None else None
            ),
        )
        assert der(tone_reference(TALK, 15.0), found, collar=0.25).rate < 0.1
    assert sizes == [66, 14]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"clusterer": "kmeans"}, "kmeans"),
        ({"clusterer": "vbx"}, "PLDA"),
        ({"step": 0}, "step"),
        ({"segmenter": 3}, "3"),
    ],
)
def test_parts_that_cannot_be_used(options: dict[str, Any], named: str) -> None:
    parts = {"segmenter": ToneSegmenter(), "embedder": FakeEmbedder(), **options}
    with pytest.raises(ConfigError, match=named):
        EendVcDiarizer(**parts)
