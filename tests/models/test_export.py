"""Networks as ONNX files: onnxruntime gives our numbers, and sherpa-onnx takes the files."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from fakes_networks import drawn_weights, shapes_of
from numpy.typing import NDArray

from speakerdiar.audio import load
from speakerdiar.checkpoints.checkpoint import Checkpoint
from speakerdiar.errors import ConfigError, MissingExtraError, ModelError
from speakerdiar.models.embedders.campplus import CampPlusEmbedder
from speakerdiar.models.embedders.onnx import OnnxEmbedder
from speakerdiar.models.embedders.resnet import WespeakerEmbedder
from speakerdiar.models.export import export_onnx
from speakerdiar.models.opening_parts import open_part
from speakerdiar.models.segmenters.onnx import OnnxSegmenter
from speakerdiar.models.segmenters.pyannet import PyannetSegmenter
from speakerdiar.nn.campplus import CampPlusNetwork, CampPlusShape
from speakerdiar.nn.pyannet import PyanNet, PyanNetShape
from speakerdiar.nn.resnet34 import ResNetShape, SpeakerResNet
from speakerdiar.postprocessing.powerset import Powerset

RATE = 16000


def segmenter(precision: torch.dtype = torch.float32) -> PyannetSegmenter:
    torch.manual_seed(0)
    network = PyanNet(PyanNetShape(classes=7, lstm_size=8, linear_size=8)).to(precision)
    return PyannetSegmenter(network, window=2 * RATE, powerset=Powerset(3, 2))


def drawn(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    return drawn_weights(shapes_of(network.state_dict()))


def resnet(precision: str = "fp32", mel_bins: int = 80, **hyper_parameters: Any) -> WespeakerEmbedder:
    shape = ResNetShape(channels=4, blocks=(1, 2, 1, 1), dimension=12, mel_bins=mel_bins)
    weights = drawn(SpeakerResNet(shape))
    config = {"hyper_parameters": hyper_parameters}
    return WespeakerEmbedder.from_checkpoint(Checkpoint(Path("drawn"), config, weights), precision=precision)


def campplus(n_mels: int = 80) -> CampPlusEmbedder:
    weights = drawn(CampPlusNetwork(CampPlusShape(n_mels, 6, 4, 8, 4, 8, (1, 2, 1))))
    return CampPlusEmbedder.from_checkpoint(Checkpoint(Path("drawn"), {}, weights))


def noise(*shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(7).standard_normal(shape).astype(np.float32)


def run(file: Path, given: NDArray[np.float32]) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(file.read_bytes())
    [output] = session.run(None, {session.get_inputs()[0].name: given})
    return np.asarray(output)


def operators(file: Path) -> list[str]:
    return [node.op_type for node in onnx.load(file).graph.node]


def test_scores_are_those_of_the_segmenter_at_any_length(tmp_path: Path) -> None:
    ours = segmenter()
    file = export_onnx(ours, tmp_path / "segmentation.onnx")
    for rows, samples in ((1, 2 * RATE), (3, 2 * RATE), (2, 9001), (1, 5 * RATE)):
        given = noise(rows, 1, samples)
        with torch.inference_mode():
            expected = ours.network(torch.from_numpy(given[:, 0]))
        np.testing.assert_allclose(run(file, given), expected, rtol=0, atol=1e-5)
    assert operators(file).count("LSTM") == 2


def test_a_segmenter_is_read_back(tmp_path: Path) -> None:
    ours = segmenter()
    read = OnnxSegmenter(export_onnx(ours, tmp_path / "segmentation.onnx"))
    assert (read.grid, read.powerset) == (ours.grid, ours.powerset)
    windows = noise(3, 2 * RATE)
    np.testing.assert_allclose(read.score_windows(windows), ours.score_windows(windows), rtol=0, atol=1e-5)


def test_a_segmenter_says_what_sherpa_onnx_reads(tmp_path: Path) -> None:
    file = export_onnx(segmenter(), tmp_path / "a.onnx", metadata={"license": "MIT"})
    said = {entry.key: entry.value for entry in onnx.load(file).metadata_props}
    expected = {
        "model_type": "pyannote-segmentation-3.0",
        "version": "1",
        "sample_rate": "16000",
        "window_size": "32000",
        "receptive_field_size": "991",
        "receptive_field_shift": "270",
        "num_speakers": "3",
        "powerset_max_classes": "2",
        "num_classes": "7",
        "license": "MIT",
    }
    assert expected.items() <= said.items()
    assert {"model_author", "maintainer", "url_1", "url_2"} <= said.keys()


@pytest.mark.parametrize("make", [resnet, campplus])
def test_vectors_are_those_of_the_embedder_at_any_length(
    tmp_path: Path, make: Callable[[], WespeakerEmbedder | CampPlusEmbedder]
) -> None:
    ours = make()
    file = export_onnx(ours, tmp_path / "embedding.onnx")
    for rows, frames in ((1, 200), (3, 200), (2, 101), (1, 9), (1, 1234)):
        given = noise(rows, frames, 80)
        with torch.inference_mode():
            expected = ours.network(torch.from_numpy(given))
        np.testing.assert_allclose(run(file, given), expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


@pytest.mark.parametrize("make", [resnet, campplus])
def test_an_embedder_is_read_back_with_its_features(
    tmp_path: Path, make: Callable[[], WespeakerEmbedder | CampPlusEmbedder]
) -> None:
    ours = make()
    read = OnnxEmbedder(export_onnx(ours, tmp_path / "embedding.onnx"))
    samples = noise(2 * RATE)
    vector: NDArray[np.float32] = ours.embed(samples)
    expected = vector / float(np.linalg.norm(vector))
    np.testing.assert_allclose(read.embed(samples), expected, rtol=0, atol=1e-4)
    assert read.dimension == ours.dimension


def test_half_precisions_become_whole_ones_and_the_part_stays(tmp_path: Path) -> None:
    ours = resnet("bf16")
    file = export_onnx(ours, tmp_path / "embedding.onnx")
    given = noise(1, 100, 80)
    whole = resnet().network
    with torch.inference_mode():
        np.testing.assert_allclose(run(file, given), whole(torch.from_numpy(given)), rtol=0.1, atol=0.05)
    assert ours.network.conv1.weight.dtype == torch.bfloat16


def test_eight_bits_are_smaller_and_nearly_the_same(tmp_path: Path) -> None:
    ours = resnet()
    whole = export_onnx(ours, tmp_path / "whole.onnx")
    small = export_onnx(ours, tmp_path / "small.onnx", int8=True)
    assert small.stat().st_size < 0.6 * whole.stat().st_size
    assert "ConvInteger" in operators(small)
    given = noise(1, 200, 80)
    one, other = run(whole, given)[0], run(small, given)[0]
    assert 0.95 < one @ other / np.linalg.norm(one) / np.linalg.norm(other) < 1
    assert OnnxEmbedder(small).dimension == ours.dimension
    assert sorted(path.name for path in tmp_path.iterdir()) == ["small.onnx", "whole.onnx"]


def test_eight_bits_of_an_lstm(tmp_path: Path) -> None:
    file = export_onnx(segmenter(), tmp_path / "small.onnx", int8=True)
    assert operators(file).count("DynamicQuantizeLSTM") == 2
    assert OnnxSegmenter(file).grid == segmenter().grid


def test_a_file_is_replaced_only_on_purpose(tmp_path: Path) -> None:
    file = tmp_path / "a.onnx"
    file.write_bytes(b"mine")
    with pytest.raises(ConfigError, match=r"a\.onnx is there already.*overwrite=True"):
        export_onnx(segmenter(), file)
    assert file.read_bytes() == b"mine"
    assert export_onnx(segmenter(), file, overwrite=True) == file
    assert OnnxSegmenter(file).speakers == 3


def test_nothing_is_left_where_writing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("speakerdiar.models.export.os.replace", fails)
    with pytest.raises(OSError, match="no space left"):
        export_onnx(segmenter(), tmp_path / "a.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "message"),
    [("a.bin", r"ends in \.onnx"), ("folder.onnx", "is a folder"), ("missing/a.onnx", "missing is no folder")],
)
def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "folder.onnx").mkdir()
    with pytest.raises(ConfigError, match=message):
        export_onnx(segmenter(), tmp_path / name)


def test_what_a_file_cannot_say_is_refused(tmp_path: Path) -> None:
    multilabel = PyannetSegmenter(PyanNet(PyanNetShape(3, powerset=False, lstm_size=8, linear_size=8)))
    for part, message in (
        (multilabel, "powerset"),
        (resnet(window_type="povey"), "window='povey'"),
        (resnet(fbank_centering_span=3.0), "means over part"),
        (resnet(mel_bins=40), "mel_bins=40"),
        (campplus(n_mels=40), "CAM\\+\\+ of 40 bands"),
        ("ge2e", "str can't be exported to ONNX: these can: PyannetSegmenter"),
    ):
        with pytest.raises(ModelError, match=message):
            export_onnx(part, tmp_path / "a.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("package", "extra"), [("onnx", "export"), ("onnxruntime", "onnx")])
def test_a_missing_package_names_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=rf"speakerdiar\[{extra}\]"):
        export_onnx(segmenter(), tmp_path / "a.onnx", int8=True)


class Sherpa:
    """sherpa-onnx's diarization with two files."""

    def __init__(self, segmentation: Path, embedding: Path, **clustering: float) -> None:
        self.made = pytest.importorskip("sherpa_onnx", reason="sherpa-onnx isn't installed")
        config = self.made.OfflineSpeakerDiarizationConfig(
            segmentation=self.made.OfflineSpeakerSegmentationModelConfig(
                pyannote=self.made.OfflineSpeakerSegmentationPyannoteModelConfig(model=str(segmentation))
            ),
            embedding=self.made.SpeakerEmbeddingExtractorConfig(model=str(embedding)),
            clustering=self.made.FastClusteringConfig(**clustering),
        )
        assert config.validate()
        self.diarization = self.made.OfflineSpeakerDiarization(config)

    def turns(self, samples: NDArray[np.float32]) -> list[tuple[float, float, int]]:
        found = self.diarization.process(samples).sort_by_start_time()
        return [(round(each.start, 4), round(each.end, 4), each.speaker) for each in found]


