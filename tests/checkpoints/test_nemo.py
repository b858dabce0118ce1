"""`.nemo` files: those that NeMo writes, odd ones, and ones made to do harm."""

from __future__ import annotations

import json
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from nemo_files import CONFIG, WEIGHTS, Entry, nemo_file, saved, sound, tar_of

from speakerdiar.checkpoints.limits import ArchiveLimits
from speakerdiar.checkpoints.nemo import read_nemo, target_of
from speakerdiar.errors import WeightsError

# What reading alone finds wrong; names and shapes that a network wants are another matter.
REFUSED = {
    "code_in_pickle.nemo": r"model_weights\.ckpt is refused, as its pickle asks for io\.open",
    "no_weights.nemo": "has no member 'model_weights.ckpt'",
    "no_config.nemo": "has no member 'model_config.yaml'",
    "truncated.nemo": "is cut short: the member './model_weights.ckpt'",
    "not_a_tar.nemo": "isn't a whole tar archive",
    "yaml_tag.nemo": "line 82: the tag 'tag:yaml.org,2002:python/object/apply:os.getcwd' is refused",
    "traversal.nemo": "'../speakerdiar_traversal_marker' is refused",
    "symlink.nemo": "'./model_config.yaml' is refused, as it is a link to '/etc/hostname'",
}


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("order", [1, -1], ids=["config first", "weights first"])
def test_config_and_weights_are_read(tmp_path: Path, packed: bool, order: int) -> None:
    path = nemo_file(tmp_path, *sound()[::order], packed=packed)
    found = read_nemo(str(path))
    assert found.path == path
    assert found.config == {"target": "nemo.collections.asr.models.Some", "encoder": {"d_model": 4}}
    assert list(found.weights) == list(WEIGHTS)
    assert all(torch.equal(found.weights[name], value) for name, value in WEIGHTS.items())
    path.unlink()
    assert found.weights["a.weight"].sum() == 15  # nothing hangs on the file


def test_names_of_classes_stay_text(tmp_path: Path) -> None:
    """Instantiated, the first would write a file, and the second import a module."""
    marker = tmp_path / "marker"
    config = f"target: antigravity.Model\nencoder: {{_target_: builtins.open, file: {marker}, mode: w}}\n".encode()
    found = read_nemo(nemo_file(tmp_path, Entry("model_config.yaml", config), sound()[1]))
    assert found.config["encoder"] == {"_target_": "builtins.open", "file": str(marker), "mode": "w"}
    assert target_of(found.config) == "antigravity.Model"
    assert not marker.exists()
    assert "antigravity" not in sys.modules


def test_a_resolver_in_the_config_is_refused(tmp_path: Path) -> None:
    path = nemo_file(tmp_path, Entry("model_config.yaml", b"a: {b: '${oc.env:HOME}'}"), sound()[1])
    with pytest.raises(WeightsError, match=r"model\.nemo: model_config\.yaml: a\.b: .*resolver 'oc\.env' is refused"):
        read_nemo(path)


@pytest.mark.parametrize("absent", [0, 1])
def test_a_missing_member_is_named(tmp_path: Path, absent: int) -> None:
    entries = sound()
    name = entries.pop(absent).name.removeprefix("./")
    with pytest.raises(WeightsError, match=f"model.nemo has no member '{name}'"):
        read_nemo(nemo_file(tmp_path, *entries))


def test_limits_are_held(tmp_path: Path) -> None:
    path = nemo_file(tmp_path, *sound())
    with pytest.raises(WeightsError, match=rf"{len(CONFIG)} is beyond max_config_bytes=10"):
        read_nemo(path, ArchiveLimits(max_config_bytes=10))
    with pytest.raises(WeightsError, match=r"is beyond max_weights_bytes=10"):
        read_nemo(path, ArchiveLimits(max_weights_bytes=10))


@pytest.mark.parametrize("config", [{}, {"target": None}, {"target": ["a"]}])
def test_a_config_without_target_says_so(config: dict[str, Any]) -> None:
    with pytest.raises(WeightsError, match="The config's `target` is"):
        target_of(config)


_SOUND = [tar_of(*sound()), tar_of(sound()[0], Entry("model_weights.ckpt", saved(WEIGHTS, legacy=True)))]


@settings(max_examples=300)
@given(st.sampled_from(_SOUND), st.randoms(use_true_random=False), st.integers(0, 8), st.floats(0, 2))
def test_a_damaged_file_is_read_or_refused(data: bytes, chance: random.Random, flips: int, kept: float) -> None:
    damaged = bytearray(data[: int(min(kept, 1.0) * len(data))])
    for _ in range(flips if damaged else 0):
        damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "damaged.nemo"
        path.write_bytes(damaged)
        try:
            found = read_nemo(path)
        except WeightsError:
            return
        assert all(type(value) is torch.Tensor for value in found.weights.values())


def test_goldens_are_read_or_refused_as_they_should_be(shared: Path) -> None:
    folder = shared / "golden/nemo/containers"
    marker = Path(tempfile.gettempdir()) / "speakerdiar_unsafe_pickle_marker"
    for name in json.loads((folder / "containers.json").read_text())["files"]:
        if name in REFUSED:
            with pytest.raises(WeightsError, match=REFUSED[name]):
                read_nemo(folder / name)
        else:
            found = read_nemo(folder / name)
            assert target_of(found.config).endswith("SortformerEncLabelModel")
            assert len(found.weights) == (77 if name == "missing_key.nemo" else 78)
    assert not marker.exists()
    assert not list(folder.parent.rglob("speakerdiar_traversal_marker"))


@pytest.mark.parametrize("name", ["gz.nemo", "noprefix_extra.nemo", "legacy_pickle.nemo", "half.nemo"])
def test_goldens_of_one_model_hold_the_same(shared: Path, name: str) -> None:
    folder = shared / "golden/nemo/containers"
    reference, found = read_nemo(folder / "nemo30.nemo"), read_nemo(folder / name)
    assert found.config == {**reference.config, "nemo_version": found.config.get("nemo_version")}
    assert list(found.weights) == list(reference.weights)
    for key, value in found.weights.items():
        expected = reference.weights[key]
        if name == "half.nemo":
            expected = expected.half() if expected.is_floating_point() else expected
        torch.testing.assert_close(value, expected, rtol=0, atol=0)


def test_golden_interpolations_give_the_sizes_of_the_tensors(shared: Path) -> None:
    found = read_nemo(shared / "golden/nemo/containers/interpolations.nemo")
    assert found.config["encoder"]["d_model"] == found.config["sortformer_modules"]["fc_d_model"] == 16
    assert found.config["sortformer_modules"]["num_spks"] == 4


@pytest.mark.parametrize("model", ["v1", "v2"])
def test_golden_models_hold_what_nemo_says(shared: Path, model: str) -> None:
    """`state_dict.txt` lists name, shape and precision of all tensors."""
    folder = shared / "golden/nemo" / model
    found = read_nemo(folder / f"tiny_{model}.nemo")
    lines = [f"{name} {tuple(value.shape)} {value.dtype}" for name, value in found.weights.items()]
    assert sorted(lines) == sorted((folder / "state_dict.txt").read_text().splitlines())
