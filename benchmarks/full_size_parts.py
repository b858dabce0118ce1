"""A pipeline folder in pyannote's format whose networks have full size and seeded random weights.

The sizes are those of speaker-diarization-community-1: PyanNet with four LSTM layers, ResNet34 of 32 channels, a PLDA
of 128 features. Random networks say the same of everything. So that every stage has its work, the last layer of the
segmentation is fitted to who talks in the examples' conversation, and the norms of the embedder, with the mean of its
vectors, to what it makes of it. Nothing else is trained: results mean little.
"""

from __future__ import annotations

import enum
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from long_recordings import CONVERSATION
from numpy.typing import NDArray
from torch.nn import functional

from speakerdiar.models.embedders.resnet import CentredFbank
from speakerdiar.nn.kaldi_fbank import FbankOptions
from speakerdiar.nn.pyannet import PyanNet, PyanNetShape
from speakerdiar.nn.resnet34 import ResNetShape, SpeakerResNet
from speakerdiar.nn.sincnet import sinc_filters
from speakerdiar.postprocessing.powerset import Powerset
from speakerdiar.windows import WindowGrid

EMBEDDING, FEATURES = 256, 128
GAIN = 3.0
"""What the weights of LSTM and linear layers are multiplied with: with the usual ones, frames hardly differ."""
LONGEST_MEMORY = 7.0
"""Gates are drawn up to this bias: some forget in a few frames, some in windows (Tallec and Ollivier 2018)."""
LEAST_HEARD = 3.0
"""Seconds of a window that a local speaker talks at least; the network is fitted to miss others."""
CONFIG = """\
dependencies:
  pyannote.audio: 4.0.0
pipeline:
  name: pyannote.audio.pipelines.SpeakerDiarization
  params:
    clustering: VBxClustering
    segmentation: $model/segmentation
    segmentation_batch_size: 32
    embedding: $model/embedding
    embedding_batch_size: 32
    embedding_exclude_overlap: true
    plda: $model/plda
params:
  clustering: {threshold: 0.6, Fa: 0.07, Fb: 0.8}
  segmentation: {min_duration_off: 0.0}
"""
TASK = "pyannote.audio.core.task"


def write_pipeline(folder: Path, *, small: bool = False, seed: int = 0) -> Path:
    """Write the folder; pyannote.audio 4 opens it, and so does `load_model`.

    Args:
        folder: doesn't exist yet.
        small: take networks of a few per cent of the size; only `load_model` reads these.
        seed: of what is drawn.
    """
    for part in ("segmentation", "embedding", "plda"):
        (folder / part).mkdir(parents=True)
    (folder / "config.yaml").write_text(CONFIG)
    torch.manual_seed(seed)
    said = {
        "problem": Problem.MONO_LABEL_CLASSIFICATION,
        "resolution": Resolution.FRAME,
        "duration": 10.0,
        "classes": ["speaker#1", "speaker#2", "speaker#3"],
        "powerset_max_classes": 2,
        "permutation_invariant": True,
    }
    size, layers = (32, 1) if small else (128, 4)
    lstm = {"hidden_size": size, "num_layers": layers, "bidirectional": True, "monolithic": True, "dropout": 0.0}
    given = {"sincnet": {"stride": 10}, "lstm": lstm, "linear": {"hidden_size": 128, "num_layers": 2}}
    architecture = {"module": "pyannote.audio.models.segmentation.PyanNet", "class": "PyanNet"}
    about = {"architecture": architecture, "specifications": Specifications(**said)}
    weights = segmentation_weights(PyanNetShape(classes=7, lstm_size=size, lstm_layers=layers))
    save(folder / "segmentation", weights, about, {"sample_rate": 16000, "num_channels": 1, **given})
    said = {"problem": Problem.REPRESENTATION, "resolution": Resolution.CHUNK, "duration": 5.0, "classes": None}
    said |= {"powerset_max_classes": None, "permutation_invariant": False}
    architecture = {"module": "pyannote.audio.models.embedding.wespeaker", "class": "WeSpeakerResNet34"}
    about = {"architecture": architecture, "specifications": Specifications(**said)}
    shape = ResNetShape(channels=4, blocks=(1, 1, 1, 1)) if small else ResNetShape()
    save(folder / "embedding", embedding_weights(shape), about, {})
    write_plda(folder / "plda", np.random.default_rng(seed))
    return folder


