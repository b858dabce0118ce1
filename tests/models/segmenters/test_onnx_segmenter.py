"""Segmentation networks in ONNX: what their metadata must say, and what they give."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx_files import SEGMENTATION, segmentation_file

from speakerdiar.checkpoints.onnx import open_onnx
from speakerdiar.errors import WeightsError
from speakerdiar.models.segmenters.onnx import OnnxSegmenter
from speakerdiar.postprocessing.powerset import Powerset
from speakerdiar.windows import WindowGrid


def test_metadata_say_what_windows_and_frames_are(tmp_path: Path) -> None:
    file = segmentation_file(tmp_path / "a.onnx")
    segmenter = OnnxSegmenter(file)
    assert segmenter.grid == WindowGrid(16000, 16000, 1600, 77, 200, 800)
    assert segmenter.powerset == Powerset(3, 2)
    windows = np.random.default_rng(0).standard_normal((3, 16000)).astype(np.float32)
    scores = segmenter.score_windows(windows)
    assert scores.shape == (3, 77, 7)
    model = open_onnx(file)
    for row, window in zip(scores, windows, strict=True):
        np.testing.assert_array_equal(row, model.run({"x": window[None, None]})[0][0])


def test_batches_never_change_a_score(tmp_path: Path) -> None:
    segmenter = OnnxSegmenter(segmentation_file(tmp_path / "a.onnx", quantized=True), threads=2)
    windows = np.random.default_rng(0).standard_normal((5, 16000)).astype(np.float32)
    windows[0] *= 50
    together = segmenter.score_windows(windows)
    for row, window in zip(together, windows, strict=True):
        np.testing.assert_array_equal(row, segmenter.score_windows(window[None])[0])


def test_a_file_without_metadata_is_taken_for_pyannotes(tmp_path: Path) -> None:
    segmenter = OnnxSegmenter(segmentation_file(tmp_path / "a.onnx", {}, kernel=991, stride=270))
    assert segmenter.grid == WindowGrid(16000, 160000, 16000, 589, 270, 991)
    assert segmenter.powerset == Powerset(3, 2)


def test_logits_become_logarithms_of_probabilities(tmp_path: Path) -> None:
    window = np.random.default_rng(0).standard_normal((1, 16000)).astype(np.float32)
    expected = OnnxSegmenter(segmentation_file(tmp_path / "a.onnx")).score_windows(window)
    found = OnnxSegmenter(segmentation_file(tmp_path / "b.onnx", logits=True)).score_windows(window)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"window_size": None, "num_classes": None}, "its metadata lack window_size, num_classes"),
        ({"sample_rate": "16 kHz"}, "should be whole numbers .*16 kHz"),
        ({"num_speakers": "4"}, "sets of 2 of 4 speakers are 11 classes, not 7"),
        ({"num_speakers": "0"}, "its metadata can't be used: .*speakers=0"),
        ({"num_classes": "11"}, r"a segmentation model turns \(batch, 1, 16000\) samples into \(batch, frames, 11\)"),
        ({"window_size": "10"}, "doesn't take"),
    ],
)
def test_metadata_that_do_not_fit_are_refused(tmp_path: Path, changes: dict[str, str | None], message: str) -> None:
    metadata = {key: value for key, value in (SEGMENTATION | changes).items() if value is not None}
    with pytest.raises(WeightsError, match=message):
        OnnxSegmenter(segmentation_file(tmp_path / "a.onnx", metadata))


def test_other_networks_without_metadata_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"its metadata must say other sizes \(window_size, num_classes\)"):
        OnnxSegmenter(segmentation_file(tmp_path / "a.onnx", {}, classes=4))
