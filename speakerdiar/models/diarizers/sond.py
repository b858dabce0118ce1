"""SondDiarizer: says when each of up to 16 people talks whose voices are known."""

from __future__ import annotations

import copy
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from typing_extensions import Self

from speakerdiar import ranges
from speakerdiar.checkpoints.checkpoint import Checkpoint
from speakerdiar.checkpoints.folder import ModelCard
from speakerdiar.checkpoints.sond import funasr_file
from speakerdiar.config import DiarizeConfig, PostProcessingParams
from speakerdiar.errors import ConfigError, InputError, SpeakerCountError, UnknownOptionError
from speakerdiar.mixins.blockwise import BlockwiseDiarizationMixin, Job
from speakerdiar.mixins.embedding import EmbeddingMixin
from speakerdiar.mixins.results import finished
from speakerdiar.models.diarizers.sond_config import FRONTENDS, SondSettings, sond_network
from speakerdiar.models.diarizers.sond_inputs import MISSING, PROFILES, profiled_recordings
from speakerdiar.models.diarizers.sond_options import SondConfig
from speakerdiar.models.diarizers.sond_profiles import ProfileMaker, SondProfiles
from speakerdiar.models.diarizers.sond_results import (
    LABELS,
    RESULTS,
    SondHeard,
    spans_of,
    text_of,
    turns_of,
    write_texts,
)
from speakerdiar.models.diarizers.sond_stretches import stretches_of
from speakerdiar.models.diarizers.sond_windows import (
    FRAME_SECONDS,
    REDUCTION,
    STEP_SECONDS,
    Hearing,
    SondPlan,
    batches,
    logits_of,
    windows_of,
)
from speakerdiar.models.embedders import make_embedder
from speakerdiar.models.embedders.sond import SondEmbedder
from speakerdiar.models.pretrained import LOADING, PretrainedMixin, check_model, precision_of, put_on
from speakerdiar.nn.kaldi_fbank import FbankOptions, KaldiFbank
from speakerdiar.nn.sond import SondNetwork
from speakerdiar.postprocessing.confidence import with_confidence
from speakerdiar.postprocessing.power_set_encoding import PowerSetEncoding
from speakerdiar.ranges import Range
from speakerdiar.recording import Recording
from speakerdiar.voiceprint import Voiceprints

PARTS = ("embedder", "profiles", "plan")
"""Options of loading beside those that every model has."""
EMBEDDER = "embedder."
"""In front of the names of the enrolment model's weights, in a folder of our own format."""
AT_ONCE_ON_GPU = 16
_LOG = logging.getLogger(__name__)


