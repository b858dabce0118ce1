"""FunASR's enrolment model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sond_files import BANDS, CONVERSATION, SIZE, speaker_network, sv_folder, sv_yaml, tiny_embedder

from speakerdiar.audio import load
from speakerdiar.checkpoints.checkpoint import Checkpoint
from speakerdiar.errors import WeightsError
from speakerdiar.models.embedders import make_embedder
from speakerdiar.models.embedders.sond import SondEmbedder
from speakerdiar.models.saving_parts import save_part
from speakerdiar.nn.kaldi_fbank import FbankOptions, KaldiFbank


@pytest.fixture(scope="module")
def clip() -> np.ndarray:
    return load(CONVERSATION)[: 3 * 16000]


def test_a_clip_whole_is_what_the_network_makes_of_its_features(clip: np.ndarray) -> None:
    features = KaldiFbank(FbankOptions(mel_bins=BANDS.mel_bins))(torch.from_numpy(clip))[None]
    with torch.inference_mode():
        expected = speaker_network()(features, torch.tensor([features.shape[1]]))
    [found] = tiny_embedder().embed(clip)
    assert found.shape == (SIZE,)
    assert found == pytest.approx(expected[0].numpy(), abs=1e-5)
    assert np.array_equal(found, tiny_embedder().embed(clip)[0])  # FunASR's dither would make it another one


def test_windows_of_one_length_go_together(clip: np.ndarray) -> None:
    starts = [0, 8000, 20000]
    found = tiny_embedder().embed_windows(clip, starts, 16000)
    alone = [tiny_embedder().embed(clip[start : start + 16000])[0] for start in starts]
    assert found == pytest.approx(np.stack(alone), abs=1e-5)
    assert not tiny_embedder().embed(np.zeros(16000, np.float32)).any()


def test_from_a_folder_and_back(tmp_path: Path, clip: np.ndarray) -> None:
    folder = sv_folder(tmp_path / "sv")
    expected = tiny_embedder().embed(clip)
    for place in (folder, folder / "sv.pb", str(folder / "sv.pb"), save_part(folder, tmp_path / "own")):
        made = make_embedder(place)
        assert isinstance(made, SondEmbedder)
        assert np.array_equal(made.embed(clip), expected)


def test_weights_and_settings_that_dont_fit(tmp_path: Path) -> None:
    weights = dict(speaker_network().state_dict())
    del weights["encoder.pre_conv_bn.bias"]
    with pytest.raises(WeightsError, match=r"encoder\.pre_conv_bn\.bias \(2,\) is missing"):
        SondEmbedder.from_checkpoint(Checkpoint(tmp_path, sv_yaml(), weights))
    with pytest.raises(WeightsError, match="encoder='ecapa_tdnn', and only 'resnet34'"):
        SondEmbedder.from_checkpoint(Checkpoint(tmp_path, sv_yaml(encoder="ecapa_tdnn"), weights))
    conf = {"frontend_conf": {"window": "kaiser"}}
    with pytest.raises(WeightsError, match="a filter bank that can't be had: window='kaiser'"):
        SondEmbedder.from_checkpoint(Checkpoint(tmp_path, sv_yaml(**conf), weights))
