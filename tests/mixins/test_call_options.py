"""The template: options, post-processing and progress."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes import ToneDiarizer
from nemo_style import Numbers

from speakerdiar.config import DiarizeConfig, PostProcessingParams
from speakerdiar.errors import ConfigError, InputError, UnknownOptionError


def test_an_unknown_option_names_the_closest() -> None:
    with pytest.raises(UnknownOptionError, match="num_speakers"):
        Numbers().diarize(["1"], num_speaker=2)
    with pytest.raises(TypeError):
        Numbers().diarize_generator(["1"], batchsize=2)


@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 0},
        {"num_workers": -1},
        {"num_speakers": 0},
        {"num_speakers": 2.5},
        {"min_speakers": 3, "max_speakers": 2},
        {"num_speakers": 5, "max_speakers": 2},
        {"session_len_sec": 0},
        {"progress": 3},
        {"postprocessing_params": 3},
        {"sample_rate": -1},
    ],
)
def test_an_impossible_option_is_refused_at_the_call(options: dict[str, Any]) -> None:
    model = Numbers()
    with pytest.raises(ConfigError):
        model.diarize_generator(["1"], **options)
    assert model.calls == []


def test_post_processing_is_always_filled_in(tmp_path: Path) -> None:
    model = Numbers()
    list(model.diarize_generator(["1"], DiarizeConfig()))
    assert model.seen[-1].postprocessing_params == PostProcessingParams()
    path = tmp_path / "pp.yaml"
    path.write_text("parameters:\n  onset: 0.7\n  min_duration_on: 0.25\n")
    model.diarize(["1"], postprocessing_yaml=str(path))
    assert model.seen[-1].postprocessing_params == PostProcessingParams(onset=0.7, min_duration_on=0.25)
    model.diarize(["1"], postprocessing_params={"offset": 0.2})
    assert model.seen[-1].postprocessing_params == PostProcessingParams(offset=0.2)
    path.write_text("parameters:\n  onst: 0.7\n")
    with pytest.raises(UnknownOptionError, match="onset"):
        model.diarize(["1"], postprocessing_yaml=str(path))


def test_progress_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[tuple[int, int | None]] = []
    Numbers().diarize(["1", "2", "3"], batch_size=2, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(2, 3), (3, 3)]
    assert capsys.readouterr().err == ""
    Numbers().diarize(["1", "2", "3"], verbose=True)
    assert "Diarizing: 100%" in capsys.readouterr().err


def test_a_generator_is_lazy(wav: str) -> None:
    def endless() -> Iterator[str]:
        yield wav
        yield wav

    results = ToneDiarizer().diarize_generator(endless())
    assert len(next(results)) == 1


def test_missing_audio_is_reported_when_it_is_read() -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.wav"):
        ToneDiarizer().diarize("nowhere.wav")
    with pytest.raises(InputError):
        ToneDiarizer().diarize("nowhere.jsonl")


def test_the_number_of_cores_may_be_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    model = Numbers()
    assert model.diarize(["1"], num_workers=None) == [1.0]
    assert model.configs[0]["num_workers"] == 0


def test_quiet_by_default(wav: str, capfd: pytest.CaptureFixture[str]) -> None:
    ToneDiarizer().diarize([wav, wav])
    assert capfd.readouterr() == ("", "")


def test_post_processing_that_is_handed_in_is_not_changed() -> None:
    class Bypassing(Numbers):
        def _diarize_on_begin(self, audio: Any, diarcfg: DiarizeConfig) -> None:
            diarcfg.postprocessing_params.onset = 0.9

    given = PostProcessingParams(onset=0.7)
    Bypassing().diarize(["1"], postprocessing_params=given)
    Bypassing().diarize(["1"])
    assert given == PostProcessingParams(onset=0.7)
    assert PostProcessingParams() == Bypassing.DEFAULT_POSTPROCESSING
