"""The template of embedders: windows and segments in, vectors out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fakes_roles import RATE, FakeEmbedder
from numpy.typing import NDArray

from speakerdiar.annotation import Segment
from speakerdiar.errors import ConfigError, InputError, ModelError
from speakerdiar.mixins.embedding import EmbeddingMixin, window_power

NOISE = np.random.default_rng(3).uniform(-0.5, 0.5, 4 * 1000).astype(np.float32)


class Means(EmbeddingMixin):
    """Vectors (mean of the window, 1) at 1000 Hz, on a hop of 10 samples; counts how often features are computed."""

    normalized = False
    windows_at_once = 3

    def __init__(self) -> None:
        self.computed = 0

    sample_rate = 1000
    dimension = 2
    hop_samples = 10
    window_seconds = 1.0
    min_seconds = 0.2

    def _embed_features(self, samples: NDArray[np.float32]) -> Any:
        self.computed += 1
        return samples

    def _embed_batch(self, features: Any, starts: NDArray[np.int64], length: int) -> NDArray[np.float32]:
        assert len(starts) <= self.windows_at_once
        assert not (starts % 10).any()
        assert length % 10 == 0
        return np.array([[features[s : s + length].mean(), 1] for s in starts], dtype=np.float32).reshape(-1, 2)


def mean(first: int, last: int) -> float:
    return float(np.pad(NOISE, (0, 4000))[first:last].mean())


def test_windows_are_taken_in_order_and_features_computed_once() -> None:
    model = Means()
    starts = [0, 500, 20, 2000, 3000, 500, 100]
    vectors = model.embed_windows(NOISE, starts, 1000)
    np.testing.assert_allclose(vectors[:, 0], [mean(s, s + 1000) for s in starts], atol=1e-6)
    assert vectors.dtype == np.float32
    assert model.computed == 1


def test_starts_go_to_the_nearest_hop_and_lengths_down_to_one() -> None:
    vectors = Means().embed_windows(NOISE, np.array([14, 15]), 309)
    np.testing.assert_allclose(vectors[:, 0], [mean(10, 310), mean(20, 320)], atol=1e-6)


def test_what_sticks_out_is_silence() -> None:
    vectors = Means().embed_windows(NOISE, [3800], 400)
    np.testing.assert_allclose(vectors[:, 0], [mean(3800, 4200)], atol=1e-6)


def test_spans_of_any_lengths_come_back_in_their_order() -> None:
    model = Means()
    spans = np.array([[2000, 3000], [0, 400], [500, 1500], [1000, 1400], [3900, 4100]])
    vectors = model.embed_spans(NOISE, spans)
    np.testing.assert_allclose(vectors[:, 0], [mean(*span) for span in spans.tolist()], atol=1e-6)
    assert model.computed == 1


def test_no_windows_give_no_vectors() -> None:
    assert Means().embed_spans(NOISE, np.zeros((0, 2), dtype=np.int64)).shape == (0, 2)
    assert Means().embed_windows(NOISE, [], 400).shape == (0, 2)
    assert Means().embed(NOISE, []).shape == (0, 2)
    assert Means().embed(np.zeros((0, 500), dtype=np.float32)).shape == (0, 2)


def test_silent_windows_are_zero() -> None:
    samples = np.concatenate([np.zeros(400, dtype=np.float32), NOISE[:400]])
    vectors = Means().embed_windows(samples, [0, 400], 400)
    assert vectors[0].tolist() == [0, 0]
    assert vectors[1, 1] == 1


@pytest.mark.parametrize("samples", [np.zeros(0), np.zeros(1), np.zeros(5000)])
def test_silence_of_any_length_is_one_zero_vector(samples: NDArray[Any]) -> None:
    for model in (Means(), FakeEmbedder()):
        vectors = model.embed(samples)
        assert vectors.shape == (1, model.dimension)
        assert not vectors.any()


def test_a_long_segment_is_the_mean_of_windows_that_overlap_by_half() -> None:
    (vector,) = Means().embed(NOISE, [(0.5, 2.7)])
    starts = [500, 1000, 1500, 1700]
    assert vector[0] == pytest.approx(np.mean([mean(s, s + 1000) for s in starts]), abs=1e-6)


def test_segments_of_one_window_and_less_are_taken_as_they_are_and_short_ones_widened() -> None:
    model = Means()
    segments = [Segment(1.0, 2.0), Segment(0.1, 0.4), Segment(2.0, 2.02), (0.0, 0.01), (3.99, 5.0)]
    vectors = model.embed(NOISE, segments)
    spans = [(1000, 2000), (100, 400), (1910, 2110), (0, 200), (3800, 4000)]
    np.testing.assert_allclose(vectors[:, 0], [mean(*span) for span in spans], atol=1e-6)
    assert model.computed == 1


def test_each_row_of_a_batch_gets_a_vector_of_its_own() -> None:
    rows = NOISE.reshape(4, 1000)
    np.testing.assert_allclose(Means().embed(rows)[:, 0], rows.mean(axis=1), atol=1e-6)


def test_normalized_vectors_have_length_one() -> None:
    class Normalized(Means):
        normalized = True

    vectors = Normalized().embed(NOISE, [(0, 1), (0.2, 3.9)])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


@pytest.mark.parametrize(
    ("samples", "starts", "length", "error"),
    [
        (NOISE.reshape(2, -1), [0], 400, InputError),
        (np.array([np.nan] * 500), [0], 400, InputError),
        (NOISE, [-1], 400, InputError),
        (NOISE, [4001], 400, InputError),
        (NOISE, [0.5], 400, InputError),
        (NOISE, [0], 199, ConfigError),
        (NOISE, [0], 400.0, ConfigError),
    ],
)
def test_bad_windows_are_refused(samples: Any, starts: Any, length: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        Means().embed_windows(samples, starts, length)


@pytest.mark.parametrize("segment", [(1.0, 1.0), (2.0, 1.0), (-0.1, 1.0), (4.1, 5.0), (float("nan"), 1.0)])
def test_bad_segments_are_refused(segment: tuple[float, float]) -> None:
    with pytest.raises(InputError, match="Segment"):
        Means().embed(NOISE, [segment])


def test_a_model_that_gives_no_numbers_is_refused() -> None:
    class Broken(Means):
        def _embed_batch(self, features: Any, starts: NDArray[np.int64], length: int) -> NDArray[np.float32]:
            return np.full((len(starts), 2), np.nan, dtype=np.float32)

    with pytest.raises(ModelError, match="Broken"):
        Broken().embed(NOISE)


def test_window_power_is_the_mean_square() -> None:
    np.testing.assert_allclose(
        window_power(NOISE, [0, 7], 100), [np.mean(NOISE[:100] ** 2), np.mean(NOISE[7:107] ** 2)], rtol=1e-5
    )


def test_the_fake_tells_tones_apart() -> None:
    time = np.arange(RATE) / RATE
    tones = np.stack([0.1 * np.sin(2 * np.pi * f * time) for f in (300, 300, 390, 700)]).astype(np.float32)
    similarity = FakeEmbedder().embed(tones) @ FakeEmbedder().embed(tones).T
    assert similarity[0, 1] > 0.999
    assert similarity[0, 2] < 0.6
    assert similarity[0, 3] < 0.1
