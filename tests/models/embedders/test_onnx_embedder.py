"""ONNX embedders: which features a file gets, and that neighbours never change a vector."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from onnx_files import SIZE, embedding_file, nemo_file, port, projection, save, segmentation_file

from speakerdiar.errors import ConfigError, WeightsError
from speakerdiar.models.embedders.onnx import OnnxEmbedder
from speakerdiar.nn.kaldi_fbank import FbankOptions, KaldiFbank
from speakerdiar.nn.log_mel import LogMel, per_feature

WESPEAKER = {"framework": "wespeaker", "sample_rate": "16000", "normalize_samples": "0", "output_dim": str(SIZE)}
THREE_D = {"framework": "3d-speaker", "normalize_samples": "1", "feature_normalize_type": "global-mean"}
NEMO = {
    "framework": "nemo",
    "sample_rate": "16000",
    "feat_dim": "80",
    "window_size_ms": "25",
    "window_stride_ms": "10",
    "window_type": "hann",
    "feature_normalize_type": "per_feature",
}
TRAINED = {
    "wespeaker": FbankOptions(window="hamming", scale=32768.0),
    "3d-speaker": FbankOptions(window="povey", scale=1.0),
}


def talk(seconds: float = 3.0) -> NDArray[np.float32]:
    return (np.random.default_rng(3).standard_normal(round(seconds * 16000)) * 0.1).astype(np.float32)


def expected(features: torch.Tensor) -> NDArray[np.float32]:
    """What the made networks give for features (frames, bands), at length 1."""
    raw = features.square().mean(dim=0).numpy() @ projection()
    return np.asarray(raw / np.linalg.norm(raw))


def of_training(framework: str, samples: NDArray[np.float32]) -> NDArray[np.float32]:
    bands = KaldiFbank(TRAINED[framework])(torch.from_numpy(samples))
    return expected(bands - bands.mean(dim=0))


@pytest.mark.parametrize(
    ("metadata", "names", "framework"),
    [
        (WESPEAKER, ("x", "embedding"), "wespeaker"),
        (THREE_D, ("x", "embedding"), "3d-speaker"),
        (None, ("feats", "embs"), "wespeaker"),
        (None, ("feature", "embedding"), "3d-speaker"),
    ],
)
def test_a_file_gets_the_features_of_its_training(
    tmp_path: Path, metadata: dict[str, str] | None, names: tuple[str, str], framework: str
) -> None:
    model = OnnxEmbedder(embedding_file(tmp_path / "a.onnx", metadata, names=names))
    assert (model.dimension, model.sample_rate) == (SIZE, 16000)
    np.testing.assert_allclose(model.embed(talk())[0], of_training(framework, talk()), atol=1e-5)


def test_nemo_models_get_bands_first_and_give_the_vector_last(tmp_path: Path) -> None:
    model = OnnxEmbedder(nemo_file(tmp_path / "a.onnx", NEMO))
    features = per_feature(LogMel(80)(torch.from_numpy(talk())))
    np.testing.assert_allclose(model.embed(talk())[0], expected(features), atol=1e-4)


def test_sherpas_features_are_others(tmp_path: Path) -> None:
    file = embedding_file(tmp_path / "a.onnx", WESPEAKER)
    bands = KaldiFbank(FbankOptions(high=-400, snip_edges=False))(torch.from_numpy(talk()))
    np.testing.assert_allclose(OnnxEmbedder(file, frontend="sherpa").embed(talk())[0], expected(bands), atol=1e-5)
    assert np.abs(OnnxEmbedder(file).embed(talk())[0] - expected(bands)).max() > 0.05


def test_whose_features_can_be_said(tmp_path: Path) -> None:
    file = embedding_file(tmp_path / "a.onnx", names=("x", "y"))
    with pytest.raises(WeightsError, match=r"doesn't say what features it takes .*wespeaker, 3d-speaker, nemo"):
        OnnxEmbedder(file)
    found = OnnxEmbedder(file, frontend="3d-speaker").embed(talk())[0]
    np.testing.assert_allclose(found, of_training("3d-speaker", talk()), atol=1e-5)


@pytest.mark.parametrize("threads", [1, 3])
def test_neighbours_never_change_a_vector(tmp_path: Path, threads: int) -> None:
    model = OnnxEmbedder(embedding_file(tmp_path / "a.onnx", WESPEAKER), threads=threads)
    samples = talk(10)
    starts = np.arange(7) * 8000
    together = model.embed_windows(samples, starts, 24000)
    alone = [model.embed_windows(samples, [start], 24000)[0] for start in starts.tolist()]
    np.testing.assert_array_equal(together, alone)
    np.testing.assert_allclose(together[2], of_training("wespeaker", samples[16000:40000]), atol=1e-5)


def test_masks_leave_what_is_put_together_and_embedded(tmp_path: Path) -> None:
    model = OnnxEmbedder(embedding_file(tmp_path / "a.onnx", WESPEAKER))
    samples = talk(6)
    masks = np.zeros((4, 100), dtype=bool)
    masks[0, 10:30] = masks[0, 60:70] = True
    masks[1, :] = True
    masks[2, :3] = True
    starts = np.array([0, 16000, 16000, 64000])
    found = model.embed_masks(samples, starts, 64000, masks)
    both = np.concatenate([samples[6400:19200], samples[38400:44800]])
    np.testing.assert_allclose(found[0], of_training("wespeaker", both), atol=1e-5)
    np.testing.assert_allclose(found[1], of_training("wespeaker", samples[16000:80000]), atol=1e-5)
    assert np.isnan(found[2:]).all()
    exact = model.embed_masks(samples, starts, 64000, masks, exact=True)
    np.testing.assert_allclose(exact[2], of_training("wespeaker", samples[16000:17920]), atol=1e-5)
    assert np.isnan(exact[3]).all()
    np.testing.assert_array_equal(exact[:2], found[:2])


def test_silence_gives_zeros_and_exactly_what_the_network_says(tmp_path: Path) -> None:
    model = OnnxEmbedder(embedding_file(tmp_path / "a.onnx", WESPEAKER), frontend="sherpa")
    silence, mask = np.zeros(16000, dtype=np.float32), np.ones((1, 10), dtype=bool)
    assert not model.embed(silence).any()
    assert not model.embed_masks(silence, np.array([0]), 16000, mask).any()
    assert np.linalg.norm(model.embed_masks(silence, np.array([0]), 16000, mask, exact=True)) == pytest.approx(1)


@pytest.mark.parametrize(
    ("metadata", "frontend", "error", "message"),
    [
        (WESPEAKER, "kaldi", ConfigError, "frontend='kaldi': give one of auto, wespeaker"),
        (NEMO, "sherpa", ConfigError, "frontend='sherpa': not for models of nemo"),
        (WESPEAKER | {"feature_normalize_type": "x"}, "sherpa", WeightsError, "feature_normalize_type='x' is unknown"),
        (WESPEAKER | {"sample_rate": "fast"}, "auto", WeightsError, "say sample_rate='fast'"),
        ({"framework": "speechbrain"}, "auto", WeightsError, "framework 'speechbrain'"),
        (NEMO | {"window_type": "hamming"}, "auto", WeightsError, "window_type='hamming' is unknown"),
        (NEMO | {"feature_normalize_type": "all"}, "auto", WeightsError, "feature_normalize_type='all' is unknown"),
    ],
)
def test_what_cannot_be_is_refused(
    tmp_path: Path, metadata: dict[str, str], frontend: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        OnnxEmbedder(embedding_file(tmp_path / "a.onnx", metadata), frontend=frontend)


def test_other_networks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"takes \(None, 1, None\): an embedder takes features \(batch, frames, 80"):
        OnnxEmbedder(segmentation_file(tmp_path / "a.onnx"), frontend="wespeaker")
    import onnx

    frames = onnx.helper.make_node("Identity", ["feats"], ["embs"])
    ports = [port("feats", ["B", "T", 80])], [port("embs", ["B", "T", 80])]
    with pytest.raises(WeightsError, match=r"gives \(1, 200, 80\) for one window"):
        OnnxEmbedder(save(tmp_path / "b.onnx", [frames], *ports, [], {}))
    both = [*ports[1], port("other", ["B", "T", 80])]
    twice = onnx.helper.make_node("Neg", ["feats"], ["other"])
    both[0].name = "one"
    nodes = [onnx.helper.make_node("Identity", ["feats"], ["one"]), twice]
    with pytest.raises(WeightsError, match="gives one, other: which is the vector isn't known"):
        OnnxEmbedder(save(tmp_path / "c.onnx", nodes, ports[0], both, [], {}))
