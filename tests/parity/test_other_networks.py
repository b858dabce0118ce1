"""Speaker embedders and voice activity detectors against their authors' own code, with small drawn weights.

`make_other_networks.py` ran that code and wrote what it returned. The fingerprints hold names and shapes of weights,
so that files which these toolkits save are what is loaded here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fakes_networks import drawn_weights, fingerprint, pieces, shapes_of
from numpy.typing import NDArray

from speakerdiar.checkpoints.checkpoint import Checkpoint
from speakerdiar.mixins.embedding import EmbeddingMixin
from speakerdiar.models.embedders.campplus import CampPlusEmbedder
from speakerdiar.nn.campplus import CampPlusNetwork, CampPlusShape

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


def on_meta(network: type[torch.nn.Module], *arguments: Any) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        return shapes_of(network(*arguments).state_dict())


def test_campplus(returned: dict[str, Any]) -> None:
    wanted = returned["campplus"]
    shapes = on_meta(CampPlusNetwork, CampPlusShape(dimension=6, growth=4, bottleneck=8, channels=8))
    assert fingerprint(shapes) == wanted["fingerprint"]
    assert fingerprint(on_meta(CampPlusNetwork, CampPlusShape())) == wanted["published"]
    check_pieces(CampPlusEmbedder.from_checkpoint(Checkpoint(Path("campplus.bin"), {}, drawn_weights(shapes))), wanted)
