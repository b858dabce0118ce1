"""SortformerDiarizer: options, silence, loading and saving, and results that nothing around them changes."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from fakes_sortformer import nemo_config, tiny_network, tiny_offline, write_nemo
from hypothesis import given, settings
from hypothesis import strategies as st

from speakerdiar.annotation import Diarization
from speakerdiar.config import PostProcessingParams
from speakerdiar.errors import ConfigError, UnknownOptionError
from speakerdiar.frames import FrameScores
from speakerdiar.models.diarizers.sortformer import SILENCE_PEAK, SortformerDiarizer
from speakerdiar.models.diarizers.sortformer_presets import POSTPROCESSING_V1
from speakerdiar.nn.sortformer import SortformerNetwork

CONVERSATION = Path(__file__).resolve().parents[3] / "examples" / "data" / "conversation.flac"
RATE = 16000


@functools.cache
def talk() -> np.ndarray:
    samples, _ = soundfile.read(CONVERSATION, dtype="float32", stop=6 * RATE + 321)
    return np.asarray(samples)


@functools.cache
def shared_model() -> SortformerDiarizer:
    return tiny_offline()


@pytest.fixture(scope="module")
def model() -> SortformerDiarizer:
    return shared_model()


def scores_of(model: SortformerDiarizer, audio: Any, **options: Any) -> list[FrameScores]:
    told: list[FrameScores] = []
    model.diarize(audio, hook=lambda stage, scores, done, total: told.append(scores), **options)
    return told


@settings(max_examples=15)
@given(lengths=st.lists(st.integers(0, 3 * RATE), min_size=1, max_size=4), size=st.integers(1, 4))
def test_batch_size_and_neighbours_change_no_digit(lengths: list[int], size: int) -> None:
    model = shared_model()
    pieces = [talk()[1000 * index :][:length] for index, length in enumerate(lengths)]
    alone = [model.diarize((piece, RATE))[0].turns for piece in pieces]
    together = model.diarize(pieces, sample_rate=RATE, batch_size=size)
    assert [result.turns for result in together] == alone
    alone_scores = [scores_of(model, (piece, RATE))[0].data for piece in pieces]
    for found, wanted in zip(scores_of(model, pieces, sample_rate=RATE, batch_size=size), alone_scores, strict=True):
        np.testing.assert_array_equal(found.data, wanted)


def test_there_is_a_score_for_every_80_ms_that_have_begun(model: SortformerDiarizer) -> None:
    for mels, frames in ((0, 0), (1, 1), (8, 1), (9, 2), (100, 13)):
        [found] = scores_of(model, (talk()[: 160 * mels + 159], RATE))
        assert found.data.shape == (frames, 4)
        assert found.grid.step == 0.08


def test_the_hook_gets_the_scores_of_all_speakers(model: SortformerDiarizer) -> None:
    told: list[Any] = []
    done: list[tuple[int, int | None]] = []
    model.diarize([talk(), talk()[:RATE]], sample_rate=RATE, hook=lambda *a: told.append(a), progress=_note(done))
    assert [(stage, len(scores), at, total) for stage, scores, at, total in told] == [
        ("scores", 76, len(talk()) / RATE, len(talk()) / RATE),
        ("scores", 13, 1.0, 1.0),
    ]
    assert done == [(1, 2), (2, 2)]


def _note(done: list[tuple[int, int | None]]) -> Any:
    return lambda at, total: done.append((at, total))


@pytest.mark.parametrize("sample", [0.0, SILENCE_PEAK, -SILENCE_PEAK])
def test_digital_silence_is_nobody(model: SortformerDiarizer, sample: float) -> None:
    assert not model.diarize((np.full(RATE, sample, np.float32), RATE))[0]
    [found] = scores_of(model, (np.full(RATE, sample, np.float32), RATE))
    assert not found.data.any()
    [quiet] = scores_of(model, (np.full(RATE, 2 * SILENCE_PEAK, np.float32), RATE))
    assert quiet.data.all()


def test_loudness_counts_for_little(model: SortformerDiarizer) -> None:
    """Samples are divided by their maximum, to which a guard is added."""
    [loud] = scores_of(model, (talk(), RATE))
    [quiet] = scores_of(model, (talk() / 2, RATE))
    assert 0 < np.abs(loud.data - quiet.data).max() < 0.02
    bare = SortformerDiarizer(model.network, scale_peak=False, normalize=False)
    [loud], [quiet] = scores_of(bare, (talk(), RATE)), scores_of(bare, (talk() / 2, RATE))
    assert np.abs(loud.data - quiet.data).max() > 0.05


def test_post_processing_by_name_by_mapping_and_by_object(model: SortformerDiarizer) -> None:
    results: dict[str, Diarization] = {}
    for name, params in POSTPROCESSING_V1.items():
        [results[name]] = model.diarize((talk(), RATE), postprocessing_params=name)
        assert model.diarize((talk(), RATE), postprocessing_params=params) == [results[name]]
        assert model.diarize((talk(), RATE), postprocessing_params=vars(params)) == [results[name]]
    assert len({result.turns for result in results.values()}) == len(results)
    assert model.diarize((talk(), RATE)) == [results["none"]]
    assert set(POSTPROCESSING_V1) == {"none", "callhome", "dihard3", "readable"}


def test_post_processing_from_a_file(model: SortformerDiarizer, tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("parameters: {onset: 0.64, offset: 0.74, pad_onset: 0.06, min_duration_on: 0.1}\n")
    wanted = PostProcessingParams(0.64, 0.74, 0.06, 0.0, 0.1)
    [found] = model.diarize((talk(), RATE), postprocessing_yaml=str(path))
    assert [found] == model.diarize((talk(), RATE), postprocessing_params=wanted)
    path.write_text("parameters: {onst: 0.64}\n")
    with pytest.raises(UnknownOptionError, match=r"'onst'\. Did you mean 'onset'"):
        model.diarize((talk(), RATE), postprocessing_yaml=str(path))


def test_post_processing_that_doesnt_exist_is_refused_with_the_closest(model: SortformerDiarizer) -> None:
    with pytest.raises(ConfigError, match=r"='dihard': Did you mean 'dihard3'\?.*none, callhome, dihard3, readable"):
        model.diarize((talk(), RATE), postprocessing_params="dihard")
    with pytest.raises(UnknownOptionError, match=r"'offst'\. Did you mean 'offset'"):
        model.diarize((talk(), RATE), postprocessing_params={"offst": 0.3})


@pytest.mark.parametrize("most", [1, 2, 3])
def test_at_most_so_many_speakers(model: SortformerDiarizer, most: int) -> None:
    [free] = model.diarize((talk(), RATE))
    [found] = model.diarize((talk(), RATE), max_speakers=most)
    assert len(free.speakers) == 4
    assert 1 <= len(found.speakers) <= most


def test_it_doesnt_stream(model: SortformerDiarizer) -> None:
    with pytest.raises(ConfigError, match="SortformerDiarizer doesn't stream"):
        model.diarize((talk(), RATE), latency="1.04s")


def test_saved_and_loaded_again_it_says_the_same(model: SortformerDiarizer, tmp_path: Path) -> None:
    other = SortformerDiarizer(model.network, normalize=False, scale_peak=False, licence="MIT", source="drawn")
    for number, saved in enumerate((model, other)):
        folder = saved.save_pretrained(tmp_path / str(number))
        loaded = SortformerDiarizer.from_pretrained(folder)
        assert loaded.diarize((talk(), RATE)) == saved.diarize((talk(), RATE))
        names = ("normalize", "scale_peak", "licence", "source", "speakers", "sample_rate")
        assert [getattr(loaded, name) for name in names] == [getattr(saved, name) for name in names]
        assert loaded.network.shape == saved.network.shape
    card = (tmp_path / "1" / "README.md").read_text()
    assert "MIT" in card
    assert "drawn" in card
    assert "up to 4 speakers" in card


def test_a_nemo_file_of_a_streaming_model_works_offline(tmp_path: Path) -> None:
    """v2 weights: 128 bands as they are, samples as they are."""
    network = tiny_network(128)
    path = write_nemo(tmp_path / "v2.nemo", network, nemo_config(network.shape, streaming=True))
    model = SortformerDiarizer.restore_from(path)
    assert (model.normalize, model.scale_peak) == (False, False)
    [found] = scores_of(model, (talk(), RATE))
    with torch.inference_mode():
        wanted = network(network.pre_encode(model.mel(torch.from_numpy(talk()))[None]))[0]
    np.testing.assert_allclose(found.data, wanted, rtol=0, atol=1e-6)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_runs_on_a_cpu(model: SortformerDiarizer, tmp_path: Path, precision: str) -> None:
    loaded = SortformerDiarizer.from_pretrained(model.save_pretrained(tmp_path / "m"), precision=precision)
    assert {value.dtype for value in loaded.network.parameters()} == {getattr(torch, _TYPES[precision])}
    assert loaded.mel.filters.dtype == torch.float32
    [half], [full] = scores_of(loaded, (talk(), RATE)), scores_of(model, (talk(), RATE))
    assert half.data.dtype == np.float32
    assert 0 < np.abs(half.data - full.data).mean() < 0.05


_TYPES = {"bf16": "bfloat16", "fp16": "float16"}


def test_a_compiled_network_says_the_same(
    model: SortformerDiarizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[dict[str, Any]] = []

    def compile_eagerly(self: torch.nn.Module, **options: Any) -> None:
        compiled.append(options)
        torch.nn.Module.compile(self, backend="eager", fullgraph=True, **options)

    monkeypatch.setattr(SortformerNetwork, "compile", compile_eagerly)  # inductor takes minutes
    loaded = SortformerDiarizer.from_pretrained(model.save_pretrained(tmp_path / "m"), compile=True)
    assert compiled == [{"dynamic": True}]
    for length in (RATE, 2 * RATE):
        [found], [wanted] = (scores_of(m, (talk()[:length], RATE)) for m in (loaded, model))
        np.testing.assert_allclose(found.data, wanted.data, rtol=0, atol=1e-5)


def test_weights_are_frozen_until_training_thaws_them(model: SortformerDiarizer) -> None:
    assert not any(value.requires_grad for value in model.parameters())
    assert not model.training
