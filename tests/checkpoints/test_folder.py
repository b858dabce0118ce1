"""The library's own format: folders that are whole or absent."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from speakerdiar.checkpoints import folder as folders
from speakerdiar.checkpoints.config_text import format_config
from speakerdiar.checkpoints.digests import sha256_of
from speakerdiar.checkpoints.folder import ModelCard, read_folder, write_folder
from speakerdiar.checkpoints.limits import ArchiveLimits
from speakerdiar.errors import ConfigError, WeightsError

CARD = ModelCard("A model", "It says nothing.", "Apache-2.0", "made up")
CONFIG: dict[str, Any] = {"model": "some", "sizes": [1, 2], "rate": 1e-5}
WEIGHTS = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.tensor([1, 2])}
NAMES = ["README.md", "config.yaml", "model.safetensors"]
DTYPES = [
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int8, torch.uint8,
    torch.bool, torch.complex64,
]  # fmt: skip


def written(path: Path, **options: Any) -> Path:
    return write_folder(path, CONFIG, WEIGHTS, CARD, **options)


def entries(path: Path) -> list[str]:
    return sorted(str(entry.relative_to(path)) for entry in path.rglob("*"))


@st.composite
def tensors(draw: st.DrawFn) -> torch.Tensor:
    shape = draw(st.lists(st.integers(0, 3), max_size=3))
    value = torch.arange(torch.Size(shape).numel()).reshape(shape).to(draw(st.sampled_from(DTYPES)))
    return value.t() if value.ndim == 2 and draw(st.booleans()) else value


@settings(max_examples=50)
@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), tensors(), max_size=5))
def test_weights_come_back_as_they_were(weights: dict[str, torch.Tensor]) -> None:
    with tempfile.TemporaryDirectory() as place:
        found = read_folder(write_folder(Path(place) / "model", CONFIG, weights, CARD))
        assert set(found.weights) == set(weights)
        for name, value in weights.items():
            assert found.weights[name].dtype == value.dtype
            torch.testing.assert_close(found.weights[name], value, rtol=0, atol=0)


def test_config_and_path_come_back(tmp_path: Path) -> None:
    path = written(tmp_path / "deep" / "model")
    found = read_folder(str(path))
    assert found.path == path == tmp_path / "deep" / "model"
    assert found.config == CONFIG


def test_tensors_that_share_memory_come_apart(tmp_path: Path) -> None:
    whole = torch.arange(6.0).reshape(2, 3)
    weights = {"whole": whole, "tied": whole, "row": whole[1], "turned": whole.t()}
    found = read_folder(write_folder(tmp_path / "m", CONFIG, weights, CARD)).weights
    for name, value in weights.items():
        torch.testing.assert_close(found[name], value, rtol=0, atol=0)


def test_the_folder_is_for_people_too(tmp_path: Path) -> None:
    path = written(tmp_path / "model")
    assert entries(path) == NAMES
    digest = sha256_of(path / "model.safetensors")
    text = (path / "config.yaml").read_text()
    assert text.startswith(f"format: 1\nmodel: some\nweights_sha256: {digest}\nsizes:\n")
    card = (path / "README.md").read_text()
    for part in ("# A model\n", "It says nothing.", "Apache-2.0", "made up", digest, "speakerdiar.load_model("):
        assert part in card


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
def test_whoever_may_read_the_folder_may_read_the_weights(tmp_path: Path) -> None:
    path = written(tmp_path / "model")
    modes = {stat.S_IMODE((path / name).stat().st_mode) for name in NAMES}
    assert modes == {stat.S_IMODE(path.stat().st_mode) & 0o666}


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    written(tmp_path / "model").rename(tmp_path / "other")
    (tmp_path / "model").mkdir()
    written(tmp_path / "model")
    assert entries(tmp_path / "model") == NAMES
    assert sorted(os.listdir(tmp_path)) == ["model", "other"]


def test_a_model_is_replaced_only_on_demand(tmp_path: Path) -> None:
    path = written(tmp_path / "model")
    with pytest.raises(ConfigError, match="isn't empty: give another folder, or overwrite=True"):
        written(path)
    write_folder(path, {"model": "newer"}, {}, CARD, overwrite=True)
    found = read_folder(path)
    assert (found.config, found.weights) == ({"model": "newer"}, {})
    assert os.listdir(tmp_path) == ["model"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_with_anything_else_in_it_is_never_touched(tmp_path: Path, overwrite: bool) -> None:
    path = written(tmp_path / "model")
    (path / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match=r"holds more than a model \(notes\.txt\)" if overwrite else "isn't empty"):
        written(path, overwrite=overwrite)
    assert entries(path) == sorted([*NAMES, "notes.txt"])


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "model").write_text("mine")
    with pytest.raises(ConfigError, match="is a file: give a folder"):
        written(tmp_path / "model", overwrite=True)
    assert (tmp_path / "model").read_text() == "mine"


@pytest.mark.parametrize("step", ["_write_weights", "format_config"])
@pytest.mark.parametrize("there", [False, True])
def test_nothing_half_written_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, there: bool) -> None:
    if there:
        written(tmp_path / "model")
    before = entries(tmp_path)

    def fails(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(folders, step, fails)
    with pytest.raises(OSError, match="disk full"):
        written(tmp_path / "model", overwrite=True)
    assert entries(tmp_path) == before


def test_the_former_model_comes_back_where_the_new_one_can_not_move_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "model")
    rename = Path.rename

    def fails(self: Path, target: Path) -> Path:
        if self.suffix == ".part":
            raise OSError("no")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fails)
    with pytest.raises(OSError, match="no"):
        write_folder(path, {"model": "newer"}, {}, CARD, overwrite=True)
    assert os.listdir(tmp_path) == ["model"]
    assert read_folder(path).config == CONFIG


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({}, "`model` is None"),
        ({"model": 1}, "`model` is 1"),
        ({"model": "a", "format": 1}, "the key 'format'"),
        ({"model": "a", "weights_sha256": ""}, "the key 'weights_sha256'"),
        ({"model": "a", 1: 2}, "the key 1"),
        ({"model": "a", "b": object()}, "keep to dicts"),
    ],
)
def test_configs_that_would_not_come_back_are_refused(tmp_path: Path, config: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        write_folder(tmp_path / "model", config, WEIGHTS, CARD)
    assert entries(tmp_path) == []


@pytest.mark.parametrize(
    ("weights", "reason"),
    [
        ({"a": 1}, "'a' is a int, not a plain tensor"),
        ({"a": torch.ones(2).to_sparse()}, "'a' is sparse"),
        ({"a": torch.ones(1).expand(3)}, "'a' is a tensor of 12 bytes over 4 bytes of data"),
        ({"a": torch.ones(1, dtype=torch.complex128)}, "can't be saved as safetensors"),
        ({"\ud800": torch.ones(1)}, "can't be saved as safetensors"),
        ({"__metadata__": torch.ones(1)}, "belongs to safetensors"),
    ],
)
def test_weights_that_would_not_come_back_are_refused(tmp_path: Path, weights: dict[str, Any], reason: str) -> None:
    with pytest.raises(WeightsError, match=reason):
        write_folder(tmp_path / "model", CONFIG, weights, CARD)
    assert entries(tmp_path) == []


def test_altered_weights_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "model")
    safetensors.torch.save_file({"a.weight": torch.zeros(2, 3)}, path / "model.safetensors")
    with pytest.raises(WeightsError, match=r"model\.safetensors isn't the published file .*get the folder anew"):
        read_folder(path)


def test_a_folder_without_a_digest_is_read(tmp_path: Path) -> None:
    path = written(tmp_path / "model")
    (path / "config.yaml").write_bytes(format_config({"format": 1, **CONFIG}))
    assert read_folder(path).config == CONFIG


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (b"model: some", "format is None, not 1: update"),
        (b"format: 2\nmodel: some", "format is 2, not 1: update"),
        (b"format: 1", "model is None, not the name of a model"),
        (b"format: 1\nmodel: some\nweights_sha256: 1", "isn't the published file"),
        (b"format: 1\nmodel: !!python/name:os.system", "the tag .* is refused"),
    ],
)
def test_broken_configs_are_refused(tmp_path: Path, config: bytes, reason: str) -> None:
    path = written(tmp_path / "model")
    (path / "config.yaml").write_bytes(config)
    with pytest.raises(WeightsError, match=reason):
        read_folder(path)


@pytest.mark.parametrize("name", ["config.yaml", "model.safetensors"])
def test_missing_files_are_named(tmp_path: Path, name: str) -> None:
    path = written(tmp_path / "model")
    (path / name).unlink()
    with pytest.raises(WeightsError, match=rf"{name}: No such file"):
        read_folder(path)
    (path / name).mkdir()
    with pytest.raises(WeightsError, match=rf"{name} isn't a plain file"):
        read_folder(path)
    with pytest.raises(WeightsError, match=r"config\.yaml: No such file"):
        read_folder(tmp_path / "absent")


@pytest.mark.skipif(os.name != "posix", reason="links need rights elsewhere")
@pytest.mark.parametrize("name", ["config.yaml", "model.safetensors"])
def test_links_stay_within_the_folder(tmp_path: Path, name: str) -> None:
    path = written(tmp_path / "model")
    (path / name).rename(path / "inside")
    (path / name).symlink_to("inside")
    assert read_folder(path).config == CONFIG
    (path / "inside").rename(tmp_path / "outside")
    (path / name).unlink()
    (path / name).symlink_to("../outside")
    with pytest.raises(WeightsError, match=rf"{name} is a link to '.*outside', out of '.*model'"):
        read_folder(path)
    assert read_folder(path, links_within=tmp_path).config == CONFIG


def test_a_folder_may_be_a_link(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(written(tmp_path / "model"))
    assert read_folder(link).config == CONFIG
    write_folder(link, {"model": "newer"}, {}, CARD, overwrite=True)
    assert link.is_symlink()
    assert read_folder(tmp_path / "model").config == {"model": "newer"}


def test_limits_are_held(tmp_path: Path) -> None:
    path = written(tmp_path / "model")
    with pytest.raises(WeightsError, match=r"config\.yaml: bytes: \d+ is beyond max_config_bytes=10"):
        read_folder(path, ArchiveLimits(max_config_bytes=10))
    with pytest.raises(WeightsError, match=r"model\.safetensors: bytes: \d+ is beyond max_weights_bytes=10"):
        read_folder(path, ArchiveLimits(max_weights_bytes=10))


def test_wherever_the_weights_are_cut_they_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "model")
    (path / "config.yaml").write_bytes(format_config({"format": 1, **CONFIG}))
    data = (path / "model.safetensors").read_bytes()
    for length in range(len(data)):
        (path / "model.safetensors").write_bytes(data[:length])
        with pytest.raises(WeightsError, match=r"isn't a whole safetensors file"):
            read_folder(path)
