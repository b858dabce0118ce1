"""Live audio in, updates out: sources to listen to, and what a stream gives.

microphone()                   an input of the sound card
pipe_source(sys.stdin.buffer)  WAV or raw PCM from a pipe; wav_stream and pcm_stream take just the one
paced(blocks, 16000)           blocks of a file, at the pace of a live recording
joined(updates)                the Diarization that a stream's updates come to

Any of the sources goes into `model.diarize_generator(source)`, chunk by chunk into `session.push(chunk)`.
"""

from speakerdiar.mixins import SessionBatch, StreamingSession
from speakerdiar.streaming.live_source import LiveSource
from speakerdiar.streaming.microphones import Microphone, microphone
from speakerdiar.streaming.pacing import PacedBlocks, paced
from speakerdiar.streaming.pipes import PcmSource, pcm_stream, pipe_source, wav_stream
from speakerdiar.updates import SampleChunk, StreamEvent, StreamingUpdate, joined

__all__ = [
    "LiveSource",
    "Microphone",
    "PacedBlocks",
    "PcmSource",
    "SampleChunk",
    "SessionBatch",
    "StreamEvent",
    "StreamingSession",
    "StreamingUpdate",
    "joined",
    "microphone",
    "paced",
    "pcm_stream",
    "pipe_source",
    "wav_stream",
]
