"""Encoding a recording stretch by stretch gives the frames of the whole, whatever the lengths."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sond_files import BANDS, SHAPE, sond_network

from speakerdiar.models.diarizers.sond_inputs import FEATURES
from speakerdiar.models.diarizers.sond_stretches import cut, margin_of, stretches_of
from speakerdiar.models.diarizers.sond_windows import SondPlan, Stretch
from speakerdiar.nn.kaldi_fbank import KaldiFbank
from speakerdiar.nn.sond import SondNetwork
from speakerdiar.recording import Recording

RATE = 16000
SHAPES = {
    "n16k4": SHAPE,
    "callhome": replace(SHAPE, variant="callhome", speaker_encoder=None, ci_scorer="conv", window=7),
}
NOISE = np.random.default_rng(4).standard_normal(8 * RATE).astype(np.float32)
NOISE *= np.repeat(np.random.default_rng(5).uniform(0.001, 0.3, 80).astype(np.float32), RATE // 10)
"""Of a loudness that changes every 0.1 s."""


@cache
def network_of(variant: str) -> SondNetwork:
    return sond_network(shape=SHAPES[variant])


def plan_of(window: int, encode: int) -> SondPlan:
    return SondPlan(window=window * 0.08, step=0.08, encode=encode * 0.08)


def joined(recording: Recording, fbank: KaldiFbank, network: SondNetwork, plan: SondPlan) -> Stretch:
    with torch.inference_mode():
        found = list(stretches_of(recording, fbank, network, plan))
    assert all(len(stretch.frames) == len(stretch.loud) for stretch in found)
    ends = [stretch.end for stretch in found]
    assert ends == sorted(ends)
    return Stretch(torch.cat([s.frames for s in found]), torch.cat([s.loud for s in found]), ends[-1])


@torch.inference_mode()
def at_once(features: torch.Tensor, network: SondNetwork, window: int) -> torch.Tensor:
    """The frames of the whole, filled up to a multiple of 8 where it is longer than a window."""
    if len(features) > 8 * window:
        features = torch.cat([features, features[-1:].expand(-len(features) % 8, -1)])
    if not len(features):
        return torch.zeros(0, network.shape.dimension)
    return network.frames(features[None], torch.tensor([len(features)]))[0]


def assert_frames(found: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("variant", SHAPES)
@settings(deadline=None, max_examples=40)
@given(
    samples=st.integers(1, len(NOISE)),
    window=st.integers(1, 30),
    encode=st.integers(1, 90),
    snip_edges=st.booleans(),
)
@example(samples=40 * 1280, window=40, encode=40, snip_edges=False)
@example(samples=40 * 1280 + 81, window=40, encode=1, snip_edges=False)
@example(samples=79, window=1, encode=1, snip_edges=False)
def test_stretches_of_audio_are_the_whole(
    variant: str, samples: int, window: int, encode: int, snip_edges: bool
) -> None:
    network, fbank = network_of(variant), KaldiFbank(replace(BANDS, snip_edges=snip_edges))
    heard = NOISE[:samples]
    found = joined(Recording("one", heard, RATE), fbank, network, plan_of(window, encode))
    assert_frames(found.frames, at_once(fbank(torch.from_numpy(heard)), network, window))
    assert found.end == samples / RATE


@pytest.mark.parametrize("variant", SHAPES)
@settings(deadline=None, max_examples=40)
@given(count=st.integers(1, 800), window=st.integers(1, 30), encode=st.integers(1, 90))
def test_stretches_of_features_are_the_whole(variant: str, count: int, window: int, encode: int) -> None:
    network, fbank = network_of(variant), KaldiFbank(BANDS)
    features = fbank(torch.from_numpy(NOISE))[:count]
    recording = Recording("one", NOISE, RATE, extra={FEATURES: Matrix(features.numpy())})
    found = joined(recording, fbank, network, plan_of(window, encode))
    assert_frames(found.frames, at_once(features, network, window))
    assert found.loud.all()
    assert found.end == pytest.approx(count / 100)


@dataclass(frozen=True)
class Matrix:
    """Features as a list of files holds them."""

    rows: np.ndarray

    def read(self) -> np.ndarray:
        return self.rows


@pytest.mark.parametrize("encode", [20, 31, 99])
def test_silence_is_known_frame_by_frame(encode: int) -> None:
    samples = NOISE[: 6 * RATE].copy()
    samples[30 * 1280 : 50 * 1280] = 2.0**-15
    found = joined(Recording("one", samples, RATE), KaldiFbank(BANDS), network_of("n16k4"), plan_of(10, encode))
    assert found.loud.tolist() == [True] * 30 + [False] * 20 + [True] * 25


def test_the_margin_is_what_frames_and_filter_bank_see() -> None:
    # 1 + 2 (1 + 2 + 4 + 8) frames of the trunk, 10 frames of 80 ms of pooling, 3 of the filter bank's own length
    assert margin_of(KaldiFbank(BANDS), network_of("n16k4")) == -(-(31 + 80 + 3) // 8)


@given(lengths=st.lists(st.integers(0, 12), max_size=6), size=st.integers(1, 9), step=st.integers(1, 9))
def test_pieces_overlap_and_end_with_what_is_left(lengths: list[int], size: int, step: int) -> None:
    step = min(size, step)
    whole, ends = torch.arange(sum(lengths)), np.cumsum([0, *lengths])
    blocks = [whole[first:end] for first, end in pairwise(ends)]
    pieces = list(cut(blocks, size, step))
    assert [last for _, _, last in pieces] == [False] * (len(pieces) - 1) + [True] * bool(pieces)
    assert [first for first, _, _ in pieces] == [index * step for index in range(len(pieces))]
    assert all(torch.equal(piece, whole[first : first + size]) for first, piece, _ in pieces)
    assert bool(pieces) == bool(len(whole))
    assert not pieces or pieces[-1][0] + len(pieces[-1][1]) == len(whole)