class SondDiarizer(torch.nn.Module, PretrainedMixin, BlockwiseDiarizationMixin):
    """Up to 16 people whose voices are known, up to four of them at once (Du et al. 2022, arXiv:2211.10243).

    The people come with each call, `diarize(audio, profiles={"Ana": "ana.wav", "Ben": vector})`, or as FunASR has it:
    `[recording, clip, clip, ...]`, a list of such lists, or a pair of files such as
    `("wav.scp,speech,sound", "profile.scp,profile,kaldi_ark")`. Turns bear the names of the profiles; where there are
    none, spk1, spk2, ... Voices of a store of SOND's own embedder serve too (`voiceprints=`). Further options are
    FunASR's (`SondConfig`).

    A recording that fits into a window (16 s) gives FunASR's own numbers. Longer ones are encoded in stretches and
    compared with the profiles in overlapping windows that vote on each frame: time grows with their length, memory
    hardly does.

    The profiles are the speakers: `num_speakers` and `max_speakers` bound how many of them are named, the most active
    ones; more than there are profiles are refused. Of `postprocessing_params`, pads and durations apply to turns that
    `smooth_size` and `dur_threshold` leave; thresholds don't, as the network decides by itself.

    Args:
        network: with its weights.
        frontend: the filter bank; by default that of the published model.
        embedder: makes profiles of clips: the path of FunASR's `sv.pb`, any weights or name of an embedder that was
            trained with this network, or an instance; None where profiles are always vectors.
        profiles: of calls that give none of their own; see `diarize`.
        plan: how long recordings are cut.
        licence: of the weights, for the model card.
        source: where the weights come from, for the model card.

    Raises:
        ConfigError: an embedder whose vectors have another size than the network's profiles; frames other than 10 ms.
        InputError: profiles that can't be used.
    """

    MODEL_NAME = "sond"
    DIARIZE_CONFIG: ClassVar[type[DiarizeConfig]] = SondConfig
    TUNABLE: ClassVar[Mapping[str, Range]] = {
        "smooth_size": Range(1, 151, whole=True),
        "dur_threshold": Range(0, 60, whole=True),
        **ranges.of_postprocessing("pad_onset", "pad_offset", "min_duration_on", "min_duration_off"),
    }

    def __init__(
        self,
        network: SondNetwork,
        frontend: FbankOptions | None = None,
        embedder: str | os.PathLike[str] | EmbeddingMixin | None = None,
        *,
        profiles: Any = None,
        plan: SondPlan | None = None,
        licence: str = "",
        source: str = "",
    ) -> None:
        super().__init__()
        self.network = network
        self.fbank = KaldiFbank(frontend or FRONTENDS[network.shape.variant])
        self.embedder = None if embedder is None else make_embedder(embedder)
        self.plan = plan or SondPlan()
        self.encoding = PowerSetEncoding(network.shape.speakers, network.shape.at_once)
        self.licence, self.source = licence, source
        self.sample_rate = self.fbank.options.sample_rate
        _check_parts(self)
        self.profiles = None if profiles is None else self._maker(None).make(profiles)
        self.eval().requires_grad_(False)

    @classmethod
    def on_device(cls, checkpoint: Checkpoint, *, device: str | torch.device | None = None, **options: Any) -> Self:
        """Make the model of what was read, and put it on a device (None: the CPU); options as `from_checkpoint`."""
        for name in options:
            if name not in (*LOADING, *PARTS):
                raise UnknownOptionError(name, (*LOADING, *PARTS), cls.__name__)
        model = cls.from_checkpoint(checkpoint, **options)
        put_on(model, device)
        return model

    @classmethod
    def from_checkpoint(
        cls, checkpoint: Checkpoint, *, precision: str = "fp32", compile: bool = False, **parts: Any
    ) -> Self:
        """Make the model of what was read.

        Args:
            checkpoint: FunASR's (`speakerdiar.checkpoints.sond.read_funasr`), or one of our own format.
            precision: of the networks: fp32, bf16 or fp16.
            compile: compile the network when it first runs.
            parts: `embedder`, `profiles` and `plan` of the class. Without an embedder, that of our own folder is taken,
                or FunASR's `sv.pb` beside the weights or in a folder there.

        Raises:
            WeightsError: weights of another model; the message names every tensor that is missing or doesn't fit.
            ConfigError: no such precision, or parts that don't fit.
        """
        check_model(checkpoint, cls.MODEL_NAME)
        dtype, config = precision_of(precision), checkpoint.config
        saved = {name: value for name, value in checkpoint.weights.items() if name.startswith(EMBEDDER)}
        own = {name: value for name, value in checkpoint.weights.items() if name not in saved}
        network, frontend = sond_network(replace(checkpoint, weights=own), dtype)
        if compile:
            for part in (network.encoder, network.cd_scorer, network.decoder):
                part.compile(dynamic=True)
        if parts.get("embedder") is None and saved:
            weights = {name.removeprefix(EMBEDDER): value for name, value in saved.items()}
            parts["embedder"] = SondEmbedder.of_saved(config.get("embedder"), weights, checkpoint.path, dtype)
        elif parts.get("embedder") is None and "settings" not in config:
            parts["embedder"] = _enrolment_model(checkpoint.path)
        ours = "settings" in config
        return cls(
            network,
            frontend,
            **parts,
            licence=str(config.get("licence", "")) if ours else "",
            source=str(config.get("source", "")) if ours else f"converted from `{checkpoint.path.name}`",
        )

    @property
    def speaker_capacity(self) -> int:
        """Most speakers that may have profiles."""
        return self.network.shape.speakers

    def _maker(self, sample_rate: int | None) -> ProfileMaker:
        return ProfileMaker(self.embedder, self.network.shape.dimension, self.speaker_capacity, sample_rate)

    def _diarize_unpack(self, audio: Any, diarcfg: DiarizeConfig) -> Any:
        config = _options(diarcfg)
        if config.voiceprints is not None:
            config.profiles = _enrolled(config)
        if config.profiles is not None:
            config.profiles = self._maker(config.sample_rate).make(config.profiles)
        own = profiled_recordings(
            audio, config.profiles, config.sample_rate, self.sample_rate, default=self.profiles is not None
        )
        config.profiles = config.profiles or self.profiles
        return own

    def _diarize_on_begin(self, audio: Any, diarcfg: DiarizeConfig) -> None:
        super()._diarize_on_begin(audio, diarcfg)
        config = _options(diarcfg)
        config._network = self._placed(config.ngpu)
        if config.output_dir is not None:
            Path(config.output_dir).mkdir(parents=True, exist_ok=True)
            for name in (RESULTS, LABELS):
                (Path(config.output_dir) / name).write_text("", encoding="utf-8")

    def _placed(self, ngpu: int | None) -> tuple[SondNetwork, KaldiFbank]:
        """Return network and filter bank on the device that is asked for; the model itself stays where it is."""
        wanted = None if ngpu is None else "cuda" if ngpu and torch.cuda.is_available() else "cpu"
        if ngpu and wanted == "cpu":
            _LOG.warning("ngpu=%d, and no GPU is here that torch can use: computing on the CPU.", ngpu)
        if wanted is None or next(self.network.parameters()).device.type == wanted:
            return self.network, self.fbank
        return copy.deepcopy(self.network).to(wanted), copy.deepcopy(self.fbank).to(wanted)

    def _hear(self, jobs: Sequence[Job]) -> list[SondHeard]:
        return [self._hear_one(job) for job in jobs]

    def _hear_one(self, job: Job) -> SondHeard:
        config = _options(job.diarcfg)
        profiles = self._profiles_of(job.recording, config)
        keeps_scores = config.confidence or config.include_tensor_outputs
        hearing = Hearing(len(profiles), self.plan, shares=keeps_scores)
        network, fbank = config._network
        vectors = torch.from_numpy(profiles.vectors).to(fbank.window.device, next(network.parameters()).dtype)[None]
        encoded, present = network.profiles(vectors)
        windows = windows_of(stretches_of(job.recording, fbank, network, self.plan), self.plan)
        seconds = 0.0
        for batch in batches(windows, self._at_once(fbank.window.device)):
            for window, logits in zip(batch, logits_of(network, batch, encoded, present), strict=True):
                hearing.add(REDUCTION * window.first, *self._read(logits, len(profiles), config.oov, keeps_scores))
            seconds = batch[-1].end
            job.tell("activity", None, seconds, job.recording.duration)
        activity = hearing.activity()
        job.tell("activity", activity, seconds, seconds)
        return SondHeard(
            recording=replace(job.recording, duration=seconds or None),
            profiles=profiles,
            activity=activity,
            tokens=hearing.tokens(activity),
            scores=hearing.scores(profiles.names, STEP_SECONDS),
        )

    def _at_once(self, device: torch.device) -> int:
        return self.plan.at_once or (1 if device.type == "cpu" else AT_ONCE_ON_GPU)

    def _profiles_of(self, recording: Recording, config: SondConfig) -> SondProfiles:
        """Return whom to look for in a recording: its own profiles, else those of the call."""
        own = recording.extra.get(PROFILES)
        maker = self._maker(config.sample_rate)
        if own is None and config.profiles is None:
            raise InputError(f"{recording.id}: {MISSING}")
        profiles = config.profiles if own is None else maker.numbered(own) if isinstance(own, list) else maker.make(own)
        least = config.speaker_count.least
        if least > len(profiles):
            raise SpeakerCountError(
                f"{least} speakers were asked for, and {recording.id} has the profiles of {len(profiles)}: give a "
                "profile of each."
            )
        return cast(SondProfiles, profiles)

    def _read(
        self, logits: torch.Tensor, present: int, oov: str, shares: bool
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.float32]]:
        """Return sets and activity in frames of 10 ms, and probabilities in frames of 80 ms, of logits (L, classes)."""
        if oov == "mask":
            allowed = torch.from_numpy(self.encoding.allowed(present)).to(logits.device)
            logits = logits.masked_fill(~allowed, -torch.inf)
        classes = np.repeat(logits.argmax(dim=-1).cpu().numpy(), REDUCTION)
        means = np.zeros((len(logits), present), dtype=np.float32)
        if shares:
            members = torch.from_numpy(self.encoding.members[:, :present]).to(logits)
            means = (logits.softmax(dim=-1) @ members).clamp(0, 1).cpu().numpy()
        return self.encoding.tokens[classes], self.encoding.decode(classes, present), means

    def _decide(self, heard: SondHeard, diarcfg: DiarizeConfig) -> Any:
        """Return a `Diarization`, or FunASR's text of it, and write what was asked for."""
        config = _options(diarcfg)
        spans = spans_of(heard, config)
        text = None
        if config.out_format is not None or config.output_dir is not None:
            text = text_of(heard.recording, spans, config)
        if config.output_dir is not None:
            write_texts(Path(config.output_dir), heard, text or "")
        if config.out_format is not None:
            return {"key": heard.recording.id, "value": text}
        turns = turns_of(spans, config.postprocessing_params or PostProcessingParams(), heard.recording.duration or 0.0)
        if config.confidence and heard.scores is not None:
            turns = with_confidence(heard.scores, turns)
        vectors = dict(zip(heard.profiles.names, heard.profiles.vectors, strict=True))
        return finished(heard.recording, turns, config, scores=heard.scores, embeddings=vectors, named=True)

    def _saved_config(self) -> dict[str, Any]:
        own = {"embedder": self.embedder.saved_config()} if isinstance(self.embedder, SondEmbedder) else {}
        settings = SondSettings.saved(self.network, self.fbank.options)
        return {"settings": settings, **own, "licence": self.licence, "source": self.source}

    def _saved_weights(self) -> dict[str, torch.Tensor]:
        voices = self.embedder.saved_weights() if isinstance(self.embedder, SondEmbedder) else {}
        return {**self.network.state_dict(), **{f"{EMBEDDER}{name}": value for name, value in voices.items()}}

    def _card(self) -> ModelCard:
        return ModelCard(
            title="SOND",
            summary=f"Says when each of up to {self.speaker_capacity} people talks whose voices are known, in mono "
            f"audio at {self.sample_rate} Hz, overlap included.",
            licence=self.licence or "as the source states it",
            source=self.source or "not known",
        )


