"""FunASR's texts of SOND's results: `out_format="vad"` and `"rttm"`, and the classes of `labels.txt`.

    spk1 [(0.0, 8.88), (10.72, 11.92)]
    spk2 [(8.8, 9.76)]

FunASR knows hundredths of a second; so do these texts. None ends with a line end. FunASR's own RTTM lines hold the end
where the format has the duration, channel 0, and the part of the key before its last `-`: `legacy=True` writes these
for those who read them, the default is RTTM.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from speakerdiar.annotation import Diarization, Turn
from speakerdiar.formats import escapes, rttm, times

Spans: TypeAlias = Mapping[str, Iterable[tuple[float, float]]]
"""Start and end in seconds of the turns of each speaker, by name: an array (turns, 2) will do. The order is kept."""


def spans_of(diarization: Diarization, speakers: Iterable[str] = ()) -> dict[str, list[tuple[float, float]]]:
    """Return the turns of each speaker as spans.

    Args:
        diarization: the turns.
        speakers: names that come first, in this order, also where they have no turn.

    Raises:
        FormatError: a turn before 0 s.
    """
    spans: dict[str, list[tuple[float, float]]] = {name: [] for name in speakers}
    for turn in diarization:
        times.not_before_zero(turn.start, "FunASR's text")
        spans.setdefault(turn.speaker, []).append((turn.start, turn.end))
    return spans


def vad_text(spans: Spans) -> str:
    """Return a line a speaker: the name and a list of starts and ends; `[]` for one without turns."""
    return "\n".join(f"{name} {_hundredths(spoken)}" for name, spoken in spans.items())


def rttm_text(key: str, spans: Spans, *, legacy: bool = False) -> str:
    """Return RTTM lines, speaker by speaker.

    Args:
        key: the recording's id.
        spans: the turns.
        legacy: write FunASR's own lines (see above).
    """
    spoken = {name: _hundredths(turns) for name, turns in spans.items()}
    if legacy:
        recording = escapes.as_field(key.rsplit("-", 1)[0])
        line = "SPEAKER {} 0 {:.2f} {:.2f} <NA> <NA> {} <NA> <NA>"
        lines = [
            line.format(recording, *span, escapes.as_field(name)) for name, held in spoken.items() for span in held
        ]
        return "\n".join(lines)
    each = (
        Diarization(key, held[-1][1], tuple(Turn(*span, name) for span in held))
        for name, held in spoken.items()
        if held
    )
    return rttm.dumps(each).rstrip("\n")


def labels_text(key: str, tokens: Iterable[int]) -> str:
    """Return the line of `labels.txt`: the key, and the token of each frame of 10 ms (`PowerSetEncoding.tokens`)."""
    return " ".join([key, *(str(int(token)) for token in tokens)])


def _hundredths(spans: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the spans in hundredths of a second, without those that round to no length."""
    rounded = [(round(float(start), 2), round(float(end), 2)) for start, end in spans]
    return [(start, end) for start, end in rounded if start < end]
