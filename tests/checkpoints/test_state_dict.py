"""Plain state dicts in a file of their own."""

from __future__ import annotations

from pathlib import Path

import pytest
import safetensors.torch
import torch

from speakerdiar.checkpoints.limits import ArchiveLimits
from speakerdiar.checkpoints.state_dict import read_state_dict
from speakerdiar.errors import WeightsError

WEIGHTS = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.steps": torch.tensor(3)}


@pytest.mark.parametrize("name", ["model.safetensors", "avg_model.pt"])
def test_both_kinds_of_file(tmp_path: Path, name: str) -> None:
    save = safetensors.torch.save_file if name.endswith("safetensors") else torch.save
    save(WEIGHTS, tmp_path / name)
    found = read_state_dict(tmp_path / name)
    assert found.config == {}
    assert {key: value.tolist() for key, value in found.weights.items()} == {
        key: value.tolist() for key, value in WEIGHTS.items()
    }


@pytest.mark.parametrize("name", ["model.safetensors", "model.pt"])
def test_broken_files(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"no weights at all, but some bytes")
    with pytest.raises(WeightsError, match=r"get (it|the file) anew"):
        read_state_dict(tmp_path / name)


def test_no_file_and_too_large_a_file(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no such file"):
        read_state_dict(tmp_path / "model.pt")
    torch.save(WEIGHTS, tmp_path / "model.pt")
    with pytest.raises(WeightsError, match="max_weights_bytes"):
        read_state_dict(tmp_path / "model.pt", ArchiveLimits(max_weights_bytes=100))
