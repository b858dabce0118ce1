"""Training through the speaker cache: the order of speakers in it is drawn, and the channels are right all the same."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from fakes_sortformer import tiny_network

from speakerdiar.nn.shuffled_cache import ShuffledCache, drawn_order, streamed
from speakerdiar.nn.speaker_cache import SpeakerCache
from speakerdiar.nn.speaker_cache_params import CacheParams

PARAMS = CacheParams(
    num_speakers=4, cache_len=20, fifo_len=3, update_period=4, chunk_len=5,
    left_context=1, right_context=1, sil_frames_per_speaker=1,
)  # fmt: skip


def mels(frames: int, rows: int = 1, seed: int = 0) -> torch.Tensor:
    """Mel frames whose loudness comes and goes, for so many frames."""
    draw = torch.Generator().manual_seed(seed)
    loudness = torch.randn(rows, frames, 1, generator=draw).repeat_interleave(8, dim=1)
    return 3 * loudness - 9 + torch.randn(rows, 8 * frames, 128, generator=draw)


def test_only_channels_up_to_the_first_silent_one_change_places() -> None:
    preds = torch.zeros(6, 5)
    preds[0, 0] = preds[1, 1] = preds[2, 2] = preds[3, 4] = 0.9
    drawn = {tuple(drawn_order(preds).tolist()) for _ in range(200)}
    assert {order[3:] for order in drawn} == {(3, 4)}
    assert len(drawn) == 6


def test_what_the_cache_keeps_is_the_same_in_another_order() -> None:
    torch.manual_seed(0)
    shuffled, plain = ShuffledCache.empty(PARAMS, 2), SpeakerCache.empty(PARAMS, 2)
    orders = set()
    for step in range(12):
        frames = torch.stack([torch.full((5,), step), torch.arange(5)], dim=1).float() + 1
        said = torch.rand(len(plain) + 5, 4) * 0.3 + 0.6 * torch.nn.functional.one_hot(torch.tensor(step % 3), 4)
        placed = said if shuffled.order is None else said[:, shuffled.order]
        torch.testing.assert_close(shuffled.update(frames, placed), plain.update(frames, said))
        assert sorted(shuffled.embeddings.tolist()) == sorted(plain.embeddings.tolist())
        torch.testing.assert_close(shuffled.fifo_preds, plain.fifo_preds)
        if shuffled.order is not None:
            assert shuffled.preds is not None
            orders.add(tuple(shuffled.order.tolist()))
            owner = shuffled.preds.argmax(dim=1)[shuffled.preds.sum(dim=1) > 0]
            seen = list(dict.fromkeys(owner.tolist()))
            assert seen == [channel for channel in shuffled.order.tolist() if channel in seen]
    assert len(orders) > 2


def test_sessions_are_heard_as_the_streaming_diarizer_hears_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the order of channels, chances are those of a network that steps through the same chunks alone."""
    monkeypatch.setattr(
        "speakerdiar.nn.shuffled_cache.drawn_order", lambda preds: torch.arange(preds.shape[1], device=preds.device)
    )
    network = tiny_network()
    sound = mels(40)
    found = streamed(network, sound, [320], PARAMS).logits.sigmoid()[0]
    cache = SpeakerCache.empty(PARAMS, network.shape.d_model)
    parts = []
    for start in range(0, 320, 40):
        before, after = min(8, start), min(8, 320 - start - 40)
        frames = network.pre_encode(sound[:, start - before : start + 40 + after])
        chances = network(torch.cat([cache.context()[None], frames], dim=1))[0]
        left = before // 8
        parts.append(cache.update(frames[0, left : left + 5], chances, left))
    assert cache.compressed
    torch.testing.assert_close(found, torch.cat(parts))


def test_rows_of_other_lengths_change_nothing_but_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("speakerdiar.nn.shuffled_cache.drawn_order", lambda preds: torch.arange(preds.shape[1]))
    network = tiny_network()
    sound = mels(30, rows=2)
    together = streamed(network, sound, [240, 120], PARAMS).logits
    assert together.shape == (2, 30, 4)
    for row, length in enumerate((240, 120)):
        alone = streamed(network, sound[row : row + 1, :length], [length], PARAMS).logits[0]
        torch.testing.assert_close(together[row, : length // 8], alone, rtol=1e-3, atol=1e-3)
    assert not together[1, 15:].any()


def test_gradients_pass_through_chunks_and_not_through_the_cache() -> None:
    network = tiny_network().train().requires_grad_(True)
    sound = mels(20).requires_grad_()
    heard = streamed(network, sound, [160], dataclasses.replace(PARAMS, left_context=0))
    heard.logits[:, 15:].sum().backward()  # type: ignore[no-untyped-call, unused-ignore]
    assert sound.grad is not None
    assert sound.grad[0, 120:].any()
    assert not sound.grad[0, :120].any()
    assert network.encoder.pre_encode.out.weight.grad is not None


def test_attention_sees_no_further_ahead_than_it_may() -> None:
    network = tiny_network()
    frames = network.pre_encode(mels(24))
    later = frames.clone()
    later[:, 20:] = network.pre_encode(mels(24, seed=1))[:, 20:]
    # Two conformer layers (attention and a kernel of 5) and two transformer layers see (1 + 2) * 2 + 2 frames ahead.
    reach = 20 - 8
    one, other = (network.heard(heard, right=1).logits for heard in (frames, later))
    torch.testing.assert_close(one[:, :reach], other[:, :reach])
    assert (one - other)[:, reach + 4].any()
    whole = network.heard(frames).logits
    assert (whole - network.heard(later).logits)[:, 0].any()
    torch.testing.assert_close(network.heard(frames, torch.tensor([24]), 30).logits, whole)
