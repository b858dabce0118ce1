"""Say whether pieces of speech are of one speaker.

Run it with the paths of recordings, or without for turns cut from the conversation that comes with the examples.
"""

import sys
from pathlib import Path

from speakerdiar import load
from speakerdiar.models.verification import Verifier
from speakerdiar.recording import Recording

DATA = Path(__file__).parent / "data"


def main() -> None:
    recordings = {path: path for path in sys.argv[1:]} or longest_turns()
    verifier = Verifier()
    names = list(recordings)
    for index, enrol in enumerate(names):
        for test in names[index + 1 :]:
            found = verifier.verify(recordings[enrol], recordings[test])
            decision = "same speaker" if found.same else "different speakers"
            print(f"{enrol:>8} - {test:8} score {found.score:.3f}, threshold {found.threshold:.3f}: {decision}")


def longest_turns() -> dict[str, Recording]:
    """Two turns of one speaker and one of another, as parts of a file: nothing is cut on disk."""
    [truth] = load(DATA / "conversation.rttm")
    file = str(DATA / "conversation.flac")
    parts = {}
    for speaker, wanted in (("ada", 2), ("ben", 1)):
        turns = sorted((turn for turn in truth if turn.speaker == speaker), key=lambda turn: -turn.duration)
        for number, turn in enumerate(turns[:wanted], start=1):
            name = f"{speaker} {number}"
            parts[name] = Recording(name, file, offset=turn.start, duration=turn.duration)
    return parts


if __name__ == "__main__":
    main()
