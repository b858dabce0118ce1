"""Say who speaks, live: from the microphone until Ctrl-C, or from a recording.

    python examples/03_stream_microphone.py [RECORDING] [--model NAME --latency PRESET]

The microphone needs the `mic` extra.
"""

import argparse
import sys

import speakerdiar
from speakerdiar.streaming import microphone


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("recording", nargs="?")
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--latency", default="2s")
    asked = parser.parse_args()

    model = speakerdiar.load_model(asked.model)
    source = asked.recording or microphone()
    try:
        for update in model.diarize_generator(source, latency=asked.latency):
            show(update)
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)


def show(update) -> None:
    for event in update.events:  # audio that is missing, a speaker that turned out to be another one
        print(f"\r{event.message}", file=sys.stderr)
    for turn in update.final:  # never changes any more
        print(f"{turn.start:7.2f} {turn.end:7.2f}  {turn.speaker}", flush=True)
    speaking = ", ".join(turn.speaker for turn in update.tentative)  # as it looks now
    print(f"\r{update.time:7.2f} {speaking:30}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
