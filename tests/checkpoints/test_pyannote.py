"""Checkpoints of pyannote.audio: settings as plain values, weights as they were, nothing run."""

from __future__ import annotations

import contextlib
import io
import sys
import types
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
import torch
from nemo_files import saved

from speakerdiar.checkpoints import pyannote
from speakerdiar.checkpoints.limits import ArchiveLimits
from speakerdiar.checkpoints.pyannote import is_pyannote, read_pyannote
from speakerdiar.errors import WeightsError

WEIGHTS = {"linear.0.weight": torch.arange(6.0).reshape(2, 3), "linear.0.bias": torch.tensor([1.0, 2.0])}
TASK = "pyannote.audio.core.task"


class Problem(Enum):
    BINARY_CLASSIFICATION = 0
    MONO_LABEL_CLASSIFICATION = 1
    FUTURE = 77


class Resolution(Enum):
    FRAME = 1
    CHUNK = 2


@dataclass
class Specifications:
    problem: Any = Problem.MONO_LABEL_CLASSIFICATION
    resolution: Any = Resolution.FRAME
    duration: Any = 10.0
    warm_up: Any = (0.0, 0.0)
    classes: Any = None
    powerset_max_classes: Any = 2
    permutation_invariant: Any = True
    cached: Any = None


class Callback:
    """What Lightning keeps beside the weights."""


PLAIN = {
    "problem": "MONO_LABEL_CLASSIFICATION",
    "resolution": "FRAME",
    "duration": 10.0,
    "warm_up": [0.0, 0.0],
    "classes": None,
    "powerset_max_classes": 2,
    "permutation_invariant": True,
}


@pytest.fixture(autouse=True)
def pickled_as_pyannote(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the classes above be pickled under pyannote's names."""
    module = types.ModuleType(TASK)
    for kind in (Problem, Resolution, Specifications):
        monkeypatch.setattr(kind, "__module__", TASK)
        setattr(module, kind.__name__, kind)
    for name in ("pyannote.audio", "pyannote.audio.core"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, TASK, module)


def about(**changes: Any) -> dict[str, Any]:
    said = {
        "versions": {"pyannote.audio": "3.1.1"},
        "architecture": {"module": "pyannote.audio.models.segmentation.PyanNet", "class": "PyanNet"},
        "specifications": Specifications(),
    }
    return said | changes


def written(folder: Path, **changes: Any) -> Path:
    """Write a checkpoint; None leaves an entry out."""
    whole = {
        "state_dict": WEIGHTS,
        "hyper_parameters": {"lstm": {"hidden_size": 4}},
        "pyannote.audio": about(),
        "callbacks": {Callback: {"best": Callback()}, "other": Callback()},
        "optimizer_states": [{"state": {0: {"exp_avg": torch.ones(1000)}}}],
        **changes,
    }
    path = folder / "pytorch_model.bin"
    path.write_bytes(saved({key: value for key, value in whole.items() if value is not None}))
    return path


def test_settings_are_plain_and_weights_whole(tmp_path: Path) -> None:
    path = written(tmp_path)
    found = read_pyannote(str(path), ArchiveLimits(max_weights_bytes=32))  # the optimizer's aren't read
    assert found.path == path
    assert found.config == {
        "architecture": about()["architecture"],
        "hyper_parameters": {"lstm": {"hidden_size": 4}},
        "specifications": PLAIN,
        "versions": {"pyannote.audio": "3.1.1"},
    }
    assert list(found.weights) == list(WEIGHTS)
    for name, value in WEIGHTS.items():
        torch.testing.assert_close(found.weights[name], value)
    assert is_pyannote(path)


def test_no_class_of_theirs_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path)
    for name in [name for name in sys.modules if name.startswith("pyannote.audio")]:
        monkeypatch.delitem(sys.modules, name)
    assert read_pyannote(path).config["specifications"] == PLAIN


def test_versions_of_torch_are_text(tmp_path: Path) -> None:
    versions = {"torch": torch.torch_version.TorchVersion("2.1.2"), "pyannote.audio": "3.1"}
    found = read_pyannote(written(tmp_path, **{"pyannote.audio": about(versions=versions)}))
    assert found.config["versions"] == {"torch": "2.1.2", "pyannote.audio": "3.1"}


def test_settings_of_omegaconf_are_plain(tmp_path: Path) -> None:
    omegaconf = pytest.importorskip("omegaconf")
    settings = omegaconf.OmegaConf.create({"linear": {"sizes": [1, 2.5, "a"]}, "none": None})
    classes = omegaconf.OmegaConf.create(["a", "b"])
    said = about(specifications=Specifications(classes=classes))
    found = read_pyannote(written(tmp_path, hyper_parameters=settings, **{"pyannote.audio": said}))
    assert found.config["hyper_parameters"] == {"linear": {"sizes": [1, 2.5, "a"]}, "none": None}
    assert found.config["specifications"]["classes"] == ["a", "b"]


