"""Opens the weights of a part of a diarizer, a segmenter or an embedder, whatever toolkit wrote them."""

from __future__ import annotations

import importlib
import inspect
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from speakerdiar.checkpoints.checkpoint import Checkpoint
from speakerdiar.checkpoints.config_text import parse_config
from speakerdiar.checkpoints.folder import CONFIG, FORMAT, read_folder
from speakerdiar.checkpoints.nemo import read_nemo, target_of
from speakerdiar.checkpoints.pyannote import is_pyannote, read_pyannote
from speakerdiar.checkpoints.sond import funasr_file, read_funasr
from speakerdiar.checkpoints.state_dict import read_state_dict
from speakerdiar.errors import UnknownOptionError, WeightsError
from speakerdiar.models.opening import HUB, cache_of, local_place
from speakerdiar.models.pretrained import put_on
from speakerdiar.nn.ecapa_names import MARKS

SUFFIXES = (".onnx", ".nemo", ".safetensors", ".bin", ".ckpt", ".pt", ".pth", ".pb")
"""Of files that hold weights; in a folder with several of them, the first kind here counts."""

_SEGMENTERS, _EMBEDDERS = "speakerdiar.models.segmenters", "speakerdiar.models.embedders"
_PYANNET, _RESNET = f"{_SEGMENTERS}.pyannet:PyannetSegmenter", f"{_EMBEDDERS}.resnet:WespeakerEmbedder"
_CAMPPLUS, _ECAPA = f"{_EMBEDDERS}.campplus:CampPlusEmbedder", f"{_EMBEDDERS}.ecapa:EcapaEmbedder"
_SOND = f"{_EMBEDDERS}.sond:SondEmbedder"
_TITANET, _MARBLENET = f"{_EMBEDDERS}.titanet:TitaNetEmbedder", f"{_SEGMENTERS}.marblenet:MarbleNetVad"

OWN: Mapping[str, str] = {
    "pyannet": _PYANNET,
    "mel-segmenter": f"{_SEGMENTERS}.mel:MelLocalSegmenter",
    "wespeaker-resnet": _RESNET,
    "campplus": _CAMPPLUS,
    "ge2e": f"{_EMBEDDERS}.ge2e:Ge2eEmbedder",
    "sond-speaker": _SOND,
}
"""Names in `config.yaml` of our own format."""
PYANNOTE: Mapping[str, str] = {
    "PyanNet": _PYANNET,
    **{f"WeSpeakerResNet{depth}": _RESNET for depth in (34, 152, 221, 293)},
}
"""Names of pyannote.audio's classes, which its checkpoints state."""
NEMO: Mapping[str, str] = {
    "EncDecSpeakerLabelModel": _TITANET,
    "EncDecClassificationModel": _MARBLENET,
    "EncDecFrameClassificationModel": _MARBLENET,
}
"""Last parts of the `target` of NeMo's models."""
TENSORS: Mapping[str, str] = {
    **dict.fromkeys(MARKS.values(), _ECAPA),
    "seg_1.weight": _RESNET,
    "resnet.seg_1.weight": _RESNET,
    "xvector.tdnn.linear.weight": _CAMPPLUS,
}
"""Tensors that only one kind of network has, for files that don't name theirs."""
ONNX: Mapping[str, str] = {
    "local segmenter": f"{_SEGMENTERS}.onnx:OnnxSegmenter",
    "embedder": f"{_EMBEDDERS}.onnx:OnnxEmbedder",
}
"""What reads ONNX files, by the role that is wanted."""


def is_weights(part: Any) -> bool:
    """Whether something names weights: a path that exists, or text with a slash or such a suffix."""
    if not isinstance(part, str | os.PathLike):
        return False
    name = os.fspath(part)
    return os.path.exists(name) or "/" in name or name.endswith(SUFFIXES)


