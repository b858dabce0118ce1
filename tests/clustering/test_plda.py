"""PLDA: what its features look like, and that it survives a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from speakerdiar.clustering.plda import Plda, train_plda
from speakerdiar.errors import ConfigError, WeightsError


def voices(speakers: int, each: int, size: int, seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Embeddings that scatter more along some axes than others, between and within speakers."""
    draw = np.random.default_rng(seed)
    between, within = np.linspace(2, 0.2, size), np.linspace(0.3, 0.8, size)
    who = np.repeat(np.arange(speakers), each)
    mixing = np.linalg.qr(np.random.default_rng(99).normal(size=(size, size)))[0]
    means = between * draw.normal(size=(speakers, size))
    return (means[who] + within * draw.normal(size=(len(who), size))) @ mixing + 0.5, who


def within_and_between(features: NDArray[Any], who: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[Any]]:
    means = np.stack([features[who == speaker].mean(axis=0) for speaker in range(who.max() + 1)])
    return np.cov((features - means[who]).T), np.cov(means.T)


def test_features_scatter_alike_within_speakers_and_by_phi_between() -> None:
    embeddings, who = voices(300, 30, 12)
    plda = train_plda(embeddings, who, dimension=8, shrinkage=0)
    features = plda.project(embeddings)
    assert features.shape == (9000, 8)
    within, between = within_and_between(features, who)
    np.testing.assert_allclose(within, np.eye(8), atol=0.05)
    # Means of 30 keep 1/30 of the variance within.
    np.testing.assert_allclose(between - within / 30, np.diag(plda.phi), atol=0.05 * plda.phi[0])
    assert (np.diff(plda.phi) <= 0).all()
    np.testing.assert_allclose(features.mean(axis=0), 0, atol=1e-9)


def test_new_speakers_follow_the_same_model() -> None:
    plda = train_plda(*voices(300, 20, 12), dimension=8)
    embeddings, who = voices(200, 20, 12, seed=5)
    within, _ = within_and_between(plda.project(embeddings), who)
    np.testing.assert_allclose(within, np.eye(8), atol=0.2)


def test_labels_may_be_names() -> None:
    embeddings, who = voices(5, 20, 6)
    named = train_plda(embeddings, [f"speaker {label}" for label in who])
    np.testing.assert_array_equal(named.phi, train_plda(embeddings, who).phi)


@pytest.mark.parametrize("speakers", [np.zeros(6), np.arange(6)])
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_data_without_any_scatter(speakers: NDArray[Any], value: float) -> None:
    embeddings = np.full((6, 4), value)
    plda = train_plda(embeddings, speakers)
    assert plda.phi.shape == (4,)
    np.testing.assert_allclose(plda.project(embeddings), 0, atol=1e-6)


def test_training_wants_a_label_a_row() -> None:
    with pytest.raises(ConfigError, match=r"2 speakers for embeddings of shape \(3, 4\)"):
        train_plda(np.ones((3, 4)), [0, 1])
    with pytest.raises(ConfigError, match="0 speakers"):
        train_plda(np.ones((0, 4)), [])


def test_two_stages_project_one_after_the_other() -> None:
    draw = np.random.default_rng(1)
    mean1, lda, mean2, mu, tr = (draw.normal(size=size) for size in (6, (6, 4), 4, 4, (4, 4)))
    psi = np.array([1.0, 3.0, 0.5, 2.0])
    x = draw.normal(size=(10, 6))

    def unit(vectors: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))

    plda = Plda.from_kaldi(mean1, lda, mean2, mu, tr, psi)
    expected = ((2 * unit(np.sqrt(6) * unit(x - mean1) @ lda - mean2) - mu) @ tr.T)[:, [1, 3, 0, 2]]
    np.testing.assert_allclose(plda.project(x), expected)
    np.testing.assert_array_equal(plda.phi, [3, 2, 1, 0.5])
    plda = Plda.from_kaldi(mean1, lda, mean2, mu, tr, psi, dimension=1, scaled=False)
    np.testing.assert_allclose(plda.project(x), ((unit(unit(x - mean1) @ lda - mean2) - mu) @ tr.T)[:, [1]])


