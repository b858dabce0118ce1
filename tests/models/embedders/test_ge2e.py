"""The GE2E embedder against a plain computation of the published method, and the file of its weights."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from speakerdiar.audio import load
from speakerdiar.checkpoints.folder import ModelCard, write_folder
from speakerdiar.errors import ConfigError, MissingExtraError, WeightsError
from speakerdiar.models.embedders import ge2e, make_embedder
from speakerdiar.models.embedders.ge2e import Ge2eEmbedder
from speakerdiar.models.saving_parts import save_part
from speakerdiar.nn.ge2e import Ge2eEncoder

CONVERSATION = Path(__file__).resolve().parents[3] / "examples" / "data" / "conversation.flac"
WINDOW = 25600
CARD = ModelCard("t", "s", "l", "o")


@pytest.fixture(scope="module")
def model() -> Ge2eEmbedder:
    try:
        return Ge2eEmbedder()
    except MissingExtraError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def talk() -> NDArray[np.float32]:
    return np.asarray(load(CONVERSATION))[: 20 * 16000]


def published(samples: NDArray[np.float32], model: Ge2eEmbedder) -> NDArray[np.float32]:
    """Partial embeddings of the published method, one each 160 frames, with librosa's front end."""
    mels = librosa.feature.melspectrogram(y=samples, sr=16000, n_fft=400, hop_length=160, n_mels=40).T
    windows = np.stack([mels[i : i + 160] for i in range(0, len(mels) - 159, 160)])
    with torch.inference_mode():
        _, (hidden, _) = model.encoder.lstm(torch.from_numpy(windows))
        raw = torch.relu(model.encoder.linear(hidden[-1])).numpy()
    return np.asarray(raw / np.linalg.norm(raw, axis=1, keepdims=True))


def test_equals_the_published_method(model: Ge2eEmbedder, talk: NDArray[np.float32]) -> None:
    expected = published(talk, model)
    plain = Ge2eEmbedder(target_dbfs=None)
    found = plain.embed_windows(talk, np.arange(len(expected)) * WINDOW, WINDOW)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert (found >= 0).all()


def test_windows_are_brought_to_the_target_whatever_their_level(talk: NDArray[np.float32]) -> None:
    window = talk[5 * 16000 : 5 * 16000 + WINDOW]
    loud = window * np.float32(0.1 / np.sqrt(np.mean(window**2)))  # -20 dBFS
    quiet = loud * np.float32(0.01)
    at_target = Ge2eEmbedder(target_dbfs=None).embed(loud * np.float32(10 ** (-10 / 20)))
    leveled, raised = Ge2eEmbedder(target_dbfs=-30), Ge2eEmbedder(target_dbfs=-30, increase_only=True)
    np.testing.assert_allclose(leveled.embed(loud), at_target, atol=1e-4)
    np.testing.assert_allclose(leveled.embed(quiet), at_target, atol=1e-4)
    np.testing.assert_allclose(raised.embed(quiet), at_target, atol=1e-4)
    np.testing.assert_allclose(raised.embed(loud), Ge2eEmbedder(target_dbfs=None).embed(loud), atol=1e-6)


def test_a_window_of_a_long_piece_needs_nothing_but_what_its_frames_reach(
    model: Ge2eEmbedder, talk: NDArray[np.float32]
) -> None:
    start = 7 * 16000
    (in_piece,) = model.embed_windows(talk, [start], WINDOW)
    (with_context,) = model.embed_windows(talk[start - 320 : start + WINDOW + 320], [320], WINDOW)
    (alone,) = model.embed(talk[start : start + WINDOW])
    np.testing.assert_allclose(in_piece, with_context, atol=1e-5)
    assert 0.98 < in_piece @ alone < 1


