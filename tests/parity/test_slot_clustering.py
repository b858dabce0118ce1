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
        return self.inputs[case["scenario"] + "/segmentations"].any(axis=1)


@pytest.fixture(scope="module")
def synthetic(shared: Path) -> Synthetic:
    return Synthetic(shared / "golden/peers/4_clustering")


def test_pyannotes_clusterings(synthetic: Synthetic) -> None:
    for case in synthetic.cases:
        key = case["key"]
        if "error" in case:
            with pytest.raises(SpeakerCountError):
                synthetic.run(case, exact=True)
            continue
        found, talks = synthetic.run(case, exact=True), synthetic.talks(case)
        hard = np.maximum(case["hard_clusters"], -1)
        np.testing.assert_array_equal(found.labels[talks], hard[talks], err_msg=key)
        assert (found.labels[~talks] == -1).all()
        np.testing.assert_allclose(found.soft, synthetic.expected[key + "/soft"], atol=1e-4, err_msg=key)
        np.testing.assert_allclose(found.centroids, synthetic.expected[key + "/centroids"], atol=1e-4, err_msg=key)
