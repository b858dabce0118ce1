"""`speakerdiar simulate`: conversations made of clips of single speakers, with exact turns."""

from __future__ import annotations

import enum
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from speakerdiar.errors import ConfigError, SpeakerdiarError

if TYPE_CHECKING:
    from speakerdiar.annotation import Diarization
    from speakerdiar.simulation.conversation_files import ConversationWriter
    from speakerdiar.simulation.scene import Scene, Simulator

DEFAULT_COUNT = 10
_KINDS = ("speech", "overlap")


class AudioFormat(str, enum.Enum):
    """What the sound is written as."""

    flac = "flac"
    wav = "wav"


class RoomModel(str, enum.Enum):
    """How rooms are made."""

    decay = "decay"
    image = "image"


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What the command line asks of a scene; None leaves what the scene says."""

    seconds: float | None
    speakers: str | None
    room: float | None
    room_model: RoomModel | None
    babble: float | None
    telephone: float | None
    codec: Sequence[str]
    level: tuple[float, float] | None
    noisy: bool

    def of(self, scene: Scene) -> Scene:
        """Return the scene as asked for. Raises ConfigError for what can't be."""
        model = None if self.room_model is None else self.room_model.value
        acoustics = replace(scene.acoustics, **_given(room=self.room, room_model=model))
        channel = replace(scene.channel, **_given(telephone=self.telephone, level=self.level))
        if self.codec:
            channel = replace(channel, codecs=tuple(self.codec), codec=channel.codec or 1.0)
        return replace(
            scene,
            acoustics=acoustics,
            channel=channel,
            **_given(
                seconds=self.seconds,
                babble=self.babble,
                speakers=None if self.speakers is None else _range(self.speakers),
                noise=1.0 if self.noisy and not scene.noise else None,
            ),
        )


