"""SOND's frames of a recording of any length: each is computed once, as if the whole had been heard at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch.nn import functional

from speakerdiar.audio import read_blocks
from speakerdiar.errors import InputError
from speakerdiar.models.diarizers.sond_inputs import FEATURES
from speakerdiar.models.diarizers.sond_windows import FRAME_SECONDS, REDUCTION, SondPlan, Stretch
from speakerdiar.nn.kaldi_fbank import KaldiFbank
from speakerdiar.nn.preact_resnet import frame_count
from speakerdiar.nn.sond import SondNetwork
from speakerdiar.recording import Recording

SILENCE_PEAK = 2.0**-15
"""Peak of digital silence: no sample is louder than the smallest step of 16 bits. Nobody talks in such a window."""


@dataclass(frozen=True, eq=False)
class _Part:
    """A stretch with its margins: features (T, bands), where someone may talk (L,), its place, and its end (s)."""

    features: torch.Tensor
    loud: torch.Tensor
    begins: bool
    ends: bool
    end: float


def stretches_of(recording: Recording, fbank: KaldiFbank, network: SondNetwork, plan: SondPlan) -> Iterator[Stretch]:
    """Read a recording, or its features, and encode it stretch by stretch, in memory that one stretch bounds.

    A stretch is encoded with margins as wide as a frame's sight, which are thrown away. It begins at a multiple of 8
    frames of the filter bank and is filled up to one: the last frame is repeated, seven times at most, behind the end
    of the recording, so that the network's strides fall on the same frames everywhere. A recording that fits into a
    window isn't filled up, which FunASR doesn't do either.

    Raises:
        InputError: features of another size than the filter bank's.
    """
    step, margin = plan.stretch_frames, margin_of(fbank, network)
    parts = _feature_parts if FEATURES in recording.extra else _audio_parts
    dtype = next(network.parameters()).dtype
    for part in parts(recording, fbank, step + 2 * margin, step):
        features, count = part.features, len(part.features)
        if count > REDUCTION * plan.window_frames or not (part.begins and part.ends):
            features = _filled(features)
        frames = _encoded(features.to(dtype), network)
        inner = slice(0 if part.begins else margin, len(frames) if part.ends else step + margin)
        yield Stretch(frames[inner], part.loud[: len(frames)][inner], part.end)


def margin_of(fbank: KaldiFbank, network: SondNetwork) -> int:
    """Return how many of the network's frames before and behind one are needed for it to be that of the whole.

    Frames of the filter bank that pass the ends of a stretch are others than those of the whole, too.
    """
    passing = -(-fbank.options.length // fbank.options.shift)
    return frame_count(network.reach + passing)


def cut(blocks: Iterable[torch.Tensor], size: int, step: int) -> Iterator[tuple[int, torch.Tensor, bool]]:
    """Yield pieces, where they begin, and whether they are the last, which is as long as what is left.

    Args:
        blocks: samples (n,) or frames (n, bands), which no more than a block and a piece of are held.
        size: samples or frames of a piece.
        step: from one to the next.
    """
    rest, first = None, 0
    for block in blocks:
        rest = block if rest is None else torch.cat([rest, block])
        while len(rest) > size:
            yield first, rest[:size], False
            rest, first = rest[step:], first + step
    if rest is not None and len(rest):
        yield first, rest, True


def _audio_parts(recording: Recording, fbank: KaldiFbank, size: int, step: int) -> Iterator[_Part]:
    rate, samples_a_frame = fbank.options.sample_rate, REDUCTION * fbank.options.shift
    blocks = map(torch.from_numpy, read_blocks(recording, rate, step * samples_a_frame / rate))
    for first, samples, ends in cut(blocks, size * samples_a_frame, step * samples_a_frame):
        peaks = functional.pad(samples.abs(), (0, -len(samples) % samples_a_frame)).view(-1, samples_a_frame)
        loud = peaks.amax(dim=1) > SILENCE_PEAK
        features = fbank(samples.to(fbank.window.device))
        yield _Part(features, loud, not first, ends, (first + len(samples)) / rate)


def _feature_parts(recording: Recording, fbank: KaldiFbank, size: int, step: int) -> Iterator[_Part]:
    matrix = recording.extra[FEATURES].read()
    bands = fbank.options.mel_bins
    if matrix.ndim != 2 or matrix.shape[1] != bands:
        raise InputError(f"{recording.id}: features of shape {matrix.shape}: give (frames, {bands}).")
    most = len(matrix) if recording.duration is None else round(recording.duration / FRAME_SECONDS)
    whole = torch.tensor(matrix[:most], dtype=torch.float32)
    for first, rows, ends in cut([whole], size * REDUCTION, step * REDUCTION):
        loud = torch.ones(frame_count(len(rows)), dtype=torch.bool)
        yield _Part(rows.to(fbank.window.device), loud, not first, ends, (first + len(rows)) * FRAME_SECONDS)


def _filled(features: torch.Tensor) -> torch.Tensor:
    """Return features (T, bands) with their last frame repeated up to a multiple of 8 frames."""
    return torch.cat([features, features[-1:].expand(-len(features) % REDUCTION, -1)])


def _encoded(features: torch.Tensor, network: SondNetwork) -> torch.Tensor:
    """Return the network's frames (L, D) of features (T, bands); of too little audio for a frame, none."""
    if not len(features):
        return features.new_zeros(0, network.shape.dimension)
    return network.frames(features[None], torch.tensor([len(features)], device=features.device))[0]
