"""Reads recordings: whole or block by block, at one rate, one channel or the mean of all."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, BinaryIO

import numpy as np

from speakerdiar.audio.decoding import Decoder, decoding
from speakerdiar.audio.info import AudioInfo
from speakerdiar.audio.limits import AudioLimits
from speakerdiar.audio.resampling import Resampler
from speakerdiar.audio.source import copy_bounded, is_seekable, name_of
from speakerdiar.config import is_count
from speakerdiar.errors import AudioDecodeError, AudioError, InputError
from speakerdiar.recording import Channel, Recording, as_recordings

DEFAULT_RATE = 16000

_PIECE_SAMPLES = 2**19  # decoded at once, all channels together: 2 MiB whatever the rate and the channels


def probe(source: Any, limits: AudioLimits | None = None) -> AudioInfo:
    """Return what a source's header says, without decoding it.

    Args:
        source: a path, an open binary file, a Recording, or a pair (samples, rate). A file that can't seek is used up.
        limits: what is accepted; by default what the environment says (`AudioLimits.from_environment`).

    Raises:
        AudioError: see `read_blocks`; the length isn't held against `max_seconds`.
    """
    with decoding(_one(source), _or_default(limits)) as decoder:
        return decoder.info


def read_blocks(
    recording: Any,
    sample_rate: int = DEFAULT_RATE,
    block_seconds: float = 30.0,
    limits: AudioLimits | None = None,
) -> Iterator[np.ndarray]:
    """Yield a recording's samples block by block, (samples,) float32, mono, at `sample_rate`.

    All blocks but the last last `block_seconds`; joined they are the same whatever `block_seconds` is. n frames of the
    source become exactly round(n * sample_rate / source rate) samples. Memory doesn't grow with the length. The file is
    opened at the first block, and closed behind the last one or with the iterator.

    Args:
        recording: a Recording, whose offset, duration and channel are honoured, or one thing that makes one
            (`speakerdiar.recording.as_recordings`): a path, an open binary file, a pair (samples, rate).
        sample_rate: Hz of the samples to yield.
        block_seconds: length of a block.
        limits: what is accepted; by default what the environment says (`AudioLimits.from_environment`).

    Raises:
        InputError: a rate or a length of blocks that can't be; at once, the others at the first block.
        AudioNotFoundError: no such file.
        AudioDecodeError: empty, not audio, broken, of a refused codec; or samples that are NaN or infinite.
        AudioLimitError: beyond one of the limits.
        AudioError: a folder, an unreadable file, a channel that isn't there, an offset beyond the end.
        MissingExtraError: the format needs PyAV.
    """
    if not is_count(sample_rate, least=1):
        raise InputError(f"sample_rate={sample_rate!r}: give a rate in Hz, e.g. 16000.")
    if not 0 < block_seconds < float("inf"):
        raise InputError(f"block_seconds={block_seconds!r}: give seconds above 0.")
    length = max(1, round(block_seconds * sample_rate))
    return _blocks(_resampled(_one(recording), sample_rate, _or_default(limits)), length)


def load(recording: Any, sample_rate: int = DEFAULT_RATE, limits: AudioLimits | None = None) -> np.ndarray:
    """Return all of a recording's samples, (samples,) float32, mono, at `sample_rate`.

    An hour at 16 kHz takes 230 MB; `read_blocks` takes no more for longer audio. The arguments and errors are those of
    `read_blocks`.
    """
    if not is_count(sample_rate, least=1):
        raise InputError(f"sample_rate={sample_rate!r}: give a rate in Hz, e.g. 16000.")
    # Grows in place, by an eighth at a time: joining a list of pieces would hold all samples twice.
    samples = bytearray()
    for piece in _resampled(_one(recording), sample_rate, _or_default(limits)):
        samples += piece.tobytes()
    return np.frombuffer(samples, np.float32)


def each_channel(recording: Any, limits: AudioLimits | None = None) -> list[Recording]:
    """Return one recording for each channel, with ids `talk.ch0`, `talk.ch1`, ...

    A recording of which one channel was chosen gives that one. A file object that can't seek is read into memory, since
    each channel reads it again.

    Raises:
        AudioError: see `read_blocks`.
    """
    limits = _or_default(limits)
    whole = rereadable(_one(recording), limits)
    with decoding(whole, limits) as decoder:
        count = decoder.info.channels
        _check_channel(whole, decoder.info)
    channels = range(count) if whole.channel == "mix" else [whole.channel]
    return [replace(whole, id=f"{whole.id}.ch{channel}", channel=channel) for channel in channels]


def rereadable(recording: Recording, limits: AudioLimits | None = None) -> Recording:
    """Return a recording that can be read any number of times.

    Streams that can't seek (pipes, sockets, standard input; by path or open) are read into memory; all else comes back
    as it is.

    Raises:
        AudioLimitError: a stream longer than `limits.max_bytes`.
        AudioError: a stream that can't be read.
    """
    source, name = recording.source, name_of(recording)
    if isinstance(source, np.ndarray):
        return recording
    if not isinstance(source, str | os.PathLike):
        return recording if is_seekable(source) else replace(recording, source=_copy(source, name, limits))
    if os.path.isfile(source) or not os.path.exists(source) or os.path.isdir(source):
        return recording
    with open(source, "rb") as pipe:
        return replace(recording, source=_copy(pipe, name, limits))


def _copy(stream: BinaryIO, name: str, limits: AudioLimits | None) -> BinaryIO:
    copy = io.BytesIO()
    copy_bounded(stream, copy, name, _or_default(limits))
    return copy


def _or_default(limits: AudioLimits | None) -> AudioLimits:
    return AudioLimits.from_environment() if limits is None else limits


def _one(source: Any) -> Recording:
    if isinstance(source, Recording):
        return source
    recordings = as_recordings(source)
    if len(recordings) != 1:
        raise InputError(f"Got {len(recordings)} recordings where one is due: read them one by one.")
    return recordings[0]


def _blocks(pieces: Iterator[np.ndarray], length: int) -> Iterator[np.ndarray]:
    """Cut pieces of any length into blocks of `length` and a shorter last one."""
    held: list[np.ndarray] = []
    count = 0
    for piece in pieces:
        start = 0
        while count + len(piece) - start >= length:
            stop = start + length - count
            yield np.concatenate([*held, piece[start:stop]])
            held, count, start = [], 0, stop
        held.append(piece[start:])
        count += len(piece) - start
    if count:
        yield np.concatenate(held)


def _resampled(recording: Recording, sample_rate: int, limits: AudioLimits) -> Iterator[np.ndarray]:
    with decoding(recording, limits) as decoder:
        resampler = Resampler(decoder.info.sample_rate, sample_rate)
        for piece in _mono(recording, decoder, limits):
            yield resampler.push(piece)
        yield resampler.finish()


def _mono(recording: Recording, decoder: Decoder, limits: AudioLimits) -> Iterator[np.ndarray]:
    """Yield the part of the recording that is asked for, mono, at its own rate."""
    name, info = name_of(recording), decoder.info
    _check_channel(recording, info)
    start, stop = _span(recording, info.sample_rate)
    _check_promised_length(info, start, stop, limits, name)
    _skip(recording, decoder, start)
    position = start
    at_once = max(1, _PIECE_SAMPLES // info.channels)
    while stop is None or position < stop:
        frames = decoder.read(at_once if stop is None else min(at_once, stop - position))
        if not len(frames):
            _check_complete(decoder, position, limits, name)
            return
        mono = mixed(frames, recording.channel)
        _check_finite(mono, position, info.sample_rate, name)
        position += len(frames)
        limits.check_seconds((position - start) / info.sample_rate, name)
        yield mono


def _span(recording: Recording, rate: int) -> tuple[int, int | None]:
    """Return first frame and the one behind the last. Ends are rounded, so that neighbouring parts join exactly."""
    start = round(recording.offset * rate)
    if recording.duration is None:
        return start, None
    return start, round((recording.offset + recording.duration) * rate)


def _check_promised_length(info: AudioInfo, start: int, stop: int | None, limits: AudioLimits, name: str) -> None:
    """Refuse early what the header already says is too long."""
    frames = info.frames if info.frames is not None else round((info.duration or 0) * info.sample_rate)
    end = frames if stop is None else min(stop, frames)
    limits.check_seconds((end - start) / info.sample_rate, name)


def _skip(recording: Recording, decoder: Decoder, start: int) -> None:
    known = decoder.info.frames
    there = decoder.skip(start) if known is None or start <= known else known
    if there < start:
        seconds = there / decoder.info.sample_rate
        raise AudioError(
            f"{name_of(recording)}: offset={recording.offset:g} s lies beyond its end at {seconds:.3f} s: give a "
            "smaller offset."
        )


def _check_complete(decoder: Decoder, position: int, limits: AudioLimits, name: str) -> None:
    promised = decoder.promised_frames
    if promised is not None and position < promised and not limits.allow_truncated:
        rate = decoder.info.sample_rate
        raise AudioDecodeError(
            f"{name}: was cut short: {position / rate:.2f} s of {promised / rate:.2f} s can be read. Get it anew, or "
            "read what is there with AudioLimits(allow_truncated=True)."
        )


def _check_channel(recording: Recording, info: AudioInfo) -> None:
    channel, count = recording.channel, info.channels
    if channel != "mix" and channel >= count:
        have = "1 channel" if count == 1 else f"{count} channels"
        raise AudioError(
            f"{name_of(recording)}: channel={channel} isn't there: it has {have}; give an index below {count}, "
            "or 'mix'."
        )


def mixed(frames: np.ndarray, channel: Channel) -> np.ndarray:
    """Return one channel, or the mean of all, of (n, channels) as (n,)."""
    if channel != "mix":
        return np.ascontiguousarray(frames[:, channel])
    if frames.shape[1] == 1:
        return np.ascontiguousarray(frames[:, 0])
    with np.errstate(over="ignore", invalid="ignore"):  # infinite samples are refused by the caller
        total = frames[:, 0].copy()
        for other in _columns(frames):
            total += other
        return total / np.float32(frames.shape[1])


def _columns(frames: np.ndarray) -> Iterable[np.ndarray]:
    return (frames[:, index] for index in range(1, frames.shape[1]))


def _check_finite(samples: np.ndarray, position: int, rate: int, name: str) -> None:
    finite = np.isfinite(samples)
    if not finite.all():
        first = int(np.argmin(finite))
        raise AudioDecodeError(
            f"{name}: a sample is {samples[first]} at {(position + first) / rate:.4f} s: it's broken there; mend it, "
            "or read the parts around it with offset and duration."
        )
