"""The options of one diarization call.

`DiarizeConfig` is the one place where an option, its default and its meaning stand. The text under each field feeds the
command line's help and the documentation (`field_docs`). The class is also a valid OmegaConf structured config:
`OmegaConf.structured(DiarizeConfig)`. A model with more options subclasses it.

The class isn't frozen, because subclasses written for other toolkits aren't; a call works on its own copy
(`private_copy`), so a caller's object is never changed.
"""

from __future__ import annotations

import ast
import copy
import dataclasses
import functools
import inspect
import math
import numbers
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from speakerdiar.errors import ConfigError, SpeakerCountError, UnknownOptionError, closest

DiarizeConfigT = TypeVar("DiarizeConfigT", bound="DiarizeConfig")


@dataclass
class InternalDiarizeConfig:
    """What one call knows of itself. Lives on the call's own copy of the config, never on the model."""

    device: Any = None
    dtype: Any = None
    training_mode: bool = False
    logging_level: int | None = None
    dither_value: float | None = None
    pad_to_value: int | None = None
    temp_dir: str | None = None
    manifest_filepath: str | None = None
    target_sample_rate: int = 16000
    recordings: dict[str, Any] = field(default_factory=dict)
    """The call's recordings by unique id (`speakerdiar.recording.Recording`); durations are filled in once known."""
    naming: Any = None
    """The enrolled voices of the call (`speakerdiar.mixins.naming.Naming`); None where there are none."""
    touched: Any = None
    """What `_diarize_on_begin` changed of the model's modes, for `_diarize_on_end` to put back."""
    heard: Any = None
    """Called with (outputs of the forward, unique ids, the call's config) of each batch, before decisions."""


