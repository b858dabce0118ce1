"""Steps of Nemotron: recordings side by side, closed speakers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

pytest.importorskip("transformers", minversion="5.18", reason="pip install 'speakerdiar[nemotron]' brings transformers")
from fakes_nemotron import tiny_nemotron

from speakerdiar.models.diarizers.nemotron import NemotronDiarizer
from speakerdiar.models.diarizers.nemotron_steps import NemotronStream, advance

CONVERSATION = Path(__file__).resolve().parents[3] / "examples" / "data" / "conversation.flac"
RATE = 16000


@pytest.fixture(scope="module")
def talk() -> np.ndarray:
    samples, _ = soundfile.read(CONVERSATION, dtype="float32", stop=9 * RATE + 321)
    return np.asarray(samples)


@pytest.fixture(scope="module")
def model() -> NemotronDiarizer:
    return tiny_nemotron()


def states_of(model: NemotronDiarizer, latency: Any, most: list[int | None]) -> list[NemotronStream]:
    config = model._diarize_config(None, {})
    return [model._begin(model._stream_preset(latency), config, count) for count in most]


@torch.inference_mode()
def test_recordings_in_one_forward_score_as_alone(model: NemotronDiarizer, talk: np.ndarray) -> None:
    """What happens on a GPU, here on a CPU: some stand at the same point, one began later, one has fewer speakers."""
    rows = [talk, talk[::-1].copy(), talk[5000:], talk[:50000]]
    apart, together = (states_of(model, "0.32s", [None, None, 2, None]) for _ in range(2))
    sizes = []
    forward = model.network.model.forward
    model.network.model.forward = lambda **inputs: sizes.append(len(inputs["inputs_embeds"])) or forward(**inputs)  # type: ignore[func-returns-value]
    try:
        for step in range(9):
            going = [0, 1, 2, 3] if step else [3]  # the last one is a step ahead
            needs = [model._stream_need(together[index]) for index in going]
            starts = [together[index].samples for index in going]
            blocks = [torch.from_numpy(rows[i][at : at + n]) for i, at, n in zip(going, starts, needs, strict=True)]
            for states in (apart, together):
                for index, block in zip(going, blocks, strict=True):
                    states[index].take(block, False)
            one = [advance(model.network, [apart[index]], False, together=False)[0] for index in going]
            sizes.clear()
            many = advance(model.network, [together[index] for index in going], False, together=True)
            assert sizes == ([3, 1] if step else [1])
            for expected, found in zip(one, many, strict=True):
                torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)
    finally:
        model.network.model.forward = forward


@torch.inference_mode()
def test_closed_speakers_score_0_and_are_silent_for_the_cache(model: NemotronDiarizer, talk: np.ndarray) -> None:
    [free], [closed] = (states_of(model, "0.32s", [most]) for most in (None, 2))
    for state in (free, closed):
        state.take(torch.from_numpy(talk), True)
    [every], [few] = (advance(model.network, [state], True, together=False) for state in (free, closed))
    assert (every[:, 2:] > 0.5).any()
    assert not few[:, 2:].any()
    assert not closed.cache.probs[..., 2:].any()
    assert free.cache.probs[..., 2:].any()
    # What the cache keeps of a recording depends on who may be in it, so the open speakers score otherwise.
    assert not torch.allclose(every[:, :2], few[:, :2], atol=1e-3)
