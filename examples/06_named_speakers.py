"""Enrol two voices, then diarize with their names; whoever isn't enrolled stays SPEAKER_00, SPEAKER_01, ...

Ada and Ben are enrolled with turns of theirs, cut from the conversation that comes with the examples. The store is in
memory here; `VoiceprintStore("voices.db")` keeps it in a file.
"""

from pathlib import Path

import speakerdiar
from speakerdiar import Recording, VoiceprintStore

DATA = Path(__file__).parent / "data"
CONVERSATION = DATA / "conversation.flac"


def main() -> None:
    clips = longest_turns()
    with VoiceprintStore(":memory:") as store:
        for name in ("ada", "ben"):
            enrolled = store.enroll(name, clips[name][:2])  # a voice is biometric data: ask first
            print(f"{name}: {enrolled.person.clips} clips, {enrolled.person.seconds:.1f} s of speech")
            for warning in enrolled.warnings:
                print("  mind:", warning)

        model = speakerdiar.load_model()
        [diarization] = model.diarize(CONVERSATION, voiceprints=store)
        for turn in diarization:
            print(f"{turn.start:7.2f} {turn.end:7.2f}  {turn.speaker}")
        for name, score in diarization.identified.items():
            print(f"{name} is in it: score {score:.3f}, threshold {store.threshold:.3f}")

        for who in ("ada", "cleo"):  # turns that nobody was enrolled with
            found = store.identify(clips[who][2])
            print(f"a turn of {who} is of {found.name or 'nobody enrolled'}: score {found.score:.3f}")

        store.forget("ada")
        print("enrolled now:", ", ".join(store.names))


def longest_turns() -> dict[str, list[Recording]]:
    """Each speaker's turns, the longest first, as parts of the file: nothing is cut on disk."""
    [truth] = speakerdiar.load(DATA / "conversation.rttm")
    clips: dict[str, list[Recording]] = {speaker: [] for speaker in truth.speakers}
    for turn in sorted(truth, key=lambda turn: -turn.duration):
        part = Recording(f"{turn.speaker} {turn.start}", str(CONVERSATION), offset=turn.start, duration=turn.duration)
        clips[turn.speaker].append(part)
    return clips


if __name__ == "__main__":
    main()
