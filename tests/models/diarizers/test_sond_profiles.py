"""Profiles out of whatever there is of a voice."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from sond_files import CONVERSATION, SIZE, people, tiny_embedder

from speakerdiar.audio import load
from speakerdiar.clustering.affinity import directions
from speakerdiar.errors import ConfigError, InputError
from speakerdiar.models.diarizers.sond_profiles import ProfileMaker
from speakerdiar.voiceprint import Voiceprints

RATE = 16000
VECTOR = np.arange(1, SIZE + 1, dtype=np.float32)


def maker(**options: Any) -> ProfileMaker:
    return ProfileMaker(**{"embedder": tiny_embedder(), "dimension": SIZE, "most": 6, **options})


@pytest.fixture(scope="module")
def clip() -> np.ndarray:
    return load(CONVERSATION)[RATE : 3 * RATE]


def test_paths_samples_pairs_and_vectors(clip: np.ndarray, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "ana.wav", clip, RATE, subtype="FLOAT")
    file = io.BytesIO((tmp_path / "ana.wav").read_bytes())
    given = {
        "Ana": tmp_path / "ana.wav",
        "Ben": clip,
        "Cy": (clip, RATE),
        "Di": VECTOR,
        "Eve": file,
    }
    found = maker(sample_rate=RATE).make(given)
    embedded = tiny_embedder().embed(clip)[0]
    assert found.names == tuple(given)
    assert found.vectors == pytest.approx(np.stack([embedded, embedded, embedded, VECTOR, embedded]))


def test_several_clips_of_one_person(clip: np.ndarray) -> None:
    found = maker(sample_rate=RATE).make({"Ana": [clip[:RATE], clip[RATE:], VECTOR]})
    each = np.stack([*(tiny_embedder().embed(part)[0] for part in (clip[:RATE], clip[RATE:])), VECTOR])
    assert found.vectors[0] == pytest.approx(directions(each).mean(axis=0))


def test_voiceprints_pairs_and_what_was_made_before() -> None:
    voices = Voiceprints.of({"Ana": VECTOR, "Ben": -VECTOR})
    found = maker().make(voices)
    assert found.names == ("Ana", "Ben")
    assert found.vectors == pytest.approx(voices.vectors)
    assert maker().make(found) is found
    assert maker().make([("Ana", VECTOR)]).names == ("Ana",)


def test_speakers_without_names_are_numbered() -> None:
    rows = np.stack([VECTOR, VECTOR * 0, -VECTOR, VECTOR * 0])
    found = maker().make(rows)
    assert found.names == ("spk1", "spk2", "spk3")  # FunASR fills up with zeros
    assert np.array_equal(found.vectors, rows[:3])
    assert maker().numbered([VECTOR, -VECTOR]).names == ("spk1", "spk2")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "nobody is in them"),
        (np.zeros((2, SIZE)), "nobody is in them"),
        (people(7), "7 people, and this model takes 6"),
        (np.ones((7, SIZE)), "7 people, and this model takes 6"),
        ([("Ana", VECTOR), ("Ben", VECTOR), ("Ana", VECTOR)], "'Ana' is there twice"),
        ({"SPEAKER_00": VECTOR}, "names like this stand for unknown speakers"),
        ({"Ana": VECTOR, " ": VECTOR}, "printable characters"),
        ({"Ana": np.ones(SIZE + 1)}, "profile of 'Ana' has 9 numbers, and this model takes 8"),
        ({"Ana": VECTOR * np.nan}, "profile of 'Ana' holds NaN"),
        ({"Ana": VECTOR * 0}, "profile of 'Ana' is silent"),
        ({"Ana": (np.zeros(RATE), RATE)}, "profile of 'Ana' is silent"),
        ({"Ana": (np.zeros(0), RATE)}, "profile of 'Ana' is silent"),
        ({"Ana": []}, "profile of 'Ana' is an empty list"),
        ({"Ben": VECTOR, "Ana": "missing.wav"}, r"profile of 'Ana': missing\.wav"),
        ({"Ana": 3}, "profile of 'Ana': .* is int"),
        (np.ones((2, SIZE + 1)), r"an array of shape \(2, 9\)"),
        ("ana.wav", "give a mapping from names"),
        (["ana.wav"], "give a mapping from names"),
        (3, "profiles=3: give a mapping"),
    ],
)
def test_what_cant_be_used_names_the_person(given: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        maker().make(given)


def test_a_vector_of_another_size_is_no_clip() -> None:
    with pytest.raises(InputError, match="'Ana' has 192 numbers"):
        maker(sample_rate=RATE).make({"Ana": np.ones(192)})


def test_clips_need_an_embedder() -> None:
    with pytest.raises(ConfigError, match=r"'Ana' is a clip.*embedder='path/to/sv\.pb', or give vectors of 8 numbers"):
        maker(embedder=None).make({"Ana": "ana.wav"})
    assert maker(embedder=None).make({"Ana": VECTOR}).names == ("Ana",)
