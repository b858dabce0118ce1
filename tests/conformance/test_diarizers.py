"""The promises of every diarizer: each row of MODELS goes through all of them, and doubles that need no weights."""

from __future__ import annotations

import gc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from fakes import RATE, ToneDiarizer
from fakes_local import tone_pipeline
from fakes_roles import FakeEmbedder
from fakes_sortformer import SHORT, tiny_offline, tiny_streaming
from sond_files import tiny_sond

from speakerdiar.annotation import Diarization
from speakerdiar.checkpoints import hub
from speakerdiar.config import DiarizeConfig
from speakerdiar.errors import MissingExtraError, UnknownOptionError
from speakerdiar.mixins import SpkDiarizationMixin, audio_dataloader
from speakerdiar.models import MODELS, ModelInfo, load_model
from speakerdiar.models.diarizers.clustering import ClusteringDiarizer
from speakerdiar.models.diarizers.refine import RefineDiarizer
from speakerdiar.models.diarizers.sond import SondDiarizer
from speakerdiar.models.diarizers.sond_windows import SondPlan
from speakerdiar.models.diarizers.sortformer_latency import SortformerLatency
from speakerdiar.models.diarizers.streaming_sortformer import StreamingSortformerDiarizer
from speakerdiar.recording import as_recordings

ROOT = Path(__file__).resolve().parents[2]
CONVERSATION = ROOT / "examples" / "data" / "conversation.flac"


class ShortStreaming(StreamingSortformerDiarizer):
    """Its files fill the FIFO and compress the speaker cache many times over."""

    LATENCIES = {"30.4s": SortformerLatency(**SHORT), "1.04s": SortformerLatency(**SHORT)}


def _tiny_nemotron() -> SpkDiarizationMixin:
    from fakes_nemotron import tiny_nemotron  # skips where transformers is missing

    return tiny_nemotron()


def _refining() -> SpkDiarizationMixin:
    return RefineDiarizer(ClusteringDiarizer("energy", FakeEmbedder(), "ahc"), tiny_sond(None))


DOUBLES: dict[str, Callable[[], SpkDiarizationMixin]] = {
    "tones": ToneDiarizer,
    "tiny sortformer": tiny_offline,
    "tiny streaming sortformer": tiny_streaming,
    "tiny streaming sortformer, compressing": lambda: ShortStreaming(tiny_streaming().network),
    "tiny nemotron": _tiny_nemotron,
    "local segmentation": tone_pipeline,
    "local segmentation, exact": lambda: tone_pipeline(exact=True),
    "tiny sond": lambda: tiny_sond(4),
    "tiny sond, short windows": lambda: tiny_sond(2, plan=SondPlan(window=4.0, step=2.0)),
    "refining": _refining,
}


@pytest.fixture(scope="module", params=[*DOUBLES, *MODELS])
def model(request: pytest.FixtureRequest) -> SpkDiarizationMixin:
    if request.param in DOUBLES:
        return DOUBLES[request.param]()
    try:
        if not _is_pulled(MODELS[request.param]):
            pytest.skip(f"its weights aren't on this machine: speakerdiar models pull {request.param}")
        return load_model(request.param)
    except MissingExtraError as error:
        pytest.skip(str(error))


def _is_pulled(info: ModelInfo) -> bool:
    """Whether a model needs nothing from the Hub; no test downloads."""
    return not info.hub or hub.cached(info.hub, revision=info.revision or None, files=info.files) is not None


@pytest.fixture(scope="module")
def talk() -> np.ndarray:
    samples, rate = soundfile.read(CONVERSATION, dtype="float32")
    assert rate == RATE
    return np.asarray(samples[: 20 * RATE])


@pytest.fixture(scope="module")
def results(model: SpkDiarizationMixin, talk: np.ndarray) -> list[Diarization]:
    """One call on recordings of several lengths, in one batch."""
    found: list[Diarization] = model.diarize(pieces(talk), sample_rate=RATE, batch_size=4)
    return found


def pieces(talk: np.ndarray) -> list[np.ndarray]:
    return [talk, talk[: 7 * RATE + 123], np.zeros(3 * RATE, dtype=np.float32), talk[RATE : 12 * RATE]]


def test_gives_one_result_per_recording_in_order(results: list[Diarization], talk: np.ndarray) -> None:
    assert [type(result) for result in results] == [Diarization] * 4
    assert [result.recording_id for result in results] == [f"audio_{i:04d}" for i in range(4)]
    assert [result.duration for result in results] == [len(piece) / RATE for piece in pieces(talk)]


def test_turns_lie_inside_the_audio_and_speakers_are_named(
    model: SpkDiarizationMixin, results: list[Diarization]
) -> None:
    for result in results:
        assert all(0 <= turn.start < turn.end <= result.duration for turn in result)
        if isinstance(model, SondDiarizer):  # looks for people whose names are known
            assert model.profiles is not None
            assert set(result.speakers) <= set(model.profiles.names)
            continue
        assert result.speakers == tuple(f"SPEAKER_{index:02d}" for index in range(len(result.speakers)))


