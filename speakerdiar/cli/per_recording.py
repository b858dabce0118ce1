"""The loop of commands that look at recordings one by one: one that fails doesn't stop the others."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from speakerdiar.errors import SpeakerdiarError

if TYPE_CHECKING:
    from speakerdiar.recording import Recording

ResultT = TypeVar("ResultT")


def each_recording(
    files: list[str], channel: str, work: Callable[[Recording], ResultT], doing: str, quiet: bool
) -> tuple[list[ResultT], int]:
    """Work on each recording that is named; report those that fail.

    Args:
        files: names, as `speakerdiar.cli.inputs.recordings_of` takes them.
        channel: see there.
        work: from a recording to its result.
        doing: what the progress bar says.
        quiet: show no bar.

    Returns:
        The results in the order of the names, and how many recordings were asked for in all.

    Raises:
        ConfigError: the channel can't be.
    """
    from speakerdiar.cli.diarize import named_recordings
    from speakerdiar.cli.progress import counting, warn

    recordings, missing = named_recordings(files, channel)
    for problem in missing:
        warn(problem)
    results = []
    with counting(doing, quiet) as advance:
        for done, recording in enumerate(recordings, start=1):
            try:
                results.append(work(recording))
            except (SpeakerdiarError, OSError) as error:
                warn(error, about=recording.path or recording.id)
            advance(done, len(recordings))
    return results, len(recordings) + len(missing)
