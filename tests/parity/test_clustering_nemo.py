"""NME-SC against the labels and intermediate values of NeMo 3.0.0."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clustering_agreement import agreement
from numpy.typing import NDArray

from speakerdiar.clustering.affinity import nearest_columns, neighbour_graph
from speakerdiar.clustering.graph import Graph
from speakerdiar.clustering.nme import NmeSearch, cosine_scores, min_max_scaled
from speakerdiar.clustering.nmesc import NmescClusterer
from speakerdiar.clustering.scales import nearest_windows
from speakerdiar.config import SpeakerCount
from speakerdiar.errors import ConfigError

CASES = (
    *(f"toy{speakers}spk{suffix}" for speakers in range(1, 8) for suffix in ("", "_oracle")),
    *(f"toy4spk_{name}" for name in ("fixed_thres", "rp025", "nosparse", "majvote", "trials5", "nme100", "enhanced")),
    *(f"short_n{size}" for size in (1, 2, 3, 5, 6, 7, 12, 30, 41)),
    *("toy4spk_oracle2", "short_n2_oracle2", "short_n5_oracle2", "unbalanced", "identical", "n1300_subsampled"),
    *(f"multiscale_{name}" for name in ("2spk", "2spk_weights", "3spk", "3spk_weights")),
    *(f"vbx_ES2005a{suffix}" for suffix in ("", "_oracle4", "_rp025_max8", "_max3")),
)
"""Cases whose labels must be NeMo's."""

DEGENERATE = ("toy3spk_max2", "toy5spk_max2", "short_n12_oracle2")
"""Cases whose neighbour graph falls apart in more components than there may be speakers.

Then all eigenvalues in NeMo's reach are zero but for rounding, and its count (one speaker for toy5spk_max2, where two
were allowed and five speak) and the vectors it clusters follow from the linear algebra library's rounding. Here the
count must be met and components must stay whole.
"""


@pytest.fixture(scope="module")
def golden(shared: Path) -> dict[str, Any]:
    with gzip.open(shared / "golden/nemo/cluster/cluster.json.gz") as file:
        loaded: dict[str, Any] = json.load(file)
    return loaded


@pytest.fixture(scope="module")
def inputs(shared: Path) -> Any:
    return np.load(shared / "golden/nemo/cluster/inputs.npz")


def clusterer_of(case: dict[str, Any]) -> NmescClusterer:
    options = {name: value for name, value in case["args"].items() if not name.endswith("num_speakers")}
    options |= {name: value for name, value in case["ctor"].items() if name != "sparse_search"}
    if case["ctor"].get("sparse_search") is False:
        options["sparse_search_volume"] = None
    return NmescClusterer(**options)


def labels_of(case: dict[str, Any], inputs: Any) -> NDArray[np.int64]:
    embeddings = inputs[case["input"] + "__emb"].astype(np.float32)
    count = SpeakerCount.of(case["args"].get("oracle_num_speakers"), None, case["args"].get("max_num_speakers"))
    clusterer = clusterer_of(case)
    if len(case["counts"]) == 1:
        return clusterer.fit_predict(embeddings, count)
    cuts = np.cumsum(case["counts"])[:-1]
    times = inputs[case["input"] + "__ts"]
    return clusterer.fit_predict_scales(np.split(embeddings, cuts), np.split(times, cuts), case["weights"], count)


@pytest.mark.parametrize("name", CASES)
def test_labels_are_nemos(name: str, golden: dict[str, Any], inputs: Any) -> None:
    case = golden["cases"][name]
    labels = labels_of(case, inputs)
    assert len(set(labels)) == case["n_speakers"]
    assert agreement(labels, case["labels"]) == 1.0


def test_every_case_is_looked_at(golden: dict[str, Any]) -> None:
    assert set(CASES) | set(DEGENERATE) == set(golden["cases"])


@pytest.mark.parametrize("name", DEGENERATE)
def test_a_graph_in_pieces_still_gives_the_number_asked_for(name: str, golden: dict[str, Any], inputs: Any) -> None:
    case = golden["cases"][name]
    wanted = case["args"].get("oracle_num_speakers") or case["args"]["max_num_speakers"]
    labels = labels_of(case, inputs)
    assert len(set(labels)) == wanted
    affinity = min_max_scaled(cosine_scores(inputs[case["input"] + "__emb"].astype(np.float32)))
    neighbours = case["nmesc"]["p_hat"]
    graph = Graph(neighbour_graph(nearest_columns(affinity, neighbours), neighbours))
    assert graph.parts > wanted
    for part in range(graph.parts):
        assert len(set(labels[graph.part_of == part])) == 1


