"""WeSpeaker's ResNets with the weights that WeSpeaker and pyannote publish."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from typing_extensions import Self

from speakerdiar.checkpoints.checkpoint import Checkpoint
from speakerdiar.checkpoints.installed import load_weights
from speakerdiar.errors import ConfigError, WeightsError
from speakerdiar.mixins.neural import inference_state
from speakerdiar.models.embedders.mask_runs import MaskRuns, tiles
from speakerdiar.models.embedders.scoring import Scoring
from speakerdiar.models.embedders.utterance import SECONDS_AT_ONCE, SECONDS_AT_ONCE_ON_GPU, UtteranceEmbedder
from speakerdiar.models.pretrained import precision_of
from speakerdiar.nn.kaldi_fbank import FbankOptions, KaldiFbank
from speakerdiar.nn.resnet34 import REDUCTION, ResNetShape, SpeakerResNet
from speakerdiar.nn.statistics_pooling import PrefixSums
from speakerdiar.nn.threads import map_over_threads

LEAST_FRAMES = 2
"""Network frames that have a deviation."""
TILE = 256
"""Network frames, 20 s, that go through the network at once."""
FRAMES_AT_ONCE = 4 * TILE
"""Network frames, 82 s, that are kept at a time; their prefix sums take 48 MB."""
HYPER_PARAMETERS: Mapping[str, str] = {
    "num_mel_bins": "mel_bins",
    "frame_length": "frame_length",
    "frame_shift": "frame_shift",
    "window_type": "window",
    "round_to_power_of_two": "round_to_power_of_two",
}
"""pyannote's names of options of the filter bank, and ours."""
FIXED: Mapping[str, Any] = {
    "sample_rate": 16000,
    "num_channels": 1,
    "dither": 0,
    "snip_edges": True,
    "use_energy": False,
}
"""Hyper-parameters of which only one value makes sense here."""
SPAN = "fbank_centering_span"


def resnet_of(weights: Mapping[str, torch.Tensor], file: Path, dtype: torch.dtype = torch.float32) -> SpeakerResNet:
    """Make the network of trained weights by their names in WeSpeaker, ready for inference.

    Args:
        weights: those of the network alone, or those of one whose batch norms were folded.
        file: where they come from, for messages.
        dtype: of the convolutions; pooling and projection stay in float32.

    Raises:
        WeightsError: names all weights that are missing, unknown, or of another shape.
    """
    return trained_resnet(weights, file).folded(dtype)


def trained_resnet(weights: Mapping[str, torch.Tensor], file: Path) -> SpeakerResNet:
    """Make the network of trained weights, as `resnet_of` does, that can go on learning."""
    network = SpeakerResNet(ResNetShape.of(weights, file))
    load_weights(network, dict(weights), file)
    return network


def network_weights(checkpoint: Checkpoint) -> dict[str, torch.Tensor]:
    """Return the weights of the network alone, of what WeSpeaker or pyannote.audio saved."""
    named = {name.removeprefix("resnet."): value for name, value in checkpoint.weights.items()}
    return {name: value for name, value in named.items() if not name.startswith("projection.")}


def hyper_parameters(checkpoint: Checkpoint) -> Mapping[str, Any]:
    """Return what pyannote.audio's checkpoints and our folders say of the filter bank, by pyannote's names."""
    given: Mapping[str, Any] = checkpoint.config.get("hyper_parameters") or {}
    return given


