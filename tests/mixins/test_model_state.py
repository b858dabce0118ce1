"""The template: the model stands as before, whatever a call goes through."""

from __future__ import annotations

import gc
import logging
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import soundfile
import torch
from fakes import RATE, ToneDiarizer, tones
from nemo_style import SAMPLES, Heard, Numbers

from speakerdiar.config import DiarizeConfig


def mixed_modes(model: ToneDiarizer) -> dict[str, bool]:
    return {name: module.training for name, module in model.named_modules()}


def test_modes_hold_around_the_forward_only() -> None:
    model = Numbers().train()
    generator = model.diarize_generator(["1", "2"])
    next(generator)
    assert model.modes == [(False, True)]
    assert model.training
    assert not torch.is_inference_mode_enabled()
    generator.close()  # type: ignore[attr-defined]
    assert model.training


def test_every_submodule_gets_its_own_mode_back(wav: str) -> None:
    model = ToneDiarizer().train()
    model.frozen.eval()
    before = mixed_modes(model)
    model.diarize(wav)
    assert mixed_modes(model) == before
    assert before["frozen"] is False


def test_results_may_be_changed_in_place() -> None:
    class InPlace(Numbers):
        def _diarize_output_processing(self, outputs: Any, uniq_ids: list[str], diarcfg: Any) -> Any:
            assert not torch.is_inference_mode_enabled()
            outputs.add_(1.0)
            return outputs.flatten().tolist()

    assert InPlace().diarize(["1"]) == [2.0]


def test_dither_and_padding_are_off_in_the_forward_and_come_back() -> None:
    model = Heard()
    generator = model.diarize_generator([SAMPLES, SAMPLES], sample_rate=RATE)
    next(generator)
    assert (model.preprocessor.featurizer.dither, model.preprocessor.featurizer.pad_to) == (1e-5, 16)
    list(generator)
    assert model.dithers == [0.0, 0.0]
    assert (model.preprocessor.featurizer.dither, model.preprocessor.featurizer.pad_to) == (1e-5, 16)


@pytest.mark.parametrize("failing", ["begin", "manifest", "loader", "forward", "output"])
def test_the_end_hook_runs_whatever_fails(failing: str) -> None:
    model = Numbers().train()
    model.fail = failing
    with pytest.raises(OSError, match=failing):
        model.diarize(["1", "2"])
    assert model.calls[-1] == "end"
    assert model.training
    assert not torch.is_inference_mode_enabled()


def test_what_the_begin_hook_switches_is_switched_back() -> None:
    class Switching(Numbers):
        def _diarize_on_begin(self, audio: Any, diarcfg: DiarizeConfig) -> None:
            super()._diarize_on_begin(audio, diarcfg)
            self.eval()

    model = Switching().train()
    model.diarize(["1"])
    assert model.training
    assert model.encoder.training


def test_a_mode_set_between_batches_is_the_callers() -> None:
    model = Numbers().eval()
    generator = model.diarize_generator(["1", "2"])
    next(generator)
    model.train()
    list(generator)
    assert model.training


def test_an_abandoned_generator_leaves_nothing_behind() -> None:
    model = Numbers().train()
    generator = model.diarize_generator(["1", "2", "3"])
    next(generator)
    temp_dir = model.configs[0]["temp_dir"]
    assert os.path.isdir(temp_dir)
    del generator
    gc.collect()
    assert model.calls[-1] == "end"
    assert model.training
    assert not os.path.exists(temp_dir)


def test_interleaved_generators_do_not_disturb_each_other(tmp_path: Path) -> None:
    model = ToneDiarizer().train()
    paths = []
    for index in range(3):
        paths.append(str(tmp_path / f"{index}.wav"))
        soundfile.write(paths[-1], tones([(0, 1 + index, index)], 4.0), RATE)
    forth, back = model.diarize_generator(paths), model.diarize_generator(paths[::-1], override_config=DiarizeConfig())
    pairs = list(zip(forth, back, strict=True))
    assert [[r.recording_id for r in a + b] for a, b in pairs] == [["0", "2"], ["1", "1"], ["2", "0"]]
    assert [a[0].turns[0].end for a, _ in pairs] == [1.0, 2.0, 3.0]
    assert model.training


