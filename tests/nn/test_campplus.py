"""CAM++: sizes read off weights, the context mask by hand, and independence of the rows of a batch."""

from __future__ import annotations

import pytest
import torch
from fakes_networks import drawn_weights, shapes_of

from speakerdiar.nn.campplus import SEGMENT, CampPlusNetwork, CampPlusShape, ContextMask, campplus_shape

SMALL = CampPlusShape(16, 5, 3, 6, 2, 4, (2, 1, 3))


@pytest.fixture
def network() -> CampPlusNetwork:
    made = CampPlusNetwork(SMALL).eval()
    made.load_state_dict(drawn_weights(shapes_of(made.state_dict())))
    return made


def test_sizes_are_read_off_the_weights(network: CampPlusNetwork) -> None:
    assert campplus_shape(network.state_dict()) == SMALL


@pytest.mark.parametrize("name", ["head.conv1.weight", "xvector.tdnn.linear.weight", "xvector.dense.linear.weight"])
def test_weights_without_sizes_have_no_shape(network: CampPlusNetwork, name: str) -> None:
    weights = {key: value for key, value in network.state_dict().items() if key != name}
    with pytest.raises(KeyError, match=name):
        campplus_shape(weights)


@torch.inference_mode()
def test_rows_of_a_batch_do_not_meet(network: CampPlusNetwork) -> None:
    features = torch.randn(3, 50, 16, generator=torch.Generator().manual_seed(1))
    together = network(features)
    assert together.shape == (3, 5)
    for row, expected in zip(features, together, strict=True):
        torch.testing.assert_close(network(row[None])[0], expected)


@torch.inference_mode()
def test_a_mask_sees_the_utterance_and_its_segment() -> None:
    torch.manual_seed(3)
    layer = ContextMask(4, 2, dilation=2)
    frames = 2 * SEGMENT + 30
    x = torch.randn(1, 4, frames)
    found, local = layer(x), layer.linear_local(x)
    for frame in (0, SEGMENT - 1, SEGMENT, frames - 1):
        first = frame // SEGMENT * SEGMENT
        context = x.mean(-1) + x[..., first : first + SEGMENT].mean(-1)
        mask = layer.linear2(torch.relu(layer.linear1(context[..., None])))[..., 0].sigmoid()
        torch.testing.assert_close(found[..., frame], local[..., frame] * mask)
