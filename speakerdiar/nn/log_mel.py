"""Log-mel features as NVIDIA's speech models take them, whole or as a stream, in memory that the length doesn't change.

Pre-emphasis y[0] = x[0], y[t] = x[t] - 0.97 x[t-1]; frame `t` is centred on sample `t * hop`, under a symmetric Hann
window shorter than the transform; power spectrum, Slaney's mel bands, log(mel + 2^-24). Nothing lies outside the audio
but zeros. n samples give n // hop frames.
"""

from __future__ import annotations

import torch

from speakerdiar.nn.frontend import FRAMES_AT_ONCE, mel_filters

LOG_GUARD = 2.0**-24
"""Added to powers, so that digital silence has a logarithm."""
STD_GUARD = 1e-5
"""Added to standard deviations, so that a band that never changes can be divided by its own."""


class LogMel(torch.nn.Module):
    """Log-mel spectrogram with pre-emphasis.

    Args:
        n_mels: bands.
        sample_rate: Hz.
        n_fft: points of the transform.
        window: samples under the window, `n_fft` at most.
        hop: samples from frame to frame.
        preemphasis: share of the sample before that each sample loses.
    """

    window: torch.Tensor
    filters: torch.Tensor

    def __init__(
        self,
        n_mels: int = 128,
        *,
        sample_rate: int = 16000,
        n_fft: int = 512,
        window: int = 400,
        hop: int = 160,
        preemphasis: float = 0.97,
    ) -> None:
        super().__init__()
        self.n_mels, self.sample_rate, self.n_fft, self.hop = n_mels, sample_rate, n_fft, hop
        self.preemphasis = preemphasis
        self.reach = window // 2
        """Samples that a frame needs on either side of its centre."""
        self.register_buffer("window", torch.hann_window(window, periodic=False), persistent=False)
        filters = torch.from_numpy(mel_filters(sample_rate, n_fft, n_mels)).T.contiguous()
        self.register_buffer("filters", filters, persistent=False)

    def frames(self, samples: int) -> int:
        """Frames that so many samples give."""
        return samples // self.hop

    def samples(self, frames: int) -> int:
        """Samples that must have been heard before so many frames are complete."""
        return (frames - 1) * self.hop + self.reach if frames else 0

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        """Return the features of samples (n,): (n // hop, n_mels)."""
        stream = MelStream(self)
        return torch.cat([stream.push(samples), stream.finish()])

    def of_utterances(self, samples: torch.Tensor) -> torch.Tensor:
        """Return the features of rows (B, n), each an utterance by itself: (B, n // hop, n_mels)."""
        frames = self.frames(samples.shape[1])
        if not frames:
            return samples.new_zeros((len(samples), 0, self.n_mels))
        before = torch.nn.functional.pad(samples[:, :-1], (1, 0))
        padded = torch.nn.functional.pad(samples - self.preemphasis * before, (self.reach, self.reach))
        framed = padded.unfold(1, len(self.window), self.hop)[:, :frames]  # (B, frames, window), a view
        return self._log_mel(framed)

    def emphasized(self, samples: torch.Tensor, before: torch.Tensor) -> torch.Tensor:
        """Return pre-emphasized samples (n,); `before` (1,) is the sample in front of them."""
        return samples - self.preemphasis * torch.cat([before, samples[:-1]])

    def of_windows(self, samples: torch.Tensor, frames: int) -> torch.Tensor:
        """Return the features (frames, n_mels) of pre-emphasized samples that begin where the first window does."""
        if frames < 1:  # fewer samples than a window holds can't be unfolded
            return samples.new_zeros((0, self.n_mels))
        framed = samples.unfold(0, len(self.window), self.hop)[:frames]  # (frames, window), a view
        return torch.cat([self._log_mel(framed[at : at + FRAMES_AT_ONCE]) for at in range(0, frames, FRAMES_AT_ONCE)])

    def _log_mel(self, framed: torch.Tensor) -> torch.Tensor:
        # Where the window lies under the transform turns phases alone, which the power doesn't see.
        spectrum = torch.fft.rfft(framed * self.window, n=self.n_fft)  # (frames, n_fft // 2 + 1)
        power = spectrum.real.square() + spectrum.imag.square()
        return torch.matmul(power, self.filters).add_(LOG_GUARD).log_()


class MelStream:
    """The features of one recording whose samples come in pieces.

    Frames come out as soon as their windows are full. Cut at the same places, a stream gives the same numbers to the
    last bit; cut elsewhere, the same but for rounding.
    """

    def __init__(self, mel: LogMel) -> None:
        self._mel = mel
        zeros = mel.window.new_zeros
        self._before = zeros(1)
        self._tail = zeros(mel.reach)  # what lies in front of the audio under the first window
        self._heard = 0
        self._given = 0

    def push(self, samples: torch.Tensor) -> torch.Tensor:
        """Take the next samples (n,); return the frames that are complete, (m, n_mels)."""
        if len(samples):
            self._tail = torch.cat([self._tail, self._mel.emphasized(samples, self._before)])
            self._before = samples[-1:].clone()
            self._heard += len(samples)
        complete = max(0, (self._heard - self._mel.reach) // self._mel.hop + 1)
        return self._take(complete - self._given)

    def finish(self) -> torch.Tensor:
        """Return the last frames, whose windows stick out of the audio: (m, n_mels)."""
        self._tail = torch.nn.functional.pad(self._tail, (0, 2 * self._mel.reach))
        return self._take(self._mel.frames(self._heard) - self._given)

    def _take(self, frames: int) -> torch.Tensor:
        features = self._mel.of_windows(self._tail, frames)
        self._tail = self._tail[frames * self._mel.hop :].clone()
        self._given += frames
        return features


def per_feature(features: torch.Tensor) -> torch.Tensor:
    """Bring each band of features (..., T, n_mels) to mean 0 and standard deviation 1 (the unbiased one)."""
    if features.shape[-2] < 2:
        return torch.zeros_like(features)
    std, mean = torch.std_mean(features, dim=-2, keepdim=True)
    return (features - mean) / (std + STD_GUARD)
