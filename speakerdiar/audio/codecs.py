"""Which codecs may be decoded."""

from __future__ import annotations

from speakerdiar.audio.limits import AudioLimits
from speakerdiar.errors import AudioDecodeError

# Formats in daily use, whose decoders are looked after; libsndfile's names, then FFmpeg's.
_SNDFILE_CODECS = {
    *("PCM_S8", "PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"),
    *("VORBIS", "OPUS", "MPEG_LAYER_I", "MPEG_LAYER_II", "MPEG_LAYER_III"),
    *("ALAC_16", "ALAC_20", "ALAC_24", "ALAC_32"),
}
_AV_CODECS = {
    *("aac", "aac_fixed", "aac_latm", "ac3", "eac3", "alac", "amrnb", "amrwb", "amr_nb", "amr_wb", "flac"),
    *("mp2", "mp2float", "mp3", "mp3float", "opus", "libopus", "vorbis", "libvorbis", "wmav1", "wmav2"),
}


def check_codec(codec: str, name: str, limits: AudioLimits) -> None:
    """Raise AudioDecodeError for a codec that is refused, unless `limits.allow_any_codec`."""
    plain = codec.startswith("pcm_")  # FFmpeg's names of samples as they are
    if not (codec in _SNDFILE_CODECS or codec in _AV_CODECS or plain or limits.allow_any_codec):
        raise AudioDecodeError(
            f"{name}: its codec {codec} is refused: decoders of rare codecs have known memory errors (CVE-2026-37555 "
            "in ADPCM). Convert it to PCM or FLAC, or, if you trust the file, set AudioLimits(allow_any_codec=True)."
        )
