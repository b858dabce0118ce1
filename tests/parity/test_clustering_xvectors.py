"""AHC against pyannote.audio 4.0.7's `AgglomerativeClustering` and VBx's recipe, also on x-vectors of a meeting."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clustering_agreement import agreement
from numpy.typing import NDArray

from speakerdiar.clustering.ahc import AhcClusterer
from speakerdiar.clustering.centroids import cluster_centroids, nearest_centroid
from speakerdiar.config import SpeakerCount
from speakerdiar.errors import SpeakerCountError


def read_ark(path: Path) -> dict[str, NDArray[np.float32]]:
    """Read a Kaldi archive of float vectors: "key", blank, NUL "B", "FV ", a byte 4, the length, the values."""
    data, at, vectors = path.read_bytes(), 0, {}
    while at < len(data):
        blank = data.index(b" ", at)
        assert data[blank + 1 : blank + 7] == b"\0BFV \x04"
        (length,) = struct.unpack_from("<i", data, blank + 7)
        vectors[data[at:blank].decode()] = np.frombuffer(data, "<f4", length, blank + 11)
        at = blank + 11 + 4 * length
    return vectors


def unit(vectors: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def count_of(options: dict[str, int]) -> SpeakerCount:
    exact = options.get("num_clusters")
    return SpeakerCount.of(exact, *(() if exact else (options.get("min_clusters"), options.get("max_clusters"))))


def assigned(
    clusterer: AhcClusterer, train: NDArray[Any], count: SpeakerCount, everything: NDArray[Any]
) -> NDArray[np.int64]:
    """Cluster the one, then give all the cluster whose mean is nearest, as pyannote does."""
    return nearest_centroid(everything, cluster_centroids(train, clusterer.fit_predict(train, count))[0])


@pytest.fixture(scope="module")
def folder(shared: Path) -> Path:
    return shared / "golden/peers/4_clustering"


@pytest.fixture(scope="module")
def xvectors(folder: Path) -> NDArray[np.float32]:
    return np.stack(list(read_ark(folder / "vbx_es2005a/ES2005a.ark").values()))


def synthetic(folder: Path) -> list[tuple[dict[str, Any], NDArray[Any], NDArray[Any], NDArray[Any]]]:
    """Each AHC case, what it is trained on, all its usable embeddings, and their expected clusters."""
    inputs = np.load(folder / "synthetic_inputs.npz")
    cases = []
    for case in json.loads((folder / "synthetic_cases.json").read_text())["cases"]:
        # `constrained` assigns the slots of a chunk to different clusters: a matter of the pipeline, not of this room.
        if case["algorithm"] != "AgglomerativeClustering" or case["params"].pop("constrained", False):
            continue
        embeddings = inputs[case["scenario"] + "/embeddings"]  # (chunks, slots, D)
        active = inputs[case["scenario"] + "/segmentations"]  # (chunks, frames, slots)
        alone = (active * (active.sum(axis=2, keepdims=True) == 1)).sum(axis=1)
        usable = ~np.isnan(embeddings).any(axis=2)
        train = embeddings[usable & (alone >= 0.2 * active.shape[1])]
        cases.append((case, train, embeddings[usable], np.array(case["hard_clusters"])[usable]))
    return cases


def test_pyannotes_clusters(folder: Path) -> None:
    compared = 0
    for case, train, everything, expected in synthetic(folder):
        count = count_of(case["options"])
        # Where pyannote finds another number than it was asked for, it can't be the example.
        if len(train) == 0 or count.clip(case["num_clusters"]) != case["num_clusters"]:
            continue
        found = assigned(AhcClusterer(**case["params"]), train, count, everything)
        assert agreement(found, expected) == 1.0, case["key"]
        compared += 1
    assert compared == 74


def test_the_count_is_met_where_pyannote_misses_it(folder: Path) -> None:
    missed = impossible = 0
    for case, train, _, _ in synthetic(folder):
        count = count_of(case["options"])
        if len(train) == 0 or count.clip(case["num_clusters"]) == case["num_clusters"]:
            continue
        clusterer = AhcClusterer(**case["params"])
        if count.least > len(train):
            with pytest.raises(SpeakerCountError):
                clusterer.fit_predict(train, count)
            impossible += 1
            continue
        assert len(set(clusterer.fit_predict(train, count))) == count.least
        missed += 1
    assert (missed, impossible) == (15, 5)


def test_pyannotes_clusters_of_a_meeting(folder: Path, xvectors: NDArray[np.float32]) -> None:
    expected = np.load(folder / "vbx_es2005a/expected.npz")
    runs = json.loads((folder / "vbx_es2005a/expected.json").read_text())["pyannote"]
    compared = 0
    for run in runs.values():
        if not run["key"].startswith("pyannote/ahc"):
            continue
        found = assigned(AhcClusterer(**run["params"]), xvectors, count_of(run["options"]), xvectors)
        assert agreement(found, expected[run["key"]]) == 1.0, run["key"]
        compared += 1
    assert compared == 6


@pytest.mark.parametrize("name", ["recipe", "ami_beamformed", "lda64"])
def test_the_first_clusters_of_vbx(name: str, folder: Path, xvectors: NDArray[np.float32]) -> None:
    expected = np.load(folder / "vbx_es2005a/expected.npz")
    run = json.loads((folder / "vbx_es2005a/expected.json").read_text())["runs"][name]
    transform = np.load(folder / "vbx_es2005a/transform.npz")
    vectors = unit(unit(xvectors - transform["mean1"]) @ transform["lda"] - transform["mean2"])
    similarity = run["two_gmm_threshold"] + run["params"]["threshold"]
    labels = AhcClusterer(threshold=1 - similarity).fit_predict(vectors)
    assert len(set(labels)) == run["ahc_clusters"]
    assert agreement(labels, expected[f"{name}/ahc_labels"]) == 1.0
