"""Reads audio: files, streams and arrays in, mono float32 samples at one rate out.

probe(source)              what it is, without decoding it
read_blocks(recording)     samples, block by block, in memory that doesn't grow with the length
load(recording)            all samples at once
each_channel(recording)    one recording for each channel
save(path, samples, rate)  write WAV or FLAC
"""

from speakerdiar.audio.info import AudioInfo
from speakerdiar.audio.limits import AudioLimits
from speakerdiar.audio.reading import each_channel, load, probe, read_blocks, rereadable
from speakerdiar.audio.writing import save

__all__ = ["AudioInfo", "AudioLimits", "each_channel", "load", "probe", "read_blocks", "rereadable", "save"]
