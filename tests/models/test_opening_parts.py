"""Parts of diarizers from files, each by the class that reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from nemo_files import Entry, nemo_file, saved
from onnx_files import embedding_file, segmentation_file
from pipeline_files import campplus_file, pipeline_folder, pyannet_folder, resnet_file

from speakerdiar import load_model
from speakerdiar.clustering.slot_ahc import AhcSlots
from speakerdiar.errors import ConfigError, UnknownModelError, UnknownOptionError, WeightsError
from speakerdiar.models.diarizers.eend_vc import EendVcDiarizer
from speakerdiar.models.diarizers.eend_vc_stages import PyannoteStages
from speakerdiar.models.embedders import make_embedder
from speakerdiar.models.embedders.campplus import CampPlusEmbedder
from speakerdiar.models.embedders.ge2e import Ge2eEmbedder
from speakerdiar.models.embedders.onnx import OnnxEmbedder
from speakerdiar.models.embedders.resnet import WespeakerEmbedder
from speakerdiar.models.opening_parts import is_weights
from speakerdiar.models.segmenters import make_local_segmenter, make_segmenter
from speakerdiar.models.segmenters.onnx import OnnxSegmenter
from speakerdiar.models.segmenters.pyannet import PyannetSegmenter


def test_embedders_by_file_and_folder(tmp_path: Path) -> None:
    assert isinstance(make_embedder(resnet_file(tmp_path / "avg_model.pt")), WespeakerEmbedder)
    assert isinstance(make_embedder(str(tmp_path)), WespeakerEmbedder)
    assert isinstance(make_embedder(campplus_file(tmp_path / "campplus.bin")), CampPlusEmbedder)
    assert isinstance(make_embedder(embedding_file(tmp_path / "voice.onnx", {"framework": "wespeaker"})), OnnxEmbedder)
    assert isinstance(make_embedder("ge2e"), Ge2eEmbedder)


def test_segmenters_by_file_and_folder(tmp_path: Path) -> None:
    assert isinstance(make_local_segmenter(pyannet_folder(tmp_path / "own")), PyannetSegmenter)
    assert isinstance(make_local_segmenter(segmentation_file(tmp_path / "model.onnx")), OnnxSegmenter)
    assert isinstance(make_local_segmenter(str(tmp_path / "model.onnx"), threads=1), OnnxSegmenter)


def test_what_is_of_another_role_is_refused(tmp_path: Path) -> None:
    resnet_file(tmp_path / "avg_model.pt")
    with pytest.raises(WeightsError, match="WespeakerEmbedder, which is no local segmenter"):
        make_local_segmenter(tmp_path / "avg_model.pt")
    with pytest.raises(WeightsError, match="is no embedder"):
        make_embedder(pyannet_folder(tmp_path / "own"))
    with pytest.raises(WeightsError, match="no segmenter is read from ONNX"):
        make_segmenter(str(segmentation_file(tmp_path / "model.onnx")))


def test_weights_that_nothing_knows(tmp_path: Path) -> None:
    torch.save({"a.weight": torch.zeros(2)}, tmp_path / "strange.pt")
    with pytest.raises(WeightsError, match=r"a\.weight: no network here"):
        make_embedder(tmp_path / "strange.pt")
    target = b"target: nemo.collections.asr.models.EncDecCTCModel\n"
    archive = nemo_file(
        tmp_path, Entry("model_config.yaml", target), Entry("model_weights.ckpt", saved({"a": torch.zeros(1)}))
    )
    with pytest.raises(WeightsError, match="EncDecCTCModel, and nothing here reads it"):
        make_embedder(archive)
    (tmp_path / "empty").mkdir()
    with pytest.raises(WeightsError, match="holds no weights"):
        make_embedder(tmp_path / "empty")


def test_a_folder_with_several_files_of_a_kind(tmp_path: Path) -> None:
    for name in ("a.pt", "b.pt"):
        resnet_file(tmp_path / name)
    with pytest.raises(WeightsError, match=r"holds a\.pt, b\.pt: give the path of one"):
        make_embedder(tmp_path)


def test_options_are_the_parts_own(tmp_path: Path) -> None:
    file = resnet_file(tmp_path / "avg_model.pt")
    made = make_embedder(file, precision="bf16", device="cpu")
    assert isinstance(made, WespeakerEmbedder)
    assert made.network.conv1.weight.dtype == torch.bfloat16
    with pytest.raises(UnknownOptionError, match="precision"):
        make_embedder(file, precison="bf16")
    with pytest.raises(ConfigError, match="device"):
        make_embedder(file, device="nowhere")


def test_names_that_are_no_weights() -> None:
    assert not is_weights("ge2e")
    assert not is_weights(3)
    assert is_weights("owner/name")
    assert is_weights(Path("model.onnx"))
    with pytest.raises(UnknownModelError, match="Did you mean 'ge2e'"):
        make_embedder("ge2")
    with pytest.raises(WeightsError, match="no such file"):
        make_embedder("missing.onnx")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pipeline_folder(tmp_path_factory.mktemp("parts") / "pipeline", segmentation_step=0.25)


def test_a_pipelines_folder(folder: Path) -> None:
    model = load_model(folder)
    assert isinstance(model, EendVcDiarizer)
    assert isinstance(model.segmenter, PyannetSegmenter)
    assert isinstance(model.embedder, WespeakerEmbedder)
    assert isinstance(model.stages, PyannoteStages)
    assert model.stages.clusterer == AhcSlots()
    assert model.grid.step == 40000
    assert (model.exact, model.stages.exact, model.stages.exclude_overlap) == (False, False, True)
    exact = load_model(folder, exact=True, step=0.5, precision="bf16", device="cpu")
    assert isinstance(exact, EendVcDiarizer)
    assert (exact.exact, exact.grid.step) == (True, 80000)


def test_a_pipeline_without_its_parts(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownOptionError, match="exact"):
        load_model(folder, exakt=True)
    lacking = pipeline_folder(tmp_path / "lacking", embedding="$model/voice")
    with pytest.raises(WeightsError, match="has no 'voice'"):
        load_model(lacking)
    without = pipeline_folder(tmp_path / "without", clustering="VBxClustering")
    with pytest.raises(WeightsError, match="needs a PLDA"):
        load_model(without)


def test_a_pair_of_files(tmp_path: Path) -> None:
    segmentation = segmentation_file(tmp_path / "segmentation.onnx")
    model: Any = load_model(segmentation, embedder=resnet_file(tmp_path / "avg_model.pt"), exact=True)
    assert (type(model.segmenter), type(model.embedder), model.exact) == (OnnxSegmenter, WespeakerEmbedder, True)
    assert isinstance(load_model(segmentation).embedder, Ge2eEmbedder)  # type: ignore[attr-defined]
    with pytest.raises(UnknownOptionError, match="embedder"):
        load_model(segmentation, embeder="ge2e")
    with pytest.raises(WeightsError, match="no local segmenter"):
        load_model(tmp_path / "avg_model.pt")
