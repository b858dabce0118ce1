"""SOND's texts against those of FunASR's own code: audio and clips in, text out, with drawn weights.

`make_sond_texts.py` ran that code. Its front end, enrolment model, network, decoding, smoothing and printing are all in
what is compared.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

import fakes_sond
import numpy as np
import pytest
import torch
from fakes_networks import drawn_weights, shapes_of
from numpy.typing import NDArray

from speakerdiar.formats.sond_text import labels_text
from speakerdiar.models.diarizers.sond import SondDiarizer
from speakerdiar.models.embedders.sond import SondEmbedder
from speakerdiar.nn.kaldi_fbank import FbankOptions
from speakerdiar.nn.preact_resnet import TrunkShape
from speakerdiar.nn.sond import SondNetwork, SondSpeakerNetwork
from speakerdiar.nn.sond_shape import SondShape, SondSpeakerShape

Network = TypeVar("Network", bound=torch.nn.Module)
RATE = 16000
SIZES = fakes_sond.SIZES


@pytest.fixture(scope="module")
def returned() -> dict[str, NDArray[Any]]:
    with np.load(Path(__file__).parent / "data" / "sond_texts.npz", allow_pickle=False) as data:
        return dict(data)


@pytest.fixture(scope="module")
def model(returned: dict[str, NDArray[Any]]) -> SondDiarizer:
    network = drawn(SondNetwork(SondShape(**SIZES)))
    assert network.decoder.conv1d.bias is not None
    network.decoder.conv1d.bias.data -= torch.from_numpy(returned["mean"])
    trunk = TrunkShape(SIZES["filters"], SIZES["blocks"], SIZES["mel_bins"], SIZES["pooled"])
    shape = SondSpeakerShape(trunk, SIZES["dimension"], SIZES["last"], fakes_sond.CLASSES)
    voices = SondEmbedder(drawn(SondSpeakerNetwork(shape)), FbankOptions(mel_bins=SIZES["mel_bins"]))
    return SondDiarizer(network, FbankOptions(mel_bins=SIZES["mel_bins"], snip_edges=False), voices)


def drawn(network: Network) -> Network:
    network.load_state_dict(drawn_weights(shapes_of(network.state_dict())))
    return network.eval()


def test_the_front_end(model: SondDiarizer, returned: dict[str, NDArray[Any]]) -> None:
    found = model.fbank(torch.from_numpy(fakes_sond.talk()[0])).numpy()[::37]
    np.testing.assert_allclose(found, returned["features"], rtol=0, atol=2e-3)


def test_profiles_of_clips(model: SondDiarizer, returned: dict[str, NDArray[Any]]) -> None:
    assert model.embedder is not None
    found = np.stack([model.embedder.embed(clip)[0] for clip in fakes_sond.talk()[1:]])
    np.testing.assert_allclose(
        found, returned["profiles"], rtol=0, atol=1e-3 * float(np.abs(returned["profiles"]).max())
    )


@pytest.mark.parametrize(("form", "options"), [("vad", {}), ("rttm", {"legacy": True})])
def test_the_text(
    model: SondDiarizer, returned: dict[str, NDArray[Any]], tmp_path: Path, form: str, options: dict[str, Any]
) -> None:
    row = fakes_sond.talk()
    recording = {"audio": row[0], "sample_rate": RATE, "uniq_id": "test0"}
    [found] = model.diarize(
        [recording, *row[1:]],
        sample_rate=RATE,
        smooth_size=fakes_sond.SMOOTH,
        out_format=form,
        output_dir=tmp_path,
        **options,
    )
    expected = json.loads(str(returned[form]))
    assert found == {"key": "test0", "value": expected}
    assert len(expected.split("(" if form == "vad" else "\n")) > 10
    assert (tmp_path / "result.txt").read_text() == f"{expected}\n"
    assert (tmp_path / "labels.txt").read_text() == f"{labels_text('test0', returned['labels'])}\n"