def simulate(
    clips: Annotated[
        list[str] | None,
        typer.Argument(
            help="Speech of single speakers: folders (the folder right below names the speaker), folders with "
            "manifest.jsonl, Kaldi folders, NeMo manifests."
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder to write to.")] = None,
    count: Annotated[int | None, typer.Option(help=f"Conversations to make. By default: {DEFAULT_COUNT}.")] = None,
    hours: Annotated[float | None, typer.Option(help="Hours to make, in place of --count.")] = None,
    scene: Annotated[Path | None, typer.Option(help="YAML of what they are like; options win over it.")] = None,
    like: Annotated[
        Path | None,
        typer.Option(help="Take turns as in these: RTTM, or a folder of it. Without clips: print how."),
    ] = None,
    seconds: Annotated[float | None, typer.Option(help="Length of each. By default: the scene's, 30.")] = None,
    speakers: Annotated[str | None, typer.Option(help="How many speak, such as 2 or 1-4, up to 8.")] = None,
    noise: Annotated[list[str] | None, typer.Option(help="Folder of background sounds; may be given again.")] = None,
    room: Annotated[float | None, typer.Option(help="Share of conversations in a room, 0 to 1.")] = None,
    room_model: Annotated[
        RoomModel | None, typer.Option(help="decay, or image (needs the `rooms` extra). By default: decay.")
    ] = None,
    babble: Annotated[float | None, typer.Option(help="Share with many voices behind them, 0 to 1.")] = None,
    telephone: Annotated[float | None, typer.Option(help="Share in a telephone's band, 0 to 1.")] = None,
    codec: Annotated[
        list[str] | None, typer.Option(help="ulaw, alaw, gsm, adpcm, mp3, vorbis or opus; may be given again.")
    ] = None,
    level: Annotated[
        tuple[float, float] | None, typer.Option(help="Least and most level in dBFS, such as -45 -15.")
    ] = None,
    whole_clips: Annotated[
        bool, typer.Option("--whole-clips", help="Take clips for speech throughout: don't look for pauses in them.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Another seed, other conversations.")] = 0,
    rate: Annotated[int, typer.Option(min=8000, max=192_000, help="Samples a second.")] = 16000,
    jobs: Annotated[int, typer.Option(help="Processes that work at once.")] = 1,
    format: Annotated[AudioFormat, typer.Option("--format", "-f", help="flac or wav.")] = AudioFormat.flac,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what an earlier run left in --out.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar, no report.")] = False,
) -> None:
    """Make conversations out of clips of single speakers: audio, exact RTTM, and a manifest of them.

    A file depends on --seed and its number alone, whatever --count and --jobs are.
    """
    from speakerdiar.cli.progress import fail
    from speakerdiar.simulation.conversation_files import ConversationWriter, check_folder, emptied

    wishes = Wishes(
        seconds=seconds, speakers=speakers, room=room, room_model=room_model, babble=babble, telephone=telephone,
        codec=codec or (), level=level, noisy=bool(noise),
    )  # fmt: skip
    try:
        if not clips:
            typer.echo(_statistics(like, out), nl=False)
            return
        if out is None:
            raise ConfigError("--out isn't given: name a folder to write the conversations to.")
        asked = wishes.of(_scene(scene, like))
        needed = _count(count, hours, asked.seconds, jobs)
        check_folder(out, overwrite)
        simulator = _simulator(clips, noise or (), asked, rate, whole_clips)
        writer = ConversationWriter(simulator, out, seed, format.value)
        emptied(out)
        _write(writer, needed, jobs, quiet)
    except (SpeakerdiarError, OSError) as error:
        fail(error)


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _range(text: str) -> tuple[int, int]:
    least, _, most = text.partition("-")
    if not (least.isdecimal() and (most or least).isdecimal()):
        raise ConfigError(f"--speakers {text!r}: give a number, or least and most such as 1-4.")
    return int(least), int(most or least)


def _statistics(like: Path | None, out: Path | None) -> str:
    """Return what `--like` alone prints."""
    from speakerdiar.cli.score import read_turns
    from speakerdiar.simulation.scene_file import talk_like

    if like is None or out is not None:
        raise ConfigError("No clips to make conversations of: name a folder of speech, a person a sub-folder.")
    return talk_like(read_turns(like).values())


def _scene(path: Path | None, like: Path | None) -> Scene:
    from speakerdiar.cli.score import read_turns
    from speakerdiar.simulation.fitted_talk import fitted
    from speakerdiar.simulation.scene import Scene
    from speakerdiar.simulation.scene_file import load_scene

    scene = Scene() if path is None else load_scene(path)
    return scene if like is None else replace(scene, talks=(fitted(read_turns(like).values()),))


def _count(count: int | None, hours: float | None, seconds: float, jobs: int) -> int:
    if count is not None and hours is not None:
        raise ConfigError(f"--count {count} and --hours {hours:g}: give one of them.")
    if hours is not None and not 0 < hours < math.inf:
        raise ConfigError(f"--hours {hours:g}: give hours above 0.")
    for name, value in (("--count", count), ("--jobs", jobs)):
        if value is not None and value < 1:
            raise ConfigError(f"{name} {value}: give 1 or more.")
    return math.ceil(hours * 3600 / seconds) if hours is not None else count or DEFAULT_COUNT


def _simulator(clips: Sequence[str], noise: Sequence[str], scene: Scene, rate: int, whole_clips: bool) -> Simulator:
    from speakerdiar.simulation.clips import read_clips, read_noises
    from speakerdiar.simulation.loud_parts import loud_parts
    from speakerdiar.simulation.scene import Simulator

    pool = read_clips(clips, rate, speech=None if whole_clips else partial(loud_parts, rate=rate))
    return Simulator(pool, scene, read_noises(noise, rate) if noise else (), rate)


def _write(writer: ConversationWriter, count: int, jobs: int, quiet: bool) -> None:
    from speakerdiar.cli.progress import counting

    begun = time.monotonic()
    written: list[Diarization] = []
    conversations = writer.write_all(count, jobs)
    with counting("Simulating", quiet) as advance:
        for one in conversations:
            written.append(one)
            advance(len(written), count)
    writer.finish(written)
    if not quiet:
        typer.echo(f"{_report(written, time.monotonic() - begun)}\nwritten to {writer.folder}", err=True)


def _report(written: Sequence[Diarization], took: float) -> str:
    seconds = sum(one.duration for one in written)
    speech, overlap = (sum(part.duration for one in written for part in getattr(one, kind)) for kind in _KINDS)
    counts = sorted(len(one.speakers) for one in written)
    plural = "" if len(written) == 1 else "s"
    return (
        f"{len(written)} conversation{plural}, {seconds / 3600:.2f} h in {took:.1f} s: {seconds / took:.0f} times real "
        f"time; speech {100 * speech / seconds:.0f} %, of it overlap {100 * overlap / max(speech, 1e-9):.1f} %; "
        f"{counts[0]} to {counts[-1]} speakers, {sum(counts) / len(counts):.1f} on average"
    )
