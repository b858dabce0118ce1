"""Writes the networks of segmenters and embedders as ONNX files, which sherpa-onnx and `OnnxSegmenter` run.

Files have the metadata that sherpa-onnx reads; the features that an embedder takes are made by whoever runs it.
"""

from __future__ import annotations

import copy
import importlib
import os
import secrets
import tempfile
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from speakerdiar.errors import ConfigError, MissingExtraError, ModelError
from speakerdiar.models.embedders.campplus import CampPlusEmbedder
from speakerdiar.models.embedders.resnet import WespeakerEmbedder
from speakerdiar.models.embedders.utterance import UtteranceEmbedder
from speakerdiar.models.segmenters.pyannet import PyannetSegmenter
from speakerdiar.nn.kaldi_fbank import FbankOptions

OPSET = 17
"""Of the operators; sherpa-onnx has taken it since its first speaker models."""
FRAMES = 200
"""Frames that the network sees while its operators are written down; files take any number."""
BANDS = 80
"""Of the features that sherpa-onnx computes."""
UNSAID = "unknown"
"""What stands where nobody said anything; sherpa-onnx refuses files that leave some of it out."""
SUFFIX = ".onnx"


@dataclass(frozen=True, eq=False)
class _Graph:
    """What becomes a file: a network of one input and one output, and what is said of it.

    Attributes:
        network: (B, ...) -> (B, ...).
        example: an input.
        axes: names of the input and the output, in this order, and of the sizes that may vary, by axis.
        metadata: for sherpa-onnx.
    """

    network: torch.nn.Module
    example: torch.Tensor
    axes: Mapping[str, Mapping[int, str]]
    metadata: Mapping[str, object]


def export_onnx(
    part: object,
    path: str | os.PathLike[str],
    *,
    int8: bool = False,
    overwrite: bool = False,
    metadata: Mapping[str, str] | None = None,
) -> Path:
    """Write the network of a segmenter or embedder as an ONNX file with sherpa-onnx's metadata, whole or not at all.

    Segmenters take `x` (N, 1, T) samples and give `y` (N, F, classes) log-probabilities. Embedders take features
    (B, T, 80), of 9 frames or more, and give vectors (B, D). All is float32, whatever the precision of the part.

    Args:
        part: a `PyannetSegmenter` with a powerset, a `WespeakerEmbedder` or a `CampPlusEmbedder`.
        path: the file, whose name ends in .onnx.
        int8: weights of 8 bits, for a file of a third to a quarter of the size; a segmenter's decisions may change, so
            compare its results with those of the whole file.
        overwrite: replace a file that is there.
        metadata: said of the model beside what it is itself: `license`, `url`, `language`, `comment`.

    Returns:
        The path.

    Raises:
        ModelError: a part that can't be exported; the message says why.
        ConfigError: a file that is there, or a name with another ending.
        MissingExtraError: onnx, or with `int8` onnxruntime, isn't installed.
    """
    target = _target(path, overwrite)
    onnx = _package("onnx", "export", "Exporting to ONNX")
    graph = _graph_of(part)
    model = onnx.load_from_string(_traced(graph))
    said = {**graph.metadata, **(metadata or {})}
    onnx.helper.set_model_props(model, {key: str(value) for key, value in said.items()})
    beside = target.with_name(f".{secrets.token_hex(8)}.part")
    try:
        if int8:
            _quantize(model, beside)
        else:
            beside.write_bytes(model.SerializeToString())
        os.replace(beside, target)
    finally:
        beside.unlink(missing_ok=True)
    return target


def _target(path: str | os.PathLike[str], overwrite: bool) -> Path:
    target = Path(path)
    if target.suffix != SUFFIX:
        raise ConfigError(f"{target}: give a name that ends in {SUFFIX}.")
    if target.is_dir():
        raise ConfigError(f"{target} is a folder: give the name of a file.")
    if target.exists() and not overwrite:
        raise ConfigError(f"{target} is there already: give another name, or overwrite=True to replace it.")
    if not target.parent.is_dir():
        raise ConfigError(f"{target.parent} is no folder: make it first.")
    return target


def _graph_of(part: object) -> _Graph:
    for kind, graph_of in _EXPORTED.items():
        if isinstance(part, kind):
            return graph_of(part)
    names = ", ".join(kind.__name__ for kind in _EXPORTED)
    raise ModelError(f"{type(part).__name__} can't be exported to ONNX: these can: {names}.")


