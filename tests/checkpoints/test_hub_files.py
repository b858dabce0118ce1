"""Which files of a repository are taken."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speakerdiar.checkpoints.hub_files import SAFE_SUFFIXES, is_safe, is_weight, wanted

CARD = ["README.md", "config.json", ".gitattributes", "model.py"]


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["x.nemo"], ["README.md", "x.nemo"]),
        (["x.nemo", "model.safetensors", "config.yaml"], ["README.md", "config.yaml", "model.safetensors"]),
        (["x.nemo", "model.safetensors"], ["README.md", "x.nemo"]),
        (["model.safetensors"], ["README.md", "config.json", "model.safetensors"]),
        (["x.onnx"], ["README.md", "config.json", "x.onnx"]),
        (["deep/x.nemo"], []),
        (["pytorch_model.bin"], ["README.md", "pytorch_model.bin"]),
        (["pytorch_model.bin", "x.nemo"], ["README.md", "x.nemo"]),
        (
            ["config.yaml", "segmentation/pytorch_model.bin", "embedding/pytorch_model.bin", "plda/plda.npz", "x.gif"],
            [
                "README.md",
                "config.yaml",
                "embedding/pytorch_model.bin",
                "plda/plda.npz",
                "segmentation/pytorch_model.bin",
            ],
        ),
        ([], []),
    ],
)
def test_the_best_form_on_offer_is_taken_whole(names: list[str], chosen: list[str]) -> None:
    assert wanted([*CARD, *names]) == chosen


def test_patterns_choose_within_a_folder() -> None:
    names = ["a.nemo", "onnx/a.onnx", "onnx/b.onnx", "onnx/deep/c.onnx"]
    assert wanted(names, ["onnx/*.onnx"]) == ["onnx/a.onnx", "onnx/b.onnx"]
    assert wanted(names, ["*.onnx"]) == []
    assert wanted(["config.yaml", "README.md"], ["config.yaml"]) == ["config.yaml"]


@pytest.mark.parametrize(
    "name", ["../a.nemo", "/a.nemo", "a/../b.nemo", "a//b.nemo", "./a.nemo", "a\\b.nemo", "a.pkl", "a.py", "a"]
)
def test_other_types_and_places_are_unsafe(name: str) -> None:
    assert not is_safe(name)
    assert wanted([name], [name]) == []


@given(st.lists(st.text("ab./*\\", max_size=6).map(lambda stem: stem + ".nemo") | st.text(max_size=8)))
def test_what_is_taken_is_safe_and_has_weights(names: list[str]) -> None:
    chosen = wanted(names)
    assert all(name.endswith(SAFE_SUFFIXES) and ".." not in name.split("/") for name in chosen)
    assert chosen == [] or any(map(is_weight, chosen))
