"""Simulated conversations as files: audio, exact turns, and a manifest of them all.

sim7-000000.flac    the sound
sim7-000000.rttm    who speaks when
manifest.jsonl      a NeMo manifest, written last, of paths beside it
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from speakerdiar.annotation import Diarization
from speakerdiar.audio import save
from speakerdiar.errors import ConfigError
from speakerdiar.formats import manifest, rttm
from speakerdiar.recording import Recording
from speakerdiar.simulation.clip_lists import MANIFEST
from speakerdiar.simulation.scene import Simulator

FORMATS = ("flac", "wav")
_OURS = re.compile(r"sim\d+-\d{6,}\.(flac|wav|rttm)|\.[0-9a-f]{16}\.(flac|wav|part)")
"""Conversations, and what a run that was killed left of one."""


@dataclass(frozen=True, eq=False)
class ConversationWriter:
    """Writes conversations of a simulator into a folder; what a file holds depends on the seed and its number alone.

    Attributes:
        simulator: what draws them.
        folder: where they go.
        seed: where chance begins, 0 or more.
        format: "flac" or "wav".
    """

    simulator: Simulator
    folder: Path
    seed: int = 0
    format: str = "flac"

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise ConfigError(f"format={self.format!r}: give one of {', '.join(FORMATS)}.")
        if self.seed < 0:
            raise ConfigError(f"seed={self.seed}: give 0 or more.")

    def write(self, index: int) -> Diarization:
        """Draw the conversation of a number, write it and its turns, each whole or not at all; return the turns."""
        samples, turns = self.simulator.draw(np.random.default_rng([self.seed, index]))
        name, rate = f"sim{self.seed}-{index:06d}", self.simulator.rate
        drawn = Diarization(name, len(samples) / rate, turns)
        beside = self.folder / f".{secrets.token_hex(8)}.{self.format}"
        fine = not 0 < self.simulator.scene.channel.bits <= 16
        try:
            save(beside, samples, rate, "PCM_24" if fine else "PCM_16")
            os.replace(beside, self.folder / f"{name}.{self.format}")
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
        rttm.dump([drawn], self.folder / f"{name}.rttm")
        return drawn

    def write_all(self, count: int, jobs: int = 1) -> Iterator[Diarization]:
        """Write the conversations 0 to `count` - 1 in so many processes; yield their turns, in order."""
        if jobs == 1:
            return map(self.write, range(count))
        workers = ProcessPoolExecutor(jobs, initializer=_Worker.begin, initargs=(self,))
        # Processes begin here, before a caller has threads (a progress bar's) that don't survive a fork.
        return _ending(workers, workers.map(_Worker.write, range(count), chunksize=4))

    def finish(self, written: Iterable[Diarization]) -> Path:
        """Write the manifest of what was written, and return its path."""
        recordings = [
            Recording(
                one.recording_id,
                f"{one.recording_id}.{self.format}",
                duration=one.duration,
                num_speakers=len(one.speakers) or None,
                rttm_filepath=f"{one.recording_id}.rttm",
            )
            for one in written
        ]
        return manifest.dump(recordings, self.folder / MANIFEST)


class _Worker:
    """What a process of its own writes with; a pool of clips is too large to be sent with each number."""

    writer: ConversationWriter

    @classmethod
    def begin(cls, writer: ConversationWriter) -> None:
        cls.writer = writer

    @classmethod
    def write(cls, index: int) -> Diarization:
        return cls.writer.write(index)


def _ending(workers: ProcessPoolExecutor, results: Iterator[Diarization]) -> Iterator[Diarization]:
    try:
        yield from results
    finally:
        workers.shutdown(cancel_futures=True)


def check_folder(folder: Path, overwrite: bool = False) -> None:
    """Refuse a folder that conversations can't be written to.

    Args:
        folder: where.
        overwrite: it may hold conversations that were written there before, but nothing else.

    Raises:
        ConfigError: it isn't empty, or no folder.
    """
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ConfigError(f"{folder} is a file: give a folder.")
    held = sorted(path.name for path in folder.iterdir())
    if held and not overwrite:
        raise ConfigError(f"{folder} isn't empty: give another folder, or --overwrite what an earlier run left in it.")
    others = [name for name in held if name != MANIFEST and not _OURS.fullmatch(name)]
    if others:
        raise ConfigError(f"{folder} holds more than conversations ({', '.join(others[:5])}): give another folder.")


def emptied(folder: Path) -> Path:
    """Return a folder, made where it isn't there, without the conversations that were written there before."""
    folder.mkdir(parents=True, exist_ok=True)
    # The manifest goes first: without it nobody takes what is left for a whole set.
    (folder / MANIFEST).unlink(missing_ok=True)
    for path in folder.iterdir():
        if _OURS.fullmatch(path.name):
            path.unlink()
    return folder
