"""Kaldi's filter bank against kaldi-native-fbank, and its blocks and batches."""

from __future__ import annotations

from typing import Any

import kaldi_native_fbank
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from speakerdiar.errors import ConfigError
from speakerdiar.nn.kaldi_fbank import FRAMES_AT_ONCE, WINDOWS, FbankOptions, KaldiFbank, kaldi_filters

NOISE = np.random.default_rng(0).standard_normal(40000).astype(np.float32) / 10


def native(samples: np.ndarray, options: FbankOptions) -> np.ndarray:
    """What kaldi-native-fbank gives: (frames, bins)."""
    theirs = kaldi_native_fbank.FbankOptions()
    frames, mel = theirs.frame_opts, theirs.mel_opts
    frames.dither, frames.samp_freq = 0.0, options.sample_rate
    frames.frame_length_ms, frames.frame_shift_ms = options.frame_length, options.frame_shift
    frames.window_type, frames.snip_edges, frames.preemph_coeff = (
        options.window,
        options.snip_edges,
        options.preemphasis,
    )
    frames.remove_dc_offset, frames.round_to_power_of_two = options.remove_dc, options.round_to_power_of_two
    mel.num_bins, mel.low_freq, mel.high_freq = options.mel_bins, options.low, options.high
    theirs.use_energy, theirs.use_power, theirs.use_log_fbank = options.energy, options.power, options.log
    fbank = kaldi_native_fbank.OnlineFbank(theirs)
    fbank.accept_waveform(options.sample_rate, (samples * options.scale).tolist())
    fbank.input_finished()
    rows = [fbank.get_frame(index) for index in range(fbank.num_frames_ready)]
    return np.array(rows, dtype=np.float32).reshape(len(rows), options.mel_bins + options.energy)


@given(
    samples=st.integers(0, 2400),
    options=st.fixed_dictionaries(
        {
            "sample_rate": st.sampled_from([8000, 16000]),
            "mel_bins": st.sampled_from([5, 13, 23]),  # so that each band holds a bin of the transform
            "frame_length": st.sampled_from([20.0, 25.0, 32.0]),
            "frame_shift": st.sampled_from([8.0, 10.0, 12.5]),
            "window": st.sampled_from(WINDOWS),
            "low": st.sampled_from([0.0, 20.0, 100.0]),
            "high": st.sampled_from([0.0, -200.0, 3800.0]),
            "preemphasis": st.sampled_from([0.0, 0.9, 0.97]),
            "scale": st.sampled_from([1.0, 32768.0]),
            **dict.fromkeys(
                ("snip_edges", "remove_dc", "round_to_power_of_two", "energy", "power", "log"), st.booleans()
            ),
        }
    ),
)
def test_equals_kaldi_native_fbank(samples: int, options: dict[str, Any]) -> None:
    made = FbankOptions(**options)
    found = KaldiFbank(made)(torch.from_numpy(NOISE[:samples]))
    assert len(found) == KaldiFbank(made).frames(samples)
    np.testing.assert_allclose(found, native(NOISE[:samples], made), rtol=2e-3, atol=2e-3)


def test_silence_is_the_logarithm_of_the_floor() -> None:
    found = KaldiFbank(FbankOptions(energy=True))(torch.zeros(1600))
    torch.testing.assert_close(found, torch.full((8, 81), -15.9424), rtol=0, atol=1e-4)


def test_rows_of_a_batch_are_as_alone() -> None:
    fbank = KaldiFbank(FbankOptions(snip_edges=False))
    batch = torch.from_numpy(NOISE[:24000]).reshape(2, 3, 4000)
    found = fbank(batch)
    assert found.shape == (2, 3, fbank.frames(4000), 80)
    torch.testing.assert_close(found[1, 2], fbank(batch[1, 2]))
    assert fbank(batch[:0]).shape == (0, 3, 25, 80)


@pytest.mark.parametrize("snip_edges", [True, False])
def test_blocks_are_the_same_frame_for_frame(snip_edges: bool) -> None:
    fbank = KaldiFbank(FbankOptions(snip_edges=snip_edges))
    samples = torch.from_numpy(np.resize(NOISE, (FRAMES_AT_ONCE + 500) * 160))
    part = samples[(FRAMES_AT_ONCE - 50) * 160 : (FRAMES_AT_ONCE + 50) * 160]
    torch.testing.assert_close(fbank(samples)[FRAMES_AT_ONCE - 40 : FRAMES_AT_ONCE + 40], fbank(part)[10:90])


def test_bands_are_even_in_mel() -> None:
    options = FbankOptions(mel_bins=23)
    peaks = kaldi_filters(options).argmax(axis=1) * 16000 / 512
    mels = 1127 * np.log1p(peaks / 700)
    assert np.abs(np.diff(mels, 2)).max() < 2 * 1127 * np.log1p(31.25 / 700)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"sample_rate": 0}, "sample_rate=0"),
        ({"mel_bins": 1.5}, "mel_bins=1.5"),
        ({"window": "blackman"}, "window='blackman'"),
        ({"preemphasis": 1.5}, "preemphasis=1.5"),
        ({"scale": 0.0}, "scale=0.0"),
        ({"frame_shift": 0.0}, "frame_shift=0.0"),
        ({"frame_length": 0.1}, "frame_length=0.1"),
        ({"sample_rate": 11025, "round_to_power_of_two": False}, "275 points"),
        ({"low": 8000.0}, "low=8000.0"),
        ({"high": 9000.0}, "high=9000.0"),
    ],
)
def test_options_that_make_no_filter_bank_are_refused(options: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        FbankOptions(**options)
