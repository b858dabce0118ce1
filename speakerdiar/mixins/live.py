"""Runs one source through a session: what `diarize_generator` does with live audio and with `latency`."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from torch.utils.data import DataLoader

from speakerdiar.audio import read_blocks
from speakerdiar.config import DiarizeConfig, is_count
from speakerdiar.errors import InputError
from speakerdiar.mixins.results import speaker_count
from speakerdiar.mixins.sessions import StreamingSession
from speakerdiar.mixins.sources import source_of
from speakerdiar.mixins.stream_blocks import as_chunk
from speakerdiar.recording import RATE_MISSING, Recording, is_one
from speakerdiar.updates import SampleChunk, StreamingUpdate

if TYPE_CHECKING:
    from speakerdiar.mixins.streaming import StreamingMixin

_READ_SECONDS = 0.1  # of a file at a time, so that steps don't come in bunches


def is_live(audio: Any) -> bool:
    """Whether a source says of itself that it is live."""
    return bool(getattr(audio, "is_live", False))


def stream_updates(model: StreamingMixin, audio: Any, diarcfg: DiarizeConfig) -> Iterator[StreamingUpdate]:
    """Return the updates of one source, which is checked here. See `SpkDiarizationMixin.diarize_generator`."""
    preset = model._stream_preset(diarcfg.latency)
    if _yields_chunks(audio):
        session = StreamingSession(model, preset, diarcfg, sample_rate=_chunk_rate(audio, diarcfg))
        updates = _updates_of_chunks(session, audio, float(diarcfg.session_len_sec))
    else:
        recording = _one_recording(audio, diarcfg)
        updates = _updates_of_recording(session_of(model, preset, diarcfg, recording), recording)
    next(updates)  # begun here, so that closing it cleans up even before the first update
    return updates


def session_of(model: StreamingMixin, preset: Any, diarcfg: DiarizeConfig, recording: Recording) -> StreamingSession:
    """Return a session for the samples of a recording, on its clock and with its number of speakers."""
    count = speaker_count(recording, diarcfg)
    if count != diarcfg.speaker_count:
        diarcfg = copy.copy(diarcfg)
        diarcfg.num_speakers = count.exact
    return StreamingSession(model, preset, diarcfg, offset=recording.offset)


def _yields_chunks(audio: Any) -> bool:
    if not isinstance(audio, Iterable):
        return False
    listed = isinstance(audio, list | tuple | bytes | bytearray | DataLoader)
    return is_live(audio) or not (listed or is_one(audio))


def _chunk_rate(source: Any, diarcfg: DiarizeConfig) -> int:
    rate = diarcfg.sample_rate or getattr(source, "sample_rate", None)
    if rate is None:
        raise InputError(RATE_MISSING)
    if not is_count(rate, least=1):
        raise InputError(f"{type(source).__name__}.sample_rate is {rate!r}: give a rate in Hz, e.g. 16000.")
    return int(rate)


def _one_recording(audio: Any, diarcfg: DiarizeConfig) -> Recording:
    source = source_of(audio, diarcfg)
    if len(source.recordings) != 1:
        given = "a DataLoader" if source.loader is not None else f"{len(source.recordings)} recordings"
        raise InputError(
            f"Got {given} to stream with latency={diarcfg.latency!r}: stream one recording at a time, or call "
            "diarize(), which takes many, with latency too."
        )
    return source.recordings[0]


def _updates_of_recording(session: StreamingSession, recording: Recording) -> Iterator[Any]:
    blocks = read_blocks(recording, session.sample_rate, _READ_SECONDS)
    with session:
        yield None
        yield from _updates(session, blocks)


def _updates_of_chunks(session: StreamingSession, source: Iterable[Any], longest: float) -> Iterator[Any]:
    close = getattr(source, "close", None)
    try:
        with session:
            yield None
            yield from _updates(session, limited(source, session.sample_rate, longest))
    finally:
        if close is not None:
            close()


def _updates(session: StreamingSession, chunks: Iterable[Any]) -> Iterator[StreamingUpdate]:
    """Yield the updates that say something, and the last one."""
    steps = 0
    for chunk in chunks:
        update = session.push(chunk)
        if session.steps > steps or update.final or update.events:
            yield update
        steps = session.steps
    yield session.finish()


def limited(chunks: Iterable[Any], rate: int, longest: float) -> Iterator[SampleChunk]:
    """Yield the chunks as such, up to `longest` seconds where that isn't -1."""
    left = math.inf if longest == -1 else longest * rate
    for given in chunks:
        chunk = as_chunk(given)
        lost = min(chunk.lost, left / rate)
        left -= lost * rate
        kept = chunk.samples if len(chunk.samples) <= left else chunk.samples[: round(left)]
        left -= len(kept)
        yield SampleChunk(kept, lost, chunk.overrun)
        if left < 0.5:
            return
