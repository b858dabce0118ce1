"""The Sortformer network: sizes that can't be, rows beside padding, and learning."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from fakes_sortformer import tiny_network, tiny_shape
from hypothesis import given, settings
from hypothesis import strategies as st

from speakerdiar.errors import ConfigError
from speakerdiar.nn.sortformer import SortformerNetwork, SortformerShape

SHAPE = tiny_shape()


def mel_frames(frames: int, seed: int = 0, rows: int = 1) -> torch.Tensor:
    """Mel frames for so many frames, about as loud as speech."""
    draw = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(rows, 8 * frames, SHAPE.n_mels, generator=draw) - 9


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_mels": 0}, "n_mels=0: give a whole number, 1 or more"),
        ({"speakers": -1}, "speakers=-1: give a whole number, 1 or more"),
        ({"layers": 1.5}, "layers=1.5: give a whole number"),
        ({"channels": True}, "channels=True: give a whole number"),
        ({"d_inner": "64"}, "d_inner='64': give a whole number"),
        ({"kernel": 8}, "kernel=8: give an odd number of frames"),
        ({"heads": 5}, "d_model=32 can't be divided by heads=5: give a multiple of it"),
        ({"d_transformer": 25}, "d_transformer=25 can't be divided by transformer_heads=3: give a multiple of it"),
    ],
)
def test_sizes_that_cant_be_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message.replace("(", r"\(")):
        replace(SHAPE, **changes)


def test_the_default_sizes_are_those_of_v2() -> None:
    """990 tensors, of which 2 are of the front end and 2 of a layer that is never called; 117 million numbers."""
    with torch.device("meta"):
        network = SortformerNetwork(SortformerShape())
    assert len(network.state_dict()) == 990 - 4
    assert sum(value.numel() for value in network.parameters()) == pytest.approx(117e6, rel=0.01)


@settings(max_examples=20)
@given(lengths=st.lists(st.integers(1, 40), min_size=1, max_size=4))
def test_padding_and_neighbours_never_change_a_row(lengths: list[int]) -> None:
    network = tiny_network()
    rows = [network.pre_encode(mel_frames(length, seed=index))[0] for index, length in enumerate(lengths)]
    padded = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=-3.0)
    together = network(padded, torch.tensor(lengths))
    assert together.shape == (len(rows), max(lengths), SHAPE.speakers)
    for row, length, found in zip(rows, lengths, together, strict=True):
        torch.testing.assert_close(found[:length], network(row[None])[0], rtol=0, atol=1e-5)
        assert not found[length:].any()


def test_chances_of_speakers_depend_on_every_frame() -> None:
    network = tiny_network()
    frames = network.pre_encode(mel_frames(30))
    before = network(frames)
    assert ((before > 0) & (before < 1)).all()
    assert (before.std(1) > 0.01).all()
    frames[0, 29] *= -3  # adding a number to all of a frame would be lost in the first layer norm
    assert ((network(frames)[0, 0] - before[0, 0]).abs() > 0.01).all()


def test_gradients_reach_every_weight_in_training() -> None:
    network = tiny_network().train().requires_grad_(True)
    mels = mel_frames(20, rows=2)
    chances = network(network.pre_encode(mels), torch.tensor([20, 13]))
    wanted = (chances.detach() < 0.5).float()
    loss = torch.nn.functional.binary_cross_entropy(chances, wanted)
    torch.autograd.backward(loss)
    still = [name for name, value in network.named_parameters() if value.grad is None or not value.grad.any()]
    # A shift of all scores of a query alike changes no softmax.
    assert all(name.endswith(("linear_k.bias", "key_net.bias", "depthwise_conv.bias")) for name in still), still
    with torch.no_grad():
        for value in network.parameters():
            assert value.grad is not None
            value.sub_(0.01 * value.grad)
    again = network(network.pre_encode(mels), torch.tensor([20, 13]))
    assert torch.nn.functional.binary_cross_entropy(again, wanted) < loss


def test_no_frames_are_no_error() -> None:
    network = tiny_network()
    assert network.pre_encode(torch.zeros(3, 0, SHAPE.n_mels)).shape == (3, 0, SHAPE.d_model)
