"""Small ONNX files with the inputs, outputs and metadata of published ones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

SEGMENTATION = {
    "sample_rate": "16000",
    "window_size": "16000",
    "receptive_field_size": "800",
    "receptive_field_shift": "200",
    "num_speakers": "3",
    "powerset_max_classes": "2",
    "num_classes": "7",
    "model_type": "pyannote-segmentation-3.0",
}
BANDS, SIZE = 80, 12
"""Bands that the embedder takes, and the size of its vectors."""


def port(name: str, shape: list[Any], kind: int = TensorProto.FLOAT) -> Any:
    return helper.make_tensor_value_info(name, kind, shape)


def weights(name: str, *shape: int, seed: int = 0) -> Any:
    values = np.random.default_rng(seed).standard_normal(shape) / np.sqrt(np.prod(shape[1:]))
    return numpy_helper.from_array(values.astype(np.float32), name)


def save(
    path: Path,
    nodes: list[Any],
    inputs: list[Any],
    outputs: list[Any],
    constants: list[Any],
    metadata: Mapping[str, str],
    domains: tuple[str, ...] = ("",),
) -> Path:
    graph = helper.make_graph(nodes, "network", inputs, outputs, constants)
    versions = {"": 17, "com.microsoft": 1}
    opsets = [helper.make_opsetid(domain, versions.get(domain, 1)) for domain in domains]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    helper.set_model_props(model, dict(metadata))
    path.write_bytes(model.SerializeToString())
    return path


def segmentation_file(
    path: Path,
    metadata: Mapping[str, str] = SEGMENTATION,
    *,
    classes: int = 7,
    kernel: int = 800,
    stride: int = 200,
    logits: bool = False,
    quantized: bool = False,
) -> Path:
    """A convolution from samples to classes; `quantized` rounds the samples on a scale chosen for the batch."""
    nodes = [
        helper.make_node("Conv", ["rounded" if quantized else "x", "w"], ["c"], strides=[stride]),
        helper.make_node("Transpose", ["c"], ["t"], perm=[0, 2, 1]),
        helper.make_node("Identity" if logits else "LogSoftmax", ["t"], ["y"]),
    ]
    if quantized:
        nodes = [
            helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "scale", "zero"]),
            helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["rounded"]),
            *nodes,
        ]
    ports = [port("x", ["N", 1, "T"])], [port("y", ["N", "F", classes])]
    return save(path, nodes, *ports, [weights("w", classes, 1, kernel)], metadata)


def embedding_file(
    path: Path, metadata: Mapping[str, str] | None = None, *, names: tuple[str, str] = ("feats", "embs")
) -> Path:
    """The mean of the frames' squares, projected."""
    given, made = names
    nodes = [
        helper.make_node("Mul", [given, given], ["square"]),
        helper.make_node("ReduceMean", ["square"], ["mean"], axes=[1], keepdims=0),
        helper.make_node("MatMul", ["mean", "w"], [made]),
    ]
    ports = [port(given, ["B", "T", BANDS])], [port(made, ["B", SIZE])]
    return save(path, nodes, *ports, [weights("w", BANDS, SIZE)], metadata or {})


def nemo_file(path: Path, metadata: Mapping[str, str]) -> Path:
    """Bands first, a length beside them, the vector as the second output."""
    nodes = [
        helper.make_node("Mul", ["audio_signal", "audio_signal"], ["square"]),
        helper.make_node("ReduceSum", ["square", "axis"], ["sum"], keepdims=0),
        helper.make_node("Cast", ["length"], ["count"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["count", "last"], ["column"]),
        helper.make_node("Div", ["sum", "column"], ["mean"]),
        helper.make_node("MatMul", ["mean", "w"], ["embs"]),
        helper.make_node("Neg", ["embs"], ["logits"]),
    ]
    inputs = [port("audio_signal", ["B", BANDS, "T"]), port("length", ["B"], TensorProto.INT64)]
    axes = [numpy_helper.from_array(np.array([axis]), name) for axis, name in ((2, "axis"), (1, "last"))]
    outputs = [port("logits", ["B", SIZE]), port("embs", ["B", SIZE])]
    return save(path, nodes, inputs, outputs, [weights("w", BANDS, SIZE), *axes], metadata)


def projection() -> NDArray[np.float32]:
    """The weights that `embedding_file` and `nemo_file` hold."""
    return np.asarray(numpy_helper.to_array(weights("w", BANDS, SIZE)))


def linked(path: Path, inside: str) -> Path:
    """A file one of whose tensors lies elsewhere: a weight, a node's attribute, or one in the branch of an If."""
    tensor = onnx.TensorProto(name="secret", data_type=TensorProto.FLOAT, dims=[4])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../passwords")
    constant = helper.make_node("Constant", [], ["z"], value=tensor)
    output = port("z", [4])
    if inside == "weight":
        return save(path, [helper.make_node("Identity", ["secret"], ["z"])], [], [output], [tensor], {})
    if inside == "attribute":
        return save(path, [constant], [], [output], [], {})
    branch = helper.make_graph([constant], "branch", [], [output])
    choice = helper.make_node("If", ["yes"], ["z"], then_branch=branch, else_branch=branch)
    return save(path, [choice], [port("yes", [], TensorProto.BOOL)], [output], [], {})