def _of_pyannet(segmenter: PyannetSegmenter) -> _Graph:
    powerset, grid = segmenter.powerset, segmenter.grid
    if powerset is None:
        raise ModelError(
            "A segmenter that scores each speaker by itself can't be exported: sherpa-onnx wants classes that are sets "
            "of speakers (a powerset), such as those of pyannote/segmentation-3.0."
        )
    metadata = {
        "model_type": "pyannote-segmentation-3.0",
        "version": 1,
        "sample_rate": grid.rate,
        "window_size": grid.window,
        "receptive_field_size": grid.receptive,
        "receptive_field_shift": grid.frame_step,
        "num_speakers": powerset.speakers,
        "powerset_max_classes": powerset.at_once,
        "num_classes": powerset.classes,
        **dict.fromkeys(("model_author", "maintainer", "url_1", "url_2", "license"), UNSAID),
    }
    axes = {"x": {0: "N", 2: "T"}, "y": {0: "N", 1: "F"}}
    return _Graph(_OfChannels(segmenter.network), torch.zeros(2, 1, grid.window), axes, metadata)


class _OfChannels(torch.nn.Module):
    """Takes samples as sherpa-onnx hands them over: (N, 1, T)."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.network(samples.squeeze(1))
        return scores


def _of_resnet(embedder: WespeakerEmbedder) -> _Graph:
    usual = FbankOptions(window="hamming", mel_bins=BANDS)
    if embedder.frontend.options != usual or embedder.frontend.radius is not None:
        raise ModelError(
            f"A WeSpeaker network with {embedder.frontend.options} and means over part of the audio can't be exported: "
            f"a file can't say so, and those who run it compute {usual} less the mean over all."
        )
    return _of_features(embedder, "feats", "embs", framework="wespeaker", normalize_samples=0)


def _of_campplus(embedder: CampPlusEmbedder) -> _Graph:
    bands = embedder.network.shape.n_mels
    if bands != BANDS:
        raise ModelError(f"A CAM++ of {bands} bands can't be exported: whoever runs the file computes {BANDS}.")
    names = {"framework": "3d-speaker", "feature_normalize_type": "global-mean"}
    return _of_features(embedder, "x", "embedding", **names, normalize_samples=1)


def _of_features(embedder: UtteranceEmbedder, taken: str, given: str, **metadata: object) -> _Graph:
    said = {
        **metadata,
        "output_dim": embedder.dimension,
        "sample_rate": embedder.sample_rate,
        **dict.fromkeys(("language", "url", "comment", "license"), UNSAID),
    }
    axes = {taken: {0: "B", 1: "T"}, given: {0: "B"}}
    return _Graph(embedder.network, torch.zeros(2, FRAMES, BANDS), axes, said)


_EXPORTED: Mapping[type, Callable[[Any], _Graph]] = {
    PyannetSegmenter: _of_pyannet,
    WespeakerEmbedder: _of_resnet,
    CampPlusEmbedder: _of_campplus,
}


def _traced(graph: _Graph) -> bytes:
    """Return the file of a network, as a trace of it has it.

    torch.export would take a minute to find out which lengths an LSTM behind strided convolutions can take, and writes
    the LSTM down step by step; a trace has it as one operator, at once. The warnings of a trace are about checks of
    shapes, all of which hold, and about its age.
    """
    network = copy.deepcopy(graph.network).float().cpu().eval()
    taken, given = graph.axes
    with tempfile.TemporaryDirectory() as folder, torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (graph.example,),
            f"{folder}/network.onnx",
            dynamo=False,
            opset_version=OPSET,
            input_names=[taken],
            output_names=[given],
            dynamic_axes={name: dict(axes) for name, axes in graph.axes.items()},
        )
        return Path(folder, "network.onnx").read_bytes()


def _quantize(model: Any, file: Path) -> None:
    _package("onnxruntime", "onnx", "Quantizing an ONNX model")
    shapes = importlib.import_module("onnxruntime.quantization.shape_inference")
    quantization = importlib.import_module("onnxruntime.quantization")
    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "prepared.onnx"
        shapes.quant_pre_process(model, prepared, skip_optimization=True, skip_symbolic_shape=True)
        quantization.quantize_dynamic(prepared, file, weight_type=quantization.QuantType.QUInt8)


def _package(name: str, extra: str, purpose: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingExtraError(name, extra, purpose) from error