def _options(diarcfg: DiarizeConfig) -> SondConfig:
    return cast(SondConfig, diarcfg)


def _enrolled(config: SondConfig) -> Voiceprints:
    """Return the enrolled voices of a call as its profiles: whoever is found has a name then."""
    internal = config._internal
    assert internal is not None
    naming, internal.naming = internal.naming, None
    if not naming.own:
        raise ConfigError(
            "voiceprints: another embedder made these than makes SOND's profiles: enrol everyone in a store of its "
            "own, VoiceprintStore(path, embedder=model.embedder), or give profiles={name: clip}."
        )
    voices: Voiceprints = naming.voices
    return voices


def _check_parts(model: SondDiarizer) -> None:
    shift, dimension = model.fbank.options.frame_shift, model.network.shape.dimension
    if shift != FRAME_SECONDS * 1000:
        raise ConfigError(f"frame_shift={shift!r}: SOND counts frames of 10 ms; give 10.")
    if model.embedder is not None and model.embedder.dimension != dimension:
        raise ConfigError(
            f"The embedder gives {model.embedder.dimension} numbers, and SOND's profiles have {dimension}: take the "
            "enrolment model that SOND was trained with."
        )


def _enrolment_model(weights: Path) -> Path | None:
    """Return FunASR's enrolment model beside the weights, or in the only folder there that has one."""
    beside = funasr_file(weights.parent, "sv")
    below = [
        file for folder in sorted(weights.parent.iterdir()) if folder.is_dir() and (file := funasr_file(folder, "sv"))
    ]
    return beside or (below[0] if len(below) == 1 else None)
