"""The network of silero-vad 6 at 16 kHz, run over whole stretches instead of frame by frame.

    samples -> 4 short-time spectra a frame -> 4 convolutions -> LSTM over frames -> speech probability

A frame of 512 samples is looked at together with the 64 samples in front of it. Frames meet only in the LSTM, so all
that comes before it runs on all frames at once.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch.nn import functional

from speakerdiar.nn.threads import one_thread

FRAME = 512
"""Samples of a frame: 32 ms."""
CONTEXT = 64
"""Samples before a frame that are looked at with it."""
FRAMES_AT_ONCE = 512
"""Frames whose spectra are held at a time (2 MB)."""
FFT, BINS = 256, 129

LstmState = tuple[torch.Tensor, torch.Tensor]


class SileroNetwork(torch.nn.Module):
    """Speech probability of each frame."""

    def __init__(self) -> None:
        super().__init__()
        self.stft_conv = torch.nn.Conv1d(1, 2 * BINS, FFT, stride=FFT // 2, bias=False)
        self.conv1 = torch.nn.Conv1d(BINS, 128, 3, padding=1)
        self.conv2 = torch.nn.Conv1d(128, 64, 3, stride=2, padding=1)
        self.conv3 = torch.nn.Conv1d(64, 64, 3, stride=2, padding=1)
        self.conv4 = torch.nn.Conv1d(64, 128, 3, padding=1)
        self.lstm = torch.nn.LSTM(128, 128, batch_first=True)
        self.final_conv = torch.nn.Conv1d(128, 1, 1)

    def forward(self, samples: torch.Tensor, state: LstmState | None = None) -> tuple[torch.Tensor, LstmState]:
        """Score consecutive frames.

        Args:
            samples: (B, CONTEXT + T * FRAME), the context first: the samples before the first frame, or zeros.
            state: the LSTM's state behind the frame before; None at the start of a recording.

        Returns:
            Probabilities (B, T), and the state behind the last frame.
        """
        frames = samples.unfold(1, CONTEXT + FRAME, FRAME)  # (B, T, 576), a view
        batch, count, size = frames.shape
        with one_thread():
            encoded = [self._encode(part) for part in torch.split(frames.reshape(-1, size), FRAMES_AT_ONCE)]
            features = torch.cat(encoded).reshape(batch, count, -1)  # (B, T, 128)
            hidden, state = self.lstm(features, state)
            logits = self.final_conv(torch.relu(hidden).transpose(1, 2))  # (B, 1, T)
            return torch.sigmoid(logits).squeeze(1), state

    def _encode(self, frames: torch.Tensor) -> torch.Tensor:
        """Encode frames (N, CONTEXT + FRAME) to (N, 128), each on its own."""
        padded = functional.pad(frames.unsqueeze(1), (0, FFT // 4), mode="reflect")
        parts = self.stft_conv(padded)  # (N, real bins then imaginary bins, 4)
        x: torch.Tensor = (parts[:, :BINS].square() + parts[:, BINS:].square()).sqrt()
        for convolution in (self.conv1, self.conv2, self.conv3, self.conv4):
            x = torch.relu(convolution(x))
        return x.squeeze(-1)


def from_silero_names(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Pick the 16 kHz network's weights out of silero's own, by this network's names."""
    names = {"_model.stft.forward_basis_buffer": "stft_conv.weight"}
    for part in ("weight", "bias"):
        names[f"_model.decoder.decoder.2.{part}"] = f"final_conv.{part}"
        for layer in range(4):
            names[f"_model.encoder.{layer}.reparam_conv.{part}"] = f"conv{layer + 1}.{part}"
        for gate in ("ih", "hh"):
            names[f"_model.decoder.rnn.{part}_{gate}"] = f"lstm.{part}_{gate}_l0"
    own = {name: value for name, value in weights.items() if name.startswith("_model.")}
    return {names.get(name, name): value for name, value in own.items()}
