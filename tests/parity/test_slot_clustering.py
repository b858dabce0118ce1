"""Slots against pyannote.audio 4.0.7: its clusterings on made embeddings, and whole pipelines, real and made."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clustering_agreement import agreement
from numpy.typing import NDArray

from speakerdiar.clustering.plda import Plda
from speakerdiar.clustering.slot_ahc import AhcSlots
from speakerdiar.clustering.slot_vbx import VbxSlots
from speakerdiar.clustering.slots import SlotClusterer, SlotClusters
from speakerdiar.config import SpeakerCount
from speakerdiar.errors import SpeakerCountError

RECORDINGS = ["01_dialogue", "02_pyannote_sample", "04_three_speaker", "06_long_recording"]


def counted(segmentations: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Frames in which each slot talks alone and at all, of (W, F, S), and the frames of a window."""
    talks = segmentations > 0.5
    single = talks & (talks.sum(axis=2, keepdims=True) == 1)
    return single.sum(axis=1), talks.sum(axis=1), talks.shape[1]


def clustered(clusterer: SlotClusterer, arrays: Any, count: SpeakerCount, *, exact: bool) -> SlotClusters:
    alone, spoken, frames = counted(arrays["segmentations"])
    return clusterer.cluster(arrays["embeddings"], alone, spoken, frames, count, exact=exact)


@cache
def plda_of(folder: Path) -> Plda:
    return Plda.from_pyannote(folder)


def clusterer_of(algorithm: str, params: dict[str, Any], plda: Plda) -> SlotClusterer:
    params = {key.lower(): value for key, value in params.items()}
    return AhcSlots(**params) if algorithm == "AgglomerativeClustering" else VbxSlots(plda, **params)


def count_of(options: dict[str, Any]) -> SpeakerCount:
    """The count of options as pyannote's clusterings take them."""
    return SpeakerCount(int(options.get("min_clusters") or 1), options.get("max_clusters"))


class Synthetic:
    """The cases of one folder, with their inputs and outcomes."""

    def __init__(self, folder: Path) -> None:
        self.inputs = dict(np.load(folder / "synthetic_inputs.npz"))
        self.expected = dict(np.load(folder / "synthetic_expected.npz"))
        self.plda = plda_of(folder / "plda")
        cases = json.loads((folder / "synthetic_cases.json").read_text())["cases"]
        self.cases = [case for case in cases if case["algorithm"] != "KMeansClustering"]

    def run(self, case: dict[str, Any], *, exact: bool) -> SlotClusters:
        clusterer = clusterer_of(case["algorithm"], case["params"], self.plda)
        arrays = {name: self.inputs[f"{case['scenario']}/{name}"] for name in ("embeddings", "segmentations")}
        return clustered(clusterer, arrays, count_of(case["options"]), exact=exact)

    def talks(self, case: dict[str, Any]) -> NDArray[np.bool_]:
        return np.asarray(self.inputs[case["scenario"] + "/segmentations"].any(axis=1))


@pytest.fixture(scope="module")
def synthetic(shared: Path) -> Synthetic:
    return Synthetic(shared / "golden/peers/4_clustering")


def test_pyannotes_clusterings(synthetic: Synthetic) -> None:
    refused = 0
    for case in synthetic.cases:
        key = case["key"]
        if "error" in case:
            with pytest.raises(SpeakerCountError):
                synthetic.run(case, exact=True)
            refused += 1
            continue
        found, talks = synthetic.run(case, exact=True), synthetic.talks(case)
        hard = np.maximum(case["hard_clusters"], -1)
        np.testing.assert_array_equal(found.labels[talks], hard[talks], err_msg=key)
        assert (found.labels[~talks] == -1).all()
        np.testing.assert_allclose(found.soft, synthetic.expected[key + "/soft"], atol=1e-4, err_msg=key)
        np.testing.assert_allclose(found.centroids, synthetic.expected[key + "/centroids"], atol=1e-4, err_msg=key)
    assert (len(synthetic.cases), refused) == (164, 2)


def test_the_same_clusters_with_every_count_met(synthetic: Synthetic) -> None:
    met = same = 0
    for case in synthetic.cases:
        count, talks = count_of(case["options"]), synthetic.talks(case)
        usable = talks & np.isfinite(synthetic.inputs[case["scenario"] + "/embeddings"]).all(axis=2)
        if count.least > usable.sum():
            with pytest.raises(SpeakerCountError, match=f"{count.least} speakers were asked for"):
                synthetic.run(case, exact=False)
            continue
        found = synthetic.run(case, exact=False)
        number = len(found.centroids)
        assert (np.unique(found.labels[talks]) == np.arange(number)).all()
        assert number == count.clip(number), case["key"]
        met += 1
        # Where pyannote misses the count, raises, or has nothing to cluster, it can't be the example.
        theirs = np.array(case.get("hard_clusters", found.labels - 2))
        number = len(np.unique(theirs[talks & (theirs >= 0)]))
        if count.clip(number) == number and case["scenario"] != "none_usable":
            assert agreement(found.labels[usable & (theirs >= 0)], theirs[usable & (theirs >= 0)]) == 1.0, case["key"]
            same += 1
    assert (met, same) == (158, 131)


