"""Clustering of long recordings: seconds, peak memory, and NME-SC against dense eigendecompositions.

Run `OMP_NUM_THREADS=1 python benchmarks/clustering.py`. The dense search is one `numpy.linalg.eigh` of the Laplacian
for each number of neighbours that is tried. By default it is timed for a few of them and multiplied; `--full` runs them
all, clusters with what they find and compares the labels. `--size` sets the embeddings of that comparison. Each
clusterer runs in a process of its own, for its peak memory.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speakerdiar.clustering import make_clusterer
from speakerdiar.clustering.affinity import nearest_columns, neighbour_graph
from speakerdiar.clustering.graph import Graph
from speakerdiar.clustering.kmeans import kmeans
from speakerdiar.clustering.nme import EPSILON, NmeSearch, cosine_scores, min_max_scaled

SIZE, SPEAKERS, TURN = 256, 5, 12
MAX_SPEAKERS = 8
SAMPLED = 3
AHC_SIZES = (5_000, 54_000)
CLUSTERERS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("ahc", {}),
    ("ahc", {"method": "centroid", "threshold": 0.8, "min_cluster_size": 12}),
    ("spectral", {}),
    ("nmesc", {}),
)


def recording(windows: int, noise: float) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Embeddings (windows, SIZE) of speakers in turns of random length, and who speaks."""
    generator = np.random.default_rng(0)
    voices = np.linalg.qr(generator.normal(size=(SIZE, SPEAKERS)))[0].T
    lengths = generator.integers(2, 2 * TURN, windows // 2 + 1)
    who = np.repeat(generator.integers(0, SPEAKERS, len(lengths)), lengths)[:windows]
    return (voices[who] + noise / np.sqrt(SIZE) * generator.normal(size=(windows, SIZE))).astype(np.float32), who


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    result = work()
    return time.perf_counter() - began, result


def same(one: NDArray[np.int64], other: NDArray[np.int64]) -> bool:
    """Whether two labelings are equal up to names."""
    return len({*zip(one.tolist(), other.tolist(), strict=True)}) == len(set(one)) == len(set(other))


def dense_search(affinity: Any, search: NmeSearch, tried: list[int]) -> list[tuple[float, int, int, Any]]:
    """Return (ratio, speakers, neighbours, eigenvectors) for each number of neighbours, by dense eigendecomposition."""
    found = []
    nearest = nearest_columns(affinity, max(tried))
    for neighbours in tried:
        laplacian = Graph(neighbour_graph(nearest, neighbours)).laplacian.toarray()
        values, vectors = np.linalg.eigh(laplacian)
        gaps = np.diff(values)[: search.max_speakers]
        gap = gaps.max() / (values[-1] + EPSILON)
        ratio = neighbours / len(affinity) / (gap + EPSILON)
        found.append((ratio, int(gaps.argmax()) + 1, neighbours, vectors[:, : search.max_speakers]))
    return found


def nme_sc(windows: int, full: bool) -> None:
    """Print NME-SC at a number of windows next to the dense search of all of them."""
    embeddings, who = recording(windows, noise=2.0)
    ours, labels = timed(lambda: make_clusterer("nmesc").fit_predict(embeddings))
    whole = make_clusterer("nmesc", nme_mat_size=None, embeddings_per_chunk=max(windows, 6000))
    ours_whole, labels_whole = timed(lambda: whole.fit_predict(embeddings))
    search = NmeSearch(MAX_SPEAKERS, size=None)
    affinity = min_max_scaled(cosine_scores(embeddings))
    tried = search.neighbour_counts(windows)
    sample = tried if full else [int(tried[at]) for at in np.linspace(1, len(tried) - 1, SAMPLED).astype(int)]
    dense, found = timed(lambda: dense_search(affinity, search, sample))
    dense *= len(tried) / len(sample)
    how = "measured" if full else f"{len(sample)} of {len(tried)} measured, multiplied"
    print(f"NME-SC, {windows} embeddings of {SIZE}, {SPEAKERS} speakers, {len(tried)} numbers of neighbours")
    print(f"  dense eigh, whole search ({how}): {dense:8.1f} s")
    for name, seconds, result in (
        ("default (search on every n-th)", ours, labels),
        ("whole search, iterative", ours_whole, labels_whole),
    ):
        print(f"  {name:<34}{seconds:8.1f} s   {seconds / dense:7.4f} of dense   true labels: {same(result, who)}")
    if full:
        _, speakers, _, vectors = min(found, key=lambda row: row[0])
        print(f"  labels equal to the dense search's: {same(labels_whole, kmeans(vectors[:, :speakers], speakers))}")


def one_run(windows: int, name: str, options: dict[str, Any], report: Any) -> None:
    embeddings, who = recording(windows, noise=0.7)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds, labels = timed(lambda: make_clusterer(name, **options).fit_predict(embeddings))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    report.put((seconds, peak / 1024, (peak - before) / 1024, same(labels, who)))


def clusterers() -> None:
    """Print seconds and peak memory of each clusterer."""
    print(f"{'clusterer':<52}{'windows':>8}{'seconds':>9}{'peak MB':>9}{'of it own':>10}  true labels")
    context = multiprocessing.get_context("spawn")
    for windows in AHC_SIZES:
        for name, options in CLUSTERERS:
            report = context.SimpleQueue()
            process = context.Process(target=one_run, args=(windows, name, options, report))
            process.start()
            seconds, peak, own, right = report.get()
            process.join()
            title = " ".join([name, *(f"{key}={value}" for key, value in options.items())])
            print(f"{title:<52}{windows:>8}{seconds:>9.1f}{peak:>9.0f}{own:>10.0f}  {right}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="run the whole dense search: minutes")
    parser.add_argument("--size", type=int, default=5000, help="embeddings for the comparison with the dense search")
    parser.add_argument("--only-dense", action="store_true", help="leave out the table of clusterers")
    arguments = parser.parse_args()
    if not arguments.only_dense:
        clusterers()
    nme_sc(arguments.size, arguments.full)


if __name__ == "__main__":
    main()