def open_part(name_or_path: str | os.PathLike[str], role: str, kind: type, **options: Any) -> Any:
    """Make the part that weights belong to.

    Args:
        name_or_path: a file (see `SUFFIXES`), a folder with one, or `owner/name` on the Hub.
        role: `segmenter`, `local segmenter` or `embedder`, for messages, and to know what an ONNX file is for.
        kind: the class that keeps the role's promises.
        options: `token` and `revision` for the Hub, `device`, and what the part's class takes.

    Raises:
        WeightsError: nothing is there, it is broken, or it is of another kind.
        UnknownOptionError: the class has no such option.
        MissingExtraError: a package that reads it isn't installed.
    """
    hub = {name: options.pop(name) for name in HUB if name in options}
    file = weights_file(local_place(name_or_path, **hub))
    if file.suffix == ".onnx":
        home = ONNX.get(role)
        if home is None:
            raise WeightsError(f"{file}: no {role} is read from ONNX: give weights of another format.")
        cls = _class(home)
        _check_options(options, cls.__init__, cls)
        return cls(file, **options)
    checkpoint, home = read_part(file)
    cls = _class(home)
    if not issubclass(cls, kind):
        raise WeightsError(f"{file} holds a {cls.__name__}, which is no {role}.")
    device = options.pop("device", None)
    _check_options(options, cls.from_checkpoint, cls)
    part = cls.from_checkpoint(checkpoint, **options)
    put_on(part, device)
    return part


def weights_file(place: Path) -> Path:
    """Return the file of weights, or the folder of our own format, that a file or folder stands for.

    Raises:
        WeightsError: a folder without weights, or with several of one kind.
    """
    if place.is_file() or _is_own(place):
        return place
    enrolment = funasr_file(place, "sv")
    if enrolment is not None:
        return enrolment
    for suffix in SUFFIXES:
        files = sorted(place.glob(f"*{suffix}"))
        if len(files) == 1:
            return files[0]
        if files:
            raise WeightsError(f"{place} holds {', '.join(file.name for file in files)}: give the path of one file.")
    raise WeightsError(f"{place} holds no weights ({', '.join(SUFFIXES)}): give the path of a file or another folder.")


def read_part(file: Path) -> tuple[Checkpoint, str]:
    """Read weights, and say which class reads them, as `module:Class`.

    Raises:
        WeightsError: they can't be read, or no class here knows them.
    """
    if file.is_dir():
        own = read_folder(file, links_within=cache_of(file))
        return own, _found(OWN, str(own.config.get("model")), file)
    if file.suffix == ".nemo":
        nemo = read_nemo(file)
        home = _found(NEMO, target_of(nemo.config).rpartition(".")[2], file)
        return nemo, next((other for mark, other in TENSORS.items() if mark in nemo.weights), home)
    if funasr_file(file, "sv") is not None:
        return read_funasr(file, "sv"), _SOND
    if file.suffix != ".safetensors" and is_pyannote(file):
        pyannote = read_pyannote(file)
        return pyannote, _found(PYANNOTE, str(pyannote.config["architecture"]["class"]), file)
    plain = read_state_dict(file)
    for tensor, home in TENSORS.items():
        if tensor in plain.weights:
            return plain, home
    some = ", ".join(list(plain.weights)[:3])
    raise WeightsError(f"{file} holds tensors such as {some}: no network here has these. Known: see docs/models.")


def _is_own(place: Path) -> bool:
    config = place / CONFIG
    return config.is_file() and parse_config(config.read_bytes()[: 2**20], str(config)).get("format") == FORMAT


def _found(table: Mapping[str, str], name: str, file: Path) -> str:
    if name not in table:
        raise WeightsError(f"{file} holds a {name}, and nothing here reads it. Known: {', '.join(table)}.")
    return table[name]


def _class(home: str) -> Any:
    module, _, name = home.partition(":")
    return getattr(importlib.import_module(module), name)


def _check_options(options: Mapping[str, Any], function: Any, cls: type) -> None:
    known = [name for name in inspect.signature(function).parameters if name not in ("self", "checkpoint", "path")]
    for option in options:
        if option not in known:
            raise UnknownOptionError(option, [*known, "device"], cls.__name__)