def test_one_config_serves_two_models() -> None:
    config = DiarizeConfig()
    first, second = Numbers().train(), Numbers().eval()
    a, b = first.diarize_generator(["1", "2"], config), second.diarize_generator(["3", "4"], config)
    assert [next(a), next(b), *a, *b] == [[1.0], [3.0], [2.0], [4.0]]
    assert first.training
    assert not second.training


def test_a_generator_that_never_starts_runs_no_hook() -> None:
    model = Numbers().train()
    generator = model.diarize_generator(["1"])
    del generator
    gc.collect()
    closed = model.diarize_generator(["1"])
    closed.close()  # type: ignore[attr-defined]
    assert list(closed) == []
    assert model.calls == []
    assert model.training


def test_the_end_hook_runs_once_for_each_call_that_starts() -> None:
    model = Numbers()
    list(model.diarize_generator(["1", "2"]))
    closed = model.diarize_generator(["1", "2"])
    next(closed)
    closed.close()  # type: ignore[attr-defined]
    thrown = model.diarize_generator(["1", "2"])
    next(thrown)
    with pytest.raises(KeyError):
        thrown.throw(KeyError("stop"))  # type: ignore[attr-defined]
    assert model.calls.count("begin") == model.calls.count("end") == 3


def test_an_error_of_the_end_hook_is_not_hidden_and_the_model_stands_as_before() -> None:
    class Failing(Numbers):
        def _diarize_on_begin(self, audio: Any, diarcfg: DiarizeConfig) -> None:
            self.eval()

        def _diarize_on_end(self, diarcfg: DiarizeConfig) -> None:
            raise OSError("end")

    model = Failing().train()
    with pytest.raises(OSError, match="end"):
        model.diarize(["1"])
    assert model.training


class Attentive(ToneDiarizer):
    """Looks whether another thread has changed its modes while its forward runs."""

    def _diarize_forward(self, batch: Any) -> torch.Tensor:
        assert not any(mixed_modes(self).values())
        time.sleep(0.002)
        assert not any(mixed_modes(self).values())
        assert torch.is_inference_mode_enabled()
        return super()._diarize_forward(batch)


class AttentiveAndEval(Attentive):
    def _diarize_on_begin(self, audio: Any, diarcfg: DiarizeConfig) -> None:
        super()._diarize_on_begin(audio, diarcfg)
        self.eval()


@pytest.mark.parametrize("kind", [Attentive, AttentiveAndEval])
def test_threads_may_share_a_model(kind: type[ToneDiarizer]) -> None:
    model = kind().train()
    model.frozen.eval()
    before = mixed_modes(model)
    audio = [tones([(0.2 * index, 1 + 0.3 * index, index)], 3.0) for index in range(4)]
    expected = model.diarize(audio, sample_rate=RATE)
    results: list[Any] = []

    def work(batch_size: int) -> None:
        results.extend(model.diarize(audio, sample_rate=RATE, batch_size=batch_size) for _ in range(8))

    threads = [threading.Thread(target=work, args=(size,)) for size in (1, 2, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [expected] * 24
    assert mixed_modes(model) == before


@pytest.mark.parametrize("audio", [[], None])
def test_empty_input_leaves_dither_and_padding_alone(audio: Any) -> None:
    model = Heard().train()
    with pytest.raises(ValueError, match="empty"):
        model.diarize(audio)
    assert (model.preprocessor.featurizer.dither, model.preprocessor.featurizer.pad_to) == (1e-5, 16)
    assert model.training


def test_the_log_level_and_the_memory_of_the_device_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    emptied: list[None] = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: emptied.append(None))
    level = logging.getLogger().level
    generator = Numbers().diarize_generator(["1", "2"])
    next(generator)
    assert logging.getLogger().level == level
    list(generator)
    assert emptied == []
