"""The small local segmentation network on log-mel features: its windows, its biases, its folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from omegaconf import OmegaConf

from speakerdiar.checkpoints.folder import ModelCard, write_folder
from speakerdiar.errors import ConfigError, WeightsError
from speakerdiar.models.saving_parts import save_part
from speakerdiar.models.segmenters import make_local_segmenter
from speakerdiar.models.segmenters.mel import MelLocalSegmenter
from speakerdiar.nn.mel_segmenter import MelSegmenter, MelSegmenterShape
from speakerdiar.postprocessing.powerset import Powerset

SHAPE = MelSegmenterShape(bands=16, channels=16, lstm_size=8, lstm_layers=2, linear_size=8)


def segmenter(seed: int = 0, **options: Any) -> MelLocalSegmenter:
    torch.manual_seed(seed)
    return MelLocalSegmenter(MelSegmenter(SHAPE), **options)


def windows(count: int, samples: int = 160000) -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(0, 0.05, (count, samples)).astype(np.float32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    model = segmenter(overlap_bias=-0.5)
    card = ModelCard(title="t", summary="s", licence="l", source="s", loading="l")
    return write_folder(tmp_path / "mel", model.config(), model.state_dict(), card)


def test_frames_are_of_20_ms() -> None:
    model = segmenter()
    assert (model.grid.frames, model.grid.frame_step, model.speakers, model.sample_rate) == (500, 320, 3, 16000)
    scores = model.score_windows(windows(1))
    assert scores.shape == (1, 500, 7)
    np.testing.assert_allclose(np.exp(scores).sum(axis=2), 1, rtol=1e-5)
    assert segmenter(window=16080).score_windows(windows(1, 16080)).shape == (1, 50, 7)


def test_neighbours_change_no_score() -> None:
    model, given = segmenter(), windows(11)
    together = model.score_windows(given)
    np.testing.assert_allclose(together[[7]], model.score_windows(given[[7]]), atol=2e-6)


def test_a_bias_moves_decisions() -> None:
    scores = np.log(np.array([[[0.3, 0.31, 0.03, 0.03, 0.29, 0.02, 0.02]]], np.float32))
    assert segmenter().decide(scores)[0] == 0b001
    assert segmenter(overlap_bias=0.2).decide(scores)[0] == 0b011
    assert segmenter(speech_bias=-0.2).decide(scores)[0] == 0
    assert segmenter(speech_bias=-0.2, overlap_bias=0.5).decide(scores)[0] == 0b011


def test_a_folder_comes_back_as_it_was(folder: Path, tmp_path: Path) -> None:
    back = make_local_segmenter(folder)
    assert isinstance(back, MelLocalSegmenter)
    np.testing.assert_array_equal(back.score_windows(windows(2)), segmenter().score_windows(windows(2)))
    assert back.overlap_bias == -0.5
    again = make_local_segmenter(save_part(folder, tmp_path / "again"))
    np.testing.assert_array_equal(back.score_windows(windows(1)), again.score_windows(windows(1)))
    other = make_local_segmenter(folder, overlap_bias=1.0)
    assert isinstance(other, MelLocalSegmenter)
    assert other.overlap_bias == 1.0


def test_half_precision_scores_nearly_the_same(folder: Path) -> None:
    exact, half = make_local_segmenter(folder), make_local_segmenter(folder, precision="bf16")
    np.testing.assert_allclose(exact.score_windows(windows(1)), half.score_windows(windows(1)), atol=0.05)


@pytest.mark.parametrize(
    ("key", "value"),
    [("shape", {"bands": 0}), ("shape", {"layers": 2}), ("powerset", {"speakers": 9, "at_once": 2}), ("window", None)],
)
def test_broken_folders_say_so(folder: Path, key: str, value: Any) -> None:
    config = OmegaConf.load(folder / "config.yaml")
    OmegaConf.update(config, key, value, merge=False)
    OmegaConf.save(config, folder / "config.yaml")
    with pytest.raises(WeightsError, match="can't be used"):
        make_local_segmenter(folder)


@pytest.mark.parametrize(
    ("options", "message"), [({"powerset": Powerset(2, 2)}, "powerset"), ({"window": 10}, "window=10")]
)
def test_options_that_do_not_fit(options: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        segmenter(**options)
    with pytest.raises(ConfigError, match="lstm_size=0"):
        MelSegmenterShape(lstm_size=0)
