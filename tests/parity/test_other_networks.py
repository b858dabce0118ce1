"""Speaker embedders and voice activity detectors against their authors' own code, with small drawn weights.

`make_other_networks.py` ran that code and wrote what it returned, and the names and shapes of its state dicts: what
these toolkits save is what is loaded here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fakes_networks import (
    ECAPA,
    FRAME_MARBLENET,
    TITANET,
    WINDOW_MARBLENET,
    drawn_weights,
    fingerprint,
    pieces,
    shape_of,
    shape_text,
    shapes_of,
)
from nemo_files import Entry, nemo_file, saved
from numpy.typing import NDArray

from speakerdiar.checkpoints.checkpoint import Checkpoint
from speakerdiar.checkpoints.nemo import CONFIG, WEIGHTS, read_nemo
from speakerdiar.mixins.embedding import EmbeddingMixin
from speakerdiar.models.embedders.campplus import CampPlusEmbedder
from speakerdiar.models.embedders.ecapa import EcapaEmbedder
from speakerdiar.models.embedders.titanet import TitaNetEmbedder
from speakerdiar.models.segmenters.marblenet import MarbleNetVad
from speakerdiar.nn.campplus import CampPlusNetwork, CampPlusShape
from speakerdiar.nn.frontend import mel_filters

RTOL = 1e-4


@pytest.fixture(scope="module")
def returned() -> dict[str, Any]:
    data = json.loads((Path(__file__).parent / "data" / "other_networks.json").read_text())
    assert isinstance(data, dict)
    return data


def close(found: NDArray[Any], wanted: Any) -> None:
    expected = np.asarray(wanted)
    np.testing.assert_allclose(found, expected, rtol=0, atol=RTOL * float(np.abs(expected).max()))


def check_pieces(model: EmbeddingMixin, wanted: dict[str, Any]) -> None:
    """Whole, and as a window of a longer recording: features of a window are made of it alone."""
    whole, part = pieces().values()
    close(model.embed(whole)[0], wanted["whole"])
    close(model.embed(part)[0], wanted["part"])
    close(model.embed_windows(whole, [16077], len(part))[0], wanted["part"])


def saved_weights(wanted: dict[str, Any]) -> dict[str, torch.Tensor]:
    """The weights that the toolkit computed with, by its own names."""
    return drawn_weights({name: shape_of(text) for name, text in wanted["weights"].items()})


def from_nemo(folder: Path, config: dict[str, Any], wanted: dict[str, Any]) -> Checkpoint:
    """What a `.nemo` file of these weights is read as; the front end's stay those that NeMo's are."""
    weights = {name: value for name, value in saved_weights(wanted).items() if not name.startswith("preprocessor.")}
    weights["preprocessor.featurizer.fb"] = torch.from_numpy(mel_filters(16000, 512, 80))[None]
    weights["preprocessor.featurizer.window"] = torch.hann_window(400, periodic=False)
    assert {name: shape_text(tuple(value.shape)) for name, value in weights.items()} == wanted["weights"]
    text = json.dumps(config).encode()  # JSON is YAML
    return read_nemo(nemo_file(folder, Entry(CONFIG, text), Entry(WEIGHTS, saved(weights))))


def on_meta(shape: CampPlusShape) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        return shapes_of(CampPlusNetwork(shape).state_dict())


def test_campplus(returned: dict[str, Any]) -> None:
    wanted = returned["campplus"]
    shapes = on_meta(CampPlusShape(dimension=6, growth=4, bottleneck=8, channels=8))
    assert fingerprint(shapes) == wanted["fingerprint"]
    assert fingerprint(on_meta(CampPlusShape())) == wanted["published"]
    check_pieces(CampPlusEmbedder.from_checkpoint(Checkpoint(Path("campplus.bin"), {}, drawn_weights(shapes))), wanted)


def test_titanet(returned: dict[str, Any], tmp_path: Path) -> None:
    model = TitaNetEmbedder.from_checkpoint(from_nemo(tmp_path, TITANET, returned["titanet"]))
    check_pieces(model, returned["titanet"])


@pytest.mark.parametrize("name", ["speechbrain", "wespeaker", "wespeaker_context"])
def test_ecapa(returned: dict[str, Any], name: str) -> None:
    weights = saved_weights(returned[name])
    check_pieces(EcapaEmbedder.from_checkpoint(Checkpoint(Path("ecapa.ckpt"), {}, weights)), returned[name])


def test_nemo_ecapa(returned: dict[str, Any], tmp_path: Path) -> None:
    model = EcapaEmbedder.from_checkpoint(from_nemo(tmp_path, ECAPA, returned["nemo_ecapa"]))
    check_pieces(model, returned["nemo_ecapa"])


@pytest.mark.parametrize(("name", "config"), [("frame", FRAME_MARBLENET), ("window", WINDOW_MARBLENET)])
def test_marblenet(returned: dict[str, Any], tmp_path: Path, name: str, config: dict[str, Any]) -> None:
    wanted = returned[f"{name}_marblenet"]
    model = MarbleNetVad.from_checkpoint(from_nemo(tmp_path, config, wanted))
    for piece, samples in pieces().items():
        scores = model.segment((samples, 16000)).data[:, 0]
        assert scores.std() > 0.01
        close(scores[: wanted[f"{piece}_frames"]][::7], wanted[piece])