def test_save_and_load(tmp_path: Path) -> None:
    embeddings, who = voices(5, 20, 6)
    draw = np.random.default_rng(1)
    mean1, lda, mean2, mu, tr = (draw.normal(size=size) for size in (6, (6, 4), 4, 4, (4, 4)))
    for plda in (train_plda(embeddings, who), Plda.from_kaldi(mean1, lda, mean2, mu, tr, [1.0, 3.0, 0.5, 2.0])):
        path = tmp_path / "made.plda"  # any name: nothing is appended
        plda.save(path)
        again = Plda.load(str(path))
        np.testing.assert_array_equal(again.project(embeddings), plda.project(embeddings))
        np.testing.assert_array_equal(again.phi, plda.phi)


def test_what_is_no_plda_is_refused(tmp_path: Path) -> None:
    absent, text, other, pickled, array = (tmp_path / name for name in ("absent", "text", "other", "pickled", "array"))
    text.write_text("mean 1 2 3")
    array.write_bytes(b"")
    with other.open("wb") as file:
        np.savez(file, lda=np.eye(2))
    with pickled.open("wb") as file:
        np.savez(file, stages=np.array([{}], dtype=object))
    for path in (absent, text, other, pickled, array):
        with pytest.raises(WeightsError, match=f"{path.name}: no PLDA can be read"):
            Plda.load(path)


def write_folder(folder: Path, **arrays: NDArray[Any]) -> Path:
    """Write a folder as pyannote.audio 4 keeps a PLDA of 5 dimensions and 3 features, with these arrays in it."""
    draw = np.random.default_rng(0)
    shapes = {"mean1": (5,), "lda": (5, 3), "mean2": (3,), "mu": (3,), "tr": (3, 3), "psi": (3,)}
    stored = {name: abs(draw.normal(size=shape)) for name, shape in shapes.items()} | arrays
    folder.mkdir()
    np.savez(folder / "xvec_transform.npz", **{name: stored[name] for name in ("mean1", "mean2", "lda")})
    np.savez(folder / "plda.npz", **{name: stored[name] for name in ("mu", "tr", "psi")})
    return folder


def test_a_folder_of_pyannote(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "plda")
    plda = Plda.from_pyannote(folder)
    expected = Plda.from_kaldi(**np.load(folder / "xvec_transform.npz"), **np.load(folder / "plda.npz"))
    vectors = np.random.default_rng(1).normal(size=(4, 5))
    np.testing.assert_array_equal(plda.project(vectors), expected.project(vectors))
    np.testing.assert_array_equal(Plda.from_pyannote(str(folder)).phi, expected.phi)


def test_a_folder_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"xvec_transform\.npz: no mean1, lda, mean2 can be read"):
        Plda.from_pyannote(tmp_path / "absent")
    for name, lda in {"rows": np.ones((4, 3)), "flat": np.ones(5)}.items():
        with pytest.raises(WeightsError, match=f"{name}: no PLDA has arrays of these shapes: .* psi "):
            Plda.from_pyannote(write_folder(tmp_path / name, lda=lda))
    for name, psi in {"number": np.array(1.0), "many": np.ones(4), "negative": -np.ones(3)}.items():
        with pytest.raises(WeightsError, match=f"{name}: no PLDA has arrays of these shapes: .* psi "):
            Plda.from_pyannote(write_folder(tmp_path / name, psi=psi))
    for name, psi in {"pickled": np.array([{}], dtype=object), "text": np.array(["a"])}.items():
        with pytest.raises(WeightsError, match=r"plda\.npz: no mu, tr, psi can be read"):
            Plda.from_pyannote(write_folder(tmp_path / name, psi=psi))
    broken = write_folder(tmp_path / "broken")
    for content in (b"", b"no archive", (broken / "plda.npz").read_bytes()[:200]):
        (broken / "plda.npz").write_bytes(content)
        with pytest.raises(WeightsError, match=r"plda\.npz: no mu, tr, psi can be read"):
            Plda.from_pyannote(broken)


def test_sizes_must_fit() -> None:
    good = train_plda(*voices(5, 20, 6), dimension=3)
    with pytest.raises(ConfigError, match=r"shape \(2, 5\): this PLDA was trained for 6"):
        good.project(np.ones((2, 5)))
    with pytest.raises(ConfigError, match="sizes must follow"):
        Plda(good.means, good.matrices, good.offset, good.phi[:2])
    with pytest.raises(ConfigError, match="sizes must follow"):
        Plda(good.means * 2, good.matrices * 2, good.offset, good.phi)
    with pytest.raises(ConfigError, match="sizes must follow"):
        Plda((), (), good.offset, good.phi)
    with pytest.raises(ConfigError, match="phi below 0"):
        Plda(good.means, good.matrices, good.offset, -good.phi)