@pytest.fixture(scope="module")
def talk(shared: Path) -> NDArray[np.float32]:
    return np.asarray(load(shared / "golden/peers/8_synthetic/talk.wav", RATE), dtype=np.float32)


def test_sherpa_onnx_gets_the_same_from_our_segmentation(
    shared: Path, talk: NDArray[np.float32], tmp_path: Path
) -> None:
    folder = shared / "golden/peers/8_synthetic"
    part = open_part(folder / "segmentation.bin", "local segmenter", PyannetSegmenter)
    ours = export_onnx(part, tmp_path / "segmentation.onnx")
    embedding = folder / "wespeaker.onnx"
    piece = talk[: 24 * RATE]
    found = Sherpa(ours, embedding, num_clusters=3).turns(piece)
    assert len(found) > 5
    assert found == Sherpa(folder / "segmentation.onnx", embedding, num_clusters=3).turns(piece)


@pytest.mark.parametrize("make", [resnet, campplus])
def test_sherpa_onnx_runs_an_exported_pair(
    talk: NDArray[np.float32],
    shared: Path,
    tmp_path: Path,
    make: Callable[[], WespeakerEmbedder | CampPlusEmbedder],
) -> None:
    folder = shared / "golden/peers/8_synthetic"
    segmentation = export_onnx(
        open_part(folder / "segmentation.bin", "local segmenter", PyannetSegmenter), tmp_path / "segmentation.onnx"
    )
    embedding = export_onnx(make(), tmp_path / "embedding.onnx")
    turns = Sherpa(segmentation, embedding, num_clusters=2).turns(talk[: 15 * RATE])
    assert len({speaker for _, _, speaker in turns}) == 2
    assert all(0 <= start < end <= 15 for start, end, _ in turns)


@pytest.mark.parametrize("make", [resnet, campplus])
def test_sherpa_onnx_embeds_as_we_do(
    talk: NDArray[np.float32], tmp_path: Path, make: Callable[[], WespeakerEmbedder | CampPlusEmbedder]
) -> None:
    sherpa_onnx = pytest.importorskip("sherpa_onnx", reason="sherpa-onnx isn't installed")
    file = export_onnx(make(), tmp_path / "embedding.onnx")
    extractor = sherpa_onnx.SpeakerEmbeddingExtractor(sherpa_onnx.SpeakerEmbeddingExtractorConfig(model=str(file)))
    piece = talk[3 * RATE : 6 * RATE]
    stream = extractor.create_stream()
    stream.accept_waveform(RATE, piece)
    stream.input_finished()
    theirs = np.asarray(extractor.compute(stream))
    ours = OnnxEmbedder(file, frontend="sherpa").embed(piece)[0]
    cosine = theirs @ ours / np.linalg.norm(theirs) / np.linalg.norm(ours)
    assert cosine == pytest.approx(1, abs=1e-4)
