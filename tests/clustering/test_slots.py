"""The template: which embeddings count, counts met in the labels, and pyannote's faults absent unless asked for."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clustering_agreement import agreement
from hypothesis import given, settings
from hypothesis import strategies as st
from slot_scenes import FRAMES, Scene, meeting, plain_plda, scene

from speakerdiar.clustering.ahc import AhcClusterer
from speakerdiar.clustering.slot_ahc import AhcSlots
from speakerdiar.clustering.slot_any import AnySlots
from speakerdiar.clustering.slot_vbx import VbxSlots
from speakerdiar.clustering.slots import SlotClusterer
from speakerdiar.config import SpeakerCount
from speakerdiar.errors import ConfigError, SpeakerCountError

CLUSTERERS: list[SlotClusterer] = [
    AhcSlots(min_cluster_size=2),
    VbxSlots(plain_plda()),
    AnySlots(AhcClusterer()),
    AnySlots(AhcClusterer(), constrained=False),
]
every_clusterer = pytest.mark.parametrize("clusterer", CLUSTERERS, ids=["ahc", "vbx", "any", "any_free"])


@every_clusterer
@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_speakers_are_found(clusterer: SlotClusterer, exact: bool, dtype: Any) -> None:
    made = meeting(4, 40)
    made = dataclasses.replace(made, embeddings=made.embeddings.astype(dtype))
    found = made.clustered(clusterer, exact=exact)
    talks = made.who >= 0
    assert (found.labels[~talks] == -1).all()
    assert agreement(found.labels[talks], made.who[talks]) == 1.0
    assert found.labels.dtype == np.int64
    assert found.centroids.shape == (4, 16)
    assert found.soft.shape == (*talks.shape, 4)
    assert (found.soft[talks].argmax(axis=1) == found.labels[talks]).all()
    assert np.isnan(found.soft[~talks]).all() or exact
    assert (found.train_labels == found.labels[tuple(found.train.T)]).all()
    if not exact:
        names = found.labels[talks]
        assert names[np.sort(np.unique(names, return_index=True)[1])].tolist() == [0, 1, 2, 3]


@every_clusterer
@settings(max_examples=40)
@given(seed=st.integers(0, 10**6), windows=st.integers(1, 8), speakers=st.integers(1, 5), data=st.data())
def test_labels_meet_the_count(
    clusterer: SlotClusterer, seed: int, windows: int, speakers: int, data: st.DataObject
) -> None:
    draw = np.random.default_rng(seed)
    made = meeting(speakers, windows, noise=draw.choice([0.0, 0.3, 3.0]), seed=seed)
    made = dataclasses.replace(made, alone=draw.integers(0, 60, size=made.who.shape) * (made.who >= 0))
    made.embeddings[draw.random(made.who.shape) < 0.1] = np.nan
    least = data.draw(st.integers(1, 6))
    most = data.draw(st.none() | st.integers(least, 8))
    usable = int(np.isfinite(made.embeddings).all(axis=2).sum())
    talks = made.who >= 0
    if talks.any() and least > 1 and usable < least:
        with pytest.raises(SpeakerCountError, match=f"only {usable} of {talks.sum()} local speakers"):
            made.clustered(clusterer, None, least, most)
        return
    found = made.clustered(clusterer, None, least, most)
    numbers = np.unique(found.labels[talks])
    assert (found.labels[~talks] == -1).all()
    assert (numbers == np.arange(len(found.centroids))).all()
    if talks.any():
        assert SpeakerCount(least, most).clip(len(numbers)) == len(numbers)
    assert np.isfinite(found.centroids).all() or usable == 0


def speaks_little() -> Scene:
    """Eight people, three of whom talk alone for long enough, one only in overlap."""
    return scene(np.arange(8).reshape(4, 2), alone=np.array([[50, 50], [50, 5], [5, 5], [5, 0]]))


@every_clusterer
def test_more_speakers_than_long_turns_are_found_among_short_ones(clusterer: SlotClusterer) -> None:
    made = speaks_little()
    assert len(made.clustered(clusterer, 3).train) == 3
    assert len(made.clustered(clusterer, 4).train) == 7
    eight = made.clustered(clusterer, 8)
    assert len(eight.train) == 8
    assert len(np.unique(eight.labels)) == len(eight.centroids) == 8
    with pytest.raises(SpeakerCountError, match="9 speakers were asked for, but only 8 of 8 local speakers"):
        made.clustered(clusterer, 9)


@every_clusterer
@pytest.mark.parametrize("exact", [False, True])
def test_more_clusters_than_a_byte_counts(clusterer: SlotClusterer, exact: bool) -> None:
    made = scene(np.arange(150).reshape(50, 3), size=256, noise=0.0)
    if isinstance(clusterer, VbxSlots):
        clusterer = VbxSlots(plain_plda(256, 500.0), fa=1.0)
    elif isinstance(clusterer, AhcSlots):
        clusterer = AhcSlots(min_cluster_size=1, constrained=True)
    found = made.clustered(clusterer, exact=exact)
    assert (np.unique(found.labels) == np.arange(150)).all()


@pytest.mark.parametrize("clusterer", [AhcSlots(constrained=True), VbxSlots(plain_plda())], ids=["ahc", "vbx"])
def test_with_fewer_clusters_than_slots_everyone_who_talks_is_somebody(clusterer: SlotClusterer) -> None:
    made = scene([[0, 0, 0], [0, 0, -1], [0, -1, -1]])
    found = made.clustered(clusterer)
    assert found.labels.tolist() == [[0, 0, 0], [0, 0, -1], [0, -1, -1]]
    # pyannote leaves the others without a speaker.
    theirs = made.clustered(clusterer, exact=True).labels
    assert ((theirs == 0).sum(axis=1) <= 1).all()


@pytest.mark.parametrize("number", [1, 2, 3])
@every_clusterer
def test_few_embeddings_make_the_speakers_asked_for(clusterer: SlotClusterer, number: int) -> None:
    made = scene([[0, 1, 2]], alone=np.array([[50, 5, 5]]))
    found = made.clustered(clusterer, number)
    assert (np.unique(found.labels) == np.arange(number)).all()
    assert np.isfinite(found.centroids).all()
    # pyannote takes one embedding for one speaker, whatever was asked for.
    assert (made.clustered(clusterer, number, exact=True).labels == 0).all()


@every_clusterer
def test_no_embedding_at_all_is_one_speaker(clusterer: SlotClusterer) -> None:
    made = meeting(3, 5)
    made.embeddings[:] = np.nan
    talks = made.who >= 0
    for exact in (False, True):
        found = made.clustered(clusterer, exact=exact)
        assert (found.labels == np.where(talks, 0, -1)).all()
        assert np.isnan(found.centroids).all()
        assert found.centroids.shape == (1, 16)
    with pytest.raises(SpeakerCountError, match="2 speakers were asked for, but only 0 of"):
        made.clustered(clusterer, 2)


@every_clusterer
@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("windows", [0, 3])
def test_where_nobody_talks_there_is_nobody(clusterer: SlotClusterer, windows: int, exact: bool) -> None:
    silence = scene(np.full((3, 3), -1))
    cut = Scene(**{name: value[:windows] for name, value in vars(silence).items()})
    found = cut.clustered(clusterer, 2, exact=exact)
    assert found.labels.shape == (windows, 3)
    assert (found.labels == -1).all()
    assert found.centroids.shape == (0, 16)
    assert found.soft.shape == (windows, 3, 0)


@pytest.mark.parametrize("exact", [False, True])
def test_silent_slots_with_embeddings_are_left_aside(exact: bool) -> None:
    made = meeting(3, 30)
    talks = made.who >= 0
    made.embeddings[~talks] = 7.0
    found = made.clustered(VbxSlots(plain_plda()), exact=exact)
    assert agreement(found.labels[talks], made.who[talks]) == 1.0
    assert (found.labels[~talks] == -1).all()
    assert talks[tuple(found.train.T)].all()


@every_clusterer
def test_a_file_on_disk_gives_the_same_and_stays_as_it_is(clusterer: SlotClusterer, tmp_path: Path) -> None:
    made = meeting(4, 30)
    stored = made.embeddings.astype(np.float16)
    np.save(tmp_path / "embeddings.npy", stored)
    mapped = dataclasses.replace(made, embeddings=np.load(tmp_path / "embeddings.npy", mmap_mode="r"))
    found = mapped.clustered(clusterer, 3)
    expected = dataclasses.replace(made, embeddings=stored.copy()).clustered(clusterer, 3)
    assert (found.labels == expected.labels).all()
    np.testing.assert_array_equal(np.load(tmp_path / "embeddings.npy"), stored)


def test_lost_speakers_come_back() -> None:
    # Clusters of equal embeddings have the same mean: assignment takes one of them for all.
    made = scene([[0], [0], [0], [0]], noise=0.0)
    found = made.clustered(AnySlots(AhcClusterer()), 2)
    assert sorted(np.unique(found.labels)) == [0, 1]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("embeddings", np.zeros((40, 3))),
        ("embeddings", np.zeros((40, 3, 16), int)),
        ("alone", np.zeros((40, 2))),
        ("spoken", np.zeros(40)),
    ],
)
def test_shapes_must_fit(name: str, value: Any) -> None:
    made = dataclasses.replace(meeting(2, 40), **{name: value})
    with pytest.raises(ConfigError, match="give floats"):
        made.clustered(AhcSlots())


@pytest.mark.parametrize("ratio", [-0.1, 1.1, float("nan")])
def test_a_ratio_is_a_share(ratio: float) -> None:
    with pytest.raises(ConfigError, match="min_active_ratio="):
        AhcSlots(min_active_ratio=ratio)


def test_the_ratio_decides_what_is_clustered() -> None:
    made = scene([[0, 1], [0, 1]], alone=np.array([[FRAMES, 20], [19, 0]]))
    assert made.clustered(AhcSlots(min_active_ratio=0.2)).train.tolist() == [[0, 0], [0, 1]]
    assert made.clustered(AhcSlots(min_active_ratio=0.1)).train.tolist() == [[0, 0], [0, 1], [1, 0]]
