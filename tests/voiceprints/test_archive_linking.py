"""The same names all over an archive."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes_roles import FakeEmbedder

from speakerdiar.annotation import Diarization, Turn
from speakerdiar.clustering.affinity import directions
from speakerdiar.errors import ConfigError, FormatError, InputError
from speakerdiar.formats import json_doc
from speakerdiar.mixins.embedding import EmbeddingMixin
from speakerdiar.voiceprint import Voiceprints
from speakerdiar.voiceprints.appearances import WhoIsWhere
from speakerdiar.voiceprints.archive import Archive
from speakerdiar.voiceprints.linking import link_recordings

SIZE = 48
PEOPLE = dict(zip("abcd", directions(np.random.default_rng(0).normal(size=(4, SIZE))), strict=True))


@dataclass(frozen=True)
class Voices:
    """Enrolled voices without a store."""

    held: Voiceprints
    threshold: float = 0.7
    embedder: EmbeddingMixin = field(default_factory=FakeEmbedder)

    def voiceprints(self) -> Voiceprints:
        return self.held


def talk(id: str, people: str, seed: int = 0, seconds: float = 10.0) -> Diarization:
    """A recording in which people speak in turn, each of them twice; vectors with some scatter."""
    random = np.random.default_rng([seed, *id.encode()])
    names = [f"SPEAKER_{index:02d}" for index in range(len(people))]
    turns = [Turn(k * seconds, (k + 1) * seconds, name) for k, name in enumerate(names + names)]
    noise = 0.4 / np.sqrt(SIZE) * random.normal(size=(len(people), SIZE))
    vectors = {n: (PEOPLE[p] + e).astype(np.float32) for n, p, e in zip(names, people, noise, strict=True)}
    return Diarization(id, 2 * seconds * len(people), tuple(turns), embeddings=vectors)


def speakers(results: Any) -> list[str]:
    return [" ".join(name.removeprefix("PERSON_") for name in result.speakers) for result in results]


def test_numbers_follow_ids_and_first_appearance() -> None:
    linked = link_recordings([talk("2", "ca"), talk("1", "ab"), talk("3", "bd")], threshold=0.6)
    assert speakers(linked.results) == ["0003 0001", "0001 0002", "0002 0004"]
    assert [result.recording_id for result in linked.results] == ["2", "1", "3"]
    assert set(linked.results[0].embeddings) == {"PERSON_0003", "PERSON_0001"}


def test_added_recordings_keep_the_names(tmp_path: Path) -> None:
    first = link_recordings([talk("5", "ab"), talk("6", "bc")], threshold=0.6)
    first.archive.save(tmp_path / "archive.json", FakeEmbedder())
    known = Archive.load(tmp_path / "archive.json", FakeEmbedder())
    # The new ones come before the old ones in the alphabet, and bring someone new.
    more = [talk("5", "ab"), talk("6", "bc"), talk("1", "dc"), talk("2", "ad")]
    second = link_recordings(more, threshold=0.6, known=known)
    assert speakers(second.results) == ["0001 0002", "0002 0003", "0004 0003", "0001 0004"]
    assert second.archive.names == tuple(f"PERSON_{number:04d}" for number in (1, 2, 3, 4))
    # Nothing new, nothing changes.
    third = link_recordings(more, threshold=0.6, known=second.archive)
    assert speakers(third.results) == speakers(second.results)
    np.testing.assert_array_equal(third.archive.means, second.archive.means)


def test_a_recording_that_was_diarized_anew_is_linked_anew() -> None:
    first = link_recordings([talk("1", "ab"), talk("2", "ab")], threshold=0.6)
    second = link_recordings([talk("1", "ba"), talk("2", "ab")], threshold=0.6, known=first.archive)
    assert speakers(second.results) == ["0002 0001", "0001 0002"]


def test_enrolled_voices_give_names() -> None:
    voices = Voices(Voiceprints.of({"Ana": PEOPLE["a"], "Ben": PEOPLE["b"]}))
    linked = link_recordings([talk("1", "ca"), talk("2", "bc"), talk("3", "dab")], threshold=0.6, voices=voices)
    assert speakers(linked.results) == ["0001 Ana", "Ben 0001", "0002 Ana Ben"]
    identified = linked.results[2].identified
    assert list(identified) == ["Ana", "Ben"]
    assert all(score > 0.8 for score in identified.values())


def test_a_known_person_who_enrols_has_that_name_from_then_on() -> None:
    first = link_recordings([talk("1", "ab"), talk("2", "ca")], threshold=0.6)
    voices = Voices(Voiceprints.of({"Ana": PEOPLE["a"]}))
    second = link_recordings([talk("1", "ab"), talk("3", "dca")], threshold=0.6, voices=voices, known=first.archive)
    assert speakers(second.results) == ["Ana 0002", "0004 0003 Ana"]
    # The name stays without the store, and the number isn't given again.
    third = link_recordings([talk("4", "a"), talk("5", "c")], threshold=0.6, known=second.archive)
    assert speakers(third.results) == ["Ana", "0003"]


def test_nobody_has_an_enrolled_name_twice_in_a_recording() -> None:
    voices = Voices(Voiceprints.of({"Ana": PEOPLE["a"]}), threshold=0.5)
    linked = link_recordings([talk("1", "aa"), talk("2", "aa", seed=1)], threshold=0.5, voices=voices)
    assert [sorted(result.speakers) for result in linked.results] == [["Ana", "PERSON_0001"]] * 2


def test_who_was_identified_before_keeps_the_name() -> None:
    named = replace(talk("2", "cb").renamed({"SPEAKER_00": "Cleo"}), identified={"Cleo": 0.9})
    linked = link_recordings([talk("1", "ac"), named], threshold=0.6)
    assert speakers(linked.results) == ["0001 Cleo", "Cleo 0002"]
    assert linked.results[1].identified == {"Cleo": 0.9}
    assert linked.results[0].identified == {}


def test_silence_and_recordings_without_speech() -> None:
    mute = talk("2", "ab")
    mute = replace(
        mute,
        embeddings=dict(zip(mute.speakers, [mute.embeddings["SPEAKER_00"], np.zeros(SIZE, np.float32)], strict=True)),
    )
    linked = link_recordings([talk("1", "ab"), mute, Diarization("3", 5.0)], threshold=0.6)
    assert speakers(linked.results) == ["0001 0002", "0001 0003", ""]
    assert link_recordings([], threshold=0.6).results == ()
    assert link_recordings([Diarization("3", 5.0)], threshold=0.6).results == (Diarization("3", 5.0),)


@pytest.mark.parametrize(
    ("results", "said"),
    [
        ([talk("1", "a"), talk("1", "b")], "Two recordings are called '1'"),
        ([replace(talk("1", "a"), embeddings={})], "1: SPEAKER_00 has no embedding"),
        (
            [talk("1", "a"), replace(talk("2", "a"), embeddings={"SPEAKER_00": np.ones(3, np.float32)})],
            r"\(48,\) in 1, \(3,\) in 2",
        ),
    ],
)
def test_what_cannot_be_linked_is_refused(results: list[Diarization], said: str) -> None:
    with pytest.raises(InputError, match=said):
        link_recordings(results, threshold=0.6)


def test_a_threshold_is_known_for_some_embedders_only() -> None:
    with pytest.raises(ConfigError, match="FakeEmbedder: give one"):
        link_recordings([talk("1", "a")], embedder=FakeEmbedder())
    with pytest.raises(ConfigError, match="threshold=0"):
        link_recordings([], threshold=0)
    with pytest.raises(ConfigError, match="no embedder: give one"):
        link_recordings([talk("1", "a")])


class CentredEmbedder(FakeEmbedder):
    """All its voices have something large in common."""

    @property
    def centre(self) -> Any:
        return np.full(SIZE, 0.13, np.float32)


def test_what_all_voices_share_does_not_count() -> None:
    def moved(result: Diarization) -> Diarization:
        return replace(result, embeddings={name: v + 0.4 for name, v in result.embeddings.items()})

    held = {name: PEOPLE[name] + 0.4 for name in "ab"}
    results = [moved(talk("1", "ab")), moved(talk("2", "cd")), moved(talk("3", "ac"))]
    assert speakers(link_recordings(results, threshold=0.6).results)[1] != "0003 0004"
    embedder = CentredEmbedder()
    first = link_recordings(results, threshold=0.6, embedder=embedder)
    assert speakers(first.results) == ["0001 0002", "0003 0004", "0001 0003"]
    voices = Voices(Voiceprints.of({"Ana": held["a"], "Ben": held["b"]}), threshold=0.6)
    again = link_recordings(
        [moved(talk("4", "dab"))], threshold=0.6, embedder=embedder, known=first.archive, voices=voices
    )
    assert speakers(again.results) == ["0004 Ana Ben"]


def test_an_archive_reads_as_it_was_written(tmp_path: Path) -> None:
    archive = link_recordings([talk("1", "ab"), talk("ü/2", "bc")], threshold=0.6).archive
    path = archive.save(tmp_path / "new" / "archive.json", FakeEmbedder())
    assert path.stat().st_mode & 0o777 == 0o600
    read = Archive.load(path, FakeEmbedder())
    assert (read.names, read.recordings, read.numbers) == (archive.names, archive.recordings, 3)
    np.testing.assert_allclose(read.means, archive.means, atol=1e-7)
    np.testing.assert_allclose(read.seconds, archive.seconds)
    assert read.has(json_doc.loads(json_doc.dumps(talk("1", "ab"))))
    assert not read.has(talk("1", "ab", seconds=11.0))
    empty = Archive.load(Archive().save(tmp_path / "empty.json", FakeEmbedder()), FakeEmbedder())
    assert speakers(link_recordings([talk("1", "a")], threshold=0.6, known=empty).results) == ["0001"]


def _of_another_version(held: dict[str, Any]) -> None:
    held["version"] = 2


def _without_a_person(held: dict[str, Any]) -> None:
    held["persons"].pop()


def _with_a_short_mean(held: dict[str, Any]) -> None:
    held["persons"][0]["mean"] = held["persons"][0]["mean"][:8]


def _with_two_of_one_name(held: dict[str, Any]) -> None:
    held["persons"][0]["name"] = held["persons"][1]["name"]


def _with_a_list(held: dict[str, Any]) -> None:
    held["recordings"] = []


def _with_negative_seconds(held: dict[str, Any]) -> None:
    held["persons"][0]["seconds"] = -1


@pytest.mark.parametrize(
    "damage",
    [
        _of_another_version,
        _without_a_person,
        _with_a_short_mean,
        _with_two_of_one_name,
        _with_a_list,
        _with_negative_seconds,
    ],
)
def test_a_damaged_archive_is_refused(tmp_path: Path, damage: Any) -> None:
    path = link_recordings([talk("1", "ab")], threshold=0.6).archive.save(tmp_path / "archive.json", FakeEmbedder())
    held = json.loads(path.read_text())
    damage(held)
    path.write_text(json.dumps(held))
    with pytest.raises(FormatError, match=r"archive\.json: isn't an archive of linked recordings, or is damaged"):
        Archive.load(path, FakeEmbedder())


def test_text_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "archive.json"
    for text in ("[]", "3", "{}"):
        path.write_text(text)
        with pytest.raises(FormatError, match="isn't an archive"):
            Archive.load(path, FakeEmbedder())
    path.write_text("{")
    with pytest.raises(FormatError, match="isn't JSON"):
        Archive.load(path, FakeEmbedder())


def test_an_archive_of_another_embedder_is_refused(tmp_path: Path) -> None:
    path = link_recordings([talk("1", "ab")], threshold=0.6).archive.save(tmp_path / "archive.json", FakeEmbedder())
    with pytest.raises(ConfigError, match="made by 'FakeEmbedder', and this embedder makes others"):
        Archive.load(path, FakeEmbedder(dimension=32))


def test_the_report_says_who_is_where() -> None:
    linked = link_recordings([talk("1", "ab"), talk("2", "cab"), talk("3", "d"), talk("4", "b")], threshold=0.6)
    report = linked.who_is_where
    assert [person.person for person in report.people] == [f"PERSON_000{number}" for number in (2, 1, 3, 4)]
    second = report.people[0]
    assert second.recordings == ("1", "2", "4")
    assert (second.seconds, second.turns, second.first, second.last) == (60.0, 6, 10.0, 20.0)
    assert second.together == (("PERSON_0001", 2), ("PERSON_0003", 1))
    rows = list(csv.DictReader(io.StringIO(report.to_csv())))
    assert rows[0]["together with"] == "PERSON_0001 (2), PERSON_0003 (1)"
    assert (rows[0]["first"], rows[0]["last"], rows[3]["together with"]) == ("1 10.0", "4 20.0", "")
    held = report.to_json()
    assert held["recordings"] == 4
    assert held["people"][2]["together"] == {"PERSON_0001": 1, "PERSON_0002": 1}
    table = report.to_table().splitlines()
    assert table[1].split()[:4] == ["PERSON_0002", "3", "60.0", "6"]
    assert table[-1] == "4 persons in 4 recordings, 2 of them in more than one."


def test_a_long_table_is_cut() -> None:
    results = [Diarization(f"{k:03d}", 1.0, (Turn(0, 1, f"p{k}"), Turn(0, 1, "host"))) for k in range(60)]
    table = WhoIsWhere.of(results).to_table().splitlines()
    assert len(table) == 1 + 50 + 3
    assert table[1].endswith("p0 (1), p1 (1), p10 (1), 57 more")
    assert table[51] == "and 11 more"
