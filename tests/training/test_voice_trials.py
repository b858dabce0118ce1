"""Trials of voices: pairs within a group, and error rates that follow the vectors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from speakerdiar.annotation import Turn
from speakerdiar.errors import InputError
from speakerdiar.recording import Recording
from speakerdiar.simulation.clips import ClipPool
from speakerdiar.simulation.conversation import Clip
from speakerdiar.training.recordings import ReferencedRecording
from speakerdiar.training.voice_trials import Embedded, SideBatches, curve, figures, held_out_sides, recorded_sides

RNG = np.random.default_rng(0)
POOL = ClipPool(
    {name: [Clip(RNG.standard_normal(24000).astype(np.float32))] for name in "abcd"},
    {"a": "one", "b": "one", "c": "two", "d": "two"},
)
PEOPLE = np.repeat(np.arange(4), 5)


def found(vectors: np.ndarray, groups: np.ndarray | None = None) -> Embedded:
    return Embedded("eer", vectors.astype(np.float32), PEOPLE, np.zeros(20, dtype=int) if groups is None else groups)


def test_vectors_that_say_the_person_make_no_error_and_chance_makes_half() -> None:
    assert figures([found(np.eye(4)[PEOPLE])]) == {"eer": 0.0}
    assert 35 < figures([found(RNG.standard_normal((20, 64)))])["eer"] < 65


def test_sides_of_different_groups_are_not_compared() -> None:
    vectors = np.eye(4)[PEOPLE // 2]  # the same for two people
    assert figures([found(vectors)])["eer"] > 10
    assert figures([found(vectors, PEOPLE % 2)])["eer"] == 0
    assert curve([found(vectors, PEOPLE % 2)]).targets == 4 * 10


def test_what_all_share_is_taken_off() -> None:
    shared = np.array([0.6, 0.0, 0.0, 0.0])
    vectors = np.eye(4)[PEOPLE] * 0.2 + shared * (1 + 0.2 * RNG.random((20, 1)))
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    assert curve([found(vectors)], units.mean(axis=0).astype(np.float32)).eer_threshold < 0.9
    assert curve([found(vectors)]).eer_threshold > 0.9


def test_sides_are_the_same_each_time_and_half_of_them_distorted() -> None:
    sides, again = (held_out_sides(POOL, [], 7, {"eer": 1.0, "eer_short": 0.5}, each=2) for _ in range(2))
    assert [(one.figure, tuple(one.inputs.shape)) for one in sides] == [("eer", (16, 16000)), ("eer_short", (16, 8000))]
    for one, two in zip(sides, again, strict=True):
        torch.testing.assert_close(one.inputs, two.inputs)
    assert sides[0].people.tolist() == np.repeat(np.arange(4), 4).tolist()
    assert sides[0].groups.tolist() == np.repeat([0, 1], 8).tolist()
    power = sides[0].inputs.reshape(4, 2, -1).square().mean(dim=2)
    assert power[:, 1].std() > 10 * power[:, 0].std()  # other levels where it is distorted


def test_batches_hold_the_features_of_all_sides_in_order() -> None:
    sides = held_out_sides(POOL, [], 7, {"eer": 0.5}, each=2)
    batches = SideBatches(sides, torch.nn.Identity(), size=5)
    assert [len(batch.people) for batch in (batches[index] for index in range(len(batches)))] == [5, 5, 5, 1]
    torch.testing.assert_close(torch.cat([batches[index].inputs for index in range(4)]), sides[0].inputs)


def test_a_pool_without_corpora_is_one_group() -> None:
    sides = held_out_sides(ClipPool(POOL.voices), [], 7, {"eer": 0.5}, each=1)
    assert set(sides[0].groups.tolist()) == {-1}


def recorded(path: Path, *turns: Turn) -> ReferencedRecording:
    """A recording of four seconds whose samples say where they are."""
    soundfile.write(path, np.linspace(0, 0.5, 64000), 16000)
    return ReferencedRecording(Recording(path.stem, str(path)), 4.0, turns)


def test_sides_of_recordings_are_of_one_voice_alone(tmp_path: Path) -> None:
    first = recorded(tmp_path / "x.wav", Turn(0.0, 2.2, "a"), Turn(2.0, 4.0, "b"))
    second = recorded(tmp_path / "y.wav", Turn(1.0, 2.0, "a"))
    sides = recorded_sides([first, second], seconds=0.9)
    assert sides.people.tolist() == [0, 0, 1, 1, 2]
    assert sides.groups.tolist() == [0, 0, 0, 0, 1]
    starts = sides.inputs[:, 0] / 0.5 * 4
    np.testing.assert_allclose(starts, [0.0, 0.9, 2.2, 3.1, 1.0], atol=0.01)
    with pytest.raises(InputError, match="nobody talks alone for 3"):
        recorded_sides([first], seconds=3.0)