@pytest.mark.parametrize("name", ["toy4spk", "toy7spk", "vbx_ES2005a_max3"])
def test_each_number_of_neighbours_shows_what_it_shows_nemo(name: str, golden: dict[str, Any], inputs: Any) -> None:
    case = golden["cases"][name]
    affinity = min_max_scaled(cosine_scores(inputs[case["input"] + "__emb"].astype(np.float32)))
    step = max(1, len(affinity) // 512)
    search = NmeSearch(case["args"].get("max_num_speakers", 8), max_share=case["args"].get("max_rp_threshold", 0.15))
    candidates = search.candidates(affinity[::step, ::step])
    assert [candidate.neighbours for candidate in candidates] == [row[0] for row in case["nmesc"]["p_g_est"]]
    for candidate, (_, ratio, speakers) in zip(candidates, case["nmesc"]["p_g_est"], strict=True):
        if ratio < 1e3:  # above, all gaps are zero but for rounding
            assert candidate.ratio == pytest.approx(ratio, rel=1e-3)
            assert candidate.speakers == speakers
    assert search.run(affinity) == (case["nmesc"]["est_num_of_spk"], case["nmesc"]["p_hat"])


def test_numbers_of_neighbours_to_try(golden: dict[str, Any]) -> None:
    for key, expected in golden["p_value_lists"].items():
        size, share, volume = key.split("_")
        assert NmeSearch(8, max_share=float(share), volume=int(volume)).neighbour_counts(int(size)) == expected


def test_intermediate_values(shared: Path) -> None:
    detail = np.load(shared / "golden/nemo/cluster/small_detail.npz")
    affinity = min_max_scaled(cosine_scores(detail["emb"]))
    np.testing.assert_allclose(affinity, detail["affinity"], atol=2e-6)
    speakers, neighbours = NmeSearch(8, max_share=0.25).run(affinity)
    assert (speakers, neighbours) == (3, 6)
    graph = Graph(neighbour_graph(nearest_columns(affinity, neighbours), neighbours))
    np.testing.assert_array_equal(off_diagonal(graph.links.toarray()), off_diagonal(detail["graph"]))
    np.testing.assert_allclose(graph.laplacian.toarray(), detail["laplacian"], atol=1e-6)
    np.testing.assert_allclose(graph.smallest_eigenvalues(24), detail["eigenvalues"], atol=1e-5)


def off_diagonal(matrix: NDArray[Any]) -> NDArray[Any]:
    return matrix - np.diag(matrix.diagonal())


@pytest.mark.parametrize("name", ["multiscale_2spk", "multiscale_3spk"])
def test_base_windows_find_the_nearest_ones(name: str, golden: dict[str, Any], inputs: Any) -> None:
    case = golden["cases"][name]
    times = np.split(inputs[name + "__ts"], np.cumsum(case["counts"])[:-1])
    for spans, expected in zip(times, case["argmin_mapping"], strict=True):
        assert nearest_windows(spans, times[-1]).tolist() == expected


def test_a_long_recording_in_chunks(inputs: Any) -> None:
    clusterer = NmescClusterer(chunk_cluster_count=50, embeddings_per_chunk=1200)
    embeddings = inputs["longform__emb"].astype(np.float32)
    assert agreement(clusterer.fit_predict(embeddings), inputs["longform_0"]) == 1.0


def test_a_long_recording_with_a_known_number_of_speakers(inputs: Any) -> None:
    embeddings = inputs["longform__emb"][:2400].astype(np.float32)
    clusterer = NmescClusterer(chunk_cluster_count=50, embeddings_per_chunk=1200)
    assert agreement(clusterer.fit_predict(embeddings, SpeakerCount.of(4)), inputs["longform_1"][:2400]) == 1.0
    # NeMo finds one speaker where two are allowed and four speak (longform_2).
    assert len(set(clusterer.fit_predict(embeddings, SpeakerCount.of(most=2)))) == 2


@pytest.mark.parametrize("clusters", [8, 2000])
def test_chunk_sizes_that_cannot_be(clusters: int) -> None:
    with pytest.raises(ConfigError, match=f"chunk_cluster_count={clusters} must be"):
        NmescClusterer(chunk_cluster_count=clusters, embeddings_per_chunk=1200)
