"""The template of everything that turns a stretch of audio into a vector."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from speakerdiar.clustering.affinity import directions
from speakerdiar.config import is_count
from speakerdiar.errors import ConfigError, InputError, ModelError
from speakerdiar.frames import runs
from speakerdiar.mixins.neural import inference_state

SILENCE_POWER = 1e-9
"""Mean square (-90 dBFS) below which a window counts as silent: it holds no more than the noise of 16-bit samples."""
PROBE_PITCHES = (110, 123, 139, 156, 175, 196, 220, 247)
"""Hz: a whole-tone scale from A on, a quarter of a second each."""


class EmbeddingMixin(ABC):
    """Gives a model `embed_windows()` and `embed()`.

    A subclass says what it takes and gives (`sample_rate`, `dimension`, ...) and writes two steps:

        _embed_features(samples)                 -> features     once for a piece of audio
        _embed_batch(features, starts, length)   -> vectors      (B, dimension), for a batch of its windows

    Batch size and neighbours never change a vector. A silent window gives a vector of zeros, never NaN.
    """

    normalized: bool = True
    """Whether vectors have length 1 (but for those of silence)."""
    windows_at_once: int = 256
    """Windows of a batch."""
    plda_name: str = ""
    """File in `speakerdiar.models.weights` of a PLDA trained on these vectors; "" where there is none."""
    slot_threshold: float | None = None
    """Distance (centroid linkage of unit vectors, Euclidean) up to which vectors of local speakers are one person's;
    None where it isn't known."""

    voice_threshold: float | None = None
    """Cosine, from the `centre` on, from which two vectors are one person's; None where it isn't known."""
    linking_threshold: float | None = None
    """The same for the average of a person's parts in many recordings (`clustering.linking`)."""

    @property
    def centre(self) -> NDArray[np.float32] | None:
        """Mean of vectors over many people, (dimension,); None where it isn't known."""
        return None

    @property
    @abstractmethod
    def sample_rate(self) -> int:
        """Hz of the samples that the model takes."""

    @property
    @abstractmethod
    def dimension(self) -> int:
        """Size of a vector."""

    @property
    def hop_samples(self) -> int:
        """Windows begin and end on multiples of so many samples; others are moved to the nearest."""
        return 1

    @property
    def window_seconds(self) -> float:
        """Length of audio that the model knows best; longer segments are covered with windows of it."""
        return 1.6

    @property
    def min_seconds(self) -> float:
        """Shortest window that the model takes."""
        return 0.4

    def embed_windows(
        self, samples: NDArray[np.float32], starts: Iterable[int] | NDArray[np.int64], length: int
    ) -> NDArray[np.float32]:
        """Embed windows of one length, cut from one piece of audio; what they share is computed once.

        A window sees the samples around it where its features reach beyond it. What sticks out of the audio is silence.

        Args:
            samples: (n,) mono, at `sample_rate`.
            starts: (N,) first sample of each window, from 0 to n.
            length: samples of each window, at least `min_seconds`.

        Returns:
            Vectors float32, (N, dimension).

        Raises:
            InputError: samples of another shape or not finite, a start outside the audio.
            ConfigError: windows that are too short.
        """
        samples = _checked_samples(samples)
        first = _checked_starts(starts, len(samples))
        return self._embed_groups(samples, {self._checked_length(length): first})[int(length)]

    def embed_spans(self, samples: NDArray[np.float32], spans: NDArray[np.int64]) -> NDArray[np.float32]:
        """Embed windows of any lengths, cut from one piece of audio; otherwise as `embed_windows`.

        Args:
            samples: (n,) mono, at `sample_rate`.
            spans: first sample and the one behind the last of each window, (N, 2).

        Returns:
            Vectors float32, (N, dimension).
        """
        samples = _checked_samples(samples)
        first = _checked_starts(spans[:, 0], len(samples))
        lengths = spans[:, 1] - spans[:, 0]
        rows = {self._checked_length(length): np.flatnonzero(lengths == length) for length in np.unique(lengths)}
        groups = self._embed_groups(samples, {length: first[chosen] for length, chosen in rows.items()})
        vectors = np.zeros((len(spans), self.dimension), dtype=np.float32)
        for length, chosen in rows.items():
            vectors[chosen] = groups[length]
        return vectors

    def embed(self, waveform: NDArray[np.float32], segments: Iterable[Any] | None = None) -> NDArray[np.float32]:
        """Embed whole waveforms, or segments of one.

        A segment longer than `window_seconds` is covered with windows that overlap by half, and gets their mean. One
        shorter than `min_seconds` is widened around its middle, as far as the audio goes, then with silence.

        Args:
            waveform: (n,) or (B, n) mono, at `sample_rate`.
            segments: what has `start` and `end` in seconds, or pairs (start, end), of a waveform (n,); all of each
                waveform if left out.

        Returns:
            Vectors float32, one for each segment or waveform: (N, dimension).

        Raises:
            InputError: a waveform of another shape or not finite, a segment that is empty or begins outside the audio.
        """
        waves = np.asarray(waveform, dtype=np.float32)
        if waves.ndim == 2 and segments is None:
            empty = np.zeros((0, self.dimension), dtype=np.float32)
            return np.concatenate([empty, *(self.embed(wave) for wave in waves)])
        samples = _checked_samples(waves)
        spans = [(0, len(samples))] if segments is None else [self._span(item, len(samples)) for item in segments]
        covers = [self._cover(*span, len(samples)) for span in spans]
        groups = {length: np.concatenate([s for s, n in covers if n == length]) for _, length in covers}
        vectors = self._embed_groups(samples, groups)
        taken = dict.fromkeys(vectors, 0)
        means = np.zeros((len(covers), self.dimension), dtype=np.float32)
        for index, (starts, length) in enumerate(covers):
            means[index] = vectors[length][taken[length] : taken[length] + len(starts)].mean(axis=0)
            taken[length] += len(starts)
        return self._scaled(means)

    def embed_masks(
        self,
        samples: NDArray[np.float32],
        starts: NDArray[np.int64],
        length: int,
        masks: NDArray[np.bool_],
        *,
        exact: bool = False,
    ) -> NDArray[np.float32]:
        """Embed what masks leave of windows, cut from one piece of audio: one speaker of each window.

        By default, what a mask leaves is put together and embedded as one; models that pool frames do it otherwise.

        Args:
            samples: (n,) mono, at `sample_rate`.
            starts: (N,) first sample of each window, from 0 to n; several masks of one window come in a row.
            length: samples of a window. What sticks out of the audio is silence.
            masks: (N, F): which of the F equal parts of the window to embed.
            exact: compute every window by itself, as the model's own toolkit does, instead of what windows share once.

        Returns:
            Vectors float32, (N, dimension); NaN where a mask leaves less than the model takes.

        Raises:
            InputError: samples or masks of another shape or not finite, a start outside the audio.
            ConfigError: windows that are too short.
        """
        samples = _checked_samples(samples)
        first = _checked_starts(starts, len(samples))
        kept = np.asarray(masks, dtype=bool)
        if kept.ndim != 2 or len(kept) != len(first) or not kept.shape[1]:
            raise InputError(f"Masks of shape {kept.shape} for {len(first)} windows: give (windows, frames).")
        return self._embed_masked(samples, first, self._checked_length(length), kept, exact)

    def probe(self) -> NDArray[np.float32]:
        """Return the vector, of length 1, of a sound that is always the same: it tells embedders apart, (dimension,).

        What an embedder does says better than names or weights whether two are one: a network keeps its probe on
        another machine and in another file format.
        """
        pitch = np.repeat(PROBE_PITCHES, self.sample_rate // 4)  # Hz at each sample
        phase = 2 * np.pi * np.cumsum(pitch) / self.sample_rate
        buzz = np.sum([np.sin(harmonic * phase) / harmonic for harmonic in range(1, 30)], axis=0)
        return np.asarray(directions(self.embed((0.1 * buzz).astype(np.float32)))[0], dtype=np.float32)

    def _embed_masked(
        self,
        samples: NDArray[np.float32],
        starts: NDArray[np.int64],
        length: int,
        masks: NDArray[np.bool_],
        exact: bool,
    ) -> NDArray[np.float32]:
        """Do what `embed_masks` says, with arguments that were checked; models that pool frames do it otherwise."""
        return self._embed_pieces((_kept(samples, *row, length) for row in zip(starts, masks, strict=True)), exact)

    def _embed_pieces(self, pieces: Iterable[NDArray[np.float32]], exact: bool) -> NDArray[np.float32]:
        """Embed what masks leave, pieces of audio of any lengths: (N, dimension), NaN for those that are too short."""
        found = [self.embed(p)[0] if len(p) >= self._min_samples else np.full(self.dimension, np.nan) for p in pieces]
        return np.asarray(found, dtype=np.float32).reshape(-1, self.dimension)

    def _embed_features(self, samples: NDArray[np.float32]) -> Any:
        """Compute what windows share, once for a piece of audio (n,), in inference mode; by default the samples."""
        return samples

    @abstractmethod
    def _embed_batch(self, features: Any, starts: NDArray[np.int64], length: int) -> NDArray[np.float32]:
        """Embed a batch of windows, in eval and inference mode; needs not scale them to length 1.

        Args:
            features: what `_embed_features` returned; the audio was padded with zeros up to the last window's end.
            starts: (B,) first samples, multiples of `hop_samples`.
            length: samples of each window, a multiple of `hop_samples`.
        """

    def _checked_length(self, length: Any) -> int:
        if not is_count(length, least=self._min_samples):
            raise ConfigError(f"length={length!r}: give {self._min_samples} samples ({self.min_seconds} s) or more.")
        return int(length)

    @property
    def _min_samples(self) -> int:
        return max(1, round(self.min_seconds * self.sample_rate))

    def _span(self, segment: Any, total: int) -> tuple[int, int]:
        """First and last sample of a segment, inside the audio where it is long enough."""
        start, end = (segment.start, segment.end) if hasattr(segment, "start") else segment
        if not start < end or not 0 <= start * self.sample_rate <= total:
            raise InputError(f"Segment {start}..{end} s of {total / self.sample_rate} s of audio: give one inside.")
        return round(start * self.sample_rate), min(round(end * self.sample_rate), total)

    def _cover(self, first: int, last: int, total: int) -> tuple[NDArray[np.int64], int]:
        """Starts and length of the windows that cover a span of samples."""
        hop, window = self.hop_samples, round(self.window_seconds * self.sample_rate)
        least = -(-self._min_samples // hop) * hop
        if last - first < least:
            first = max(0, min((first + last - least) // 2, total - least))
            return np.array([first], dtype=np.int64), least
        if last - first <= window:
            return np.array([first], dtype=np.int64), (last - first) // hop * hop
        starts = np.arange(first, last - window, max(1, window // 2), dtype=np.int64)
        return np.append(starts, last - window), window

    def _embed_groups(
        self, samples: NDArray[np.float32], groups: dict[int, NDArray[np.int64]]
    ) -> dict[int, NDArray[np.float32]]:
        """Embed windows that are grouped by length, on features computed once."""
        hop = self.hop_samples
        grids = {length: (starts + hop // 2) // hop * hop for length, starts in groups.items()}
        reach = max((int(starts.max()) + length for length, starts in grids.items() if len(starts)), default=0)
        padded = np.pad(samples, (0, max(0, reach - len(samples))))
        with inference_state(self):
            features = self._embed_features(padded) if reach else None
            return {length: self._vectors(padded, features, starts, length) for length, starts in grids.items()}

    def _vectors(
        self, samples: NDArray[np.float32], features: Any, starts: NDArray[np.int64], length: int
    ) -> NDArray[np.float32]:
        vectors = np.zeros((len(starts), self.dimension), dtype=np.float32)
        for first in range(0, len(starts), self.windows_at_once):
            batch = starts[first : first + self.windows_at_once]
            found = self._embed_batch(features, batch, length // self.hop_samples * self.hop_samples)
            if found.shape != (len(batch), self.dimension) or not np.isfinite(found).all():
                raise ModelError(f"{type(self).__name__} gave {found.shape} for {len(batch)} windows, or no numbers.")
            audible = window_power(samples, batch, length) > SILENCE_POWER
            vectors[first : first + len(batch)] = found * audible[:, None]
        return self._scaled(vectors)

    def _scaled(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        if not self.normalized:
            return vectors
        return directions(vectors)


def window_power(
    samples: NDArray[np.float32], starts: NDArray[np.int64] | Sequence[int], length: int
) -> NDArray[np.float64]:
    """Return the mean square of each window: (N,)."""
    windows = sliding_window_view(samples, length)[np.asarray(starts, dtype=np.int64)]  # (N, length), a copy
    return np.asarray(np.einsum("nl,nl->n", windows, windows, dtype=np.float64) / length)


def _kept(samples: NDArray[np.float32], start: int, mask: NDArray[np.bool_], length: int) -> NDArray[np.float32]:
    """Put together what a mask leaves of the window that begins at a sample."""
    borders = start + np.rint(runs(mask) * (length / len(mask))).astype(np.int64)
    return np.concatenate([samples[:0], *(samples[begin:end] for begin, end in borders)])


def _checked_samples(samples: Any) -> NDArray[np.float32]:
    array = np.asarray(samples, dtype=np.float32)
    if array.ndim != 1:
        raise InputError(f"Samples of shape {array.shape}: give mono samples (n,).")
    if not np.isfinite(array).all():
        raise InputError("Samples hold NaN or infinity: give finite numbers.")
    return array


def _checked_starts(starts: Any, total: int) -> NDArray[np.int64]:
    given = np.asarray(list(starts) if not isinstance(starts, np.ndarray) else starts)
    if given.size and not np.issubdtype(given.dtype, np.integer):
        raise InputError(f"Window starts of type {given.dtype}: give whole samples.")
    first = given.astype(np.int64).reshape(-1)
    if first.size and not (first.min() >= 0 and first.max() <= total):
        raise InputError(f"Windows start at {first.min()}..{first.max()} in {total} samples: give starts inside.")
    return first
