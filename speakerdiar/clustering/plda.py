"""Probabilistic linear discriminant analysis: embeddings to features in which every speaker scatters alike.

The two-covariance model: a speaker's mean is drawn around 0 with a covariance between speakers, an embedding around
that mean with one within speakers (Ioffe, "Probabilistic linear discriminant analysis", ECCV 2006; Brümmer and
de Villiers, "The speaker partitioning problem", Odyssey 2010). One linear map makes the one diagonal and the other the
identity (Ioffe, section 3): in its features, `VbxClusterer` works.
"""

from __future__ import annotations

import os
import zipfile
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from speakerdiar.clustering.affinity import directions
from speakerdiar.errors import ConfigError, WeightsError

Matrix = NDArray[np.float64]

SHRINKAGE = 1e-3
"""Share of the mean variance that is added to the covariance within speakers, so that it can be inverted."""
PYANNOTE_FILES = {"xvec_transform.npz": ("mean1", "lda", "mean2"), "plda.npz": ("mu", "tr", "psi")}
"""Files of pyannote.audio's folder `plda`, and their arrays in the order of `Plda.from_kaldi`."""
LEAST_BETWEEN = 1e-3
"""Variances between speakers are at least this, relative to those within."""


@dataclass(frozen=True, eq=False)
class Plda:
    """Length-normalising maps, one after the other, and the variances between speakers of what comes out.

    A stage subtracts a mean, scales to length 1 and multiplies with a matrix. Embeddings must come as they were when
    this was trained: same model, same scale.
    """

    means: tuple[Matrix, ...]
    """What each stage subtracts: (D,), with D the size of what comes in."""
    matrices: tuple[Matrix, ...]
    """What each stage multiplies with: (D, d), with d the size of what goes out."""
    offset: Matrix
    """Subtracted in the end: (d,)."""
    phi: Matrix
    """Variance between speakers of each feature: (d,). Within speakers it is 1."""

    def __post_init__(self) -> None:
        size = len(self.means[0]) if self.means else 0
        fits = len(self.means) == len(self.matrices) > 0
        for mean, matrix in zip(self.means, self.matrices, strict=False):
            fits = fits and mean.shape == (size,) and matrix.ndim == 2 and len(matrix) == size
            size = matrix.shape[-1]
        if not fits or self.offset.shape != (size,) or self.phi.shape != (size,):
            raise ConfigError(
                f"PLDA of means {[m.shape for m in self.means]}, matrices {[m.shape for m in self.matrices]}, offset "
                f"{self.offset.shape} and phi {self.phi.shape}: sizes must follow on one another."
            )
        if not (np.isfinite(self.phi).all() and (self.phi >= 0).all()):
            raise ConfigError("PLDA with a phi below 0 or not finite: these are variances; train it again.")

    @classmethod
    def from_kaldi(
        cls,
        mean1: ArrayLike,
        lda: ArrayLike,
        mean2: ArrayLike,
        mu: ArrayLike,
        tr: ArrayLike,
        psi: ArrayLike,
        *,
        dimension: int | None = None,
        scaled: bool = True,
    ) -> Plda:
        """Return the two stages of an x-vector recipe: linear discriminant analysis, then a PLDA as Kaldi keeps it.

        Args:
            mean1: (D,) mean of the embeddings.
            lda: (D, d) linear discriminant analysis.
            mean2: (d,) mean behind it.
            mu: (d,) mean of the PLDA.
            tr: (d, d) its transform, one feature a row.
            psi: (d,) variances between speakers.
            dimension: keep this many features, those of the greatest variance between speakers; None for all.
            scaled: vectors of n values were scaled to length √n (pyannote.audio 4) rather than 1 (BUT's VBx recipe).
        """
        lda, tr, psi = (np.asarray(array, np.float64) for array in (lda, tr, psi))
        best = np.argsort(-psi, kind="stable")[:dimension]
        rows = tr[best]
        lengths = np.sqrt(lda.shape) if scaled else np.ones(2)
        return cls(
            (np.asarray(mean1, np.float64), np.asarray(mean2, np.float64)),
            (lengths[0] * lda, lengths[1] * rows.T),
            rows @ np.asarray(mu, np.float64),
            psi[best],
        )

    @classmethod
    def from_pyannote(cls, folder: str | os.PathLike[str]) -> Plda:
        """Read the folder `plda` of a pyannote.audio 4 pipeline: xvec_transform.npz and plda.npz.

        Raises:
            WeightsError: a file is missing, isn't of plain arrays, or its arrays don't fit.
        """
        arrays: dict[str, Matrix] = {}
        for name, keys in PYANNOTE_FILES.items():
            path = os.path.join(folder, name)
            try:
                with open(path, "rb") as file, np.load(file, allow_pickle=False) as stored:
                    arrays |= {key: stored[key].astype(np.float64) for key in keys}
            except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as error:
                raise WeightsError(
                    f"{path}: no {', '.join(keys)} can be read from there ({error}); fetch the folder plda of the "
                    "pipeline again."
                ) from error
        try:
            return cls.from_kaldi(*(arrays[key] for keys in PYANNOTE_FILES.values() for key in keys))
        except (ConfigError, ValueError, IndexError) as error:
            shapes = ", ".join(f"{key} {array.shape}" for key, array in arrays.items())
            raise WeightsError(
                f"{os.fspath(folder)}: no PLDA has arrays of these shapes: {shapes} ({error})."
            ) from error

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Plda:
        """Read what `save` wrote. Raises WeightsError where there is no such file, or it holds something else."""
        try:
            with np.load(path, allow_pickle=False) as stored:
                stages = range(int(stored["stages"]))
                means, matrices = (tuple(stored[f"{name}{at}"] for at in stages) for name in ("mean", "matrix"))
                return cls(means, matrices, stored["offset"], stored["phi"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError) as error:
            raise WeightsError(
                f"{os.fspath(path)}: no PLDA can be read from there ({error}); train and save one."
            ) from error

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write an .npz file of plain arrays."""
        arrays: dict[str, Any] = {"stages": len(self.means), "offset": self.offset, "phi": self.phi}
        arrays |= {f"mean{at}": mean for at, mean in enumerate(self.means)}
        arrays |= {f"matrix{at}": matrix for at, matrix in enumerate(self.matrices)}
        with open(path, "wb") as file:
            np.savez(file, **arrays)

    def project(self, embeddings: NDArray[Any]) -> Matrix:
        """Return the features (N, d) of embeddings (N, D): covariance 1 within speakers, `phi` between them.

        Raises:
            ConfigError: embeddings of another size than this was trained for.
        """
        if embeddings.ndim != 2 or embeddings.shape[1] != len(self.means[0]):
            raise ConfigError(
                f"embeddings of shape {embeddings.shape}: this PLDA was trained for {len(self.means[0])} dimensions; "
                "use one trained on embeddings of the same model."
            )
        vectors = embeddings.astype(np.float64)
        for mean, matrix in zip(self.means, self.matrices, strict=True):
            vectors = directions(vectors - mean) @ matrix
        features: Matrix = vectors - self.offset
        return features


def train_plda(
    embeddings: NDArray[Any], speakers: ArrayLike, *, dimension: int = 128, shrinkage: float = SHRINKAGE
) -> Plda:
    """Fit a PLDA to embeddings of known speakers.

    Vectors are centred and scaled to length 1 (Garcia-Romero and Espy-Wilson, "Analysis of i-vector length
    normalization", Interspeech 2011). The covariances are estimated by moments: within speakers from the deviations
    from each speaker's mean; between them from these means, less what is left in them of the deviations.

    Args:
        embeddings: (N, D).
        speakers: (N,) who speaks; any labels.
        dimension: features to keep, those that tell speakers apart best; at most D.
        shrinkage: share of the mean variance within speakers that is added to each.

    Raises:
        ConfigError: labels of another number than embeddings, or no embeddings.
    """
    import scipy.linalg

    _, who, sizes = np.unique(speakers, return_inverse=True, return_counts=True)
    if embeddings.ndim != 2 or len(who) != len(embeddings) or len(who) == 0:
        raise ConfigError(f"{len(who)} speakers for embeddings of shape {embeddings.shape}: give one label a row.")
    mean = embeddings.mean(axis=0, dtype=np.float64)
    vectors = directions(embeddings - mean)
    centre = vectors.mean(axis=0)
    vectors -= centre
    sums = np.zeros((len(sizes), vectors.shape[1]))
    np.add.at(sums, who, vectors)
    centroids = sums / sizes[:, None]
    deviations = vectors - centroids[who]
    within = deviations.T @ deviations / max(1, len(vectors) - len(sizes))
    between = sums.T @ centroids / len(vectors) - within / sizes.mean()
    spread = np.trace(within) + np.trace(between)
    added = shrinkage * np.trace(within) + np.finfo(np.float64).eps * abs(spread)
    within[np.diag_indices_from(within)] += added / len(within) or 1.0
    # Their common eigenvectors make both diagonal (Ioffe 2006, section 3).
    variances, axes = scipy.linalg.eigh(between, within)
    best = np.argsort(-variances, kind="stable")[:dimension]
    matrix = axes[:, best]
    return Plda((mean,), (matrix,), centre @ matrix, np.maximum(variances[best], LEAST_BETWEEN))
