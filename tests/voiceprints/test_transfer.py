"""Voices on their way from one store to another."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes_roles import FakeEmbedder
from fakes_voices import tone, tone_store

from speakerdiar.errors import ConfigError, FormatError, InputError
from speakerdiar.voiceprints import VoiceprintStore


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    """Two people, one of them with two clips."""
    store = tone_store()
    store.enroll("Ana", [tone(300), tone(310, seconds=9)])
    store.enroll("Ben", tone(1500))
    store.export(tmp_path / "new" / "voices.json")
    return tmp_path / "new" / "voices.json"


def test_another_store_knows_the_voices(exported: Path) -> None:
    origin, other = tone_store(), tone_store()
    origin.enroll("Ana", [tone(300), tone(310, seconds=9)])
    origin.enroll("Ben", tone(1500))
    assert other.import_(exported) == ("Ana", "Ben")
    np.testing.assert_allclose(other.voiceprints().vectors, origin.voiceprints().vectors, atol=1e-7)
    assert [(p.name, p.clips, p.seconds) for p in other.people()] == [
        (p.name, p.clips, p.seconds) for p in origin.people()
    ]
    assert other.identify(tone(300)).name == "Ana"


def test_the_file_says_what_it_is_and_is_for_its_owners_eyes(exported: Path) -> None:
    document = json.loads(exported.read_text())
    assert (document["format"], document["version"]) == ("speakerdiar-voiceprints", 1)
    assert document["embedder"]["name"] == "FakeEmbedder"
    assert [sorted(person) for person in document["people"]] == [["clips", "name", "since"]] * 2
    assert sorted(document["people"][0]["clips"][0]) == ["seconds", "vector"]
    assert stat.S_IMODE(exported.stat().st_mode) == 0o600


def test_imports_add_what_is_new(exported: Path) -> None:
    store = tone_store()
    store.enroll("Ana", [tone(300), tone(320)])
    since = store.people()[0].since
    for _ in range(2):
        store.import_(exported)
        assert [(person.name, person.clips) for person in store.people()] == [("Ana", 3), ("Ben", 1)]
    assert store.people()[0].since == since


def test_an_empty_store_takes_the_embedder_of_the_file(exported: Path, tmp_path: Path) -> None:
    store = VoiceprintStore(tmp_path / "voices.db")
    store.import_(exported)
    assert store.embedder_name == "FakeEmbedder"
    assert tone_store(tmp_path / "voices.db").identify(tone(1500)).name == "Ben"


def test_voices_of_another_embedder_are_refused(exported: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"voices\.json: its voices were made by 'FakeEmbedder', and :memory: is for"):
        tone_store(embedder=FakeEmbedder(dimension=24)).import_(exported)
    other = tone_store(tmp_path / "other.db", embedder=FakeEmbedder(dimension=24))
    other.enroll("Cleo", tone(700))
    with pytest.raises(ConfigError, match="import it into another store"):
        VoiceprintStore(tmp_path / "other.db").import_(exported)
    assert other.names == ("Cleo",)


def renamed(document: Any) -> None:
    document["people"][1]["name"] = "SPEAKER_00"


def twice(document: Any) -> None:
    document["people"][1]["name"] = "Ana"


def clipless(document: Any) -> None:
    document["people"][1]["clips"] = []


def longer(document: Any) -> None:
    document["people"][1]["clips"][0]["vector"].append(0.0)


def louder(document: Any) -> None:
    document["people"][1]["clips"][0]["vector"][3] = 7.0


def infinite(document: Any) -> None:
    document["people"][1]["clips"][0]["vector"][3] = float("inf")


def worded(document: Any) -> None:
    document["people"][1]["clips"][0]["seconds"] = "6"


def negative(document: Any) -> None:
    document["people"][1]["clips"][0]["seconds"] = -6


def later(document: Any) -> None:
    document["version"] = 2


def more(document: Any) -> None:
    document["module"] = "os"


def undated(document: Any) -> None:
    document["people"][0]["since"] = "'; DROP TABLE people"


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (renamed, r"people\.1\.name: .*names like this stand for unknown"),
        (twice, "two people have one name"),
        (clipless, r"people\.1\.clips"),
        (longer, "a vector isn't of 48 numbers"),
        (louder, ".*length 1"),
        (infinite, r"people\.1\.clips\.0\.vector\.3"),
        (worded, r"people\.1\.clips\.0\.seconds"),
        (negative, r"people\.1\.clips\.0\.seconds"),
        (later, "version: "),
        (more, "module: "),
        (undated, r"people\.0\.since"),
    ],
)
def test_a_file_that_breaks_the_format_is_refused_whole(
    exported: Path, spoil: Callable[[Any], None], said: str
) -> None:
    document = json.loads(exported.read_text())
    spoil(document)
    exported.write_text(json.dumps(document))
    store = tone_store()
    with pytest.raises(FormatError, match=rf"voices\.json: is no export of voices \({said}"):
        store.import_(exported)
    assert store.names == ()


@pytest.mark.parametrize("text", ["", "[]", "no json", '{"version": 1}'])
def test_what_is_no_document_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "voices.json").write_text(text)
    with pytest.raises(FormatError, match=r"voices\.json: is no export of voices"):
        tone_store().import_(tmp_path / "voices.json")


def test_files_that_cannot_be_read_or_written_are_told(exported: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.json"):
        tone_store().import_(tmp_path / "gone.json")
    store = tone_store()
    store.enroll("Ana", tone(300))
    with pytest.raises(InputError, match="name a file that can be written"):
        store.export(exported / "below a file.json")