def test_silence_is_nobody(results: list[Diarization]) -> None:
    assert not results[2]


def test_batch_size_and_neighbours_change_nothing(
    model: SpkDiarizationMixin, results: list[Diarization], talk: np.ndarray
) -> None:
    assert model.diarize(pieces(talk), sample_rate=RATE, batch_size=1) == results


def test_one_recording_gives_a_list(model: SpkDiarizationMixin, talk: np.ndarray) -> None:
    assert len(model.diarize(talk, sample_rate=RATE)) == 1


@pytest.mark.parametrize("samples", [0, 1, 100, 4000])
def test_audio_shorter_than_a_window_is_no_error(model: SpkDiarizationMixin, talk: np.ndarray, samples: int) -> None:
    [result] = model.diarize(talk[2 * RATE : 2 * RATE + samples], sample_rate=RATE)
    assert result.duration == samples / RATE
    assert all(turn.end <= result.duration for turn in result)


def test_a_file_and_its_samples_give_the_same(
    model: SpkDiarizationMixin, results: list[Diarization], talk: np.ndarray, tmp_path: Path
) -> None:
    path = tmp_path / "audio_0000.wav"
    soundfile.write(path, talk, RATE, subtype="FLOAT")
    assert model.diarize(path) == results[:1]


def test_a_part_keeps_the_recordings_clock(model: SpkDiarizationMixin, talk: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "talk.wav"
    soundfile.write(path, talk, RATE, subtype="FLOAT")
    [part] = model.diarize({"audio_filepath": str(path), "offset": 2.0, "duration": 8.0, "uniq_id": "part"})
    [alone] = model.diarize(talk[2 * RATE : 10 * RATE], sample_rate=RATE)
    assert (part.recording_id, part.offset, part.duration) == ("part", 2.0, 8.0)
    assert [turn.speaker for turn in part] == [turn.speaker for turn in alone]
    for moved, turn in zip(part, alone, strict=True):
        assert moved.start == pytest.approx(turn.start + 2.0, abs=1e-6)
        assert moved.end == pytest.approx(turn.end + 2.0, abs=1e-6)


def test_nothing_is_kept_between_calls(
    model: SpkDiarizationMixin, results: list[Diarization], talk: np.ndarray
) -> None:
    other = talk[::-1].copy()
    model.diarize(other, sample_rate=RATE)
    assert model.diarize(talk, sample_rate=RATE) == results[:1]


def test_at_most_max_speakers(model: SpkDiarizationMixin, talk: np.ndarray) -> None:
    [one] = model.diarize(talk, sample_rate=RATE, max_speakers=1)
    assert len(one.speakers) <= 1


def test_silence_is_nobody_whatever_is_asked_for(model: SpkDiarizationMixin) -> None:
    silence = np.zeros(2 * RATE, dtype=np.float32)
    [result] = model.diarize(silence, sample_rate=RATE, num_speakers=2, include_tensor_outputs=True, confidence=True)
    assert not result
    assert result.duration == 2.0
    assert result.scores is not None
    assert result.scores.data.shape[1] == 0


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16, torch.float64])
def test_tensors_of_every_type_are_taken(model: SpkDiarizationMixin, talk: np.ndarray, kind: torch.dtype) -> None:
    tensor = torch.from_numpy(talk[: 4 * RATE]).to(kind).requires_grad_()
    [result] = model.diarize(tensor, sample_rate=RATE)
    assert result.duration == 4.0


def test_a_loader_of_waveforms_is_taken(
    model: SpkDiarizationMixin, results: list[Diarization], talk: np.ndarray
) -> None:
    recordings = as_recordings(pieces(talk), RATE)
    loader = audio_dataloader({"recordings": recordings, "batch_size": 2, "sample_rate": RATE})
    assert model.diarize(loader) == results


def test_threads_may_share_a_model(model: SpkDiarizationMixin, results: list[Diarization], talk: np.ndarray) -> None:
    modes = _modes(model)
    with ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(model.diarize, pieces(talk), sample_rate=RATE, batch_size=size) for size in (1, 2)]
        assert [call.result() for call in calls] == [results, results]
    assert _modes(model) == modes


def test_config_and_modes_are_left_alone(model: SpkDiarizationMixin, talk: np.ndarray) -> None:
    config = DiarizeConfig(sample_rate=RATE, num_workers=None)
    before = dict(vars(config))
    modes = _modes(model)
    generator = model.diarize_generator([talk, talk], config)
    next(generator)
    assert _modes(model) == modes
    del generator
    gc.collect()
    assert dict(vars(config)) == before
    assert _modes(model) == modes


def test_unknown_options_are_refused(model: SpkDiarizationMixin, talk: np.ndarray) -> None:
    with pytest.raises(UnknownOptionError, match="num_speakers"):
        model.diarize(talk, sample_rate=RATE, num_speeker=2)


def test_empty_input_is_refused(model: SpkDiarizationMixin) -> None:
    with pytest.raises(ValueError, match="empty"):
        model.diarize([])


def _modes(model: Any) -> list[bool]:
    return [module.training for module in model.modules()] if hasattr(model, "modules") else []
