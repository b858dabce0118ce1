"""StreamingSortformerDiarizer: latencies, speaker counts, live against files, and memory that doesn't grow."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from fakes_sortformer import SHORT, nemo_config, tiny_network, tiny_streaming, write_nemo
from hypothesis import given, settings
from hypothesis import strategies as st

from speakerdiar.config import PostProcessingParams
from speakerdiar.errors import ConfigError, UnknownOptionError, WeightsError
from speakerdiar.models.diarizers.sortformer_latency import LATENCIES, SortformerLatency
from speakerdiar.models.diarizers.sortformer_presets import POSTPROCESSING_V2
from speakerdiar.models.diarizers.streaming_sortformer import StreamingSortformerDiarizer
from speakerdiar.updates import StreamingUpdate, joined

CONVERSATION = Path(__file__).resolve().parents[3] / "examples" / "data" / "conversation.flac"
RATE = 16000
QUICK = SortformerLatency(3, 1, fifo_len=4, spkcache_update_period=3, spkcache_len=16)


@functools.cache
def talk() -> np.ndarray:
    samples, _ = soundfile.read(CONVERSATION, dtype="float32", stop=9 * RATE + 321)
    return np.asarray(samples)


@functools.cache
def shared_model() -> StreamingSortformerDiarizer:
    return tiny_streaming()


@pytest.fixture(scope="module")
def model() -> StreamingSortformerDiarizer:
    return shared_model()


def live(
    model: StreamingSortformerDiarizer, samples: np.ndarray, cuts: Sequence[int], **options: Any
) -> list[StreamingUpdate]:
    session = model.stream(**options)
    pieces = np.split(samples, [cut for cut in np.cumsum(cuts) if cut < len(samples)])
    return [*(session.push(piece) for piece in pieces), session.finish()]


def all_scores(model: StreamingSortformerDiarizer, audio: Any, **options: Any) -> list[np.ndarray]:
    told: list[np.ndarray] = []

    def hook(stage: str, scores: Any, done: float, total: float | None) -> None:
        if scores is not None:
            told.append(scores.data)

    model.diarize(audio, include_tensor_outputs=True, hook=hook, **options)
    return told


@pytest.mark.parametrize("latency", [*LATENCIES, SHORT, QUICK])
def test_a_stream_comes_to_the_turns_of_the_file(model: StreamingSortformerDiarizer, latency: Any) -> None:
    for name in ("none", "callhome", "dihard3"):
        options = {"latency": latency, "postprocessing_params": name}
        [whole] = model.diarize((talk(), RATE), **options)
        assert joined(live(model, talk(), [1000, 30000, 17], **options), whole.recording_id) == whole
        assert len(whole) > 3


@settings(max_examples=12)
@given(
    cuts=st.lists(st.integers(1, 40000), max_size=8),
    length=st.integers(0, 4 * RATE),
    latency=st.sampled_from([QUICK, "0.64s"]),
)
def test_the_cut_changes_nothing_and_what_is_settled_stays(cuts: list[int], length: int, latency: Any) -> None:
    model, samples = shared_model(), talk()[:length]
    [whole] = model.diarize((samples, RATE), latency=latency)
    updates = live(model, samples, cuts, latency=latency)
    assert joined(updates).turns == whole.turns
    assert [u.time for u in updates] == sorted(u.time for u in updates)
    assert [u.final_until for u in updates] == sorted(u.final_until for u in updates)
    assert updates[-1].tentative == ()


@settings(max_examples=12)
@given(lengths=st.lists(st.integers(0, 3 * RATE), min_size=1, max_size=4), size=st.integers(1, 4))
def test_batch_size_and_neighbours_change_no_digit(lengths: list[int], size: int) -> None:
    model = shared_model()
    pieces = [talk()[1000 * index :][:length] for index, length in enumerate(lengths)]
    alone = [all_scores(model, (piece, RATE), latency=SHORT)[0] for piece in pieces]
    together = all_scores(model, pieces, sample_rate=RATE, batch_size=size, latency=SHORT)
    for found, wanted in zip(together, alone, strict=True):
        np.testing.assert_array_equal(found, wanted)
    results = model.diarize(pieces, sample_rate=RATE, batch_size=size, latency=SHORT)
    assert [result.turns for result in results] == [
        model.diarize((piece, RATE), latency=SHORT)[0].turns for piece in pieces
    ]


def test_sessions_of_one_model_dont_disturb_each_other(model: StreamingSortformerDiarizer) -> None:
    samples = [talk(), talk()[::-1].copy()]
    sessions = [model.stream(latency=SHORT), model.stream(latency=QUICK)]
    updates: list[list[StreamingUpdate]] = [[], []]
    for pieces in zip(*(np.array_split(row, 11) for row in samples), strict=True):
        for session, piece, row in zip(sessions, pieces, updates, strict=True):
            row.append(session.push(piece))
    for session, row, heard, latency in zip(sessions, updates, samples, (SHORT, QUICK), strict=True):
        row.append(session.finish())
        assert joined(row).turns == model.diarize((heard, RATE), latency=latency)[0].turns


def test_recordings_stepped_together_are_as_alone(model: StreamingSortformerDiarizer) -> None:
    samples = [talk(), talk()[: 4 * RATE], talk()[RATE : 8 * RATE]]
    batch = model.stream_batch(3, SHORT)
    updates = [batch.push([row[at : at + 7000] for row in samples]) for at in range(0, len(talk()), 7000)]
    updates.append(batch.finish())
    for heard, row in zip(samples, zip(*updates, strict=True), strict=True):
        assert joined(row).turns == model.diarize((heard, RATE), latency=SHORT)[0].turns


def test_files_take_the_latency_of_30_seconds_and_live_audio_that_of_one(model: StreamingSortformerDiarizer) -> None:
    assert model.diarize((talk(), RATE)) == model.diarize((talk(), RATE), latency="30.4s")
    assert model.diarize((talk(), RATE)) != model.diarize((talk(), RATE), latency=SHORT)
    assert model.stream().latency_seconds == 1.04
    assert model.latency_seconds(SHORT) == 0.64
    for name, preset in LATENCIES.items():
        assert model.latency_seconds(name) == model.latency_seconds(preset) == model.latency_seconds(asdict(preset))


@pytest.mark.parametrize(
    ("latency", "error", "message"),
    [
        (
            "1.4s",
            ConfigError,
            r"latency='1.4s': Strea\w+ has no such preset. Did you mean '1.04s'\? Presets: 30.4s, 10s",
        ),
        (1.04, ConfigError, r"latency=1\.04: Strea\w+ has no such preset"),
        ({"chunk": 6}, UnknownOptionError, "'chunk'. Did you mean 'chunk_len'"),
        ({"chunk_len": 6}, ConfigError, "lacks chunk_right_context, fifo_len"),
        ({**SHORT, "fifo_len": -1}, ConfigError, "fifo_len=-1: give a whole number of 80 ms frames, 0 or more"),
        ({**SHORT, "spkcache_len": 15}, ConfigError, r"spkcache_len=15: 4 speakers.*take 16 frames; give 16 or more"),
    ],
)
def test_latencies_that_cant_be_are_refused_at_the_call(
    model: StreamingSortformerDiarizer, latency: Any, error: type[Exception], message: str
) -> None:
    for call in (model.diarize, model.diarize_generator):
        with pytest.raises(error, match=message):
            call((talk(), RATE), latency=latency)
    with pytest.raises(error, match=message):
        model.stream(latency)


def test_scoring_reaches_the_cache_and_is_checked(model: StreamingSortformerDiarizer) -> None:
    other = StreamingSortformerDiarizer(model.network, scoring={"sil_frames_per_speaker": 5, "sil_threshold": 0.5})
    [found], [plain] = (all_scores(m, (talk(), RATE), latency=SHORT) for m in (other, model))
    assert np.abs(found - plain).max() > 1e-3
    with pytest.raises(ConfigError, match="spkcache_len=16: 4 speakers, each with a frame and 5 of silence, take 24"):
        other.stream(QUICK)
    for scoring, message in (({"sil_treshold": 1}, "sil_threshold"), ({"sil_threshold": "low"}, "give a number")):
        with pytest.raises(ConfigError, match=message):
            StreamingSortformerDiarizer(model.network, scoring=scoring)
    with pytest.raises(ConfigError, match="sil_frames_per_speaker='3'"):
        StreamingSortformerDiarizer(model.network, scoring={"sil_frames_per_speaker": "3"})


@pytest.mark.parametrize("option", ["max_speakers", "num_speakers"])
@pytest.mark.parametrize("most", [1, 3])
def test_later_speakers_are_closed_before_the_cache_sees_them(
    model: StreamingSortformerDiarizer, option: str, most: int
) -> None:
    asked: dict[str, Any] = {option: most}
    [free] = all_scores(model, (talk(), RATE), latency=SHORT)
    [found] = all_scores(model, (talk(), RATE), latency=SHORT, **asked)
    assert not found[:, most:].any()
    assert free[:, most:].any()
    # Not only masked: with fewer speakers in the cache, those that are left are heard otherwise.
    np.testing.assert_array_equal(found[:6, :most], free[:6, :most])
    assert np.abs(found[:, :most] - free[:, :most]).max() > 1e-3
    [result] = model.diarize((talk(), RATE), latency=SHORT, **asked)
    assert joined(live(model, talk(), [9000], latency=SHORT, **asked)).turns == result.turns
    assert 1 <= len(result.speakers) <= most
    [same] = model.diarize({"audio": talk(), "sample_rate": RATE, "num_speakers": most}, latency=SHORT)
    assert same.turns == result.turns


def test_nobody_speaks_before_the_first_sound(model: StreamingSortformerDiarizer) -> None:
    silence = np.full(4 * RATE, 2.0**-15, np.float32)
    assert not model.diarize((silence, RATE), latency=QUICK)[0]
    [later] = model.diarize((np.concatenate([silence, talk()]), RATE), latency=QUICK)
    assert later
    assert later.turns[0].start >= 4.0 - QUICK.seconds
    assert not joined(live(model, silence, [700]))


def test_scores_and_confidence_change_no_turn(model: StreamingSortformerDiarizer) -> None:
    [plain] = model.diarize((talk(), RATE), latency=SHORT)
    [scored] = model.diarize((talk(), RATE), latency=SHORT, include_tensor_outputs=True)
    [sure] = model.diarize((talk(), RATE), latency=SHORT, confidence=True)
    assert scored.turns == plain.turns
    assert scored.scores is not None
    assert scored.scores.grid.step == 0.08
    assert [(turn.start, turn.end, turn.speaker) for turn in sure] == [(t.start, t.end, t.speaker) for t in plain]
    assert all(turn.confidence is not None for turn in sure)


def test_the_hook_hears_how_far_a_recording_is(model: StreamingSortformerDiarizer) -> None:
    told: list[tuple[str, Any, float, float | None]] = []
    done: list[tuple[int, int | None]] = []
    model.diarize(
        (talk(), RATE), latency=SHORT, hook=lambda *step: told.append(step), progress=lambda *at: done.append(at)
    )
    seconds = len(talk()) / RATE
    at = [step[2] for step in told]
    assert at == sorted(at)
    assert len(at) > 10
    assert {step[0] for step in told} == {"scores"}
    assert told[-1][1:] == (None, seconds, seconds)
    assert done == [(1, 1)]


def test_memory_of_a_stream_is_bounded(model: StreamingSortformerDiarizer) -> None:
    config = model._diarize_config(None, {})
    preset = model._stream_preset(SHORT)
    state = model._stream_begin(preset, config)
    chunk = 8 * (preset.chunk_len + preset.chunk_right_context + preset.chunk_left_context)
    kept: list[int] = []
    samples = np.tile(talk(), 4)
    with torch.inference_mode():
        while len(samples) >= (need := model._stream_need(state)):
            model._stream_step([state], [samples[:need]], last=False)
            samples = samples[need:]
            assert len(state.mels) <= chunk
            assert len(state.cache.embeddings) <= preset.spkcache_len
            assert len(state.cache.fifo) <= preset.fifo_len
            tensors = [state.mels, state.features._tail, *vars(state.cache).values()]
            kept.append(sum(t.untyped_storage().nbytes() for t in tensors if isinstance(t, torch.Tensor)))
    assert state.cache.compressed
    assert state.samples > 30 * RATE
    assert len(kept) > 60
    assert max(kept[20:]) <= 1.2 * max(kept[:20])


def test_post_processing_by_name(model: StreamingSortformerDiarizer, tmp_path: Path) -> None:
    found = {name: model.diarize((talk(), RATE), postprocessing_params=name)[0].turns for name in POSTPROCESSING_V2}
    assert len(set(found.values())) == 4
    assert (
        found["callhome"] == model.diarize((talk(), RATE), postprocessing_params=POSTPROCESSING_V2["callhome"])[0].turns
    )
    assert POSTPROCESSING_V2["none"] == PostProcessingParams()
    path = tmp_path / "p.yaml"
    path.write_text(
        "parameters: {onset: 0.56, offset: 1.0, pad_onset: 0.063, pad_offset: 0.002, "
        "min_duration_on: 0.007, min_duration_off: 0.151}\n"
    )
    assert found["dihard3"] == model.diarize((talk(), RATE), postprocessing_yaml=str(path))[0].turns


def test_saved_and_loaded_again_it_says_the_same(tmp_path: Path) -> None:
    model = StreamingSortformerDiarizer(
        tiny_network(speakers=3), scoring={"sil_frames_per_speaker": 2}, licence="CC0", source="drawn"
    )
    loaded = StreamingSortformerDiarizer.from_pretrained(model.save_pretrained(tmp_path / "m"))
    assert loaded.diarize((talk(), RATE), latency=SHORT) == model.diarize((talk(), RATE), latency=SHORT)
    assert (loaded.scoring, loaded.licence, loaded.source, loaded.speakers) == (model.scoring, "CC0", "drawn", 3)
    assert "up to 3 speakers" in (tmp_path / "m/README.md").read_text()


def test_a_nemo_file_brings_its_scoring(tmp_path: Path) -> None:
    network = tiny_network()
    config = nemo_config(network.shape, streaming=True)
    config["sortformer_modules"] |= {"sil_threshold": 0.4, "weak_boost_rate": 1.2}
    model = StreamingSortformerDiarizer.restore_from(write_nemo(tmp_path / "x.nemo", network, config))
    assert model.scoring == {"sil_frames_per_speaker": 3, "sil_threshold": 0.4, "weak_boost_rate": 1.2}
    assert model.source == "converted from `x.nemo`"


def test_weights_that_need_the_whole_recording_are_refused(tmp_path: Path) -> None:
    network = tiny_network(80)
    path = write_nemo(tmp_path / "v1.nemo", network, nemo_config(network.shape))
    with pytest.raises(WeightsError, match=r"v1\.nemo normalizes .* which a stream can't: load it with SortformerDiar"):
        StreamingSortformerDiarizer.restore_from(path)


def test_half_precision_runs_on_a_cpu(model: StreamingSortformerDiarizer, tmp_path: Path) -> None:
    loaded = StreamingSortformerDiarizer.from_pretrained(model.save_pretrained(tmp_path / "m"), precision="bf16")
    [half], [full] = (all_scores(m, (talk(), RATE), latency="30.4s") for m in (loaded, model))
    assert 0 < np.abs(half - full).mean() < 0.05
    [result] = loaded.diarize((talk(), RATE), latency=SHORT)
    assert joined(live(loaded, talk(), [5000], latency=SHORT)).turns == result.turns