def test_several_tasks_are_a_list(tmp_path: Path) -> None:
    said = about(specifications=(Specifications(), Specifications(resolution=Resolution.CHUNK)))
    found = read_pyannote(written(tmp_path, **{"pyannote.audio": said}))
    assert found.config["specifications"] == [PLAIN, PLAIN | {"resolution": "CHUNK"}]


class Settings(dict[str, Any]):
    """A dict of somebody's."""


def test_what_is_not_known_is_named(tmp_path: Path) -> None:
    odd = {
        "object": Callback(),
        "class": Callback,
        "tensor": torch.ones(1),
        "bytes": bytearray(2),
        "dict": Settings(a=(1,)),
        "future": Problem.FUTURE,
    }
    found = read_pyannote(written(tmp_path, hyper_parameters=odd)).config["hyper_parameters"]
    assert found == {
        "object": f"{__name__}.Callback",
        "class": f"{__name__}.Callback",
        "tensor": "torch.Tensor",
        "bytes": "__builtin__.bytearray",
        "dict": {"a": [1]},
        "future": f"{TASK}.Problem",
    }


def endless() -> list[Any]:
    found: list[Any] = []
    found.append(found)
    return found


def repeated() -> list[Any]:
    found: list[Any] = [0]
    for _ in range(20):
        found = [found] * 10
    return found


class Call:
    """Leaves a marker when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return open, (str(self.marker), "w")


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"pyannote.audio": None}, "isn't a checkpoint of pyannote.audio"),
        ({"pyannote.audio": "4.0"}, "isn't a checkpoint of pyannote.audio"),
        ({"state_dict": None}, "has no tensors by name"),
        ({"state_dict": {"a": Callback()}}, "'a' is a .*Callback, not a tensor"),
        ({"hyper_parameters": endless()}, "nested or repeated without end"),
        ({"hyper_parameters": {"a": repeated()}}, "nested or repeated without end"),
        ({"hyper_parameters": {1: 2}}, "under a key that isn't text"),
        ({"hyper_parameters": [1]}, "hyper_parameters isn't a dict"),
        ({"pyannote.audio": about(architecture=None)}, "doesn't name its architecture's module and class"),
        ({"pyannote.audio": about(architecture={"module": "a"})}, "doesn't name its architecture's module and class"),
        ({"pyannote.audio": about(versions=3)}, "versions isn't a dict"),
    ],
)
def test_what_cannot_be_used_is_refused(tmp_path: Path, changes: dict[str, Any], fault: str) -> None:
    path = written(tmp_path, **changes)
    with pytest.raises(WeightsError, match=fault):
        read_pyannote(path)


def test_a_container_of_itself_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    omegaconf = pytest.importorskip("omegaconf")
    monkeypatch.setattr(Callback, "__module__", "omegaconf.listconfig")
    monkeypatch.setattr(omegaconf.listconfig, "Callback", Callback, raising=False)
    loop = Callback()
    loop.__dict__["_content"] = loop
    with pytest.raises(WeightsError, match="nested or repeated without end"):
        read_pyannote(written(tmp_path, hyper_parameters={"a": loop}))


@pytest.mark.parametrize("place", ["state_dict", "hyper_parameters", "callbacks", "pyannote.audio"])
def test_code_anywhere_does_not_run(tmp_path: Path, place: str) -> None:
    marker = tmp_path / "marker"
    inside = {"state_dict": WEIGHTS, "hyper_parameters": {}, "callbacks": {}, "pyannote.audio": about()}[place]
    path = written(tmp_path, **{place: {**inside, "code": Call(marker)}})
    refused = pytest.raises(WeightsError, match="'code' is a ") if place == "state_dict" else contextlib.nullcontext()
    with refused:
        read_pyannote(path)
    assert is_pyannote(path)
    assert not marker.exists()
    torch.load(io.BytesIO(path.read_bytes()), weights_only=False)[place]["code"].close()  # it would have run
    assert marker.exists()


@pytest.mark.parametrize("data", [b"", b"text", saved(WEIGHTS), saved([1]), saved({}, legacy=True), saved({})[:300]])
def test_other_files_are_told_apart(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "other.bin"
    path.write_bytes(data)
    assert not is_pyannote(path)
    with pytest.raises(WeightsError):
        read_pyannote(path)


def test_a_missing_file_is_no_checkpoint(tmp_path: Path) -> None:
    assert not is_pyannote(tmp_path / "absent")
    assert not is_pyannote(tmp_path)


def test_long_settings_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pyannote, "MAX_VALUES", 30)
    with pytest.raises(WeightsError, match="nested or repeated without end"):
        read_pyannote(written(tmp_path, hyper_parameters={"a": list(range(40))}))
