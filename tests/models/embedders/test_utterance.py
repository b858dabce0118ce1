"""Embedders that hear a window as an utterance of its own: windows share nothing, and batches change nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from fakes_networks import buzz, drawn_weights, shapes_of
from numpy.typing import NDArray

from speakerdiar.models.embedders import utterance
from speakerdiar.models.embedders.campplus import CampPlusEmbedder
from speakerdiar.models.embedders.utterance import UtteranceEmbedder
from speakerdiar.nn.campplus import CampPlusNetwork, CampPlusShape


@pytest.fixture(scope="module")
def model() -> UtteranceEmbedder:
    network = CampPlusNetwork(CampPlusShape(80, 6, 4, 8, 4, 8, (1, 2, 1)))
    network.load_state_dict(drawn_weights(shapes_of(network.state_dict())))
    return CampPlusEmbedder(network)


@pytest.fixture(scope="module")
def talk() -> NDArray[np.float32]:
    return buzz(9)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("seconds", [1, 4])
def test_batches_and_threads_do_not_matter(
    model: UtteranceEmbedder, talk: NDArray[np.float32], monkeypatch: pytest.MonkeyPatch, threads: int, seconds: int
) -> None:
    starts = np.arange(7) * 16001
    alone = np.concatenate([model.embed(talk[start : start + 20000]) for start in starts.tolist()])
    monkeypatch.setattr(utterance, "SECONDS_AT_ONCE", seconds)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        together = model.embed_windows(talk, starts, 20000)
    finally:
        torch.set_num_threads(before)
    np.testing.assert_allclose(together, alone, atol=2e-5)
    assert np.abs(alone[0] - alone[1:]).max() > 1e-3


def test_vectors_keep_their_length(model: UtteranceEmbedder, talk: NDArray[np.float32]) -> None:
    assert np.linalg.norm(model.embed(talk)) > 1.1


def test_30_seconds_are_one_utterance_and_more_is_the_mean_of_several(model: UtteranceEmbedder) -> None:
    long = buzz(31)
    parts = model.embed_windows(long, [0, 16000], 480000)
    np.testing.assert_allclose(model.embed(long[:480000]), parts[:1], atol=1e-5)
    np.testing.assert_allclose(model.embed(long)[0], parts.mean(axis=0), atol=1e-5)


def test_silence_and_short_audio(model: UtteranceEmbedder, talk: NDArray[np.float32]) -> None:
    assert not model.embed(np.zeros(16000, dtype=np.float32)).any()
    assert model.embed(talk[3000:3400]).any()


def test_modes_are_left_alone(model: UtteranceEmbedder, talk: NDArray[np.float32]) -> None:
    expected = model.embed(talk)
    model.train()
    try:
        np.testing.assert_array_equal(model.embed(talk), expected)
        assert all(module.training for module in model.modules())
    finally:
        model.eval()