@dataclass
class PostProcessingParams:
    """How frame scores become turns (see `speakerdiar.postprocessing`); NeMo's names and meanings."""

    onset: float = 0.5
    """Score above which a speaker starts to talk."""
    offset: float = 0.5
    """Score below which a speaker stops. May be greater than the onset: scores in between then toggle."""
    pad_onset: float = 0.0
    """Seconds added in front of every segment; below 0, seconds cut off."""
    pad_offset: float = 0.0
    """Seconds added behind every segment; below 0, seconds cut off."""
    min_duration_on: float = 0.0
    """Segments shorter than this many seconds are dropped."""
    min_duration_off: float = 0.0
    """Gaps shorter than this many seconds are filled."""
    filter_speech_first: bool = True
    """Drop short segments before filling short gaps (True), or after (False)."""

    def __post_init__(self) -> None:
        for name in ("pad_onset", "pad_offset"):
            value = getattr(self, name)
            if not -math.inf < value < math.inf:
                raise ConfigError(f"{name}={value!r}: give a number of seconds.")
        for name in ("min_duration_on", "min_duration_off"):
            value = getattr(self, name)
            if not value >= 0:
                raise ConfigError(f"{name}={value!r}: give a number of seconds, 0 or more.")
        for name in ("onset", "offset"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise ConfigError(f"{name}={value!r}: scores lie between 0 and 1; give a threshold between them.")

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> PostProcessingParams:
        """Make parameters from a mapping. Raises UnknownOptionError for a key that doesn't exist."""
        return cls(**checked_options(cls, values))


@dataclass
class DiarizeConfig:
    """Options of `diarize()` and `diarize_generator()`."""

    session_len_sec: float = -1
    """Look at no more than this many seconds of each recording; -1 for all of it."""
    batch_size: int = 1
    """Recordings in a batch. Never changes a result."""
    num_workers: int | None = 0
    """Processes that read audio ahead; 0 reads in this one, None picks by the number of cores."""
    sample_rate: int | None = None
    """Sampling rate in Hz of audio handed in as arrays."""
    postprocessing_yaml: str | None = None
    """File of post-processing parameters (onset, offset, pads, minimum durations)."""
    postprocessing_params: Any = None
    """Post-processing parameters as an object, a mapping, or the name of a model's preset; in place of the file."""
    verbose: bool = False
    """Show a progress bar."""
    include_tensor_outputs: bool = False
    """Return the frame scores too, next to the turns."""
    num_speakers: int | None = None
    """Exact number of speakers, where it is known."""
    min_speakers: int | None = None
    """Fewest speakers to find."""
    max_speakers: int | None = None
    """Most speakers to find."""
    latency: Any = None
    """Streaming preset: a name such as 1.04s, or the model's own preset object; None for the model's default."""
    confidence: bool = False
    """Attach a confidence to turns and frames."""
    voiceprints: Any = None
    """Enrolled voices (a `VoiceprintStore`): speakers who are one of them get that name."""
    progress: Any = None
    """Called with (recordings done, recordings in all) after each batch; the total is None where it isn't known."""
    hook: Any = None
    """Called with (stage, artifact, done, total) while a recording is worked on; artifacts come when they are ready."""
    _internal: InternalDiarizeConfig | None = None

    def validate(self) -> None:
        """Raise ConfigError, naming the value and the remedy, for an option that can't be used."""
        require(is_count(self.batch_size, least=1), "batch_size", self.batch_size, "give a whole number, 1 or more")
        workers_ok = self.num_workers is None or is_count(self.num_workers, least=0)
        require(workers_ok, "num_workers", self.num_workers, "give a whole number, 0 or more, or None")
        rate_ok = self.sample_rate is None or is_count(self.sample_rate, least=1)
        require(rate_ok, "sample_rate", self.sample_rate, "give a rate in Hz, e.g. 16000")
        length = self.session_len_sec
        length_ok = isinstance(length, numbers.Real) and (length == -1 or length > 0)
        require(length_ok, "session_len_sec", length, "give seconds above 0, or -1 for the whole recording")
        require(self.progress is None or callable(self.progress), "progress", self.progress, "give a callable")
        require(self.hook is None or callable(self.hook), "hook", self.hook, "give a callable")
        SpeakerCount.of(self.num_speakers, self.min_speakers, self.max_speakers)

    @property
    def speaker_count(self) -> SpeakerCount:
        """The speaker count asked for, as one value."""
        return SpeakerCount.of(self.num_speakers, self.min_speakers, self.max_speakers)


@dataclass(frozen=True)
class SpeakerCount:
    """Between `least` and `most` speakers; equal bounds ask for exactly that many.

    `most` is None where there is no upper bound.
    """

    least: int = 1
    most: int | None = None

    @classmethod
    def of(cls, num: int | None = None, least: int | None = None, most: int | None = None) -> SpeakerCount:
        """Combine the three options into one value.

        Raises:
            SpeakerCountError: a count below 1, or counts that contradict one another.
        """
        for name, value in (("num_speakers", num), ("min_speakers", least), ("max_speakers", most)):
            if value is not None and not is_count(value, least=1):
                raise SpeakerCountError(f"{name}={value!r}: give a whole number, 1 or more, or leave it out.")
        if least is not None and most is not None and least > most:
            raise SpeakerCountError(f"min_speakers={least} is above max_speakers={most}: swap them or drop one.")
        if num is None:
            return cls(least or 1, most)
        if num < (least or num) or num > (most or num):
            raise SpeakerCountError(
                f"num_speakers={num} lies outside min_speakers={least}..max_speakers={most}: "
                "give num_speakers alone, or a range that holds it."
            )
        return cls(num, num)

    @property
    def exact(self) -> int | None:
        """The number asked for when it is exact, else None."""
        return self.least if self.least == self.most else None

    def clip(self, count: int) -> int:
        """Return the allowed number nearest to `count`."""
        return max(self.least, count if self.most is None else min(count, self.most))


def is_count(value: object, *, least: int) -> bool:
    """Whether `value` is a whole number (numpy's too, but no bool) of at least `least`."""
    return hasattr(value, "__index__") and not isinstance(value, bool) and value >= least  # type: ignore[operator]


def checked_options(cls: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return `values` as keyword arguments for the dataclass `cls`; raise UnknownOptionError for a typo."""
    known = [f.name for f in dataclasses.fields(cls) if not f.name.startswith("_")]
    for name in values:
        if name not in known:
            raise UnknownOptionError(name, known, cls.__name__)
    return dict(values)


def private_copy(config: DiarizeConfigT) -> DiarizeConfigT:
    """Return a copy for one call, with an `_internal` of its own.

    Fields that a subclass added, and attributes set on the instance, come along.

    Raises:
        ConfigError: the object has no `_internal` attribute, or one of another kind.
    """
    if not hasattr(config, "_internal"):
        raise ConfigError(
            f"{type(config).__name__} has no `_internal` attribute: derive your config from DiarizeConfig."
        )
    if not isinstance(config, DiarizeConfig):
        raise ConfigError(f"{config!r:.80} is no DiarizeConfig: give an instance of it, or of a class derived from it.")
    if not isinstance(config._internal, InternalDiarizeConfig | None):
        raise ConfigError(
            f"`_internal` is a {type(config._internal).__name__}: leave it None or give an InternalDiarizeConfig."
        )
    own = copy.copy(config)
    for name, value in vars(config).items():
        if isinstance(value, list | dict | set):
            setattr(own, name, copy.copy(value))  # a hook may change it
    own._internal = InternalDiarizeConfig() if config._internal is None else copy.copy(config._internal)
    own._internal.recordings, own._internal.touched, own._internal.naming = {}, None, None
    return own


def as_config(config: Any, cls: type[DiarizeConfigT]) -> Any:
    """Return a config as one of a model's own class: None gives the defaults, options that it lacks get theirs.

    A config of that class, or of one derived from it, comes back as it is; so does what is no config at all.
    """
    if config is None:
        return cls()
    if isinstance(config, cls) or not isinstance(config, DiarizeConfig):
        return config
    return cls(**{f.name: getattr(config, f.name) for f in dataclasses.fields(DiarizeConfig)})


@functools.cache
def field_docs(cls: type) -> dict[str, str]:
    """Return the text written under each field of a dataclass, its bases included.

    Python keeps no docstrings of fields, so they are read from the source.
    """
    docs: dict[str, str] = {}
    for base in reversed([c for c in cls.__mro__ if dataclasses.is_dataclass(c)]):
        body = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0]
        assert isinstance(body, ast.ClassDef)
        for statement, following in zip(body.body, body.body[1:], strict=False):
            names_field = isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)
            is_text = isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
            if names_field and is_text:
                docs[statement.target.id] = inspect.cleandoc(str(following.value.value))  # type: ignore[attr-defined]
    return docs


def require(holds: bool, name: str, value: object, remedy: str) -> None:
    """Raise ConfigError, naming an option's value and the remedy, unless a condition holds."""
    if not holds:
        raise ConfigError(f"{name}={value!r}: {remedy}.")


__all__ = [
    "DiarizeConfig",
    "InternalDiarizeConfig",
    "PostProcessingParams",
    "SpeakerCount",
    "as_config",
    "checked_options",
    "closest",
    "field_docs",
    "is_count",
    "private_copy",
    "require",
]
