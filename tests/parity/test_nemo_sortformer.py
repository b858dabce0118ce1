"""The Sortformer networks against NeMo 3.0.0, stage by stage, with small random weights; and its containers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray

from speakerdiar.checkpoints.nemo import read_nemo
from speakerdiar.errors import WeightsError
from speakerdiar.models import load_model
from speakerdiar.models.diarizers.sortformer import SortformerDiarizer
from speakerdiar.models.diarizers.sortformer_config import UNUSED
from speakerdiar.models.diarizers.streaming_sortformer import StreamingSortformerDiarizer
from speakerdiar.nn.log_mel import per_feature

PRE_ENCODER, STAGE, PREDS = 2e-4, 1e-3, 2e-4
"""Tolerances that the golden files suggest; float32 against float64 makes a tenth of them."""
LOADED = ["nemo30", "gz", "noprefix_extra", "legacy_pickle", "interpolations", "half"]
REFUSED = {
    "missing_key": r"sortformer_modules\.first_hidden_to_hidden\.bias \(12,\) is missing",
    "bad_shape": r"[\w.]+ is \([\d, ]+\), not \([\d, ]+\)",
    "no_weights": "model_weights.ckpt",
    "no_config": "model_config.yaml",
    "truncated": "cut short",
    "not_a_tar": "tar archive",
    "code_in_pickle": "refused",
    "yaml_tag": "refused",
    "traversal": "refused",
    "symlink": "refused",
}


@pytest.fixture(scope="module")
def folder(shared: Path) -> Path:
    return shared / "golden" / "nemo"


@pytest.fixture(scope="module")
def offline(folder: Path) -> SortformerDiarizer:
    model = load_model(folder / "v1/tiny_v1.nemo")
    assert isinstance(model, SortformerDiarizer)
    return model


@pytest.fixture(scope="module")
def streaming(folder: Path) -> StreamingSortformerDiarizer:
    model = load_model(folder / "v2/tiny_v2.nemo")
    assert isinstance(model, StreamingSortformerDiarizer)
    return model


def wave(folder: Path, name: str) -> torch.Tensor:
    samples, rate = soundfile.read(folder / f"wav/{name}.wav", dtype="float32")
    assert rate == 16000
    return torch.from_numpy(samples)


def arrays(path: Path) -> dict[str, NDArray[Any]]:
    with np.load(path) as file:
        return dict(file)


def close(found: torch.Tensor, wanted: NDArray[Any], tolerance: float) -> None:
    np.testing.assert_allclose(found.numpy(), wanted, rtol=0, atol=tolerance)


def check_mels(found: torch.Tensor, wanted: NDArray[Any]) -> None:
    difference = np.abs(found.numpy() - wanted.T)
    assert difference.max() <= 2e-3
    assert difference.mean() <= 1e-5


@torch.inference_mode()
def check_stages(network: Any, mels: torch.Tensor, golden: dict[str, NDArray[Any]]) -> None:
    frames = network.pre_encode(mels[None])
    close(frames, golden["pre_encode"], PRE_ENCODER)
    encoded = network.encoder(frames)
    close(encoded, golden["conformer"], STAGE)
    mixed = network.transformer_encoder(network.sortformer_modules.encoder_proj(encoded))
    close(mixed, golden["transformer"], STAGE)
    close(network(frames), golden["preds"], PREDS)


@pytest.mark.parametrize("name", ["a", "b"])
def test_stages_of_the_offline_model(folder: Path, offline: SortformerDiarizer, name: str) -> None:
    golden = arrays(folder / f"v1/single_{name}.npz")
    mels = offline._features(wave(folder, name))
    assert [len(mels)] == golden["mel_len"]
    if "mel" in golden:
        check_mels(mels, golden["mel"][0])
    check_stages(offline.network, mels, golden)


def test_stages_of_the_streaming_model(folder: Path, streaming: StreamingSortformerDiarizer) -> None:
    golden = arrays(folder / "v2/offline_stages_a.npz")
    mels = streaming.mel(wave(folder, "a"))
    check_mels(mels, golden["mel"][0])
    check_stages(streaming.network, mels, golden)


def test_features_of_the_unscaled_waveform(folder: Path, offline: SortformerDiarizer) -> None:
    """NeMo pads with zeros to a multiple of 16 frames; we pad nothing."""
    golden = arrays(folder / "v1/mel_pad16_a.npz")
    mels = per_feature(offline.mel(wave(folder, "a")))
    valid, padded = int(golden["mel_len"][0]), int(golden["mel_shape"][2])
    assert len(mels) == valid
    last = golden["mel_last_40_frames"][0]
    check_mels(mels[padded - 40 :], last[:, : 40 - (padded - valid)])
    assert not last[:, 40 - (padded - valid) :].any()


def test_a_row_of_a_batch_is_nemos_alone(folder: Path, offline: SortformerDiarizer) -> None:
    """NeMo scales by the loudest of the batch (b): b's row is as alone, a's isn't; ours both are."""
    pair = offline._scores([wave(folder, "a"), wave(folder, "b")])
    for name, scores in zip("ab", pair, strict=True):
        close(torch.from_numpy(scores), arrays(folder / f"v1/single_{name}.npz")["preds"][0], PREDS)
    together = arrays(folder / "v1/batch_ab.npz")
    close(torch.from_numpy(pair[1]), together["preds"][1], PREDS)
    peak = wave(folder, "b").max()
    mels = per_feature(offline.mel(wave(folder, "a") / (peak + 1e-3)))
    check_mels(mels, together["mel_row_a"])
    with torch.inference_mode():
        close(offline.network(offline.network.pre_encode(mels[None]))[0], together["preds"][0, : len(pair[0])], PREDS)


