"""Presets and options of streaming models."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fakes import RATE, ToneDiarizer, tones
from fakes_streaming import Told, TonePreset, ToneStreamer

from speakerdiar.config import DiarizeConfig
from speakerdiar.errors import AudioLimitError, ConfigError, SpeakerCountError, UnknownOptionError
from speakerdiar.mixins.streaming import as_streaming
from speakerdiar.recording import Recording
from speakerdiar.updates import joined

THREE = tones([(0.2, 1.0, 1), (0.8, 1.8, 0), (2.0, 3.0, 3)], 3.2)


def test_a_preset_is_asked_for_by_name_or_left_to_the_model() -> None:
    model = ToneStreamer()
    assert model._stream_preset("2s") is model.LATENCIES["2s"]
    assert model._stream_preset(None) is model.LATENCIES["0.5s"]
    assert model._stream_preset(model.LATENCIES["2s"]) is model.LATENCIES["2s"]
    assert model.latency_seconds() == pytest.approx(0.5)
    assert model.latency_seconds("2s") == model.stream("2s").latency_seconds == pytest.approx(2.0)


@pytest.mark.parametrize("latency", ["0.4s", 2.0, {"chunk": 3}, TonePreset(17, 3, 5)])
def test_an_unknown_preset_is_refused_with_those_that_exist(latency: Any) -> None:
    model = ToneStreamer()
    calls = (
        lambda: model.stream(latency),
        lambda: model.stream_batch(2, latency),
        lambda: model.latency_seconds(latency),
        lambda: model.diarize(THREE, sample_rate=RATE, latency=latency),
        lambda: model.diarize_generator(THREE, sample_rate=RATE, latency=latency),
    )
    for call in calls:
        with pytest.raises(ConfigError, match=r"ToneStreamer has no such preset\..* Presets: 0\.1s, 0\.5s, 2s\.") as e:
            call()
        assert ("Did you mean '0.1s'?" in str(e.value) or "Did you mean '0.5s'?" in str(e.value)) == (latency == "0.4s")


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"max_speaker": 2}, UnknownOptionError),
        ({"num_speakers": 0}, SpeakerCountError),
        ({"sample_rate": 0}, ConfigError),
        ({"sample_rate": 10}, AudioLimitError),
        ({"postprocessing_params": 3}, ConfigError),
    ],
)
def test_options_are_checked_at_the_call(options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        ToneStreamer().stream(**options)
    with pytest.raises(error):
        ToneStreamer().stream_batch(2, **options)


@pytest.mark.parametrize("sessions", [0, -1, 1.5, True])
def test_a_batch_has_sessions(sessions: Any) -> None:
    with pytest.raises(ConfigError, match=f"sessions={sessions!r}"):
        ToneStreamer().stream_batch(sessions)


def test_options_reach_the_model() -> None:
    seen: list[DiarizeConfig] = []

    class Seeing(Told):
        sample_rate = 8000

        def _stream_begin(self, preset: Any, diarcfg: DiarizeConfig) -> Any:
            seen.append(diarcfg)
            return super()._stream_begin(preset, diarcfg)

    session = Seeing().stream(max_speakers=2, postprocessing_params={"onset": 0.7})
    assert session.sample_rate == 8000
    [config] = seen
    assert (config.max_speakers, config.postprocessing_params.onset) == (2, 0.7)
    assert config._internal is not None
    assert config._internal.target_sample_rate == 8000


def test_speaker_counts_are_honoured() -> None:
    session = ToneStreamer().stream("0.1s", max_speakers=2)
    assert joined([session.push(THREE), session.finish()]).speakers == ("SPEAKER_00", "SPEAKER_01")


@pytest.mark.parametrize("latency", ToneStreamer.LATENCIES)
def test_a_recording_can_be_diarized_by_streaming(latency: str) -> None:
    model = ToneStreamer()
    recording = Recording("talk", THREE, RATE, offset=0.3, duration=2.2)
    config = DiarizeConfig()
    found = model.diarize_by_streaming(recording, model._stream_preset(latency), config)
    assert [found] == model.diarize(recording, latency=latency)
    assert (found.recording_id, found.offset, found.duration) == ("talk", 0.3, 2.2)


def test_the_count_of_a_recording_holds_where_the_call_says_nothing() -> None:
    model, recording = ToneStreamer(), Recording("talk", THREE, RATE, num_speakers=1)
    preset = model._stream_preset("0.1s")
    for config, count in ((DiarizeConfig(), 1), (DiarizeConfig(max_speakers=2), 2)):
        assert len(model.diarize_by_streaming(recording, preset, config).speakers) == count
    assert config.num_speakers is None


def test_a_model_that_does_not_stream_says_so() -> None:
    assert isinstance(as_streaming(ToneStreamer()), ToneStreamer)
    with pytest.raises(ConfigError, match="ToneDiarizer doesn't stream: leave latency out"):
        as_streaming(ToneDiarizer())


def test_silence_is_nobody() -> None:
    session = ToneStreamer().stream("0.1s")
    updates = [session.push(np.zeros(RATE)), session.finish()]
    assert [(update.final, update.tentative) for update in updates] == [((), ()), ((), ())]
    assert [update.final_until for update in updates] == [1.0, 1.0]
