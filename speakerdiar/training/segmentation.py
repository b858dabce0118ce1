"""The recipe of local segmentation: a network learns who of a few speakers talks in each frame of a window."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional
from torch.utils.data import DataLoader

from speakerdiar.checkpoints.folder import ModelCard, write_folder
from speakerdiar.config import require
from speakerdiar.errors import ConfigError
from speakerdiar.mixins.local_segmentation import LocalSegmentationMixin
from speakerdiar.models.segmenters import make_local_segmenter
from speakerdiar.models.segmenters.mel import MelLocalSegmenter
from speakerdiar.models.segmenters.pyannet import PyannetSegmenter
from speakerdiar.nn.mel_segmenter import OUTPUTS, MelSegmenter, MelSegmenterShape
from speakerdiar.nn.powerset_loss import PowersetLoss, deep_clustering
from speakerdiar.postprocessing.powerset import Powerset
from speakerdiar.simulation.clips import ClipPool, read_clips, read_noises
from speakerdiar.simulation.scene import Simulator
from speakerdiar.training.config import OptimConfig, TrainConfig
from speakerdiar.training.feature_variation import varied
from speakerdiar.training.learner import Learner
from speakerdiar.training.local_errors import LocalErrors
from speakerdiar.training.recipes import Recipe
from speakerdiar.training.recordings import RecordedConversations
from speakerdiar.training.scenes import scene_named
from speakerdiar.training.segmentation_data import HeldOutWindows, ShuffledWindows, Source, Window, WindowCutter
from speakerdiar.training.spoken_parts import spoken_parts

Segmenter: TypeAlias = MelLocalSegmenter | PyannetSegmenter
RATE = 16000


@dataclass
class SegmentationOptions:
    """What is trained, and on which windows.

    Attributes:
        name: of the recipe.
        bands, channels, lstm_size, lstm_layers, linear_size: sizes of a new network (`MelSegmenterShape`).
        dropout: share of numbers left out between the layers of a new network's LSTM.
        seconds: length of its windows.
        speakers: local speakers of its windows.
        at_once: how many of these may talk at once.
        scene: what simulated conversations are like: a name in SCENES, or a YAML file.
        people: how many talk in a conversation, least and most.
        speech: what finds speech in clips, a name in SEGMENTERS.
        conversation_seconds: length of a conversation, from which windows are cut.
        level_jitter: standard deviation of the level of windows, in dB.
        cut_short: share of windows with silence behind an early end.
        uses: how often each window is learnt from, on average.
        kept: windows to choose from, in each worker; about 140 KB each.
        teacher: a trained segmenter of the same classes to learn from, too; null for none.
        teacher_share: share of windows that it is asked about.
        clustering: weight of the deep-clustering loss at the beginning; it falls to a tenth half-way.
    """

    name: str = "segmentation"
    bands: int = 64
    channels: int = 128
    lstm_size: int = 128
    lstm_layers: int = 4
    linear_size: int = 128
    dropout: float = 0.1
    seconds: float = 10.0
    speakers: int = 3
    at_once: int = 2
    scene: str = "varied"
    people: list[int] = field(default_factory=lambda: [1, 4])
    speech: str = "silero"
    conversation_seconds: float = 30.0
    level_jitter: float = 4.0
    cut_short: float = 0.05
    uses: int = 5
    kept: int = 8192
    teacher: str | None = None
    teacher_share: float = 0.2
    clustering: float = 0.5


class SegmentationLearner(Learner):
    """Teaches a network who of a few local speakers talks, and judges it by the errors of its windows.

    Args:
        segmenter: whose network learns.
        optim: how its weights move.
        steps: of the whole training.
        clustering: weight of the deep-clustering loss at the beginning; 0 for networks that aren't `MelSegmenter`.
    """

    VECTOR = 20
    """Numbers of the vectors that are clustered."""

    def __init__(self, segmenter: Segmenter, optim: OptimConfig, steps: int, clustering: float) -> None:
        super().__init__(segmenter.network.requires_grad_(True).train(), optim, steps)
        assert segmenter.powerset is not None, "checked by the recipe"
        self.powerset, self.clustering = segmenter.powerset, clustering
        self.objective = PowersetLoss(segmenter.powerset)
        self.vectors = None
        if isinstance(segmenter.network, MelSegmenter) and clustering:
            self.vectors = torch.nn.Linear(2 * segmenter.network.shape.lstm_size, self.VECTOR)

    def losses(self, batch: Window) -> dict[str, torch.Tensor]:
        """Return the loss of windows, and its parts."""
        if self.vectors is None:
            scores = self.scores(batch.inputs)
            return self._taught(scores, batch, {"classes": self.objective(scores, batch.labels)})
        assert isinstance(self.network, MelSegmenter), "others have no vectors"
        encoded = self.network.encoded(varied(batch.inputs.float(), level=0.16, tilt=0.5, wave=0.25, masked=0.5))
        scores = self.network.scored(encoded)
        vectors = functional.normalize(self.vectors(encoded).float(), dim=2)
        found = {"classes": self.objective(scores, batch.labels)}
        found["clustering"] = deep_clustering(vectors, batch.labels[:, ::OUTPUTS]) * self._clustering_weight()
        return self._taught(scores, batch, found)

    def scores(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the log-probabilities of the classes in windows."""
        if isinstance(self.network, MelSegmenter):
            return self.network.classify(inputs.float())
        scores: torch.Tensor = self.network(inputs)
        return scores

    def observed(self, batch: Window) -> LocalErrors:
        """Return the errors of windows."""
        members = self.powerset.members[self.scores(batch.inputs).argmax(dim=2).cpu().numpy()]
        return LocalErrors.of(members, batch.labels.cpu().numpy().astype(bool))

    def judged(self, observations: list[LocalErrors]) -> dict[str, float]:
        """Return the diarization error rate of windows, its parts, and how far overlap is to be believed."""
        return LocalErrors.sum(observations).rates()

    def _taught(self, scores: torch.Tensor, batch: Window, found: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Add what the teacher says of some windows, and the sum."""
        asked = ~batch.teacher[:, 0, 0].isnan()
        if asked.any():
            share = asked.float().mean()
            found["teacher"] = share * self.objective.distilled(scores[asked], batch.teacher[asked].float())
        return {"loss": torch.stack(list(found.values())).sum(), **found}

    def _clustering_weight(self) -> float:
        return self.clustering * max(0.1, 1 - 2 * self.global_step / self.steps)


class SegmentationRecipe(Recipe):
    """Trains a local segmentation network on simulated conversations (`data.clips`), recorded ones, or both."""

    Options: ClassVar[type] = SegmentationOptions

    def __init__(self, config: TrainConfig) -> None:
        super().__init__(config)
        options = self.options
        require(
            len(options.people) == 2 and 0 < options.people[0] <= options.people[1],
            "recipe.people",
            options.people,
            "give [least, most]",
        )
        require(
            options.conversation_seconds >= options.seconds,
            "recipe.conversation_seconds",
            options.conversation_seconds,
            f"give {options.seconds} s or more, the length of a window",
        )
        for name, least in (("level_jitter", 0), ("uses", 1), ("kept", 1), ("clustering", 0)):
            require(getattr(options, name) >= least, f"recipe.{name}", getattr(options, name), f"give {least} or more")
        for name in ("teacher_share", "cut_short"):
            require(0 <= getattr(options, name) <= 1, f"recipe.{name}", getattr(options, name), "give a share, 0 to 1")
        learnt = config.data.clips or config.data.train
        require(bool(learnt), "data.clips", [], "give clips to simulate conversations of, or recordings (data.train)")

    @property
    def options(self) -> SegmentationOptions:
        """The recipe's own settings."""
        options: SegmentationOptions = self.config.recipe
        return options

    def learner(self) -> SegmentationLearner:
        """Make the network, from `init` where given, and what teaches it."""
        return SegmentationLearner(
            self._segmenter, self.config.optim, self.config.trainer.max_steps, self.options.clustering
        )

    def training_data(self) -> DataLoader[Any]:
        """Return batches of windows without end."""
        data, options = self.config.data, self.options
        sources: list[Source] = []
        if data.clips:
            sources.append(self._simulator(self._pools[0]).stream)
        if data.train:
            sources.append(RecordedConversations(data.train, options.conversation_seconds, RATE).stream)
        drawn = ShuffledWindows(sources, self._cutter(taught=True), data.seed, options.uses, options.kept)
        return DataLoader(drawn, data.batch_size, num_workers=data.workers)

    def validation_data(self) -> DataLoader[Any] | None:
        """Return windows of `data.validation`, or else of simulated conversations of speakers held out."""
        data = self.config.data
        if data.validation:
            seconds = self.options.conversation_seconds
            make = RecordedConversations(data.validation, seconds, RATE).windows
        elif self._pools[1] is not None:
            make = partial(self._simulated, self._pools[1])
        else:
            return None
        return DataLoader(HeldOutWindows(make, self._cutter(taught=False)), data.batch_size)

    def save(self, learner: Learner, folder: Path) -> Path:
        """Write the trained network as a folder that `make_local_segmenter` opens."""
        config = self._segmenter.config()
        weights = {f"network.{name}": value for name, value in learner.network.state_dict().items()}
        return write_folder(folder, config, weights, self._card(learner.network), overwrite=True)

    def _simulated(self, held: ClipPool) -> Iterator[Any]:
        simulator = self._simulator(held)
        windows = self.config.trainer.validation_batches * self.config.data.batch_size
        each = max(1, int(self.options.conversation_seconds // self.options.seconds))
        for index in range(-(-windows // each)):
            yield simulator.draw(np.random.default_rng([self.config.data.seed, index]))

    def _simulator(self, pool: ClipPool) -> Simulator:
        options = self.options
        scene = scene_named(options.scene, options.conversation_seconds, (options.people[0], options.people[1]))
        return Simulator(pool, scene, self._noises, RATE)

    def _cutter(self, taught: bool) -> WindowCutter:
        segmenter, options = self._segmenter, self.options
        assert segmenter.powerset is not None, "checked where it is made"
        teacher: LocalSegmentationMixin | None = None
        if taught and options.teacher is not None and options.teacher_share:
            teacher = make_local_segmenter(options.teacher)
        front = partial(_features, segmenter.network) if isinstance(segmenter, MelLocalSegmenter) else _samples
        return WindowCutter(
            segmenter.grid,
            segmenter.powerset,
            front,
            level_jitter=options.level_jitter if taught else 0.0,
            cut_short=options.cut_short if taught else 0.0,
            teacher=teacher,
            teacher_share=options.teacher_share,
        )

    @cached_property
    def _segmenter(self) -> Segmenter:
        """The segmenter to begin with."""
        init, options = self.config.init, self.options
        if init is None:
            powerset = Powerset(options.speakers, options.at_once)
            sizes = {name: getattr(options, name) for name in ("bands", "channels", "lstm_size", "lstm_layers")}
            shape = MelSegmenterShape(classes=powerset.classes, linear_size=options.linear_size, **sizes)
            network = MelSegmenter(shape, options.dropout)
            return MelLocalSegmenter(network, window=round(options.seconds * RATE), powerset=powerset)
        found = make_local_segmenter(init)
        if not isinstance(found, MelLocalSegmenter | PyannetSegmenter) or found.powerset is None:
            raise ConfigError(
                f"init={init!r} is a {type(found).__name__} without a powerset, or without weights that can learn: "
                "give a folder that a training wrote, or pyannote's segmentation-3.0 or later."
            )
        if isinstance(found, MelLocalSegmenter):
            found.network.lstm.dropout = options.dropout if found.network.shape.lstm_layers > 1 else 0.0
        return found

    @cached_property
    def _pools(self) -> tuple[ClipPool, ClipPool | None]:
        """Who is learnt, and who is held out."""
        data = self.config.data
        if not data.clips:
            return ClipPool({}, {}), None
        pool = read_clips(data.clips, RATE, speech=spoken_parts(self.options.speech))
        return pool.split(data.held_out) if data.held_out else (pool, None)

    @cached_property
    def _noises(self) -> list[NDArray[np.float32]]:
        return read_noises(self.config.data.noise, RATE)

    def _card(self, network: torch.nn.Module) -> ModelCard:
        parameters = sum(weight.numel() for weight in network.parameters())
        return ModelCard(
            title=f"{type(network).__name__}, local segmentation of speakers",
            summary=(
                f"Says who of {self._segmenter.speakers} local speakers talks when, in windows of 16 kHz mono audio; "
                f"{parameters / 1e6:.2f} million numbers."
            ),
            licence="that of the data it learnt from",
            source="`speakerdiar train recipe=segmentation`",
            loading='model = speakerdiar.load_model("path/to/this/folder")',
        )


def _features(network: MelSegmenter, samples: torch.Tensor) -> torch.Tensor:
    return network.features(samples).half()  # what noise a rounding to 11 bits adds, no ear would hear


def _samples(samples: torch.Tensor) -> torch.Tensor:
    return samples
