"""ONNX models, opened safely in onnxruntime: nothing outside the file is read, no code but onnxruntime's own is run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from speakerdiar.checkpoints.limits import ArchiveLimits
from speakerdiar.checkpoints.onnx_graph import OnnxContents, onnx_contents
from speakerdiar.config import is_count
from speakerdiar.errors import ConfigError, MissingExtraError, WeightsError

DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml", "com.microsoft"})
"""Where operators may come from: ONNX itself, and what onnxruntime brings."""
READS_FILES = frozenset({("com.microsoft", "EPContext")})
"""Operators that name a file to load."""
SCALES_BATCHES = frozenset({"DynamicQuantizeLinear", "DynamicQuantizeMatMul", "DynamicQuantizeLSTM"})
"""Operators that choose one scale for a whole batch, so that what else is in it changes a result."""
ERRORS_ONLY = 3
"""Severity from which onnxruntime writes to the log."""

Feeds = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class OnnxPort:
    """An input or output: its name, and its sizes, None where they may vary."""

    name: str
    shape: tuple[int | None, ...]


@dataclass(frozen=True, eq=False)
class OnnxModel:
    """An ONNX model that is ready to run. It keeps nothing between calls, and threads may share it.

    Attributes:
        path: the file.
        metadata: text by key, as whoever exported the model left it.
        inputs: what it takes.
        outputs: what it gives.
        batched: whether rows of a batch go through it together: on a GPU, unless neighbours would change a result.
        threads: how many runs go on at a time, each on a thread of its own.
    """

    path: Path
    metadata: dict[str, str]
    inputs: tuple[OnnxPort, ...]
    outputs: tuple[OnnxPort, ...]
    batched: bool
    threads: int
    _session: Any

    def run(self, feeds: Feeds) -> list[NDArray[Any]]:
        """Run the model once; return its outputs in order.

        Raises:
            WeightsError: the model doesn't take these inputs.
        """
        try:
            found: list[NDArray[Any]] = self._session.run(None, dict(feeds))
        except Exception as error:  # onnxruntime's errors share no narrower class
            shapes = {name: value.shape for name, value in feeds.items()}
            raise WeightsError(
                f"{self.path} doesn't take {shapes} ({_first_line(error)}): use another model."
            ) from error
        return found

    def run_each(self, items: Sequence[Feeds]) -> list[list[NDArray[Any]]]:
        """Return `[run(feeds) for feeds in items]`, some at a time."""
        workers = min(self.threads, len(items))
        if workers <= 1:
            return [self.run(feeds) for feeds in items]
        with ThreadPoolExecutor(workers) as pool:
            return list(pool.map(self.run, items))

    def run_rows(self, feeds: Feeds) -> list[NDArray[Any]]:
        """Run the rows (B, ...) of the inputs; return outputs (B, ...), in which no row changed another."""
        rows = len(next(iter(feeds.values())))
        if self.batched:
            return self.run(feeds)
        each = self.run_each([{name: value[row : row + 1] for name, value in feeds.items()} for row in range(rows)])
        return [np.concatenate(output) for output in zip(*each, strict=True)]


def open_onnx(
    path: str | Path, *, threads: int | None = None, device: str = "cpu", limits: ArchiveLimits | None = None
) -> OnnxModel:
    """Open an ONNX model.

    A run uses one thread of the CPU, and `threads` runs go on at a time: recurrent networks gain nothing from several
    threads in one run, and results don't depend on their number.

    Args:
        path: the file.
        threads: runs at a time; as many as torch uses threads, if left out.
        device: `cpu`, `cuda` or `cuda:1`.
        limits: how large a file may be.

    Raises:
        ConfigError: a number of threads or a device that can't be used.
        MissingExtraError: onnxruntime isn't installed.
        WeightsError: no ONNX file, one that is too large, links to other files, has operators that onnxruntime
            doesn't bring, or can't be loaded.
    """
    if threads is not None and not is_count(threads, least=1):
        raise ConfigError(f"threads={threads!r}: give a whole number, 1 or more.")
    onnxruntime = _onnxruntime()
    providers = _providers(device, onnxruntime.get_available_providers())
    file = Path(path)
    data = _read(file, limits or ArchiveLimits())
    contents = onnx_contents(data, str(file))
    _check(contents, file)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = ERRORS_ONLY
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(data, options, providers=providers)
    except Exception as error:  # as above
        raise WeightsError(f"onnxruntime refuses {file} ({_first_line(error)}): export it anew.") from error
    if device != "cpu" and "CUDAExecutionProvider" not in session.get_providers():
        raise ConfigError(f"device={device!r}: onnxruntime couldn't start CUDA: see its log, or give device='cpu'.")
    inputs, outputs = _ports(session.get_inputs()), _ports(session.get_outputs())
    scaled = any(name in SCALES_BATCHES for _, name in contents.operators)
    open_batch = all(port.shape[:1] == (None,) for port in inputs)
    return OnnxModel(
        path=file,
        metadata=dict(session.get_modelmeta().custom_metadata_map),
        inputs=inputs,
        outputs=outputs,
        batched=device != "cpu" and open_batch and not scaled,
        threads=threads or torch.get_num_threads(),
        _session=session,
    )


def _onnxruntime() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtraError("onnxruntime", "onnx", "Running an ONNX model") from error
    return onnxruntime


def _providers(device: str, available: Sequence[str]) -> list[Any]:
    kind, _, index = device.partition(":")
    if device == "cpu":
        return ["CPUExecutionProvider"]
    if kind != "cuda" or not (index or "0").isdecimal():
        raise ConfigError(f"device={device!r}: give cpu, cuda, or a certain GPU such as cuda:1.")
    if "CUDAExecutionProvider" not in available:
        raise ConfigError(f"device={device!r}: this onnxruntime has no CUDA: install onnxruntime-gpu in its place.")
    return [("CUDAExecutionProvider", {"device_id": int(index or 0)}), "CPUExecutionProvider"]


def _read(file: Path, limits: ArchiveLimits) -> bytes:
    try:
        limits.check("max_weights_bytes", file.stat().st_size, f"{file}: bytes")
        return file.read_bytes()
    except OSError as error:
        raise WeightsError(f"{file} can't be read ({error.strerror}): give the path of an .onnx file.") from error


def _check(contents: OnnxContents, file: Path) -> None:
    if contents.linked:
        raise WeightsError(
            f"{file} keeps the numbers of {len(contents.linked)} tensors in other files ({contents.linked[0]!r} first):"
            " save it as a single file, with onnx.save(onnx.load(path), new_path)."
        )
    foreign = {f"{domain}:{name}" for domain, name in contents.operators - contents.functions if domain not in DOMAINS}
    foreign |= {f"{domain}:{name}" for domain, name in contents.operators & READS_FILES}
    if foreign:
        raise WeightsError(f"{file} needs operators beyond onnxruntime's own ({', '.join(sorted(foreign))}): refused.")


def _ports(given: Sequence[Any]) -> tuple[OnnxPort, ...]:
    return tuple(OnnxPort(port.name, tuple(n if isinstance(n, int) else None for n in port.shape)) for port in given)


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).strip().splitlines()[0][:300]