def save(folder: Path, weights: dict[str, torch.Tensor], about: dict[str, Any], given: dict[str, Any]) -> None:
    """Write a checkpoint as pyannote.audio does."""
    found: dict[str, Any] = {
        "state_dict": weights,
        "pyannote.audio": {"versions": {"pyannote.audio": "4.0.7"}, **about},
    }
    found |= {"hyper_parameters": given, "hparams_name": "kwargs"} if given else {}
    with named_as_in_pyannote():
        torch.save({**found, "pytorch-lightning_version": "2.6.6"}, folder / "pytorch_model.bin")


class Problem(enum.Enum):
    """What a model of pyannote's does, by its names."""

    MONO_LABEL_CLASSIFICATION = 1
    REPRESENTATION = 3


class Resolution(enum.Enum):
    """How often it says something."""

    FRAME = 1
    CHUNK = 2


class Specifications:
    """What pyannote keeps of a model's task."""

    def __init__(self, **said: Any) -> None:
        vars(self).update(min_duration=None, warm_up=(0.0, 0.0), **said)


@contextmanager
def named_as_in_pyannote() -> Iterator[None]:
    """Let the three classes above be pickled by pyannote's names, which pyannote needs to find there."""
    places = [".".join(TASK.split(".")[: depth + 1]) for depth in range(TASK.count(".") + 1)]
    before = {place: sys.modules.get(place) for place in places}
    sys.modules.update({place: types.ModuleType(place) for place in places})
    for one in (Problem, Resolution, Specifications):
        one.__module__ = TASK
        setattr(sys.modules[TASK], one.__name__, one)
    try:
        yield
    finally:
        for place, module in before.items():
            if module is None:
                del sys.modules[place]
            else:
                sys.modules[place] = module


def segmentation_weights(shape: PyanNetShape) -> dict[str, torch.Tensor]:
    """The weights of PyanNet by pyannote's names."""
    network, size = PyanNet(shape).eval(), shape.lstm_size
    tables = filter_tables()
    filters = "sincnet.conv1d.0.weight"
    with torch.no_grad():
        network.get_parameter(filters).copy_(sinc_filters(*tables.values(), rate=16000))
        for name, value in network.named_parameters():
            if name.startswith(("lstm.weight", "linear.")) and value.ndim == 2:
                value.mul_(GAIN)
            if name.startswith("lstm.bias_ih"):  # gates come in the order input, forget, cell, output
                memory = torch.rand(size) * LONGEST_MEMORY
                value[size : 2 * size] += memory
                value[:size] -= memory
        grid, talk = WindowGrid(step=32000), conversation()
        windows = np.stack([talk[at : at + grid.window] for at in range(0, len(talk) - grid.window + 1, grid.step)])
        weight, bias = fitted(last_frames(network, windows), heard(len(windows), grid))
        network.classifier.weight.copy_(weight)
        network.classifier.bias.copy_(bias)
    weights = {name: value for name, value in network.state_dict().items() if name != filters}
    return {**{f"sincnet.conv1d.0.filterbank.{name}": table for name, table in tables.items()}, **weights}


def filter_tables() -> dict[str, torch.Tensor]:
    """Bands as wide as each other in mel, which is how training starts."""
    mel = np.linspace(2595 * np.log10(1 + 30 / 700), 2595 * np.log10(1 + 7900 / 700), 41)
    edges = torch.from_numpy(700 * (10 ** (mel / 2595) - 1)).float()
    return {
        "low_hz_": edges[:-1, None],
        "band_hz_": edges.diff()[:, None],
        "window_": torch.from_numpy(np.hamming(251)[:125]).float(),
        "n_": 2 * torch.pi * torch.arange(-125.0, 0.0)[None] / 16000,
    }


def conversation() -> NDArray[np.float32]:
    """Samples of the examples' conversation, (n,), 16 kHz."""
    import soundfile

    samples: NDArray[np.float32] = soundfile.read(CONVERSATION, dtype="float32")[0]
    return samples


