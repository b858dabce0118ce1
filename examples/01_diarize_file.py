"""Say who spoke when in a file, with the embedded model, and save the turns.

Run it with the path of a recording, or without for the conversation that comes with the examples.
"""

import sys
from pathlib import Path

import speakerdiar

CONVERSATION = Path(__file__).parent / "data" / "conversation.flac"


def main() -> None:
    path = sys.argv[1] if len(sys.argv) > 1 else CONVERSATION
    model = speakerdiar.load_model()
    [diarization] = model.diarize(path)

    for turn in diarization:
        print(f"{turn.start:7.2f} {turn.end:7.2f}  {turn.speaker}")
    for speaker, seconds in diarization.durations().items():
        print(f"{speaker} talks for {seconds:.1f} s")

    saved = diarization.save(f"{diarization.recording_id}.rttm")
    print(f"{len(diarization)} turns in {saved}")


if __name__ == "__main__":
    main()
