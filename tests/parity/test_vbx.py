"""VBx and PLDA against pyannote.audio 4 and BUT's recipe, whose x-vectors are those of a real meeting."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clustering_agreement import agreement
from numpy.typing import NDArray

from speakerdiar.annotation import Diarization, Turn
from speakerdiar.clustering.ahc import AhcClusterer
from speakerdiar.clustering.plda import Plda
from speakerdiar.clustering.vbx import VbxResult, smoothed, vbx
from speakerdiar.metrics import der

RECORDINGS = ["01_dialogue", "02_pyannote_sample", "04_three_speaker", "06_long_recording"]


def of_pyannote(folder: Path) -> Plda:
    return Plda.from_kaldi(**np.load(folder / "xvec_transform.npz"), **np.load(folder / "plda.npz"))


def kaldi_arrays(data: bytes) -> list[NDArray[np.float64]]:
    """Read the vectors and matrices of doubles in a binary Kaldi object: "DV " or "DM ", a byte 4 before each size."""
    arrays, at = [], data.index(b"D", 9)
    while data[at : at + 1] == b"D":
        dimensions = 1 if data[at + 1 : at + 2] == b"V" else 2
        shape = [struct.unpack_from("<i", data, at + 4 + 5 * axis)[0] for axis in range(dimensions)]
        at += 3 + 5 * dimensions
        arrays.append(np.frombuffer(data, "<f8", int(np.prod(shape)), at).reshape(shape))
        at += arrays[-1].nbytes
    return arrays


def archive(path: Path) -> NDArray[np.float32]:
    """Read a Kaldi archive of float vectors of one size."""
    data, at, vectors = path.read_bytes(), 0, []
    while at < len(data):
        at = data.index(b"\0BFV \x04", at) + 6
        (size,) = struct.unpack_from("<i", data, at)
        vectors.append(np.frombuffer(data, "<f4", size, at + 4))
        at += 4 + 4 * size
    return np.stack(vectors)


def unit(vectors: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def turns(path: Path) -> Diarization:
    rows = [line.split() for line in path.read_text().splitlines()]
    spans = [(float(row[3]), float(row[4]), row[7]) for row in rows]
    return Diarization("ES2005a", 400.0, tuple(Turn(start, start + length, who) for start, length, who in spans))


def of_windows(rows: list[list[str]], labels: NDArray[Any]) -> Diarization:
    """Turns of overlapping windows: where neighbours' labels differ, the border lies midway between their centres."""
    spans = [(round(float(row[2]), 3), round(float(row[3]), 3)) for row in rows]
    made, start = [], spans[0][0]
    for at, (_, ends) in enumerate(spans):
        last = at + 1 == len(spans) or spans[at + 1][0] > ends
        changes = last or labels[at + 1] != labels[at]
        if changes:
            end = ends if last else (ends + spans[at + 1][0]) / 2
            made.append(Turn(start, end, str(labels[at])))
            if at + 1 < len(spans):
                start = spans[at + 1][0] if last else end
    return Diarization("ES2005a", 400.0, tuple(made))


@pytest.fixture(scope="module")
def meeting(shared: Path) -> Path:
    return shared / "golden/peers/4_clustering/vbx_es2005a"


def recipe(meeting: Path, run: dict[str, Any]) -> tuple[Plda, VbxResult]:
    """Follow the recipe with the parameters of one run."""
    given = run["params"]
    mu, tr, psi = kaldi_arrays((meeting / "plda").read_bytes())
    transform = dict(np.load(meeting / "transform.npz"))
    vectors = archive(meeting / "ES2005a.ark")
    plda = Plda.from_kaldi(**transform, mu=mu, tr=tr, psi=psi, dimension=given["lda_dim"], scaled=False)
    reduced = unit(unit(vectors - transform["mean1"]) @ transform["lda"] - transform["mean2"])
    first = AhcClusterer(threshold=1 - run["two_gmm_threshold"] - given["threshold"]).fit_predict(reduced)
    return plda, vbx(
        plda.project(vectors),
        plda.phi,
        smoothed(first, given["init_smoothing"]),
        fa=given["Fa"],
        fb=given["Fb"],
        loop_probability=given["loopP"],
        tolerance=1e-6,
    )


