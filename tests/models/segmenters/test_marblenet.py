"""The MarbleNet detector: a recording's scores, however long it is and however its samples come in."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fakes_networks import FRAME_MARBLENET, WINDOW_MARBLENET, block, buzz, drawn_weights, shapes_of
from numpy.typing import NDArray

from speakerdiar.checkpoints.checkpoint import Checkpoint
from speakerdiar.errors import ConfigError, InputError, WeightsError
from speakerdiar.models.segmenters.marblenet import MarbleNetVad, marblenet_shape
from speakerdiar.nn.marblenet import MarbleNetNetwork

CONFIGS = {"frames": FRAME_MARBLENET, "windows": WINDOW_MARBLENET}
WEIGHT = {"frames": "decoder.layer0.weight", "windows": "decoder.decoder_layers.0.weight"}


def checkpoint(kind: str, **changes: Any) -> Checkpoint:
    """A checkpoint without weights but for the decoder's, which say of which kind it is."""
    config = copy.deepcopy(CONFIGS[kind])
    for part, changed in changes.items():
        config[part] = {**config.get(part, {}), **changed} if isinstance(changed, dict) else changed
    weights = dict.fromkeys([*"abcdefgh", WEIGHT[kind]], torch.zeros(1))
    return Checkpoint(Path("vad.nemo"), config, weights)


def made(kind: str) -> MarbleNetVad:
    network = MarbleNetNetwork(marblenet_shape(checkpoint(kind)))
    network.load_state_dict(drawn_weights(shapes_of(network.state_dict())))
    torch.nn.init.normal_(
        network.get_parameter("decoder.0.weight"), std=0.05, generator=torch.Generator().manual_seed(1)
    )
    return MarbleNetVad(network)


@pytest.fixture(scope="module", params=list(CONFIGS))
def model(request: pytest.FixtureRequest) -> MarbleNetVad:
    return made(request.param)


@pytest.fixture(scope="module")
def talk() -> NDArray[np.float32]:
    return buzz(7)[:111111]


def scores(model: MarbleNetVad, *blocks: NDArray[np.float32]) -> NDArray[np.float32]:
    return model.segment_blocks(blocks).data


def test_frames_are_20_ms_or_10_ms() -> None:
    assert [made(kind).frame_samples for kind in CONFIGS] == [320, 160]


@pytest.mark.parametrize("seconds", [1.7, 3])
def test_blocks_leave_no_trace(
    model: MarbleNetVad, talk: NDArray[np.float32], monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    whole = scores(model, talk)
    assert whole.std() > 1e-3
    monkeypatch.setattr(MarbleNetVad, "block_samples", round(seconds * 16000))
    np.testing.assert_allclose(scores(model, talk), whole, rtol=0, atol=1e-5)
    np.testing.assert_allclose(scores(model, *np.array_split(talk, 9)), whole, rtol=0, atol=1e-5)


def test_live_differs_only_where_the_future_counts(model: MarbleNetVad, talk: NDArray[np.float32]) -> None:
    whole, live, state = scores(model, talk), [], None
    size = 50 * model.frame_samples
    for first in range(0, len(talk), size):
        found, state = model.score_next(talk[first : first + size], state)
        live.append(found)
    joined = np.concatenate(live)
    assert joined.shape == whole.shape
    np.testing.assert_allclose(joined[-1], whole[-1], rtol=0, atol=1e-5)
    assert np.abs(joined - whole).max() > 1e-4


@pytest.mark.parametrize("samples", [0, 1, 159, 160, 161, 319, 320, 321, 479, 480, 481, 9999])
def test_as_many_frames_as_cover_the_samples(model: MarbleNetVad, samples: int) -> None:
    found = scores(model, buzz(1)[:samples])
    assert found.shape == (-(-samples // model.frame_samples), 1)
    assert np.isfinite(found).all()


def test_a_last_frame_without_features_goes_with_the_one_before_it() -> None:
    found = scores(made("frames"), buzz(1)[: 3 * 320 + 100])[:, 0]
    assert found[3] == found[2]
    assert not scores(made("frames"), buzz(1)[:159]).any()


def test_samples_that_are_no_numbers_are_refused(model: MarbleNetVad) -> None:
    with pytest.raises(InputError, match="NaN"):
        scores(model, np.full(16000, np.nan, dtype=np.float32))


@pytest.mark.parametrize("seconds", [0.0, 11.0, float("nan")])
def test_windows_of_lengths_that_cannot_be_are_refused(seconds: float) -> None:
    with pytest.raises(ConfigError, match="window_seconds"):
        MarbleNetVad(MarbleNetNetwork(marblenet_shape(checkpoint("windows"))), window_seconds=seconds)


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("frames", {"labels": ["a", "b", "c"]}, "labels"),
    ("frames", {"labels": None}, "labels"),
    ("windows", {"crop_or_pad_augment": {"audio_length": 128}}, "windows cut"),
    ("frames", {"preprocessor": {"normalize": "per_feature"}}, "normalize='per_feature'"),
    ("frames", {"preprocessor": {"_target_": "nemo.AudioToMFCCPreprocessor"}}, "MFCC"),
    ("frames", {"decoder": {"num_layers": 10**9}}, "num_layers"),
    ("frames", {"decoder": {"activation": "tanh"}}, "activation"),
    ("windows", {"preprocessor": {"pad_to": "max"}}, "pad_to"),
    ("windows", {"encoder": {"jasper": [block(4, 3, separable=False)]}}, "last kernel"),
    ("windows", {"decoder": {"pooling_type": "median"}}, "pooling_type"),
    ("frames", {"encoder": {"jasper": [block(4, 3, se=True)]}}, "squeeze"),
]


@pytest.mark.parametrize(("kind", "changes", "message"), REFUSED, ids=[message for *_, message in REFUSED])
def test_other_models_are_refused_by_what_differs(kind: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(WeightsError, match=rf"vad\.nemo.*{message}"):
        marblenet_shape(checkpoint(kind, **changes))


def test_a_missing_weight_is_named() -> None:
    with pytest.raises(WeightsError, match=r"vad\.nemo .*encoder\.0\.mconv\.0\.weight \(80, 1, 11\) is missing"):
        MarbleNetVad.from_checkpoint(checkpoint("frames"))
