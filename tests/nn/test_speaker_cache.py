"""The memory of a streaming Sortformer: what it keeps, in which order, and that recordings don't mix."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from speakerdiar.errors import ModelError
from speakerdiar.nn.speaker_cache import Chunk, SpeakerCache, pack_step, update_step
from speakerdiar.nn.speaker_cache_params import CacheParams

D = 3


@st.composite
def settings(draw: st.DrawFn) -> CacheParams:
    speakers, silence = draw(st.integers(1, 4)), draw(st.integers(0, 2))
    return CacheParams(
        num_speakers=speakers,
        cache_len=draw(st.integers((1 + silence) * speakers, 20)),
        fifo_len=draw(st.integers(0, 9)),
        update_period=draw(st.integers(1, 12)),
        chunk_len=draw(st.integers(1, 6)),
        left_context=draw(st.integers(0, 2)),
        right_context=draw(st.integers(0, 3)),
        sil_frames_per_speaker=silence,
    )


def params(**changes: Any) -> CacheParams:
    base = CacheParams(
        num_speakers=2, cache_len=6, fifo_len=2, update_period=2, chunk_len=2,
        left_context=0, right_context=0, sil_frames_per_speaker=1,
    )  # fmt: skip
    return dataclasses.replace(base, **changes)


def rising(first: int, count: int) -> torch.Tensor:
    """Embeddings that say which frame they are: `first`, `first + 1`, ... ; never 0."""
    return torch.arange(first, first + count, dtype=torch.float32).unsqueeze(1).expand(count, D)


class Recording:
    """Random steps of one recording: embeddings that number the frames, predictions made of their own bits."""

    def __init__(self, params: CacheParams, seed: int) -> None:
        self.params, self.heard = params, 0
        self.random = torch.Generator().manual_seed(seed)

    def chunk(self) -> Chunk:
        left = min(self.params.left_context, self.heard)
        frames = int(torch.randint(0, self.params.chunk_len + 1, (), generator=self.random))
        first = self.heard + 1 - left
        self.heard += frames
        return Chunk(rising(first, left + frames + self.params.right_context), left, frames)


def network(inputs: torch.Tensor, speakers: int) -> torch.Tensor:
    """Predictions of numbered frames (..., L, D): (..., L, S), in [0, 1], far from all being sound."""
    angles = inputs[..., :1] * torch.arange(1, speakers + 1) * 0.37
    return angles.sin().clamp(min=0)


def step(cache: SpeakerCache, chunk: Chunk) -> torch.Tensor:
    packed, _ = pack_step([cache], [chunk])
    return update_step([cache], [chunk], network(packed, cache.params.num_speakers))[0]


def state(cache: SpeakerCache) -> dict[str, Any]:
    return {name: value for name, value in vars(cache).items() if isinstance(value, torch.Tensor)}


def same(one: SpeakerCache, other: SpeakerCache) -> bool:
    left, right = state(one), state(other)
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


@given(settings(), st.integers(0, 999))
def test_memories_keep_their_lengths(params: CacheParams, seed: int) -> None:
    cache, recording = SpeakerCache.empty(params, D), Recording(params, seed)
    for _ in range(25):
        chunk = recording.chunk()
        emitted = step(cache, chunk)
        own = chunk.embeddings[chunk.left : chunk.left + chunk.frames]
        assert torch.equal(emitted, network(own, params.num_speakers))
        assert len(cache.embeddings) <= params.cache_len
        assert len(cache.fifo) == len(cache.fifo_preds) <= params.fifo_len
        assert cache.preds is None or len(cache.preds) == len(cache.embeddings) == params.cache_len
        newest = rising(recording.heard + 1 - len(cache.fifo), len(cache.fifo))
        assert torch.equal(cache.fifo, newest)
        assert torch.equal(cache.fifo_preds, network(newest, params.num_speakers))


@given(settings(), st.integers(0, 999))
def test_the_cache_is_the_past_until_it_is_full(params: CacheParams, seed: int) -> None:
    cache, recording = SpeakerCache.empty(params, D), Recording(params, seed)
    for _ in range(25):
        step(cache, recording.chunk())
        if cache.compressed:
            break
        assert torch.equal(cache.context(), rising(1, recording.heard))


@given(settings(), st.integers(0, 999))
def test_the_cache_is_ordered_by_speaker_and_then_by_time(params: CacheParams, seed: int) -> None:
    cache, recording = SpeakerCache.empty(params, D), Recording(params, seed)
    for _ in range(25):
        step(cache, recording.chunk())
    if cache.preds is None or params.sil_frames_per_speaker == 0:
        return  # nothing was chosen, or no silence shows where a speaker ends
    silent = (cache.preds == 0).all(dim=1)
    assert torch.equal(cache.embeddings[silent], cache.mean_silence.expand(int(silent.sum()), D))
    assert int(silent.sum()) >= params.num_speakers * params.sil_frames_per_speaker
    speaker, last, places = 0, 0.0, 0
    for frame, row, quiet in zip(cache.embeddings[:, 0], cache.preds, silent, strict=True):
        if quiet:
            places, last = places + 1, 0.0
            speaker = places // params.sil_frames_per_speaker
            continue
        assert row[speaker] > 0.5  # a frame of this speaker
        assert frame > last  # later than the one before
        last = float(frame)


@given(settings(), st.integers(1, 4), st.integers(0, 999))
def test_channels_beyond_the_most_speakers_stay_zero(params: CacheParams, most: int, seed: int) -> None:
    cache = SpeakerCache.empty(params, D, max_speakers=most)
    free = SpeakerCache.empty(params, D)
    one, other = Recording(params, seed), Recording(params, seed)
    for _ in range(25):
        emitted, unmasked = step(cache, one.chunk()), step(free, other.chunk())
        assert torch.equal(emitted[:, :most], unmasked[:, :most])
        stored = [emitted, cache.fifo_preds, *([] if cache.preds is None else [cache.preds])]
        assert all(not preds[:, most:].any() for preds in stored)
        assert torch.equal(cache.silence_frames, free.silence_frames)  # the others' speech isn't silence
        assert torch.equal(cache.mean_silence, free.mean_silence)


@given(settings(), st.integers(1, 4), st.integers(0, 999))
def test_recordings_side_by_side_are_as_alone(params: CacheParams, count: int, seed: int) -> None:
    batch = [SpeakerCache.empty(params, D) for _ in range(count)]
    alone = [SpeakerCache.empty(params, D) for _ in range(count)]
    recordings = [Recording(params, seed + row) for row in range(count)]
    for _ in range(20):
        chunks = [recording.chunk() for recording in recordings]
        packed, lengths = pack_step(batch, chunks)
        for row, length, cache, chunk in zip(packed, lengths, batch, chunks, strict=True):
            assert torch.equal(row[:length], torch.cat([cache.context(), chunk.embeddings]))
            assert not row[length:].any()
        noise = torch.arange(packed.shape[1]) >= lengths.unsqueeze(1)
        preds = network(packed, params.num_speakers).masked_fill(noise.unsqueeze(2), float("nan"))
        emitted = update_step(batch, chunks, preds)
        for row, cache, chunk in zip(emitted, alone, chunks, strict=True):
            assert torch.equal(row, step(cache, chunk))
        assert all(same(one, other) for one, other in zip(batch, alone, strict=True))


def test_a_clone_goes_its_own_way() -> None:
    cache, recording = SpeakerCache.empty(params(), D), Recording(params(), 0)
    for _ in range(12):
        step(cache, recording.chunk())
    kept, before = cache.clone(), {name: value.clone() for name, value in state(cache).items()}
    for _ in range(12):
        step(cache, recording.chunk())
    assert not same(cache, kept)
    assert all(torch.equal(value, before[name]) for name, value in state(kept).items())


def test_past_predictions_are_renewed_until_the_cache_is_full() -> None:
    """Frames 1 to 6 fill the cache; that frame 1 was speaker 2's is only seen when frames 7 and 8 push them out."""
    cache = SpeakerCache.empty(params(fifo_len=0), 1)
    for first in (1, 3, 5):
        cache.update(rising(first, 2)[:, :1], torch.tensor([[0.9, 0.0]]).repeat(first + 1, 1))
    assert not cache.compressed
    preds = torch.tensor([[0.9, 0.0]]).repeat(8, 1)
    preds[0] = torch.tensor([0.0, 0.9])
    cache.update(rising(7, 2)[:, :1], preds)
    assert cache.compressed
    held = cache.embeddings[:, 0].tolist()
    assert 1.0 in held[held.index(0.0) :]  # behind the first speaker's silence


