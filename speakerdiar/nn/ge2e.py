"""The speaker encoder of Wan et al. 2018, "Generalized end-to-end loss for speaker verification" (arXiv:1710.10467)."""

from __future__ import annotations

import torch


class Ge2eEncoder(torch.nn.Module):
    """Three LSTM layers; the last one's final state goes through a linear layer and a ReLU (section 2.1).

    Args:
        n_mels: bands of the mel frames that come in.
        hidden: size of the LSTM's state.
        dimension: size of the embedding.
        layers: LSTM layers.
    """

    def __init__(self, n_mels: int = 40, hidden: int = 256, dimension: int = 256, layers: int = 3) -> None:
        super().__init__()
        self.lstm = torch.nn.LSTM(n_mels, hidden, layers, batch_first=True)
        self.linear = torch.nn.Linear(hidden, dimension)

    def forward(self, mels: torch.Tensor, lengths: torch.Tensor | None = None) -> torch.Tensor:
        """Return embeddings of no fixed length, (B, dimension), of mel frames (B, T, n_mels).

        Args:
            mels: the frames.
            lengths: frames of each row that count, the first ones, int64 from 1 to T, (B,); all if left out.
        """
        states, _ = self.lstm(mels)  # (B, T, H); the cheap way to the last layer's state at the end
        last = states[:, -1] if lengths is None else states[torch.arange(len(states)), lengths - 1]
        return torch.relu(self.linear(last))