@pytest.mark.parametrize("name", ["recipe", "ami_beamformed", "lda64"])
def test_the_recipe_on_a_meeting(name: str, meeting: Path) -> None:
    expected = np.load(meeting / "expected.npz")
    run = json.loads((meeting / "expected.json").read_text())["runs"][name]
    plda, found = recipe(meeting, run)
    size = run["params"]["lda_dim"]
    features = plda.project(archive(meeting / "ES2005a.ark")[:8])
    np.testing.assert_allclose(abs(features), expected["abs_features_head"][:, :size], atol=1e-9)
    np.testing.assert_allclose(plda.phi, expected["psi"][:size])
    np.testing.assert_allclose(found.elbos, expected[f"{name}/elbo"], rtol=1e-7)
    np.testing.assert_allclose(found.responsibilities.max(axis=1), expected[f"{name}/gamma_max"], atol=1e-6)
    np.testing.assert_allclose(np.sort(found.priors), np.sort(expected[f"{name}/pi"]), atol=2e-6)
    labels = found.responsibilities.argmax(axis=1)
    assert agreement(labels, expected[f"{name}/labels"]) == 1.0
    scores = run["dscore_collar_0_25_ignore_overlaps"], run["dscore_collar_0_full"]
    segments = [line.split() for line in (meeting / "ES2005a.seg").read_text().splitlines()]
    hypothesis, reference = of_windows(segments, labels), turns(meeting / "reference.rttm")
    for score, (collar, skip) in zip(scores, ((0.25, True), (0.0, False)), strict=True):
        rate = der(reference, hypothesis, convention="md-eval", collar=collar, skip_overlap=skip).rate
        assert 100 * rate == pytest.approx(score["DER"], abs=0.01)


def test_the_iterations_of_pyannote(shared: Path) -> None:
    folder = shared / "golden/peers/4_clustering"
    golden = np.load(folder / "vbx_core.npz")
    plda = of_pyannote(folder / "plda")
    features = plda.project(golden["x"])
    np.testing.assert_allclose(abs(features), golden["features"], atol=1e-7)
    np.testing.assert_allclose(features @ features.T, golden["gram"], atol=1e-7)
    np.testing.assert_allclose(plda.phi, golden["phi"])
    soft = 0.7 * np.eye(6)[golden["labels"]] + 0.05
    for case in range(3):
        fa, fb, iterations = golden[f"{case}/params"]
        for start, suffix in ((smoothed(golden["labels"]), ""), (soft, "_from_soft")):
            found = vbx(features, plda.phi, start, fa=fa, fb=fb, loop_probability=0, max_iterations=int(iterations))
            np.testing.assert_allclose(found.responsibilities, golden[f"{case}/gamma{suffix}"], atol=1e-6)
            np.testing.assert_allclose(found.priors, golden[f"{case}/pi{suffix}"], atol=1e-6)
            if suffix:
                np.testing.assert_allclose(found.elbos, golden[f"{case}/elbo"], rtol=1e-8)


@pytest.mark.parametrize("recording", RECORDINGS)
def test_the_real_pipeline(recording: str, shared: Path) -> None:
    folder = shared / "golden/community1" / recording
    state, trained = np.load(folder / "vbx_state.npz"), np.load(folder / "plda_embeddings.npz")
    raw = np.load(folder / "raw_embeddings.npz")["embeddings"]
    plda = of_pyannote(folder.parent / "plda")
    features = plda.project(raw[trained["train_chunk_idx"], trained["train_speaker_idx"]])
    np.testing.assert_allclose(abs(features), abs(trained["post_plda"]), atol=1e-9)
    np.testing.assert_allclose(plda.phi, trained["phi"])
    start = smoothed(np.load(folder / "ahc_init_labels.npy"))
    np.testing.assert_allclose(start, state["qinit"], atol=1e-12)
    fa, fb, iterations = (state[name].item() for name in ("fa", "fb", "max_iters"))
    found = vbx(features, plda.phi, start, fa=fa, fb=fb, loop_probability=0, max_iterations=iterations)
    np.testing.assert_allclose(found.elbos, state["elbo_trajectory"], rtol=1e-7)
    np.testing.assert_allclose(found.responsibilities, state["q_final"], atol=1e-6)
    np.testing.assert_allclose(found.priors, state["sp_final"], atol=1e-6)
