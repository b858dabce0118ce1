"""Scenes come out of YAML as they were put down, and what real turns measure goes in again."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from speakerdiar.annotation import Diarization, Turn
from speakerdiar.errors import ConfigError, FormatError, InputError, UnknownOptionError
from speakerdiar.simulation import Acoustics, TurnTaking
from speakerdiar.simulation.channel import Channel
from speakerdiar.simulation.fitted_talk import fitted, proportioned
from speakerdiar.simulation.scene import Scene
from speakerdiar.simulation.scene_file import load_scene, scene_of, talk_like

SCENE = """
seconds: 60
speakers: [2, 4]
speed: [0.9, 1.1]
noise: 0.5
talks:
  - {turn_hold: 0.3, turn_switch: 0.4, interruption: 0.2, backchannel: 0.1}
  - {turn_length: 4}
acoustics: {room: 0.5, reverberation: [0.2, 0.8], snr: [5, 20], room_model: image}
channel: {telephone: 0.2, codec: 0.5, codecs: [gsm, opus], level: [-45, -20], bits: 24}
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "scene.yaml"
    path.write_text(text)
    return path


def plain(value: Any) -> Any:
    """Values as YAML holds them: tuples are lists."""
    if isinstance(value, dict):
        return {key: plain(held) for key, held in value.items()}
    return [plain(held) for held in value] if isinstance(value, tuple | list) else value


def test_what_stands_there_is_taken_and_the_rest_stays(tmp_path: Path) -> None:
    assert load_scene(written(tmp_path, SCENE)) == Scene(
        seconds=60,
        speakers=(2, 4),
        speed=(0.9, 1.1),
        noise=0.5,
        talks=(TurnTaking(0.3, 0.4, 0.2, 0.1), TurnTaking(turn_length=4)),
        acoustics=Acoustics(room=0.5, reverberation=(0.2, 0.8), snr=(5, 20), room_model="image"),
        channel=Channel(telephone=0.2, codec=0.5, codecs=("gsm", "opus"), level=(-45, -20), bits=24),
    )


@pytest.mark.parametrize("scene", [Scene(), Scene(alone=0.25, channel=Channel(codecs=("mp3",)))])
def test_every_field_can_stand_there(scene: Scene) -> None:
    assert scene_of(plain(asdict(scene))) == scene
    assert scene_of({}) == Scene()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("second: 3", r"Scene has no option 'second'\. Did you mean 'seconds'"),
        ("acoustics: {rom: 1}", r"Acoustics has no option 'rom'\. Did you mean 'room'"),
        ("talks: [{turn_hol: 1}]", r"TurnTaking has no option 'turn_hol'"),
    ],
)
def test_a_typo_names_the_closest_key(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UnknownOptionError, match=message):
        load_scene(written(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seconds: long", "seconds='long': give a number"),
        ("noise: true", "noise=True: give a number"),
        ("speakers: 3", r"speakers=3: give \[least, most\]"),
        ("speakers: [1.5, 2]", "speakers="),
        ("speakers: [4, 2]", r"speakers=\(4, 2\)"),
        ("acoustics: {snr: [3]}", "snr="),
        ("acoustics: 3", "acoustics=3: give keys and values"),
        ("acoustics: {room_model: 3}", "room_model=3: give a name"),
        ("talks: {turn_hold: 1}", "talks=.*: give a list of ways to take turns"),
        ("channel: {codecs: gsm}", "codecs='gsm': give a list of names"),
        ("channel: {bits: 12.5}", "bits=12.5: give a whole number"),
    ],
)
def test_values_that_cannot_be_are_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_scene(written(tmp_path, text))


@pytest.mark.parametrize("text", ["seconds: [1", "- seconds\n", "seconds: 1\nseconds: 2\n"])
def test_what_is_no_scene_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(FormatError, match=r"scene\.yaml: "):
        load_scene(written(tmp_path, text))


def test_a_missing_file() -> None:
    with pytest.raises(ConfigError, match=r"gone\.yaml: there is no such file"):
        load_scene("gone.yaml")


def test_how_real_people_take_turns_is_a_scene(tmp_path: Path) -> None:
    plan = TurnTaking(turn_length=3, overlap=0.8).plan(3, 2000, np.random.default_rng(0))
    reference = Diarization("a", 2000, tuple(Turn(turn.start, turn.end, f"s{turn.speaker}") for turn in plan))
    text = talk_like([reference])
    assert text.startswith("# 1 recordings, 0.56 h; overlap ")
    assert "3 to 3 speakers, 3.0 on average" in text
    (found,) = load_scene(written(tmp_path, text)).talks
    assert list(asdict(found).values()) == pytest.approx(list(asdict(fitted([reference])).values()), rel=1e-3)
    real = proportioned(TurnTaking.measured([reference]))
    assert f"overlap: {found.overlap:.4g}  # {real.overlap:.4g}\n" in text


def test_turns_without_any_sequence_measure_nothing() -> None:
    with pytest.raises(InputError, match="No reference has two turns"):
        talk_like([Diarization("a", 3, (Turn(0, 1, "s"),))])
    with pytest.raises(InputError, match="No reference has two turns"):
        talk_like([])