def last_frames(network: Any, windows: NDArray[np.float32]) -> NDArray[np.float64]:
    """What goes into the last layer, for each frame of all windows, with a 1 behind: (frames, 129)."""
    found: list[torch.Tensor] = []
    caught = network.linear[-1].register_forward_hook(lambda *call: found.append(functional.leaky_relu(call[-1])))
    for some in torch.split(torch.from_numpy(windows), 8):
        network(some)
    caught.remove()
    frames = torch.cat(found).flatten(0, 1).double().numpy()
    return np.pad(frames, ((0, 0), (0, 1)), constant_values=1.0)


def heard(windows: int, grid: WindowGrid) -> NDArray[np.int64]:
    """Classes of the frames of windows of the conversation; local speakers in order of their first words."""
    rows = [line.split() for line in CONVERSATION.with_suffix(".rttm").read_text().splitlines()]
    turns = [(float(row[3]), float(row[3]) + float(row[4]), row[7]) for row in rows]
    names = list(dict.fromkeys(name for *_, name in turns))
    powerset = Powerset()
    class_of = np.zeros(1 << powerset.speakers, dtype=np.int64)  # of more at once than classes have: silence
    class_of[powerset.bits] = np.arange(powerset.classes)
    middles = grid.middle(np.arange(grid.frames))
    found = np.zeros((windows, grid.frames), dtype=np.int64)
    for window in range(windows):
        times = middles + window * grid.step / grid.rate
        active = np.zeros((len(names), grid.frames), dtype=bool)
        for start, end, name in turns:
            active[names.index(name)] |= (times >= start) & (times < end)
        long = active[active.sum(axis=1) * grid.frame_seconds >= LEAST_HEARD]
        order = np.argsort(long.argmax(axis=1), kind="stable")[: powerset.speakers]
        found[window] = class_of[np.einsum("sf,s->f", long[order], 1 << np.arange(len(order)))]
    return found.ravel()


def fitted(frames: NDArray[np.float64], classes: NDArray[np.int64]) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight and bias of a last layer, by ridge regression; the bias then makes classes as frequent as they are."""
    products = frames.T @ frames
    ridge = 1e-3 * np.trace(products) / len(products)
    wanted = np.eye(7)[classes]
    layer = np.linalg.solve(products + ridge * np.eye(len(products)), frames.T @ wanted)
    scores, shift, shares = frames @ layer, np.zeros(7), wanted.mean(axis=0)
    for _ in range(200):
        found = np.bincount((scores + shift).argmax(axis=1), minlength=7) / len(scores)
        shift += 0.02 * np.log((shares + 1e-3) / (found + 1e-3))
    return torch.from_numpy(layer[:-1].T).float(), torch.from_numpy(layer[-1] + shift).float()


def embedding_weights(shape: ResNetShape) -> dict[str, torch.Tensor]:
    """The weights of a ResNet by pyannote's names, its norms and the mean of its vectors those of the conversation."""
    network = SpeakerResNet(shape).train()
    talk = conversation()
    pieces = torch.from_numpy(talk[: len(talk) // 64000 * 64000].reshape(-1, 64000)[:, :32000])  # every other 2 s
    with torch.no_grad():
        features = CentredFbank(FbankOptions(window="hamming"))(pieces)
        for norm in network.modules():
            if isinstance(norm, torch.nn.BatchNorm2d):
                norm.momentum = None  # the mean of all that went through
        network(features)
        network.eval()
        network.seg_1.bias.sub_(network(features).mean(dim=0))
    return {f"resnet.{name}": value for name, value in network.state_dict().items()}


def write_plda(folder: Path, random: np.random.Generator) -> None:
    """Write a PLDA in pyannote's two files: rotations, and variances between speakers that fall off."""

    def rotation(size: int) -> NDArray[np.float64]:
        turned: NDArray[np.float64] = np.linalg.qr(random.normal(size=(size, size)))[0]
        return turned

    lda = rotation(EMBEDDING)[:, :FEATURES].astype(np.float32)
    zeros = np.zeros(EMBEDDING)
    np.savez(folder / "xvec_transform.npz", mean1=zeros, mean2=zeros[:FEATURES].astype(np.float32), lda=lda)
    psi = 8.0 * 0.97 ** np.arange(FEATURES)
    np.savez(folder / "plda.npz", mu=zeros[:FEATURES], tr=rotation(FEATURES), psi=psi)
