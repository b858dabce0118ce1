"""`speakerdiar diarize` with weights from a file: latency, post-processing and device."""

from __future__ import annotations

from pathlib import Path

import pytest
import soundfile
from fakes_sortformer import nemo_config, tiny_network, write_nemo
from typer.testing import CliRunner, Result

from speakerdiar.cli.main import app
from speakerdiar.formats import rttm
from speakerdiar.models import load_model

CONVERSATION = Path(__file__).resolve().parents[2] / "examples" / "data" / "conversation.flac"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    network = tiny_network()
    path = tmp_path_factory.mktemp("weights") / "tiny.nemo"
    return write_nemo(path, network, nemo_config(network.shape, streaming=True))


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("audio") / "clip.wav"
    samples, rate = soundfile.read(CONVERSATION, dtype="float32", stop=16000 * 9)
    soundfile.write(path, samples, rate)
    return path


def run(clip: Path, weights: object, *options: str) -> Result:
    return CliRunner().invoke(app, ["diarize", str(clip), "--model", str(weights), *options])


def test_a_nemo_file_is_a_model(clip: Path, weights: Path) -> None:
    result = run(clip, weights, "-q")
    assert result.exit_code == 0, result.output
    [found] = rttm.loads(result.stdout)
    [expected] = load_model(weights).diarize(clip)
    assert [(t.start, t.speaker) for t in found] == [(round(t.start, 3), t.speaker) for t in expected]
    assert len(found) > 3


def test_latency_and_post_processing_change_what_comes_out(clip: Path, weights: Path) -> None:
    plain = run(clip, weights, "-q").stdout
    model = load_model(weights)
    quick = run(clip, weights, "-q", "--latency", "0.64s").stdout
    assert quick == model.diarize(clip, latency="0.64s")[0].to_rttm() != plain
    smooth = run(clip, weights, "-q", "--postprocessing", "callhome").stdout
    assert smooth == model.diarize(clip, postprocessing_params="callhome")[0].to_rttm() != plain


def test_post_processing_comes_from_a_file_too(clip: Path, weights: Path, tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text("parameters:\n  onset: 0.9\n  offset: 0.8\n")
    found = run(clip, weights, "-q", "--postprocessing", str(file)).stdout
    assert found == load_model(weights).diarize(clip, postprocessing_yaml=str(file))[0].to_rttm()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--latency", "1.4s"], "Did you mean '1.04s'?"),
        (["--postprocessing", "callhom"], "Did you mean 'callhome'?"),
        (["--postprocessing", "absent.yaml"], "there is no such file"),
        (["--device", "tpu9"], "device='tpu9' can't be used"),
        (["--num-speakers", "5"], "tells at most 4 apart"),
    ],
)
def test_what_the_model_lacks_is_said_once_and_before_any_work(
    clip: Path, weights: Path, options: list[str], said: str
) -> None:
    result = run(clip, weights, *options)
    assert result.exit_code == 2
    assert result.output.count(said) == 1
    assert result.stdout == ""


def test_a_model_without_a_device_says_what_it_takes(clip: Path) -> None:
    result = run(clip, "embedded", "--device", "cpu")
    assert result.exit_code == 2
    assert "no option 'device'" in result.output
