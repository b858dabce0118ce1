"""How a store remembers an embedder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fakes_roles import FakeEmbedder
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from speakerdiar.models import MODELS
from speakerdiar.models.embedders import make_embedder
from speakerdiar.voiceprints.binding import Binding, from_bytes, to_bytes


@given(arrays(np.float32, st.integers(0, 20), elements=st.floats(width=32, allow_nan=False)))
def test_vectors_come_back_bit_by_bit(vector: np.ndarray) -> None:
    data = to_bytes(vector)
    assert len(data) == 4 * len(vector)
    assert from_bytes(data).tobytes() == vector.tobytes()


def test_vectors_are_kept_little_end_first() -> None:
    assert to_bytes(np.array([1.0], dtype=np.float32)) == b"\x00\x00\x80\x3f"


def test_an_embedder_is_known_by_its_probe_and_not_by_its_name() -> None:
    embedder = FakeEmbedder()
    probe = embedder.probe()
    assert Binding("a", probe).fits(Binding("b", FakeEmbedder().probe()))
    assert not Binding("a", probe).fits(Binding("a", np.roll(probe, 5)))
    assert not Binding("a", probe).fits(Binding("a", FakeEmbedder(dimension=24).probe()))


def test_what_an_embedder_was_asked_for_by_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    embedder = FakeEmbedder()
    (tmp_path / "voices.onnx").touch()
    monkeypatch.chdir(tmp_path)
    assert Binding.of(embedder, embedder).name == "FakeEmbedder"
    assert Binding.of(embedder, "owner/voices").name == "owner/voices"
    assert Binding.of(embedder, "voices.onnx").name == str(tmp_path / "voices.onnx")
    assert Binding.of(embedder, Path("voices.onnx")).name == str(tmp_path / "voices.onnx")
    (tmp_path / "ge2e").touch()
    assert Binding.of(embedder, "ge2e").name == "ge2e"


@pytest.mark.skipif(not MODELS["embedded"].is_here(), reason="the embedded weights aren't installed")
def test_an_instance_of_a_known_class_gets_its_name_in_the_table() -> None:
    embedder = make_embedder("ge2e")
    assert Binding.of(embedder, embedder).name == "ge2e"