def test_rows_padded_and_masked_are_nemos_alone(folder: Path, offline: SortformerDiarizer) -> None:
    """What a GPU does."""
    with torch.inference_mode():
        rows = [offline.network.pre_encode(offline._features(wave(folder, name))[None])[0] for name in "ab"]
        padded = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
        found = offline.network(padded, torch.tensor([len(row) for row in rows]))
    for name, row, scores in zip("ab", rows, found, strict=True):
        close(scores[: len(row)], arrays(folder / f"v1/single_{name}.npz")["preds"][0], PREDS)
        assert not scores[len(row) :].any()


def test_very_short_recordings(folder: Path, offline: SortformerDiarizer) -> None:
    edges = json.loads((folder / "v1/edge_lengths.json").read_text())
    assert {"0", "1", "159", "160", "8000"} <= set(edges)
    samples = wave(folder, "b")[2000:]
    for length, wanted in edges.items():
        piece = samples[: int(length)]
        [scores] = offline._scores([piece])
        if "error" in wanted:  # NeMo crashes
            assert scores.shape == (0, 4)
            [nobody] = offline.diarize((piece, 16000))
            assert not nobody
            continue
        assert len(scores) == wanted["out_frames"]
        assert offline.mel.frames(int(length)) == wanted["mel_len"]
        first = np.array(wanted["preds"])
        np.testing.assert_allclose(scores[: len(first)], first, rtol=0, atol=PREDS, err_msg=length)


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_every_tensor_is_accounted_for(folder: Path, version: str) -> None:
    listed = {}
    for line in (folder / version / "state_dict.txt").read_text().splitlines():
        name, _, rest = line.partition(" ")
        listed[name] = rest.rpartition(" ")[0]
    model: Any = load_model(folder / version / f"tiny_{version}.nemo")
    ours = {name: str(tuple(value.shape)) for name, value in model.network.state_dict().items()}
    assert {name: shape for name, shape in listed.items() if name not in UNUSED} == ours
    assert set(listed) - set(ours) == UNUSED
    held = read_nemo(folder / version / f"tiny_{version}.nemo").weights
    assert set(held) == set(listed)
    for name, value in model.network.state_dict().items():
        assert torch.equal(value, held[name]), name


@pytest.mark.parametrize("name", LOADED)
def test_containers_that_load(folder: Path, name: str) -> None:
    wanted = arrays(folder / "containers/expected.npz")["preds"]
    model: Any = load_model(folder / f"containers/{name}.nemo")
    [scores] = model._scores([wave(folder, "a")[:48000]])
    close(torch.from_numpy(scores), wanted, 0.02 if name == "half" else PREDS)
    assert all(value.dtype == torch.float32 for value in model.network.parameters())


@pytest.mark.parametrize("name", REFUSED)
def test_containers_that_are_refused(folder: Path, name: str) -> None:
    path = folder / f"containers/{name}.nemo"
    with pytest.raises(WeightsError, match=REFUSED[name]) as caught:
        load_model(path)
    assert path.name in str(caught.value)


def test_every_container_is_tried(folder: Path) -> None:
    listed = json.loads((folder / "containers/containers.json").read_text())["files"]
    assert {Path(name).stem for name in listed} == {*LOADED, *REFUSED}