@pytest.mark.parametrize("windows_at_once", [1, 3, 32])
def test_batch_size_and_threads_do_not_matter(
    model: Ge2eEmbedder, talk: NDArray[np.float32], windows_at_once: int
) -> None:
    starts = np.arange(10) * 16000
    expected = np.concatenate([model.embed_windows(talk, [start], WINDOW) for start in starts.tolist()])
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        found = Ge2eEmbedder(windows_at_once=windows_at_once).embed_windows(talk, starts, WINDOW)
    finally:
        torch.set_num_threads(before)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_same_voice_is_nearer_than_another(shared: Path, model: Ge2eEmbedder) -> None:
    samples = np.asarray(load(shared / "eval" / "three_voices.flac"))
    lines = (shared / "eval" / "three_voices.rttm").read_text().splitlines()
    turns = [(float(f[3]), float(f[3]) + float(f[4]), f[7]) for f in map(str.split, lines)]
    halves = [(s, (s + e) / 2, n) for s, e, n in turns] + [((s + e) / 2, e, n) for s, e, n in turns]
    vectors = model.embed(samples, [(s, e) for s, e, _ in halves])
    names = np.array([name for *_, name in halves])
    same = names[:, None] == names
    similarity = vectors @ vectors.T
    assert similarity[same].mean() > similarity[~same].mean() + 0.1


@pytest.mark.parametrize("option", [{"target_dbfs": 1.0}, {"target_dbfs": float("nan")}, {"windows_at_once": 0}])
def test_bad_options_are_refused(option: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(option))):
        Ge2eEmbedder(**option)


def test_absent_weights_are_an_error_with_the_pip_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> importlib.metadata.Distribution:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", absent)
    with pytest.raises(MissingExtraError, match=r"pip install --no-deps resemblyzer==0\.1\.4"):
        Ge2eEmbedder()


def test_a_folder_embeds_with_its_own_weights_and_without_the_wheel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, talk: NDArray[np.float32]
) -> None:
    monkeypatch.setattr(ge2e, "installed_file", None)
    torch.manual_seed(0)
    encoder = Ge2eEncoder(n_mels=24, hidden=6, dimension=5, layers=2).half()
    scoring: dict[str, Any] = {"centre": [0.1, 0.2, 0.3, 0.4, 0.5], "slot_threshold": 0.4}
    folder = write_folder(tmp_path / "own", {"model": "ge2e", "scoring": scoring}, encoder.state_dict(), CARD)
    for place in (folder, save_part(folder, tmp_path / "again")):
        embedder = make_embedder(place, target_dbfs=-20.0)
        mels = librosa.feature.melspectrogram(y=talk[:WINDOW], sr=16000, n_fft=400, hop_length=160, n_mels=24).T[:160]
        gain = 0.01 / np.mean(talk[:WINDOW] ** 2)
        with torch.inference_mode():
            raw = encoder.float()(torch.from_numpy(gain * mels)[None]).numpy()
        np.testing.assert_allclose(embedder.embed(talk[:WINDOW]), raw / np.linalg.norm(raw), atol=1e-4)
        np.testing.assert_allclose(np.asarray(embedder.centre), scoring["centre"])
        assert (embedder.plda_name, embedder.slot_threshold, embedder.voice_threshold) == ("", 0.4, None)
        assert embedder.dimension == 5


def test_a_folder_of_other_weights_is_refused(tmp_path: Path) -> None:
    weights = Ge2eEncoder(n_mels=24, hidden=6, dimension=5, layers=2).state_dict()
    without = {name: value for name, value in weights.items() if name != "lstm.bias_hh_l1"}
    for number, (given, named) in enumerate([(without, "bias_hh_l1"), ({"x": torch.ones(1)}, "is no GE2E encoder")]):
        folder = write_folder(tmp_path / str(number), {"model": "ge2e"}, given, CARD)
        with pytest.raises(WeightsError, match=named):
            make_embedder(folder)


def test_altered_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "pretrained.pt"
    file.write_bytes(b"altered")
    monkeypatch.setattr(ge2e, "installed_file", lambda *args, **options: file)
    with pytest.raises(WeightsError, match="isn't the published file"):
        Ge2eEmbedder()


class Intruder:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("intruder"),))


@pytest.mark.parametrize("content", [b"text", {"step": 1}, [1], {"model_state": Intruder()}])
def test_what_is_no_checkpoint_is_refused_and_its_code_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "weights.pt"
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        torch.save(content, file)
    with pytest.raises(WeightsError, match=r"weights\.pt is no GE2E checkpoint"):
        ge2e.read_checkpoint(file)
    assert not (tmp_path / "intruder").exists()
