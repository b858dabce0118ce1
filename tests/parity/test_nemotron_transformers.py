"""NemotronDiarizer gives the numbers of transformers: features, offline forward, streaming sessions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

pytest.importorskip("transformers", minversion="5.18", reason="pip install 'speakerdiar[nemotron]' brings transformers")
from fakes_nemotron import SHORT, tiny_network, transformers

from speakerdiar.models.diarizers.nemotron import NemotronDiarizer
from speakerdiar.nn.log_mel import LogMel, MelStream

CONVERSATION = Path(__file__).resolve().parents[2] / "examples" / "data" / "conversation.flac"
RATE = 16000
MODES = {"1.04s": "low_latency", "0.64s": "very_low_latency", "0.32s": "ultra_low_latency"}


@pytest.fixture(scope="module")
def talk() -> np.ndarray:
    samples, _ = soundfile.read(CONVERSATION, dtype="float32")
    return np.asarray(samples)


def extractor(**options: Any) -> Any:
    return transformers.NemotronAsrStreamingFeatureExtractor(feature_size=128, **options)


def features(samples: np.ndarray) -> Any:
    return extractor()(samples, sampling_rate=RATE, return_tensors="pt")


@pytest.mark.parametrize("mel_type", ["float32", "bfloat16"])
def test_features_are_those_of_the_extractor(talk: np.ndarray, mel_type: str) -> None:
    theirs = extractor(mel_filters_dtype=mel_type)(talk, sampling_rate=RATE, return_tensors="pt")
    model = NemotronDiarizer(tiny_network(), mel_type=getattr(torch, mel_type))
    ours = model.mel(torch.from_numpy(talk))
    assert len(ours) == int(theirs.attention_mask.sum())
    torch.testing.assert_close(ours, theirs.input_features[0, : len(ours)], rtol=0, atol=1e-3)


@pytest.mark.parametrize("cut", [160, 1441, 40000])
def test_features_of_a_stream_are_those_of_the_extractor(talk: np.ndarray, cut: int) -> None:
    samples = torch.from_numpy(talk[: 12 * RATE + 77])
    stream = MelStream(LogMel(128))
    ours = torch.cat([*(stream.push(piece) for piece in torch.split(samples, cut)), stream.finish()])
    theirs = features(samples.numpy()).input_features[0, : len(ours)]
    assert len(ours) == len(samples) // 160
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-3)


def offline(network: Any, samples: np.ndarray) -> torch.Tensor:
    """Scores (frames, speakers) of transformers' own forward over a whole recording."""
    inputs = features(samples)
    with torch.inference_mode():
        logits = network(**inputs).logits[0]
    return torch.as_tensor(logits[inputs.attention_mask[0]].sigmoid())


def ours(model: NemotronDiarizer, samples: np.ndarray, latency: Any = None) -> torch.Tensor:
    """Scores of our steps, before post-processing: (frames, speakers)."""
    config = model._diarize_config(None, {})
    state = model._begin(model._file_preset(latency), config, None)
    parts, at = [], 0
    with torch.inference_mode():
        while (stop := at + model._stream_need(state)) <= len(samples):
            parts += model._advance([state], [samples[at:stop]], False)
            at = stop
        parts += model._advance([state], [samples[at:]], True)
    return torch.from_numpy(np.concatenate(parts))


@pytest.mark.parametrize(
    "config",
    [
        SHORT,
        {**SHORT, "chunk_left_context": 3},
        {**SHORT, "chunk_left_context": 20, "chunk_right_context": 0},
        {**SHORT, "fifo_length": 30, "speaker_cache_update_period": 5},
        {**SHORT, "chunk_length": 5, "chunk_right_context": 4, "chunk_left_context": 1},
    ],
)
def test_scores_of_a_file_are_those_of_the_offline_forward(talk: np.ndarray, config: dict[str, Any]) -> None:
    network = tiny_network(**config)
    samples = talk[: 15 * RATE + 1234]
    expected = offline(network, samples)
    assert ((expected > 0.5).float().mean(0) > 0.02).all()
    torch.testing.assert_close(ours(NemotronDiarizer(network), samples), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("samples", [0, 1, 159, 160, 1279, 1280, 12 * 1280, 16 * 1280, 16 * 1280 + 39, 16 * 1280 + 40])
def test_scores_of_edge_lengths_are_those_of_the_offline_forward(talk: np.ndarray, samples: int) -> None:
    network = tiny_network(**SHORT)
    found = ours(NemotronDiarizer(network), talk[:samples])
    assert found.shape == (samples // 160, 4)
    if samples >= 160:  # transformers takes nothing shorter
        torch.testing.assert_close(found, offline(network, talk[:samples]), rtol=0, atol=1e-4)


def test_the_sizes_of_the_released_checkpoint_give_the_preset_of_the_model_card(talk: np.ndarray) -> None:
    network = tiny_network(speakers=8, streaming={"speaker_cache_length": 264, "fifo_length": 264})
    model = NemotronDiarizer(network)
    expected = offline(network, talk)
    torch.testing.assert_close(ours(model, talk), expected, rtol=0, atol=1e-4)
    torch.testing.assert_close(ours(model, talk, "30.4s"), expected, rtol=0, atol=1e-4)
    assert model._file_preset(None).seconds == model._file_preset("30.4s").seconds == 30.4


def session(network: Any, mode: str, samples: np.ndarray) -> torch.Tensor:
    """Scores of a streaming session, as the documentation of transformers runs one: (frames, speakers)."""
    processor = transformers.Nemotron3DiarizationProcessor(extractor(), streaming_mode=mode)
    cache, parts = None, []
    with torch.inference_mode():
        for inputs in session_inputs(processor, samples):
            output = network(**inputs, speaker_cache=cache)
            cache = output.speaker_cache
            parts.append(output.logits[0])
    return torch.cat(parts).sigmoid()


def session_inputs(processor: Any, samples: np.ndarray) -> Iterator[Any]:
    stop = processor.num_samples_first_audio_chunk
    yield processor(samples[:stop], sampling_rate=RATE, is_streaming=True)
    frame = processor.num_mel_frames_per_step
    start = processor.audio_chunk_start(frame)
    while (stop := start + processor.num_samples_per_audio_chunk) <= len(samples):
        yield processor(samples[start:stop], sampling_rate=RATE, is_streaming=True, is_first_audio_chunk=False)
        frame += processor.num_mel_frames_per_step
        start = processor.audio_chunk_start(frame)
    rest = samples[start:]
    yield processor(rest, sampling_rate=RATE, is_streaming=True, is_first_audio_chunk=False, is_last_audio_chunk=True)


@pytest.mark.parametrize("length", [6 * RATE, 6 * RATE + 3001, 7 * RATE + 9000])
@pytest.mark.parametrize("latency", MODES)
def test_scores_of_a_live_preset_are_those_of_a_streaming_session(talk: np.ndarray, latency: str, length: int) -> None:
    network = tiny_network()
    expected = session(network, MODES[latency], talk[:length])
    assert len(expected) == length // 160
    torch.testing.assert_close(ours(NemotronDiarizer(network), talk[:length], latency), expected, rtol=0, atol=1e-4)
