"""What commands share that name voices: the file they are kept in, and how `diarize` comes by names."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from speakerdiar.errors import ConfigError, InputError

if TYPE_CHECKING:
    from speakerdiar.config import DiarizeConfig
    from speakerdiar.mixins import SpkDiarizationMixin
    from speakerdiar.voiceprints import VoiceprintStore

StoreOption = Annotated[
    Path | None,
    typer.Option("--store", help="File of enrolled voices; else $SPEAKERDIAR_VOICES, or the user's own."),
]
EmbedderOption = Annotated[
    str | None,
    typer.Option(
        help="What turns speech into vectors: ge2e, or the path of a weight file; by default what made the voices."
    ),
]


def opened(path: Path | None, *, new: bool = False, **options: Any) -> VoiceprintStore:
    """Open the file of voices that is named, or else the user's own.

    Args:
        path: the file, or None.
        new: make it where there is none.
        options: of the store.

    Raises:
        InputError: there is no such file, or it can't be opened.
        ConfigError: its voices were made by another embedder.
    """
    from speakerdiar.voiceprints.store import VoiceprintStore, default_path

    place = path or default_path()
    if not new and not place.exists():
        raise InputError(
            f"{place}: there is no store of voices: make it with `speakerdiar enroll NAME FILE`, or name another file "
            "with --store."
        )
    return VoiceprintStore(place, **options)


@dataclass(frozen=True)
class Names:
    """Where a command line says that the names of speakers come from.

    Attributes:
        voices: from the user's own store.
        store: from this store.
        profiles: from these recordings, by name.
        threshold: scores from here on count as one person; None for the embedder's own.
    """

    voices: bool
    store: Path | None
    profiles: dict[str, list[str]]
    threshold: float | None

    @classmethod
    def of(cls, voices: bool, store: Path | None, profiles: list[str] | None, threshold: float | None) -> Names:
        """Check what was asked for. Raises ConfigError where it contradicts itself."""
        voices = voices or store is not None
        if voices and profiles:
            raise ConfigError(f"--profile {profiles[0]}: leave it out, or --voices and --store: names have one source.")
        if threshold is not None and not (voices or profiles):
            raise ConfigError(f"--name-threshold {threshold}: add --voices, --store or --profile to give names.")
        return cls(voices, store, _by_name(profiles or []), threshold)

    def put_into(self, config: DiarizeConfig, diarizer: SpkDiarizationMixin, embedder: str | None) -> DiarizeConfig:
        """Return the options with the voices: a model that searches for profiles gets these, others get a store.

        Args:
            config: the options.
            diarizer: the model they are for.
            embedder: what makes vectors of profiles; None for the default.

        Raises:
            InputError: nobody is enrolled, or a recording that can't be used.
            ConfigError: no threshold is known for the embedder.
        """
        from speakerdiar.voiceprints import VoiceprintStore

        if self.profiles and "profiles" in (field.name for field in dataclasses.fields(diarizer.DIARIZE_CONFIG)):
            values = {name: value for name, value in vars(config).items() if not name.startswith("_")}
            return diarizer.DIARIZE_CONFIG(**{**values, "profiles": self.profiles})
        if self.profiles:
            config.voiceprints = VoiceprintStore.of(
                self.profiles, threshold=self.threshold, **({"embedder": embedder} if embedder else {})
            )
        elif self.voices:
            store = opened(self.store, threshold=self.threshold)
            if not store.names:
                raise InputError(f"{store.place}: nobody is enrolled: `speakerdiar enroll NAME FILE` does it.")
            config.voiceprints = store
        return config


def _by_name(profiles: list[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for profile in profiles:
        name, equals, file = profile.partition("=")
        if not (name and equals and file):
            raise ConfigError(f"--profile {profile!r}: give NAME=FILE, such as Ana=ana.wav; repeat it for more files.")
        found.setdefault(name, []).append(file)
    return found
