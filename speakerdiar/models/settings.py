"""Settings of a diarizer in a file: which model, its options, its thresholds, and the options of a call.

    model: embedded
    options: {clusterer: ahc}
    thresholds: {clusterer.threshold: 0.41}
    diarize:
      max_speakers: 4
      postprocessing_params: {onset: 0.4, offset: 0.3}

Every part may be left out. `speakerdiar tune` writes such files, and `speakerdiar diarize --config` takes them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speakerdiar.checkpoints.config_text import format_config, parse_config
from speakerdiar.config import checked_options
from speakerdiar.errors import ConfigError, FormatError, UnknownOptionError, WeightsError
from speakerdiar.formats import files
from speakerdiar.models import DEFAULT_MODEL, load_model

if TYPE_CHECKING:
    from speakerdiar.mixins import SpkDiarizationMixin

MOST_BYTES = 2**20


@dataclass(frozen=True)
class DiarizerSettings:
    """How recordings are diarized, apart from the recordings.

    Attributes:
        model: what `load_model` is asked for; None for the default.
        options: what else it is given.
        thresholds: of the model's parts, by name (`SpkDiarizationMixin.with_thresholds`); the others stay.
        diarize: options of a call, fields of the model's config.
    """

    model: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    thresholds: Mapping[str, float] = field(default_factory=dict)
    diarize: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> DiarizerSettings:
        """Read a file.

        Raises:
            ConfigError: there is no such file.
            FormatError: it isn't YAML, or a part isn't what it should be.
            UnknownOptionError: a part that doesn't exist; the message names the closest one.
        """
        file = Path(path)
        if not file.is_file():
            raise ConfigError(f"config={os.fspath(path)!r}: there is no such file; give the path of a YAML file.")
        try:
            parts = parse_config(file.read_bytes()[:MOST_BYTES], str(file))
        except WeightsError as error:
            raise FormatError(f"{error} Settings map model, options, thresholds and diarize to values.") from error
        known = [part.name for part in fields(cls)]
        for name, value in parts.items():
            if name not in known:
                raise UnknownOptionError(name, known, str(file))
            if not isinstance(value, str if name == "model" else dict):
                what = "a name or a path" if name == "model" else "names with their values"
                raise FormatError(f"{name}: {value!r:.40}: give {what}.", path=file)
        return cls(**parts)

    def text(self, comment: str = "") -> str:
        """Return the settings as text that `read` reads, behind lines of comment; parts that are empty stay out."""
        parts = {part.name: getattr(self, part.name) for part in fields(self)}
        told = {name: value if name == "model" else dict(value) for name, value in parts.items() if value}
        lines = "".join(f"# {line}\n" for line in comment.splitlines())
        return lines + format_config(told).decode()

    def write(self, path: str | os.PathLike[str], comment: str = "") -> Path:
        """Write the settings to a file, whole or not at all, and return its path: see `text`."""
        return files.write_text(path, self.text(comment))

    def load(self, model: str | None = None, **options: Any) -> SpkDiarizationMixin:
        """Load the model, with its thresholds.

        Args:
            model: in place of the settings' own. These are then taken for that model.
            options: of the model; they win over those of the settings.

        Raises:
            UnknownOptionError: an option, a threshold or an option of a call that the model doesn't have; the message
                names the closest one.
            SpeakerdiarError: see `speakerdiar.load_model`.
        """
        name = model or self.model or DEFAULT_MODEL
        loaded = load_model(name, **{**self.options, **options}).with_thresholds(self.thresholds)
        checked_options(loaded.DIARIZE_CONFIG, self.diarize)
        return loaded
