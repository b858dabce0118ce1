"""PyannetSegmenter: what a checkpoint must say, and scores that no neighbour changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from speakerdiar.checkpoints.checkpoint import Checkpoint
from speakerdiar.checkpoints.folder import ModelCard, read_folder, write_folder
from speakerdiar.errors import ConfigError, InputError, WeightsError
from speakerdiar.models.segmenters.pyannet import PyannetSegmenter
from speakerdiar.nn.pyannet import PyanNet, PyanNetShape
from speakerdiar.postprocessing.powerset import Powerset

SPECIFICATIONS: dict[str, Any] = {
    "problem": "MONO_LABEL_CLASSIFICATION",
    "resolution": "FRAME",
    "duration": 0.5,
    "classes": ["a", "b", "c"],
    "powerset_max_classes": 2,
    "permutation_invariant": True,
}
PARAMETERS: dict[str, Any] = {
    "sample_rate": 16000,
    "num_channels": 1,
    "sincnet": {"stride": 10, "sample_rate": 16000},
    "lstm": {"hidden_size": 8, "monolithic": True, "dropout": 0.5, "batch_first": True},
    "linear": {"hidden_size": 6},
}
BANK = {"low_hz_": (40, 1), "band_hz_": (40, 1), "window_": (125,), "n_": (1, 125)}


def network_of(classes: int = 7, powerset: bool = True) -> PyanNet:
    torch.manual_seed(0)
    return PyanNet(PyanNetShape(classes, powerset=powerset, lstm_size=8, linear_size=6))


def segmenter(window: int = 8000) -> PyannetSegmenter:
    return PyannetSegmenter(network_of(), window=window, powerset=Powerset())


def checkpoint(
    parameters: dict[str, Any] | None = None, architecture: str = "PyanNet", classes: int = 7, **said: Any
) -> Checkpoint:
    weights = dict(network_of(classes).state_dict())
    del weights["sincnet.conv1d.0.weight"]
    weights |= {f"sincnet.conv1d.0.filterbank.{name}": torch.rand(shape) + 0.1 for name, shape in BANK.items()}
    config = {
        "architecture": {"module": "pyannote.audio.models.segmentation", "class": architecture},
        "hyper_parameters": {**PARAMETERS, **(parameters or {})},
        "specifications": {**SPECIFICATIONS, **said},
        "versions": {},
    }
    return Checkpoint(Path("x.bin"), config, weights)


def noise(windows: int, samples: int = 8000) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((windows, samples)).astype(np.float32) * np.float32(0.1)


def test_a_checkpoint_says_windows_and_powerset() -> None:
    model = PyannetSegmenter.from_checkpoint(checkpoint())
    grid = model.grid
    assert (grid.window, grid.step, grid.frames, grid.frame_step, grid.receptive) == (8000, 800, 26, 270, 991)
    assert (model.speakers, model.powerset, model.sample_rate) == (3, Powerset(3, 2), 16000)
    assert model.score_windows(noise(2)).shape == (2, 26, 7)
    assert not model.training


def test_a_stride_of_its_own_moves_the_frames() -> None:
    model = PyannetSegmenter.from_checkpoint(checkpoint({"sincnet": {"stride": 5}}))
    assert (model.grid.frames, model.grid.frame_step, model.grid.receptive) == (55, 135, 621)
    assert model.score_windows(noise(1)).shape == (1, 55, 7)


def test_older_models_score_each_speaker() -> None:
    older: dict[str, Any] = {"problem": "MULTI_LABEL_CLASSIFICATION", "powerset_max_classes": None}
    model = PyannetSegmenter.from_checkpoint(checkpoint(classes=3, **older), onset=0.45)
    assert (model.powerset, model.speakers, model.onset) == (None, 3, 0.45)
    scores = model.score_windows(noise(1))
    assert ((scores > 0) & (scores < 1)).all()
    bits, _ = model.decide(scores)
    assert bits.max() < 8


def test_batch_size_neighbours_and_threads_change_nothing() -> None:
    model, windows = segmenter(), noise(19)
    together = model.score_windows(windows)
    alone = np.concatenate([model.score_windows(window[None]) for window in windows])
    np.testing.assert_array_equal(together, alone)
    np.testing.assert_array_equal(model.score_windows(windows[::-1])[::-1], together)
    overlapping = np.lib.stride_tricks.sliding_window_view(windows.ravel(), 8000)[::8000]
    np.testing.assert_array_equal(model.score_windows(overlapping), together)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        np.testing.assert_array_equal(model.score_windows(windows), together)
    finally:
        torch.set_num_threads(threads)


def test_windows_of_another_length_are_refused() -> None:
    with pytest.raises(InputError, match=r"give \(windows, 8000\)"):
        segmenter().score_windows(noise(1, 7999))


@pytest.mark.parametrize("powerset", [True, False])
def test_what_is_saved_is_loaded_again(tmp_path: Path, powerset: bool) -> None:
    network = network_of(7 if powerset else 3, powerset)
    model = PyannetSegmenter(network, window=9000, powerset=Powerset() if powerset else None, onset=0.4)
    write_folder(tmp_path / "model", model.config(), model.state_dict(), ModelCard("t", "s", "l", "s"))
    again = PyannetSegmenter.from_checkpoint(read_folder(tmp_path / "model"))
    assert again.config() == model.config()
    np.testing.assert_array_equal(again.score_windows(noise(2, 9000)), model.score_windows(noise(2, 9000)))


def test_half_precision_scores_alike() -> None:
    whole = PyannetSegmenter.from_checkpoint(checkpoint())
    half = PyannetSegmenter.from_checkpoint(checkpoint(), precision="bf16")
    assert half.network.classifier.weight.dtype == torch.bfloat16
    difference = np.abs(whole.score_windows(noise(2)) - half.score_windows(noise(2)))
    assert 0 < difference.max() < 0.5


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        (
            {"architecture": "SSeRiouSS"},
            r"holds a SSeRiouSS \(pyannote\.audio\.models\.segmentation\): PyanNet is read",
        ),
        ({"problem": "REPRESENTATION"}, "is a model for another task"),
        ({"problem": "BINARY_CLASSIFICATION"}, "is a model for another task"),
        ({"powerset_max_classes": None}, "is a model for another task"),
        ({"resolution": "CHUNK"}, "doesn't tell local speakers apart in frames"),
        ({"permutation_invariant": False}, "doesn't tell local speakers apart in frames"),
        ({"classes": None}, "has the classes None"),
        ({"classes": ["a"] * 9}, "give a model of 1 to 8 speakers"),
        ({"duration": None}, "has windows of None s"),
        ({"duration": 1e9}, "has windows of 1000000000.0 s"),
        ({"duration": float("nan")}, "has windows of nan s"),
        ({"duration": 0.05}, "window=800: give samples from 1261"),
        ({"parameters": {"sample_rate": 8000}}, "sample_rate=8000, .*give one of mono audio at 16000 Hz"),
        ({"parameters": {"sincnet": {"sample_rate": 8000}}}, "of its filters 8000"),
        ({"parameters": {"num_channels": 2}}, "num_channels=2"),
        ({"parameters": {"lstm": [1]}}, "hyper-parameters that aren't PyanNet's"),
        ({"parameters": {"lstm": {"hidden_size": "big"}}}, "lstm_size='big': give"),
        (
            {"parameters": {"lstm": {"hidden_size": 9}}},
            r"x\.bin doesn't fit PyanNet: .*lstm\.weight_ih_l0 is \(32, 60\)",
        ),
        ({"parameters": {"lstm": {"hidden_size": 8, "num_layers": 3}}}, r"lstm\.weight_ih_l2 \(32, 16\) is missing"),
        ({"classes": ["a", "b"]}, r"classifier\.weight is \(7, 6\), not \(4, 6\)"),
    ],
)
def test_checkpoints_of_other_models_are_refused(changes: dict[str, Any], fault: str) -> None:
    changes = dict(changes)
    if "classes" in changes:  # of the specifications; the weights keep 7
        found = checkpoint()
        found.config["specifications"]["classes"] = changes.pop("classes")
    else:
        found = checkpoint(**changes)
    with pytest.raises(WeightsError, match=fault):
        PyannetSegmenter.from_checkpoint(found)


def test_a_model_of_several_tasks_is_refused() -> None:
    found = checkpoint()
    found.config["specifications"] = [SPECIFICATIONS, SPECIFICATIONS]
    with pytest.raises(WeightsError, match="is a model of several tasks"):
        PyannetSegmenter.from_checkpoint(found)


@pytest.mark.parametrize(
    ("config", "fault"),
    [
        ({"model": "sortformer"}, "holds the model 'sortformer', not 'pyannet'"),
        ({"model": "pyannet"}, "can't be used: 'shape'"),
        ({"shape": 3, "window": 8000, "at_once": 2, "onset": 0.5}, "can't be used"),
        ({"shape": {"classes": 7}, "window": 8000, "at_once": 3, "onset": 0.5}, "7 classes aren't the sets"),
        ({"shape": {"classes": 7}, "window": "long", "at_once": 2, "onset": 0.5}, "window='long'"),
        ({"shape": {"classes": 7}, "window": 8000, "at_once": None, "onset": 0.5}, "powerset=None"),
        ({"shape": {"classes": 7}, "window": 8000, "at_once": 2, "onset": "x"}, "onset='x'"),
    ],
)
def test_broken_settings_of_our_own_are_refused(config: dict[str, Any], fault: str) -> None:
    with pytest.raises(WeightsError, match=fault):
        PyannetSegmenter.from_checkpoint(Checkpoint(Path("x"), config, {}))


def test_options_that_cannot_be_are_refused() -> None:
    with pytest.raises(ConfigError, match="precision='int8'"):
        PyannetSegmenter.from_checkpoint(checkpoint(), precision="int8")
    with pytest.raises(ConfigError, match=r"onset=1\.5"):
        PyannetSegmenter.from_checkpoint(checkpoint(), onset=1.5)
    with pytest.raises(ConfigError, match="has 4 classes, not the network's 7"):
        PyannetSegmenter(network_of(), powerset=Powerset(2, 2))
    with pytest.raises(ConfigError, match="A network of 9 speakers"):
        PyannetSegmenter(network_of(9, powerset=False))
