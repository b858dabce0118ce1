"""Scenes by name, for recipes that simulate what they learn from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from speakerdiar.errors import ConfigError, closest
from speakerdiar.simulation.channel import Channel
from speakerdiar.simulation.conversation import Acoustics
from speakerdiar.simulation.scene import TALKS, Scene
from speakerdiar.simulation.scene_file import load_scene
from speakerdiar.simulation.turn_taking import TurnTaking

HEATED = (
    TurnTaking(turn_hold=0.1, turn_switch=0.3, interruption=0.4, backchannel=0.2, hold_pause=0.3, switch_pause=0.2,
               overlap=1.5, turn_length=3.5),
    TurnTaking(turn_hold=0.15, turn_switch=0.4, interruption=0.3, backchannel=0.15, hold_pause=0.5, switch_pause=0.3,
               overlap=1.0, turn_length=1.8),
)  # fmt: skip
"""Debates in which people cut one another short: overlap is rare elsewhere, and hard to learn from rare examples."""

SCENES: Mapping[str, Scene] = {
    "clean": Scene(talks=(TALKS[0], TALKS[3])),
    "varied": Scene(
        alone=0.2,
        talks=(*TALKS, HEATED[0], *HEATED),
        speed=(0.87, 1.15),
        acoustics=Acoustics(
            level_spread=4, turn_spread=2.5, snr=(3, 35), room=0.6, reverberation=(0.12, 0.7), direct=(-3, 15)
        ),
        noise=0.7,
        babble=0.15,
        clicks=0.25,
        channel=Channel(
            telephone=0.15,
            codec=0.25,
            codecs=("ulaw", "gsm", "mp3", "vorbis", "ulaw", "adpcm"),
            clipping=0.05,
            level=(-45, -8),
        ),
    ),
}
"""Dry and lively, or of all kinds: rooms, noise, telephones, levels, and in a fifth of them one voice alone."""


def scene_named(scene: str, seconds: float, speakers: tuple[int, int]) -> Scene:
    """Return a scene by its name in SCENES, or from a YAML file (`speakerdiar.simulation.scene_file`).

    Args:
        scene: name or path.
        seconds: length of its conversations.
        speakers: least and most.

    Raises:
        ConfigError: neither a name nor a file, or a scene that can't be used.
    """
    if scene in SCENES:
        found = SCENES[scene]
    elif Path(scene).suffix in (".yaml", ".yml"):
        found = load_scene(scene)
    else:
        raise ConfigError(f"scene={scene!r}: give a YAML file, or one of {', '.join(SCENES)}.{closest(scene, SCENES)}")
    return replace(found, seconds=seconds, speakers=speakers)
