"""The stages of sherpa-onnx, one by one: its rules, and what they do where there is little."""

from __future__ import annotations

import heapq

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from speakerdiar.config import PostProcessingParams, SpeakerCount
from speakerdiar.errors import ConfigError
from speakerdiar.models.diarizers.sherpa_stages import (
    SherpaStages,
    cluster_vectors,
    frames_inside,
    sherpa_durations,
    strongest,
)
from speakerdiar.postprocessing.local_speech import LocalSpeech
from speakerdiar.windows import WindowGrid

GRID = WindowGrid(rate=1000, window=1000, step=200, frames=49, frame_step=20, receptive=40)
STAGES = SherpaStages()
ANY = SpeakerCount()


def speech_of(active: NDArray[np.bool_], samples: int) -> LocalSpeech:
    return LocalSpeech.of(active, GRID, samples)


def two_people(windows: int = 4, samples: int = 1600) -> LocalSpeech:
    """Slot 0 talks in the first 20 frames of each window, slot 1 in the last 20, both in three between."""
    active = np.zeros((windows, GRID.frames, 3), dtype=bool)
    active[:, :23, 0] = active[:, 20:43, 1] = True
    return speech_of(active, samples)


def test_who_talks_alone_for_long_enough_is_embedded_there() -> None:
    active = np.zeros((2, GRID.frames, 3), dtype=bool)
    active[0, :10, 0] = True
    active[0, 30:49, 1] = active[0, 30:33, 2] = True
    active[1, :9, 0] = active[1, 20:40, 1] = active[1, 20:40, 2] = True
    masks = STAGES.masks(speech_of(active, 1200).bits, 3)
    assert (masks.windows.tolist(), masks.slots.tolist()) == ([0, 0], [0, 1])
    assert np.flatnonzero(masks.frames[0]).tolist() == list(range(10))
    assert np.flatnonzero(masks.frames[1]).tolist() == list(range(33, 48))  # without overlap and the last frame


def test_counts_round_half_up_whatever_is_asked_for() -> None:
    active = np.zeros((2, GRID.frames, 3), dtype=bool)
    active[0, :, :2] = active[0, :20, 2] = active[1, :, 0] = True
    counts = STAGES.count(speech_of(active, 1200), SpeakerCount(1, 1))
    assert counts[:5].tolist() == [3] * 5
    assert counts[10:20].tolist() == [2] * 10
    assert counts[20:49].tolist() == [2] * 29  # one and a half
    assert counts[49:59].tolist() == [1] * 10
    assert not counts[59:].any()


def test_one_window_keeps_its_own_speakers() -> None:
    speech = two_people(windows=1, samples=900)
    embeddings = np.full((1, 3, 4), np.nan, dtype=np.float32)
    embeddings[0, :2] = np.ones(4)
    clusters = STAGES.cluster(speech, embeddings, SpeakerCount(1, 1))
    assert clusters.labels.tolist() == [[0, 1, -1]]
    np.testing.assert_array_equal(clusters.centroids[:2], np.ones((2, 4)))
    assert np.isnan(clusters.centroids[2]).all()
    active = STAGES.reconstruct(speech, clusters, STAGES.count(speech, ANY), ANY)
    np.testing.assert_array_equal(active[: GRID.frames], speech.active()[0])
    assert not active[GRID.frames :].any()


def test_clusters_are_cut_at_the_distance_of_their_farthest_vectors() -> None:
    angles = np.array([0.0, 0.5, 1.0, 3.0])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    assert cluster_vectors(vectors, 0.4, ANY).tolist() == [0, 0, 1, 2]  # single linkage would chain the first three
    assert cluster_vectors(vectors, 0.5, ANY).tolist() == [0, 0, 0, 1]
    assert cluster_vectors(vectors, 0.4, SpeakerCount(2, 2)).tolist() == [0, 0, 0, 1]
    assert cluster_vectors(vectors, 0.4, SpeakerCount(5, 5)).tolist() == [0, 0, 0, 0]
    assert cluster_vectors(vectors[:1], 0.4, ANY).tolist() == [0]
    assert cluster_vectors(vectors[:0], 0.4, ANY).tolist() == []


