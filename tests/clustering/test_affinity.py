"""Similarity matrices and their refinements."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from speakerdiar.clustering import affinity as module
from speakerdiar.clustering.affinity import nearest_columns, neighbour_graph, unit_rows

MATRIX = np.array([[1.0, 0.2, 0.6], [0.2, 1.0, 0.4], [0.6, 0.4, 1.0]])


def test_zero_vectors_equal_one_another_and_nothing_else() -> None:
    units = unit_rows(np.array([[3.0, 4.0], [0.0, 0.0], [0.0, 0.0]]))
    np.testing.assert_allclose(units @ units.T, [[1, 0, 0], [0, 1, 1], [0, 1, 1]])


@given(hnp.arrays(np.float64, (5, 3), elements=st.floats(-1e300, 1e300)))
def test_rows_get_length_one_however_long_they_are(vectors: NDArray[np.float64]) -> None:
    np.testing.assert_allclose(np.linalg.norm(unit_rows(vectors), axis=1), 1, atol=1e-9)


def test_cosine_affinity() -> None:
    found = module.cosine_affinity(np.array([[1.0, 0.0], [0.0, 2.0], [-3.0, 0.0]]))
    np.testing.assert_allclose(found, [[1, 0.5, 0], [0.5, 1, 0.5], [0, 0.5, 1]], atol=1e-7)


def test_crop_diagonal() -> None:
    np.testing.assert_array_equal(module.crop_diagonal(MATRIX).diagonal(), [0.6, 0.4, 0.6])
    np.testing.assert_array_equal(module.crop_diagonal(np.ones((1, 1))), [[1]])


def test_row_threshold() -> None:
    np.testing.assert_allclose(
        module.row_threshold(MATRIX, keep=2 / 3, floor=0.01),
        [[1, 0.002, 0.6], [0.002, 1, 0.4], [0.6, 0.004, 1]],
    )


def test_symmetrize_diffuse_normalize() -> None:
    matrix = np.array([[1.0, 0.5], [0.0, 2.0]])
    np.testing.assert_array_equal(module.symmetrize(matrix), [[1, 0.5], [0.5, 2]])
    np.testing.assert_array_equal(module.diffuse(matrix), [[1.25, 1], [1, 4]])
    np.testing.assert_array_equal(module.row_max_normalize(matrix), [[1, 0.5], [0, 1]])
    np.testing.assert_array_equal(module.row_max_normalize(np.zeros((2, 2))), np.zeros((2, 2)))


def test_gaussian_blur_keeps_the_mean() -> None:
    blurred = module.gaussian_blur(np.eye(40))
    assert blurred[20, 20] < 0.3
    np.testing.assert_allclose(blurred.sum(), 40, rtol=1e-6)


def test_refinements_do_not_change_what_they_are_given() -> None:
    before = MATRIX.copy()
    for refinement in module.REFINEMENTS.values():
        refinement(before)
        np.testing.assert_array_equal(before, MATRIX)


@given(hnp.arrays(np.float32, (40, 40), elements=st.sampled_from([0.0, 0.25, 0.5, 1.0])), st.integers(1, 40))
def test_nearest_columns_are_the_greatest(matrix: NDArray[np.float32], count: int) -> None:
    nearest = nearest_columns(matrix, count)
    expected = -np.sort(-matrix, axis=1)[:, :count]
    np.testing.assert_array_equal(np.take_along_axis(matrix, nearest.astype(np.int64), axis=1), expected)
    assert all(len(set(row)) == count for row in nearest)


def test_links_count_half_where_they_are_not_mutual() -> None:
    nearest = nearest_columns(MATRIX, 2)
    assert nearest.tolist() == [[0, 2], [1, 2], [2, 0]]
    np.testing.assert_array_equal(neighbour_graph(nearest, 2).toarray(), [[1, 0, 1], [0, 1, 0.5], [1, 0.5, 1]])