def test_the_fifo_has_the_predictions_of_the_latest_step() -> None:
    cache = SpeakerCache.empty(params(fifo_len=4), D)
    cache.update(rising(1, 2), torch.full((2, 2), 0.1))
    cache.update(rising(3, 2), torch.tensor([[0.2], [0.3], [0.4], [0.5]]).expand(4, 2))
    assert cache.fifo_preds[:, 0].tolist() == pytest.approx([0.2, 0.3, 0.4, 0.5])


def test_the_mean_of_silence_runs() -> None:
    cache = SpeakerCache.empty(params(fifo_len=0), 1)
    cache.update(torch.tensor([[1.0], [5.0]]), torch.tensor([[0.0, 0.1], [0.0, 0.3]]))
    assert (cache.mean_silence.item(), int(cache.silence_frames)) == (1.0, 1)
    cache.update(torch.tensor([[2.0], [6.0]]), torch.tensor([[0.0, 0.1]]).repeat(4, 1))
    assert (cache.mean_silence.item(), int(cache.silence_frames)) == (3.0, 3)


def test_half_precision_is_scored_in_float32() -> None:
    """What is chosen, and the mean of silence, are those of float32; only what is stored is rounded."""
    cache = SpeakerCache.empty(params(fifo_len=0), D, dtype=torch.bfloat16)
    full = SpeakerCache.empty(params(fifo_len=0), D)
    recording = Recording(params(), 1)
    for _ in range(20):
        chunk = recording.chunk()
        halved = dataclasses.replace(chunk, embeddings=chunk.embeddings.bfloat16())
        packed, _ = pack_step([cache], [halved])
        assert packed.dtype == torch.bfloat16
        update_step([cache], [halved], network(packed.float(), 2))
        step(full, chunk)
    assert cache.compressed
    assert cache.embeddings.dtype == torch.bfloat16
    assert cache.mean_silence.dtype == torch.float32
    torch.testing.assert_close(cache.embeddings.float(), full.embeddings, rtol=1e-2, atol=0)


def test_what_is_stored_does_not_keep_the_step_alive() -> None:
    """A day of emitted predictions must not hold a day of inputs, nor a FIFO what has left it."""
    cache = SpeakerCache.empty(params(), D)
    for first in (1, 3, 5):
        emitted = cache.update(rising(first, 2), torch.rand(len(cache) + 3, 2))
    for tensor in (emitted, cache.embeddings, cache.fifo, cache.fifo_preds):
        assert tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()


@pytest.mark.parametrize("shape", [(3, 2), (4, 3), (4,)])
def test_predictions_that_do_not_fit_are_refused(shape: tuple[int, ...]) -> None:
    cache = SpeakerCache.empty(params(), D)
    cache.update(rising(1, 2), torch.zeros(2, 2))
    with pytest.raises(ModelError, match=r"predictions \(.*\) don't fit a step of 4 frames and 2 speakers"):
        cache.update(rising(3, 2), torch.zeros(shape))