def check_pipeline(folder: Path, name: str, plda: Path) -> tuple[int, int]:
    """Compare every run of a pipeline; return the number of runs, and how many of them have soft clusters stored."""
    arrays = dict(np.load(folder / f"{name}.npz"))
    runs, soft = 0, 0
    length = np.linalg.norm(arrays["embeddings"], axis=2).mean()
    for key, run in json.loads((folder / f"{name}.json").read_text())["runs"].items():
        if "hard_clusters" not in run:
            continue
        pipeline, *recording = key.split("/")[:-1] if key.count("/") > 1 else key.split("/")[:1]
        prefix = "".join(f"{part}/" for part in recording)
        inputs = {part: arrays[prefix + part] for part in ("embeddings", "segmentations")}
        clusterer = AhcSlots() if pipeline == "3.1" else VbxSlots(plda_of(plda))
        counts = [run["options"].get(f"{bound}_speakers") for bound in ("num", "min", "max")]
        found = clustered(clusterer, inputs, SpeakerCount.of(*counts), exact=True)
        hard, talks = np.maximum(run["hard_clusters"], -1), inputs["segmentations"].any(axis=1)
        np.testing.assert_array_equal(found.labels[talks], hard[talks], err_msg=key)
        if key + "/soft_clusters" in arrays:
            np.testing.assert_allclose(found.soft, arrays[key + "/soft_clusters"], atol=1e-6, err_msg=key)
            soft += 1
        for vector in arrays.get(key + "/speaker_embeddings", np.zeros((0, 256))):
            # pyannote fills up with zeros where it has fewer centroids than labels; its means are of single precision.
            off = np.linalg.norm(found.centroids - vector, axis=1).min()
            assert off < 1e-3 * np.linalg.norm(vector) + 1e-7 * length or not vector.any(), key
        runs += 1
    return runs, soft


def test_the_clusters_of_whole_pipelines(shared: Path) -> None:
    folder = shared / "golden/peers/3_pipeline"
    assert check_pipeline(folder, "expected", folder / "community-1/plda") == (32, 14)


def test_the_clusters_of_a_made_conversation(shared: Path) -> None:
    folder = shared / "golden/peers/8_synthetic"
    assert check_pipeline(folder, "pyannote_expected", folder / "plda") == (12, 0)


@pytest.mark.parametrize("recording", RECORDINGS)
def test_the_real_pipeline_from_embeddings_to_clusters(recording: str, shared: Path) -> None:
    folder = shared / "golden/community1" / recording
    arrays = dict(np.load(folder / "raw_embeddings.npz")) | dict(np.load(folder / "segmentations.npz"))
    clusterer = VbxSlots(plda_of(folder.parent / "plda"))
    found = clustered(clusterer, arrays, SpeakerCount(), exact=True)
    trained, state, expected = (
        np.load(folder / f"{name}.npz") for name in ("plda_embeddings", "vbx_state", "clustering")
    )
    np.testing.assert_array_equal(found.train.T, [trained["train_chunk_idx"], trained["train_speaker_idx"]])
    assert found.found is not None
    assert found.found.features is not None
    assert found.found.fit is not None
    np.testing.assert_allclose(abs(found.found.features), abs(trained["post_plda"]), atol=1e-9)
    np.testing.assert_array_equal(found.found.first_labels, np.load(folder / "ahc_init_labels.npy"))
    np.testing.assert_allclose(found.found.fit.responsibilities, state["q_final"], atol=1e-9)
    np.testing.assert_allclose(found.found.fit.priors, state["sp_final"], atol=1e-9)
    np.testing.assert_allclose(found.found.fit.elbos, state["elbo_trajectory"], rtol=1e-9)
    np.testing.assert_allclose(found.soft, expected["soft_clusters"], atol=1e-6)
    np.testing.assert_allclose(found.centroids, expected["centroids"], atol=1e-6)
    talks = arrays["segmentations"].any(axis=1)
    hard = np.maximum(expected["hard_clusters"], -1)
    np.testing.assert_array_equal(found.labels[talks], hard[talks])
    ours = clustered(clusterer, arrays, SpeakerCount(), exact=False)
    settled = talks & (hard >= 0)
    assert agreement(ours.labels[settled], hard[settled]) == 1.0
    assert (ours.labels[talks] >= 0).all()
