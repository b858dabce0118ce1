"""PyanNet gives the numbers of pyannote.audio, from each form of its checkpoints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from speakerdiar.audio import load
from speakerdiar.checkpoints.pyannote import read_pyannote
from speakerdiar.models.segmenters.pyannet import PyannetSegmenter
from speakerdiar.postprocessing.powerset import members_of

WINDOW = 160000
FILES = ("small.bin", "small_3x.bin", "small_lightning.ckpt", "small_split.bin")


class Golden:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.samples = np.asarray(load(folder / "input.wav"), dtype=np.float32)
        self.info = json.loads((folder / "info.json").read_text())
        self.atol = self.info["tolerance"]["logprobs_atol"]

    def model(self, file: str) -> PyannetSegmenter:
        return PyannetSegmenter.from_checkpoint(read_pyannote(self.folder / file))

    def expected(self, file: str) -> dict[str, NDArray[Any]]:
        variant = "small_split" if "split" in file else "small"
        return dict(np.load(self.folder / f"{variant}_expected.npz"))

    def windows(self, starts: NDArray[np.int64]) -> NDArray[np.float32]:
        padded = np.pad(self.samples, (0, WINDOW))
        return np.stack([padded[start : start + WINDOW] for start in starts])


@pytest.fixture(scope="module")
def golden(shared: Path) -> Golden:
    return Golden(shared / "golden/peers/1_pyannet")


@pytest.mark.parametrize("file", FILES)
def test_scores_and_decisions_equal(golden: Golden, file: str) -> None:
    model, expected = golden.model(file), golden.expected(file)
    scores = model.score_windows(golden.windows(expected["chunk_starts"]))
    np.testing.assert_allclose(scores, expected["logprobs"], rtol=0, atol=golden.atol)
    bits, _ = model.decide(scores)
    differ = (members_of(bits, 3) != expected["multilabel"]).any(axis=2).sum()
    assert differ <= golden.info["tolerance"]["multilabel_frames_differing_max"]
    assert model.powerset is not None
    soft = np.exp(scores) @ model.powerset.members.astype(np.float32)
    np.testing.assert_allclose(soft, expected["soft_multilabel"], rtol=0, atol=golden.atol)


@pytest.mark.parametrize("file", ["small.bin", "small_split.bin"])
def test_sliding_windows_equal(golden: Golden, file: str) -> None:
    model, expected = golden.model(file), golden.expected(file)["sliding"]
    grid = model.grid
    assert grid.count(len(golden.samples)) == len(expected)
    bits, _ = model.segment_windows(golden.windows(grid.starts(len(expected))))
    differ = (members_of(bits, 3) != expected).any(axis=2).sum()
    assert differ <= golden.info["tolerance"]["multilabel_frames_differing_max"]


@pytest.mark.parametrize("file", ["small.bin", "small_split.bin"])
def test_what_is_inside_equals(golden: Golden, file: str) -> None:
    network, expected = golden.model(file).network, golden.expected(file)
    net = network.sincnet
    first = torch.from_numpy(golden.samples[None, :WINDOW])
    with torch.inference_mode():
        normed = net.wav_norm1d(first[:, None])
        found = {
            "sinc_filters": net.conv1d[0].weight,
            "mid_wav_norm": normed[..., :2000],
            "mid_sinc_conv": net.conv1d[0](normed)[:, ::8, :500],
            "mid_sincnet": net(first)[:, ::6],
            "logprobs_5s": network(first[:, :80000]),
        }
    for name, value in found.items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-5, atol=golden.atol, err_msg=name)
    np.testing.assert_allclose(found["sinc_filters"], expected["sinc_filters"], rtol=0, atol=1e-6)


def test_frames_equal(golden: Golden) -> None:
    network = golden.model("small.bin").network
    for samples, shape in golden.info["output_shape_by_num_samples"].items():
        if isinstance(shape, list):
            assert network.sincnet.frames(int(samples)) == shape[0]
            assert int(samples) >= network.least_samples
        else:
            assert int(samples) < network.least_samples
    grid, field = golden.model("small.bin").grid, golden.info["variants"]["small"]["receptive_field"]
    assert grid.receptive / grid.rate == pytest.approx(field["duration"])
    assert grid.frame_seconds == pytest.approx(field["step"])
