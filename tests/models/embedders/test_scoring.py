"""What a folder says of how vectors are compared is read back, or refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes_networks import drawn_weights, shapes_of

from speakerdiar.checkpoints.folder import ModelCard, write_folder
from speakerdiar.errors import WeightsError
from speakerdiar.models.embedders import make_embedder
from speakerdiar.models.embedders.scoring import Scoring
from speakerdiar.models.saving_parts import save_part
from speakerdiar.nn.resnet34 import ResNetShape, SpeakerResNet

FILE = Path("folder")
SCORING: dict[str, Any] = {
    "centre": [0.25, -0.5, 1.0],
    "voice_threshold": 0.4,
    "slot_threshold": 0.6,
    "linking_threshold": 0.7,
}


def test_it_is_read_back() -> None:
    found = Scoring.of({"scoring": SCORING}, 3, FILE)
    np.testing.assert_allclose(np.asarray(found.centre), SCORING["centre"])
    assert found.plain() == SCORING
    assert (found.voice_threshold, found.slot_threshold, found.linking_threshold) == (0.4, 0.6, 0.7)


def test_what_is_missing_is_not_known() -> None:
    found = Scoring.of({}, 3, FILE)
    assert found.plain() == {}
    assert found.centre is None
    assert found.voice_threshold is None


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"centre": [1.0, 2.0]}, "list of 3 numbers"),
        ({"centre": [1.0, "x", 2.0]}, "list of 3 numbers"),
        ({"centre": [1.0, float("nan"), 2.0]}, "list of 3 numbers"),
        ({"voice_threshold": "high"}, "voice_threshold is 'high'"),
        ({"slot_threshold": True}, "slot_threshold is True"),
        ({"threshold": 0.3}, "has threshold"),
        ([0.3], r"has \[0.3\]"),
    ],
)
def test_what_cannot_be_is_refused(given: Any, named: str) -> None:
    with pytest.raises(WeightsError, match=named):
        Scoring.of({"scoring": given}, 3, FILE)


def test_an_embedder_has_what_its_folder_says_and_keeps_it(tmp_path: Path) -> None:
    network = SpeakerResNet(ResNetShape(channels=4, blocks=(1, 1, 1, 1), mel_bins=16, dimension=3))
    config = {"model": "wespeaker-resnet", "scoring": SCORING}
    weights = drawn_weights(shapes_of(network.state_dict()))
    card = ModelCard("t", "s", "l", "o")
    folder = write_folder(tmp_path / "first", config, weights, card)
    for place in (folder, save_part(folder, tmp_path / "second")):
        embedder = make_embedder(place)
        np.testing.assert_allclose(np.asarray(embedder.centre), SCORING["centre"])
        assert (embedder.voice_threshold, embedder.slot_threshold) == (0.4, 0.6)
        assert embedder.linking_threshold == 0.7