class WespeakerEmbedder(UtteranceEmbedder):
    """A residual network (Wang et al. 2023, WeSpeaker): 256 numbers for a voice, good with masks.

    Its frames can be pooled for each speaker of a window after the network ran, so that `embed_masks` runs it once over
    the audio, however many windows and speakers there are. A window, moved to the nearest 40 ms, then differs from the
    same window cut out in what its first and last frames see, and in the mean that its features lose: that of all
    windows around a frame. With `exact=True` each window goes through the network by itself, and vectors are
    pyannote.audio's.

    Args:
        network: with its weights.
        options: of the filter bank.
        span: seconds around each frame over which features are centred; None for the whole of what is embedded.
        scoring: how vectors are compared, where it is known.
    """

    def __init__(
        self,
        network: SpeakerResNet,
        options: FbankOptions,
        span: float | None = None,
        scoring: Scoring | None = None,
    ) -> None:
        super().__init__(CentredFbank(options, span), network, network.shape.dimension)
        self.scoring = scoring or Scoring()
        self.voice_threshold = self.scoring.voice_threshold
        self.slot_threshold = self.scoring.slot_threshold
        self.linking_threshold = self.scoring.linking_threshold

    frontend: CentredFbank
    network: SpeakerResNet

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint, *, precision: str = "fp32") -> Self:
        """Make the model of what WeSpeaker or pyannote.audio saved; all sizes are read off the weights.

        Args:
            checkpoint: `avg_model.pt`, pyannote's `pytorch_model.bin`, or alike.
            precision: of the convolutions: fp32, bf16 or fp16. bf16 pays on a GPU and on CPUs with AMX.

        Raises:
            WeightsError: the weights belong to another model; the message names every tensor that doesn't fit. Or its
                hyper-parameters ask for what isn't there.
            ConfigError: no such precision.
        """
        dtype = precision_of(precision)
        file, given = checkpoint.path, hyper_parameters(checkpoint)
        network = resnet_of(network_weights(checkpoint), file, dtype)
        scoring = Scoring.of(checkpoint.config, network.shape.dimension, file)
        return cls(network, filter_bank(given, network.shape.mel_bins, file), centring_span(given, file), scoring)

    @property
    def centre(self) -> NDArray[np.float32] | None:
        """Mean of vectors over many people; None where it isn't known."""
        return self.scoring.centre

    @property
    def min_seconds(self) -> float:
        """Shortest audio that has features: a frame of the filter bank."""
        options: FbankOptions = self.frontend.options
        return options.length / options.sample_rate

    def _embed_masked(
        self,
        samples: NDArray[np.float32],
        starts: NDArray[np.int64],
        length: int,
        masks: NDArray[np.bool_],
        exact: bool,
    ) -> NDArray[np.float32]:
        if not len(masks):
            return np.zeros((0, self.dimension), dtype=np.float32)
        with inference_state(self):
            embed = self._window_by_window if exact else self._pooled
            return embed(samples, starts, length, masks)

    def _window_by_window(
        self, samples: NDArray[np.float32], starts: NDArray[np.int64], length: int, masks: NDArray[np.bool_]
    ) -> NDArray[np.float32]:
        """Run the network once for each window, on it alone; a mask that keeps nothing gives what pyannote gives."""
        windows, window_of = np.unique(starts, return_inverse=True)
        device = next(self.network.parameters()).device

        def embed(chunk: slice) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
            rows = np.flatnonzero((window_of >= chunk.start) & (window_of < chunk.stop))
            places, slots = window_of[rows] - chunk.start, _ranks(window_of[rows])
            weights = np.zeros((len(windows[chunk]), slots.max() + 1, masks.shape[1]), dtype=np.float32)
            weights[places, slots] = masks[rows]
            cut = np.stack([_cut(samples, start, length) for start in windows[chunk].tolist()])
            features = self.frontend(torch.from_numpy(cut).to(device))
            vectors = self.network(features, torch.from_numpy(weights).to(device))
            return rows, vectors.cpu().numpy()[places, slots]

        seconds = SECONDS_AT_ONCE if device.type == "cpu" else SECONDS_AT_ONCE_ON_GPU
        size = max(1, seconds * self.sample_rate // length)
        found = np.zeros((len(masks), self.dimension), dtype=np.float32)
        for rows, vectors in map_over_threads(embed, [slice(at, at + size) for at in range(0, len(windows), size)]):
            found[rows] = vectors
        return found

    def _pooled(
        self, samples: NDArray[np.float32], starts: NDArray[np.int64], length: int, masks: NDArray[np.bool_]
    ) -> NDArray[np.float32]:
        """Run the network once over what masks keep of the audio, and pool its frames for each mask.

        The last stage runs twice, for windows that begin on a network frame and for those that begin between two.
        """
        half = self.frontend.options.shift * REDUCTION // 2
        phases = (starts + half // 2) // half % 2
        total, width = (self.network.frames(self.frontend.fbank.frames(count)) for count in (len(samples), length))
        rows = {phase: np.flatnonzero(phases == phase) for phase in np.unique(phases).tolist()}
        kept = {
            phase: MaskRuns.of(starts[mine] - phase * half, length, masks[mine], 2 * half, width, total - phase)
            for phase, mine in rows.items()
        }
        vectors = np.full((len(masks), self.dimension), np.nan, dtype=np.float32)
        weight = self.network.seg_1.weight
        before = {phase: weight.new_zeros((0, self.network.shape.frame_size)) for phase in kept}
        for first in range(0, total, FRAMES_AT_ONCE):
            last = min(first + FRAMES_AT_ONCE, total)
            for phase, new in self._frames(samples, kept, first, last, self.frontend.fbank.frames(length)).items():
                frames = torch.cat([before[phase][-width:], new])
                done, found = self._finished(kept[phase], frames, first, last)
                vectors[rows[phase][done]] = found
                before[phase] = frames
        return vectors

    def _finished(
        self, kept: MaskRuns, frames: torch.Tensor, first: int, last: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Embed the masks that end behind `first`, up to `last`, where `frames` ends: which, and (n, dimension)."""
        done = (kept.ends > first) & (kept.ends <= last) & (kept.frames >= LEAST_FRAMES)
        rows = np.flatnonzero(done)
        if not len(rows):
            return rows, np.zeros((0, self.dimension), dtype=np.float32)
        runs, row_of = kept.only(rows)
        spans = torch.from_numpy(runs - (last - len(frames))).to(frames.device)
        pooled = PrefixSums(frames).statistics(spans, torch.from_numpy(row_of).to(frames.device), len(rows))
        return rows, self.network.project(pooled).cpu().numpy()

    def _frames(
        self, samples: NDArray[np.float32], kept: dict[int, MaskRuns], first: int, last: int, width: int
    ) -> dict[int, torch.Tensor]:
        """Return network frames from `first` to `last` in each phase, (T, frame_size); 0 where they aren't needed."""
        halo = 1 + -(-self.network.shape.reach // REDUCTION)
        weight = self.network.seg_1.weight
        frames = {phase: weight.new_zeros((last - first, self.network.shape.frame_size)) for phase in kept}
        covered = tiles(np.any([runs.needed(first, last) for runs in kept.values()], axis=0), TILE, 2 * halo)
        if not covered:
            return frames
        begin = REDUCTION * max(0, first + covered[0][0] - halo)
        end = REDUCTION * (first + covered[-1][1] + halo)
        features = self.frontend.part(samples, begin, end, width, weight.device)  # (T', mel_bins)

        def run(tile: tuple[int, int]) -> None:
            start = max(0, first + tile[0] - halo)
            inputs = features[start * REDUCTION - begin : (first + tile[1] + halo) * REDUCTION - begin]
            images = self.network.first_stages(inputs[None])
            skipped = first + tile[0] - start
            for phase, place in frames.items():
                found = self.network.last_stage(images[..., phase:])[0, skipped : skipped + tile[1] - tile[0]]
                place[tile[0] : tile[0] + len(found)] = found  # the last frame has none behind it

        map_over_threads(run, covered)
        return frames


class CentredFbank(torch.nn.Module):
    """Kaldi's filter bank less its mean over time.

    Args:
        options: of the filter bank.
        span: seconds around each frame that the mean is taken over; None for all.

    Raises:
        ConfigError: a span shorter than a frame.
    """

    def __init__(self, options: FbankOptions, span: float | None = None) -> None:
        super().__init__()
        self.options, self.fbank = options, KaldiFbank(options)
        self.radius = None if span is None else self.fbank.frames(int(span * options.sample_rate)) // 2
        if self.radius == 0:
            raise ConfigError(f"{SPAN}={span!r}: give the seconds of a few frames, or None.")

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        """Return the features of samples (B, n): (B, T, mel_bins)."""
        features: torch.Tensor = self.fbank(samples)
        if self.radius is None:
            return features - features.mean(dim=-2, keepdim=True)
        return features - mean_around(features, self.radius)

    def part(
        self, samples: NDArray[np.float32], first: int, last: int, width: int, device: torch.device
    ) -> torch.Tensor:
        """Return features of samples (n,) from one frame to another, as far as there are: (T, mel_bins).

        Without a span, they lose the mean that windows of `width` frames have around them.
        """
        total = self.fbank.frames(len(samples))
        reach = width if self.radius is None else self.radius
        begin, last, end = max(0, first - reach), min(last, total), min(last + reach, total)
        shift, length = self.options.shift, self.options.length
        heard = torch.from_numpy(samples[begin * shift : (end - 1) * shift + length]).to(device)
        features: torch.Tensor = self.fbank(heard)
        means = mean_of_windows(features, width) if self.radius is None else mean_around(features, self.radius)
        return (features - means)[first - begin : last - begin]


def mean_around(features: torch.Tensor, radius: int) -> torch.Tensor:
    """Return the mean of features (..., T, C) over `radius` frames on either side, as far as there are."""
    count = features.shape[-2]
    places = torch.arange(count, device=features.device)
    return _means(features, (places - radius).clamp_min(0), (places + radius + 1).clamp_max(count))


def mean_of_windows(features: torch.Tensor, width: int) -> torch.Tensor:
    """Return, for each frame of features (T, C), the mean over all windows of `width` frames that hold it: (T, C).

    No other value is closer, on average, to the mean of a window that one of them is taken for.
    """
    count = len(features)
    if count <= width:
        return features.mean(dim=0, keepdim=True).expand_as(features)
    starts = torch.arange(count - width + 1, device=features.device)
    windows = _means(features.double(), starts, starts + width)
    places = torch.arange(count, device=features.device)
    return _means(windows, (places - width + 1).clamp_min(0), (places + 1).clamp_max(len(windows))).to(features.dtype)


def _means(values: torch.Tensor, first: torch.Tensor, last: torch.Tensor) -> torch.Tensor:
    """Return means of values (..., T, C) from places to others: (..., places, C)."""
    sums = torch.nn.functional.pad(values.double().cumsum(dim=-2), (0, 0, 1, 0))  # (..., T + 1, C)
    return ((sums[..., last, :] - sums[..., first, :]) / (last - first)[:, None]).to(values.dtype)


def _ranks(windows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return of each row which one of its window it is: (N,)."""
    order = np.argsort(windows, kind="stable")
    counts = np.unique(windows, return_counts=True)[1]
    ranks = np.zeros(len(windows), dtype=np.int64)
    ranks[order] = np.arange(len(windows)) - np.repeat(np.cumsum(counts) - counts, counts)
    return ranks


def _cut(samples: NDArray[np.float32], start: int, length: int) -> NDArray[np.float32]:
    """Return a window, with silence where it sticks out."""
    part = samples[start : start + length]
    return np.pad(part, (0, length - len(part)))


def filter_bank(given: Mapping[str, Any], mel_bins: int, file: Path) -> FbankOptions:
    """Read the filter bank off pyannote's hyper-parameters.

    Raises:
        WeightsError: one that isn't known, or that asks for what isn't there.
    """
    unknown = [name for name in given if name not in HYPER_PARAMETERS and name not in FIXED and name != SPAN]
    if unknown:
        raise WeightsError(f"{file} has hyper-parameters that no WeSpeaker ResNet has: {', '.join(unknown)}.")
    for name, value in FIXED.items():
        if given.get(name, value) != value:
            raise WeightsError(f"{file} asks for {name}={given[name]!r}: only {value!r} can be had.")
    options = {ours: given[theirs] for theirs, ours in HYPER_PARAMETERS.items() if theirs in given}
    if options.get("mel_bins", mel_bins) != mel_bins:
        raise WeightsError(f"{file} asks for {options['mel_bins']} bands, and its network takes {mel_bins}.")
    try:
        return FbankOptions(**{"window": "hamming", "mel_bins": mel_bins, **options})
    except (ConfigError, TypeError) as error:
        raise WeightsError(f"{file} asks for a filter bank that can't be had: {error}") from error


def centring_span(given: Mapping[str, Any], file: Path) -> float | None:
    """Read off pyannote's hyper-parameters over how many seconds features are centred; None for all.

    Raises:
        WeightsError: something else.
    """
    span = given.get(SPAN)
    if span is not None and not (isinstance(span, int | float) and 0.1 <= span < 1e6):
        raise WeightsError(f"{file} asks for {SPAN}={span!r}: only seconds, 0.1 or more, or None can be had.")
    return None if span is None else float(span)
