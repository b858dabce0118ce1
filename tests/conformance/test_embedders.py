"""The promises of every embedder: each row of EMBEDDERS, and the weightless double, goes through all of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from fakes_roles import FakeEmbedder
from numpy.typing import NDArray

from speakerdiar.audio import load
from speakerdiar.errors import ConfigError, MissingExtraError
from speakerdiar.mixins.embedding import EmbeddingMixin
from speakerdiar.models.embedders import EMBEDDERS, make_embedder

CONVERSATION = Path(__file__).resolve().parents[2] / "examples" / "data" / "conversation.flac"


@pytest.fixture(scope="module", params=["fake", *EMBEDDERS])
def model(request: pytest.FixtureRequest) -> EmbeddingMixin:
    if request.param == "fake":
        return FakeEmbedder()
    try:
        return make_embedder(request.param)
    except MissingExtraError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def talk(model: EmbeddingMixin) -> NDArray[np.float32]:
    return np.asarray(load(CONVERSATION, model.sample_rate))[: 12 * model.sample_rate]


@pytest.fixture(scope="module")
def length(model: EmbeddingMixin) -> int:
    return round(model.window_seconds * model.sample_rate)


def starts_in(talk: NDArray[np.float32], length: int, count: int = 9) -> NDArray[np.int64]:
    return np.linspace(0, len(talk) - length, count).astype(np.int64)


def test_vectors_are_what_the_properties_say(model: EmbeddingMixin, talk: NDArray[np.float32], length: int) -> None:
    vectors = model.embed_windows(talk, starts_in(talk, length), length)
    assert vectors.shape == (9, model.dimension)
    assert vectors.dtype == np.float32
    norms = np.linalg.norm(vectors, axis=1)
    assert (norms > 0.01).all()
    if model.normalized:
        np.testing.assert_allclose(norms, 1, atol=1e-5)


def test_the_same_twice_whatever_comes_between(model: EmbeddingMixin, talk: NDArray[np.float32], length: int) -> None:
    starts = starts_in(talk, length)
    first = model.embed_windows(talk, starts, length)
    model.embed(talk[::-1].copy(), [(0.5, 3.0)])
    np.testing.assert_array_equal(model.embed_windows(talk, starts, length), first)


def test_neighbours_and_order_do_not_matter(model: EmbeddingMixin, talk: NDArray[np.float32], length: int) -> None:
    starts = starts_in(talk, length)
    together = model.embed_windows(talk, starts, length)
    alone = np.concatenate([model.embed_windows(talk, [start], length) for start in starts.tolist()])
    np.testing.assert_allclose(alone, together, atol=1e-5)
    np.testing.assert_allclose(model.embed_windows(talk, starts[::-1], length), together[::-1], atol=1e-5)


def test_a_window_is_the_same_in_any_piece_that_holds_it_with_its_surroundings(
    model: EmbeddingMixin, talk: NDArray[np.float32], length: int
) -> None:
    around = model.hop_samples * 10
    start = model.hop_samples * (len(talk) // model.hop_samples // 2)
    piece = talk[start - around : start + length + around]
    (expected,) = model.embed_windows(talk, [start], length)
    (found,) = model.embed_windows(piece, [around], length)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("seconds", [0, 0.001, 0.1, 2, 5])
def test_silence_is_a_vector_of_zeros(model: EmbeddingMixin, seconds: float) -> None:
    vectors = model.embed(np.zeros(round(seconds * model.sample_rate), dtype=np.float32))
    assert vectors.shape == (1, model.dimension)
    assert not vectors.any()


@pytest.mark.parametrize("seconds", [0.02, 0.2, 0.4, 1.3, 1.6, 1.61, 7])
def test_audio_of_any_length_gives_a_vector(model: EmbeddingMixin, talk: NDArray[np.float32], seconds: float) -> None:
    loudest = int(np.abs(talk).argmax())
    vectors = model.embed(np.roll(talk, 100 - loudest)[: round(seconds * model.sample_rate)])
    assert vectors.shape == (1, model.dimension)
    assert np.isfinite(vectors).all()
    assert vectors.any()


def test_windows_that_are_too_short_are_refused(model: EmbeddingMixin, talk: NDArray[np.float32]) -> None:
    shortest = round(model.min_seconds * model.sample_rate)
    assert model.embed_windows(talk, [0], shortest).shape == (1, model.dimension)
    with pytest.raises(ConfigError, match=str(shortest)):
        model.embed_windows(talk, [0], shortest - 1)


def test_input_and_modes_are_left_alone(model: EmbeddingMixin, talk: NDArray[np.float32]) -> None:
    samples = talk[:40000].copy()
    expected = model.embed(samples)
    np.testing.assert_array_equal(samples, talk[:40000])
    if isinstance(model, torch.nn.Module):
        model.train()
        try:
            np.testing.assert_array_equal(model.embed(samples), expected)
            assert all(module.training for module in model.modules())
        finally:
            model.eval()
