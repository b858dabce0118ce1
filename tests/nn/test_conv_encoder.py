"""The network of single frames against the convolutions that it stands for."""

from __future__ import annotations

import torch
from torch import nn

from speakerdiar.nn.conv_encoder import ConvEncoder


def test_layers_are_convolutions_and_all_but_the_first_add_their_input() -> None:
    torch.manual_seed(0)
    network, rows = ConvEncoder(3, 5, 5, 2), torch.randn(2, 7, 5)
    convs = [module for module in network.modules() if isinstance(module, nn.Conv1d)]
    images = torch.tanh(convs[0](rows.transpose(1, 2)))
    for conv in convs[1:3]:
        images = torch.tanh(conv(images) + images)
    torch.testing.assert_close(network(rows), convs[3](images).transpose(1, 2))


def test_frames_do_not_see_each_other() -> None:
    network, rows = ConvEncoder(2, 4, 6, 3), torch.randn(1, 9, 4)
    torch.testing.assert_close(network(rows)[:, 4], network(rows[:, 4]))
