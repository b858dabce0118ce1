"""Filter banks equal kaldi-native-fbank's, front end by front end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from speakerdiar.audio import load
from speakerdiar.nn.kaldi_fbank import FbankOptions, KaldiFbank

NAMES = {
    "mel": "mel_bins",
    "snip": "snip_edges",
    "flen": "frame_length",
    "fshift": "frame_shift",
    "fs": "sample_rate",
    "preemph": "preemphasis",
    "dc": "remove_dc",
    "pow2": "round_to_power_of_two",
}
FRONT_ENDS = (
    *("wespeaker", "wespeaker_no_cmn", "sond_16k", "sond_8k", "sond_sv", "3d_speaker", "sherpa_wespeaker"),
    *("sherpa_3d_speaker", "fsmn_vad", "kaldi_default_23", "hanning_40_rect_power", "energy_first"),
    *("magnitude_linear", "frame_20_8_odd_fft"),
)


@pytest.fixture(scope="module")
def folder(shared: Path) -> Path:
    return shared / "golden" / "peers" / "6_fbank"


@pytest.fixture(scope="module")
def info(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "info.json").read_text()))


@pytest.fixture(scope="module")
def expected(folder: Path) -> dict[str, np.ndarray]:
    with np.load(folder / "expected.npz", allow_pickle=False) as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def signals(folder: Path, expected: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    made = {name.partition("/")[2]: array for name, array in expected.items() if name.startswith("signal/")}
    return made | {name: np.asarray(load(folder / f"{name}.wav")) for name in ("speech0", "speech1")}


def test_every_front_end_is_compared(info: dict[str, Any]) -> None:
    assert set(info["frontends"]) == set(FRONT_ENDS)


@pytest.mark.parametrize("name", FRONT_ENDS)
def test_equals_kaldi_native_fbank(
    name: str, info: dict[str, Any], expected: dict[str, np.ndarray], signals: dict[str, np.ndarray]
) -> None:
    front_end = info["frontends"][name]
    options = {NAMES.get(key, key): value for key, value in front_end["options"].items()}
    fbank = KaldiFbank(FbankOptions(**options, scale=front_end["scale"]))
    rtol, atol = (0, info["tolerance"]["log_mel_atol"]) if options.get("log", True) else (1e-3, 1e-3)
    for signal, details in front_end["signals"].items():
        samples = signals[signal][:: 16000 // fbank.options.sample_rate]
        found = fbank(torch.from_numpy(samples.copy()))
        assert len(found) == details["frames"], signal
        if len(found):
            found = found - found.mean(dim=0) if front_end["subtract_mean"] else found
            np.testing.assert_allclose(found, expected[f"{name}/{signal}"], rtol=rtol, atol=atol, err_msg=signal)
