"""The ResNet embedder: one run over the audio, masks, hyper-parameters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from speakerdiar.checkpoints.checkpoint import Checkpoint
from speakerdiar.errors import ConfigError, InputError, WeightsError
from speakerdiar.models.embedders import resnet
from speakerdiar.models.embedders.resnet import WespeakerEmbedder, mean_of_windows
from speakerdiar.nn.resnet34 import ResNetShape, SpeakerResNet

RATE = 16000
NOISE = np.random.default_rng(0).normal(0, 0.1, 20 * RATE).astype(np.float32) * np.repeat(
    np.random.default_rng(1).uniform(0.1, 1, 200), RATE // 10
).astype(np.float32)


def made(precision: str = "fp32", prefix: str = "resnet.", **hyper_parameters: Any) -> WespeakerEmbedder:
    torch.manual_seed(0)
    weights = SpeakerResNet(ResNetShape(4, (1, 1, 1, 1), 16, 8)).state_dict()
    named = {prefix + name: value for name, value in weights.items()}
    config = {"hyper_parameters": hyper_parameters} if hyper_parameters else {}
    return WespeakerEmbedder.from_checkpoint(Checkpoint(Path("a.bin"), config, named), precision=precision)


@pytest.fixture(scope="module")
def model() -> WespeakerEmbedder:
    return made()


def some_masks(count: int, frames: int = 50) -> NDArray[np.bool_]:
    return np.repeat(np.random.default_rng(2).random((count, frames // 5)) < 0.5, 5, axis=1)


STARTS = np.array([0, 0, RATE, 3 * RATE + 640, 10 * RATE + 77, 15 * RATE, 16 * RATE + 1], dtype=np.int64)
MASKS = some_masks(len(STARTS))


def test_a_window_that_is_all_the_audio_is_exact() -> None:
    model = made(fbank_centering_span=1.0)
    samples = NOISE[: 4 * RATE]
    masks = np.concatenate([MASKS[:2], np.ones((1, 50), bool)])
    starts = np.zeros(3, dtype=np.int64)
    found = model.embed_masks(samples, starts, len(samples), masks)
    np.testing.assert_allclose(found, model.embed_masks(samples, starts, len(samples), masks, exact=True), atol=1e-4)
    np.testing.assert_allclose(found[2], model.embed(samples)[0], atol=1e-4)


@pytest.mark.parametrize("exact", [False, True])
def test_masks_do_not_see_one_another(model: WespeakerEmbedder, exact: bool) -> None:
    together = model.embed_masks(NOISE, STARTS, 4 * RATE, MASKS, exact=exact)
    assert np.isfinite(together).all()
    order = np.array([6, 2, 0, 5, 1, 4, 3])
    shuffled = model.embed_masks(NOISE, STARTS[order], 4 * RATE, MASKS[order], exact=exact)
    np.testing.assert_allclose(shuffled, together[order], atol=1e-5)
    alone = [model.embed_masks(NOISE, STARTS[i : i + 1], 4 * RATE, MASKS[i : i + 1], exact=exact)[0] for i in range(7)]
    np.testing.assert_allclose(alone, together, atol=1e-5)


def test_tiles_change_nothing(model: WespeakerEmbedder, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = model.embed_masks(NOISE, STARTS, 4 * RATE, MASKS)
    monkeypatch.setattr(resnet, "TILE", 7)
    monkeypatch.setattr(resnet, "FRAMES_AT_ONCE", 30)
    np.testing.assert_allclose(model.embed_masks(NOISE, STARTS, 4 * RATE, MASKS), whole, atol=1e-5)


@pytest.mark.parametrize("start", [8 * RATE, 8 * RATE + 640])
def test_one_run_differs_from_exact_by_means_and_surroundings_alone(start: int) -> None:
    model = made(fbank_centering_span=0.2)
    masks = np.zeros((1, 100), dtype=bool)
    masks[0, 30:60] = True  # what the frames in the middle of a window see lies inside
    fast, exact = (model.embed_masks(NOISE, np.array([start]), 4 * RATE, masks, exact=e) for e in (False, True))
    np.testing.assert_allclose(fast, exact, atol=1e-5)


def test_what_no_mask_keeps_is_not_heard(model: WespeakerEmbedder) -> None:
    masks = np.zeros((2, 50), dtype=bool)
    masks[0, :5] = masks[1, 45:] = True
    starts = np.array([0, 16 * RATE])
    expected = model.embed_masks(NOISE, starts, 4 * RATE, masks)
    heard: list[int] = []
    handle = model.network.conv1.register_forward_hook(lambda *call: heard.append(call[2].shape[-1]))
    model.embed_masks(NOISE, starts, 4 * RATE, masks)
    handle.remove()
    assert sum(heard) < 500  # of 1998 frames
    assert np.isfinite(expected).all()


def test_too_little_is_nan_and_nothing_is_nothing(model: WespeakerEmbedder) -> None:
    masks = np.zeros((3, 589), dtype=bool)
    masks[1, 300], masks[2, 300:330] = True, True
    found = model.embed_masks(NOISE, np.zeros(3, np.int64), 10 * RATE, masks)
    assert np.isnan(found[:2]).all()
    assert np.isfinite(found[2]).all()
    exact = model.embed_masks(NOISE, np.zeros(3, np.int64), 10 * RATE, masks, exact=True)
    np.testing.assert_allclose(exact[0], model.network.seg_1.bias)  # what pyannote.audio gives
    assert model.embed_masks(NOISE, np.zeros(0, np.int64), RATE, masks[:0]).shape == (0, 8)
    assert np.isnan(model.embed_masks(NOISE[:300], np.zeros(3, np.int64), 10 * RATE, masks)).all()


@pytest.mark.parametrize("exact", [False, True])
def test_silence_gives_numbers(model: WespeakerEmbedder, exact: bool) -> None:
    samples = NOISE.copy()
    samples[2 * RATE : 9 * RATE] = 0
    assert np.isfinite(model.embed_masks(samples, STARTS, 4 * RATE, MASKS, exact=exact)).all()
    assert np.isfinite(model.embed_masks(samples * 0, STARTS, 4 * RATE, MASKS, exact=exact)).all()


def test_means_are_those_of_the_windows_that_hold_a_frame() -> None:
    features = torch.from_numpy(np.random.default_rng(3).random((30, 2), dtype=np.float32))
    windows = features.unfold(0, 10, 1).mean(dim=2)  # (21, 2)
    expected = torch.stack([windows[max(0, t - 9) : t + 1].mean(dim=0) for t in range(30)])
    torch.testing.assert_close(mean_of_windows(features, 10), expected)
    torch.testing.assert_close(mean_of_windows(features, 40), features.mean(dim=0).expand(30, 2))


def test_bf16_is_near(model: WespeakerEmbedder) -> None:
    found = made("bf16").embed_masks(NOISE, STARTS, 4 * RATE, MASKS)
    np.testing.assert_allclose(found, model.embed_masks(NOISE, STARTS, 4 * RATE, MASKS), atol=0.03)


def test_weights_have_wespeakers_or_pyannotes_names(model: WespeakerEmbedder) -> None:
    np.testing.assert_allclose(made(prefix="").embed(NOISE[:RATE]), model.embed(NOISE[:RATE]), atol=1e-6)
    assert model.embed(NOISE[:400]).shape == (1, 8)
    assert model.min_seconds == 0.025


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"pooling": "attentive"}, "pooling"),
        ({"sample_rate": 8000}, "sample_rate=8000"),
        ({"use_energy": True}, "use_energy=True"),
        ({"num_mel_bins": 24}, "24 bands"),
        ({"window_type": "kaiser"}, "kaiser"),
        ({"frame_length": "long"}, "filter bank"),
        ({"fbank_centering_span": 0.0}, "fbank_centering_span=0.0"),
    ],
)
def test_hyper_parameters_that_cannot_be_honoured_are_refused(given: dict[str, Any], named: str) -> None:
    with pytest.raises(WeightsError, match=named):
        made(**given)


def test_masks_that_do_not_fit_are_refused(model: WespeakerEmbedder) -> None:
    with pytest.raises(InputError, match="2 windows"):
        model.embed_masks(NOISE, STARTS[:2], RATE, MASKS[:3])
    with pytest.raises(ConfigError, match="length=100"):
        model.embed_masks(NOISE, STARTS[:2], 100, MASKS[:2])
