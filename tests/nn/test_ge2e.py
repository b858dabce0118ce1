"""The GE2E encoder against the equations of its LSTM, by hand."""

from __future__ import annotations

import torch

from speakerdiar.nn.ge2e import Ge2eEncoder


def test_follows_the_equations() -> None:
    torch.manual_seed(0)
    encoder = Ge2eEncoder(n_mels=3, hidden=4, dimension=5, layers=2)
    mels = torch.rand(1, 6, 3)
    frames = mels[0]
    for layer in range(2):
        names = ("weight_ih", "bias_ih", "weight_hh", "bias_hh")
        weights = [getattr(encoder.lstm, f"{name}_l{layer}") for name in names]
        hidden, cell, out = torch.zeros(4), torch.zeros(4), []
        for frame in frames:
            gates = weights[0] @ frame + weights[1] + weights[2] @ hidden + weights[3]
            i, f, g, o = gates.split(4)
            cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
            hidden = o.sigmoid() * cell.tanh()
            out.append(hidden)
        frames = torch.stack(out)
    expected = (encoder.linear.weight @ frames[-1] + encoder.linear.bias).clamp(min=0)
    torch.testing.assert_close(encoder(mels)[0], expected)


def test_frames_behind_the_length_do_not_count() -> None:
    torch.manual_seed(0)
    encoder = Ge2eEncoder(n_mels=3, hidden=4, dimension=5, layers=2)
    mels = torch.rand(2, 6, 3)
    found = encoder(mels, torch.tensor([6, 4]))
    torch.testing.assert_close(found[:1], encoder(mels[:1]))
    torch.testing.assert_close(found[1:], encoder(mels[1:, :4]))