def test_local_speakers_without_a_vector_are_left_out() -> None:
    speech = two_people()
    embeddings = np.full((4, 3, 2), np.nan, dtype=np.float32)
    embeddings[:, 0], embeddings[1:, 1] = (1, 0), (0, 1)
    clusters = STAGES.cluster(speech, embeddings, ANY)
    assert clusters.labels.tolist() == [[0, -1, -1], [0, 1, -1], [0, 1, -1], [0, 1, -1]]
    np.testing.assert_allclose(clusters.centroids, [[1, 0], [0, 1]])
    nobody = STAGES.cluster(speech, np.full((4, 3, 2), np.nan, dtype=np.float32), ANY)
    assert (nobody.labels == -1).all()
    active = STAGES.reconstruct(speech, nobody, STAGES.count(speech, ANY), ANY)
    assert active.shape[1] == 0
    assert STAGES.turns(active, speech, sherpa_durations()) == ()


def test_nobody_talks_behind_the_end() -> None:
    assert frames_inside(two_people(1, 1000)) == GRID.frames
    assert frames_inside(two_people(1, 300)) == GRID.frames  # what the window adds to short audio counts as heard
    assert frames_inside(two_people(4, 1600)) == 81
    assert frames_inside(two_people(4, 1450)) == 73
    speech = two_people(4, 1450)
    embeddings = np.zeros((4, 3, 2), dtype=np.float32) + np.array([1, 0], dtype=np.float32)
    active = STAGES.reconstruct(speech, STAGES.cluster(speech, embeddings, ANY), STAGES.count(speech, ANY), ANY)
    assert active[:73].any()
    assert not active[73:].any()


@pytest.mark.parametrize(
    ("votes", "count", "expected"),
    [
        ([1, 0, 0, 0, 0, 1, 1, 3, 0], 2, [5, 7]),
        ([1, 0, 0, 0, 0, 1, 1, 1, 0], 2, [0, 5]),
        ([1, 1, 2], 2, [0, 2]),
        ([2, 1, 1, 1], 3, [0, 1, 2]),
        ([0, 0, 0], 2, [0, 1]),
        ([1, 2], 3, [0, 1]),
        ([1, 2], 0, []),
    ],
)
def test_ties_fall_as_on_a_heap(votes: list[int], count: int, expected: list[int]) -> None:
    active = strongest(np.array([votes], dtype=np.float32), np.array([count], dtype=np.uint8))
    assert np.flatnonzero(active[0]).tolist() == expected


@given(st.lists(st.integers(0, 4), min_size=1, max_size=12), st.integers(0, 5))
def test_those_of_most_votes_talk(votes: list[int], count: int) -> None:
    active = strongest(np.array([votes], dtype=np.float32), np.array([count], dtype=np.uint8))[0]
    taken = [number for number, talks in zip(votes, active, strict=True) if talks]
    assert sorted(taken, reverse=True) == heapq.nlargest(count, votes)


def test_short_turns_go_and_short_gaps_close() -> None:
    speech = two_people(4, 1600)
    active = np.zeros((81, 2), dtype=bool)
    active[0:10, 0] = active[20:30, 0] = True  # 200 ms of silence between them
    active[40:50, 1] = active[80, 1] = True  # 200 ms, and the first moment of what never ends
    params = PostProcessingParams(min_duration_on=0.2, min_duration_off=0.2)
    turns = STAGES.turns(active, speech, params)
    assert [(turn.start, round(turn.end, 3), turn.speaker) for turn in turns] == [(0.02, 0.62, "0")]
    longer = PostProcessingParams(min_duration_on=0.2, min_duration_off=0.6)
    assert [(round(turn.start, 3), round(turn.end, 3)) for turn in STAGES.turns(active, speech, longer)] == [
        (0.02, 0.62),
        (0.82, 1.62),
    ]


def test_bad_options_are_refused() -> None:
    with pytest.raises(ConfigError, match="least_frames=0"):
        SherpaStages(least_frames=0)
    with pytest.raises(ConfigError, match=r"threshold=-0\.5"):
        SherpaStages(threshold=-0.5)
