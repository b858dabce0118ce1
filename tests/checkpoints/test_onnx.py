"""ONNX files: what is refused before onnxruntime sees it, and how models run."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper
from onnx_files import SEGMENTATION, linked, port, save, segmentation_file

from speakerdiar.checkpoints.limits import ArchiveLimits
from speakerdiar.checkpoints.onnx import OnnxPort, open_onnx
from speakerdiar.errors import ConfigError, MissingExtraError, WeightsError


def test_a_model_says_what_it_is_and_runs(tmp_path: Path) -> None:
    model = open_onnx(segmentation_file(tmp_path / "a.onnx"))
    assert model.metadata == SEGMENTATION
    assert model.inputs == (OnnxPort("x", (None, 1, None)),)
    assert model.outputs == (OnnxPort("y", (None, None, 7)),)
    windows = np.random.default_rng(1).standard_normal((3, 1, 16000)).astype(np.float32)
    direct = onnxruntime.InferenceSession(str(model.path), providers=["CPUExecutionProvider"])
    for row, window in zip(model.run({"x": windows})[0], windows, strict=True):
        np.testing.assert_allclose(row, direct.run(None, {"x": window[None]})[0][0], atol=1e-5)


@pytest.mark.parametrize("threads", [1, 3])
def test_no_row_changes_another_even_where_the_network_scales_batches(tmp_path: Path, threads: int) -> None:
    model = open_onnx(segmentation_file(tmp_path / "a.onnx", quantized=True), threads=threads)
    windows = np.random.default_rng(1).standard_normal((5, 1, 16000)).astype(np.float32)
    windows[0] *= 50
    alone = np.concatenate([model.run({"x": window[None]})[0] for window in windows])
    np.testing.assert_array_equal(model.run_rows({"x": windows})[0], alone)
    assert np.abs(model.run({"x": windows})[0] - alone).max() > 0.01


def test_inputs_that_do_not_fit_are_named(tmp_path: Path) -> None:
    model = open_onnx(segmentation_file(tmp_path / "a.onnx"))
    with pytest.raises(WeightsError, match=r"a\.onnx doesn't take \{'x': \(2, 16000\)\}"):
        model.run({"x": np.zeros((2, 16000), dtype=np.float32)})


@pytest.mark.parametrize("inside", ["weight", "attribute", "branch"])
def test_links_to_other_files_are_refused(tmp_path: Path, inside: str) -> None:
    with pytest.raises(WeightsError, match=r"keeps the numbers of \d tensors in other files \('secret' first\)"):
        open_onnx(linked(tmp_path / "a.onnx", inside))


@pytest.mark.parametrize("domain", ["evil.ops", "com.microsoft"])
def test_operators_of_others_and_those_that_load_files_are_refused(tmp_path: Path, domain: str) -> None:
    node = helper.make_node("EPContext", ["x"], ["y"], domain=domain)
    ports = [port("x", [1])], [port("y", [1])]
    file = save(tmp_path / "a.onnx", [node], *ports, [], {}, domains=("", domain))
    with pytest.raises(WeightsError, match=f"beyond onnxruntime's own \\({domain}:EPContext\\)"):
        open_onnx(file)


def test_functions_that_a_file_defines_itself_are_no_operators_of_others(tmp_path: Path) -> None:
    double = helper.make_function(
        "ours", "Double", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["b"])], [helper.make_opsetid("", 17)]
    )
    graph = helper.make_graph(
        [helper.make_node("Double", ["x"], ["y"], domain="ours")], "g", [port("x", [2])], [port("y", [2])]
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ours", 1)]
    file = tmp_path / "a.onnx"
    file.write_bytes(
        helper.make_model(graph, functions=[double], opset_imports=opsets, ir_version=8).SerializeToString()
    )
    found = open_onnx(file).run({"x": np.array([1, 2], dtype=np.float32)})[0]
    np.testing.assert_array_equal(found, [2, 4])


def test_large_files_are_refused_before_they_are_read(tmp_path: Path) -> None:
    file = segmentation_file(tmp_path / "a.onnx")
    with pytest.raises(WeightsError, match=r"a\.onnx: bytes: .* beyond max_weights_bytes=1,000"):
        open_onnx(file, limits=ArchiveLimits(max_weights_bytes=1000))


@pytest.mark.parametrize("data", [b"", b"hello, this is text", b"PK\x03\x04" + bytes(40), b"\x08\x07"])
def test_other_files_are_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.onnx").write_bytes(data)
    with pytest.raises(WeightsError, match=r"a\.onnx isn't (a whole|an) ONNX file"):
        open_onnx(tmp_path / "a.onnx")


def test_files_cut_short_are_refused(tmp_path: Path) -> None:
    file = segmentation_file(tmp_path / "a.onnx")
    whole = file.read_bytes()
    for size in np.linspace(1, len(whole) - 1, 25, dtype=int):
        file.write_bytes(whole[:size])
        with pytest.raises(WeightsError, match=r"a\.onnx"):
            open_onnx(file)


def inside(number: int, message: bytes) -> bytes:
    """A field of a protocol buffer that holds a message."""
    size, length = len(message), b""
    while size > 0x7F:
        length, size = length + bytes([size & 0x7F | 0x80]), size >> 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + message


def test_graphs_without_end_are_refused(tmp_path: Path) -> None:
    graph = b""
    for _ in range(30):
        graph = inside(1, inside(5, inside(6, graph)))  # a node, its attribute, and a graph as the value of that
    (tmp_path / "a.onnx").write_bytes(b"\x08\x08" + inside(7, graph))
    with pytest.raises(WeightsError, match="more than 64 parts inside one another"):
        open_onnx(tmp_path / "a.onnx")


def test_what_onnxruntime_cannot_load_is_refused(tmp_path: Path) -> None:
    node = helper.make_node("NoSuchOperator", ["x"], ["y"])
    file = save(tmp_path / "a.onnx", [node], [port("x", [1])], [port("y", [1])], [], {})
    with pytest.raises(WeightsError, match=r"onnxruntime refuses .*a\.onnx .*NoSuchOperator"):
        open_onnx(file)


def test_a_path_without_a_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"absent\.onnx can't be read"):
        open_onnx(tmp_path / "absent.onnx")


@pytest.mark.parametrize("options", [{"threads": 0}, {"device": "tpu"}, {"device": "cuda:x"}])
def test_bad_options_are_refused(tmp_path: Path, options: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=repr(next(iter(options.values())))):
        open_onnx(segmentation_file(tmp_path / "a.onnx"), **options)  # type: ignore[arg-type]


def test_a_gpu_is_asked_for_only_where_onnxruntime_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = segmentation_file(tmp_path / "a.onnx")
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(ConfigError, match=r"device='cuda': .*install onnxruntime-gpu"):
        open_onnx(file, device="cuda")


def test_onnxruntime_is_an_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = segmentation_file(tmp_path / "a.onnx")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError, match=r'pip install "speakerdiar\[onnx\]"'):
        open_onnx(file)


def test_onnx_itself_finds_the_made_file_sound(tmp_path: Path) -> None:
    onnx.checker.check_model(onnx.load(segmentation_file(tmp_path / "a.onnx")))
