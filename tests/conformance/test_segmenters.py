"""The promises of every segmenter: each row of SEGMENTERS, and the weightless double, goes through all of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from fakes_roles import FakeSegmenter
from numpy.typing import NDArray

from speakerdiar.audio import load
from speakerdiar.errors import MissingExtraError
from speakerdiar.mixins.segmentation import SegmentationMixin
from speakerdiar.models.segmenters import SEGMENTERS, make_segmenter

CONVERSATION = Path(__file__).resolve().parents[2] / "examples" / "data" / "conversation.flac"


@pytest.fixture(scope="module", params=["fake", *SEGMENTERS])
def model(request: pytest.FixtureRequest) -> SegmentationMixin:
    if request.param == "fake":
        return FakeSegmenter()
    try:
        return make_segmenter(request.param)
    except MissingExtraError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def talk(model: SegmentationMixin) -> NDArray[np.float32]:
    return np.asarray(load(CONVERSATION, model.sample_rate))[: 42 * model.sample_rate + 77]


def score(model: SegmentationMixin, *blocks: NDArray[np.float32]) -> NDArray[np.float32]:
    return model.segment_blocks(blocks).data


def test_scores_lie_between_0_and_1_on_the_grid(model: SegmentationMixin, talk: NDArray[np.float32]) -> None:
    scores = model.segment_blocks([talk])
    assert scores.data.shape == (model.grid.count(len(talk) / model.sample_rate), len(model.classes))
    assert scores.grid == model.grid
    assert scores.speakers == model.classes
    assert scores.data.min() >= 0
    assert 0.1 < scores.data.max() <= 1


def test_the_same_twice_whatever_comes_between(model: SegmentationMixin, talk: NDArray[np.float32]) -> None:
    first = score(model, talk)
    score(model, talk[::-1][:50000])
    np.testing.assert_array_equal(score(model, talk), first)


@pytest.mark.parametrize("seconds", [0.1, 1.37, 30, 41])
def test_the_size_of_blocks_does_not_matter(
    model: SegmentationMixin, talk: NDArray[np.float32], seconds: float
) -> None:
    size = round(seconds * model.sample_rate)
    blocks = [talk[first : first + size] for first in range(0, len(talk), size)]
    np.testing.assert_allclose(score(model, *blocks), score(model, talk), rtol=0, atol=1e-6)


def test_files_are_read_to_the_same_scores(model: SegmentationMixin) -> None:
    scores = model.segment(CONVERSATION)
    np.testing.assert_allclose(scores.data, score(model, load(CONVERSATION, model.sample_rate)), rtol=0, atol=1e-6)


@pytest.mark.parametrize("seconds", [0.01, 1, 33])
def test_silence_has_no_speech(model: SegmentationMixin, seconds: float) -> None:
    assert score(model, np.zeros(round(seconds * model.sample_rate), dtype=np.float32)).max() < 0.2


def test_clicks_in_silence_are_no_reason_to_fail(model: SegmentationMixin) -> None:
    samples = np.zeros(5 * model.sample_rate, dtype=np.float32)
    samples[:: model.sample_rate] = 1
    scores = score(model, samples)
    assert np.isfinite(scores).all()
    assert (scores[:, 0] > 0.5).mean() < 0.1


@pytest.mark.parametrize(
    ("blocks", "frames", "more"),
    [(0, 0, 0), (0, 0, 1), (0, 0, 2), (0, 0, 70), (0, 1, -1), (0, 1, 0), (0, 1, 1), (1, 0, 0), (1, 0, 1)],
)
def test_any_number_of_samples_gives_as_many_frames_as_cover_it(
    model: SegmentationMixin, blocks: int, frames: int, more: int
) -> None:
    count = blocks * model.block_samples + frames * model.frame_samples + more
    samples = np.random.default_rng(1).uniform(-0.1, 0.1, count).astype(np.float32)
    scores = score(model, samples)
    assert scores.shape == (-(-len(samples) // model.frame_samples), len(model.classes))
    assert np.isfinite(scores).all()


def test_input_and_modes_are_left_alone(model: SegmentationMixin, talk: NDArray[np.float32]) -> None:
    samples = talk[:20000].copy()
    expected = score(model, samples)
    np.testing.assert_array_equal(samples, talk[:20000])
    if isinstance(model, torch.nn.Module):
        model.train()
        try:
            np.testing.assert_array_equal(score(model, samples), expected)
            assert all(module.training for module in model.modules())
        finally:
            model.eval()
