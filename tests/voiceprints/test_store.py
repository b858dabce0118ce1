"""A store of voices that are tones, and one of the demo conversation's with the real weights."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from fakes_roles import RATE, FakeEmbedder
from fakes_voices import SlowSegmenter, tone, tone_store
from numpy.typing import NDArray

from speakerdiar.errors import ConfigError, InputError, WeightsError
from speakerdiar.formats import load
from speakerdiar.mixins.naming import VoiceSource
from speakerdiar.models import MODELS
from speakerdiar.models.verification import Verifier
from speakerdiar.recording import Recording
from speakerdiar.voiceprints import Person, VoiceprintStore
from speakerdiar.voiceprints.store import default_path

DATA = Path(__file__).resolve().parents[2] / "examples" / "data"

needs_weights = pytest.mark.skipif(not MODELS["embedded"].is_here(), reason="the embedded weights aren't installed")


class OtherEmbedder(FakeEmbedder):
    """Makes vectors of the same size with other numbers."""

    def _embed_batch(self, features: Any, starts: NDArray[np.int64], length: int) -> NDArray[np.float32]:
        return super()._embed_batch(features, starts, length)[:, ::-1].copy()


def test_someone_enrolled_is_known_and_a_stranger_is_not() -> None:
    store = tone_store()
    assert isinstance(store, VoiceSource)
    store.enroll("Ana", tone(300))
    store.enroll("Ben", tone(1500))
    known = store.identify(tone(305, seconds=2))
    assert (known.name, known.threshold) == ("Ana", 0.7)
    assert known.score == known.ranked[0][1] > 0.9
    assert [name for name, _ in known.ranked] == ["Ana", "Ben"]
    stranger = store.identify(tone(700))
    assert stranger.name is None
    assert stranger.score < 0.7
    assert len(stranger.ranked) == 2


def test_a_score_at_the_threshold_is_the_same_person() -> None:
    store = tone_store()
    store.enroll("Ana", tone(300))
    score = store.identify(tone(340)).score
    for threshold, name in ((score, "Ana"), (score + 1e-6, None)):
        stricter = tone_store(threshold=threshold)
        stricter.enroll("Ana", tone(300))
        assert stricter.identify(tone(340)).name == name


def test_clips_are_added_to_those_before(tmp_path: Path) -> None:
    with tone_store(tmp_path / "voices.db") as store:
        first = store.enroll("Ana", tone(300))
        assert (first.added, first.agreement, first.warnings) == (1, None, ())
        assert first.person.clips == 1
    with tone_store(tmp_path / "voices.db") as store:
        second = store.enroll("Ana", [tone(310), tone(305)])
        [person] = store.people()
        assert second.person == person
        assert second.person.since == first.person.since
        assert (person.name, person.clips) == ("Ana", 3)
        assert person.seconds == pytest.approx(18, abs=0.1)
        assert second.agreement is not None
        assert second.agreement > 0.9
        voices = store.voiceprints()
        verifier = Verifier(FakeEmbedder(), segmenter=SlowSegmenter())
        parts = [verifier.embed(tone(pitch)) for pitch in (300, 310, 305)]
        assert float(voices.vectors[0] @ np.mean(parts, axis=0)) == pytest.approx(
            np.linalg.norm(np.mean(parts, axis=0)), abs=1e-5
        )


def test_a_clip_counts_once() -> None:
    store = tone_store()
    store.enroll("Ana", tone(300))
    again = store.enroll("Ana", [tone(300), tone(320), tone(320)])
    assert (again.added, again.person.clips) == (1, 2)
    assert [warning.partition(":")[2] for warning in again.warnings] == [" enrolled already; it counts once."] * 2


def test_what_is_wrong_with_a_clip_is_refused_with_its_name_and_nothing_is_kept(tmp_path: Path) -> None:
    store = tone_store()
    soundfile.write(tmp_path / "short.wav", tone(300, seconds=0.7)[0], RATE)
    with pytest.raises(InputError, match=r"short\.wav: 0\.7 s of speech heard, and a voice takes 1 s at least"):
        store.enroll("Ana", [tone(300), tmp_path / "short.wav"])
    with pytest.raises(InputError, match="no speech heard"):
        store.enroll("Ana", (np.zeros(RATE * 3, np.float32), RATE))
    assert store.names == ()


@pytest.mark.parametrize("name", ["", " ", "SPEAKER_00", "a\nb"])
def test_what_is_no_name_is_refused_before_audio_is_read(name: str) -> None:
    with pytest.raises(InputError, match="name="):
        tone_store().enroll(name, "never read.wav")


def test_an_empty_store_identifies_nobody_and_exports_nothing(tmp_path: Path) -> None:
    store = tone_store(tmp_path / "voices.db")
    assert (store.names, len(store.voiceprints()), store.embedder_name) == ((), 0, None)
    with pytest.raises(InputError, match=r"voices\.db: nobody is enrolled"):
        store.identify(tone(300))
    with pytest.raises(InputError, match=r"voices\.db: nobody is enrolled"):
        store.export(tmp_path / "voices.json")
    assert not (tmp_path / "voices.json").exists()


def test_people_are_forgotten_all_or_none_and_the_closest_name_is_told() -> None:
    store = tone_store()
    for name, pitch in (("Ana", 300), ("Ben", 700), ("Cleo", 1500)):
        store.enroll(name, tone(pitch))
    with pytest.raises(InputError, match=r"name='Clea': nobody of that name is enrolled\. Did you mean 'Cleo'"):
        store.forget("Ana", "Clea")
    assert list(store.names) == ["Ana", "Ben", "Cleo"]
    store.forget("Ana", "Cleo", "Ana")
    assert list(store.names) == ["Ben"]
    assert store.identify(tone(300)).name is None


def test_people_can_be_renamed_to_a_name_that_is_free() -> None:
    store = tone_store()
    store.enroll("Anna", tone(300))
    store.enroll("Ben", tone(700))
    store.rename("Anna", "Ana")
    assert store.names == ("Ana", "Ben")
    assert store.identify(tone(300)).name == "Ana"
    for name, new, said in (("Ana", "Ben", "someone is called that"), ("An", "Al", "mean 'Ana'"), ("Ana", "", "name=")):
        with pytest.raises(InputError, match=said):
            store.rename(name, new)
    assert store.names == ("Ana", "Ben")


def test_voices_belong_to_the_embedder_that_made_them(tmp_path: Path) -> None:
    path = tmp_path / "voices.db"
    tone_store(path).enroll("Ana", tone(300))
    for other in (OtherEmbedder(), FakeEmbedder(dimension=32)):
        with pytest.raises(ConfigError, match=rf"'FakeEmbedder', and '{type(other).__name__}' makes other vectors"):
            tone_store(path, embedder=other)
    assert tone_store(path, embedder=FakeEmbedder()).identify(tone(300)).name == "Ana"


def test_an_embedder_that_another_process_brought_in_is_told_from_ours(tmp_path: Path) -> None:
    early = tone_store(tmp_path / "voices.db", embedder=OtherEmbedder())
    tone_store(tmp_path / "voices.db").enroll("Ana", tone(300))
    for act in (early.voiceprints, lambda: early.enroll("Ben", tone(700)), lambda: early.identify(tone(300))):
        with pytest.raises(ConfigError, match="OtherEmbedder"):
            act()
    assert early.names == ("Ana",)


def test_who_forgot_everyone_may_begin_with_another_embedder(tmp_path: Path) -> None:
    path = tmp_path / "voices.db"
    store = tone_store(path)
    store.enroll("Ana", tone(300))
    store.forget("Ana")
    other = tone_store(path, embedder=OtherEmbedder())
    other.enroll("Ana", tone(300))
    assert other.embedder_name == "OtherEmbedder"


def test_an_embedder_that_cannot_be_opened_by_its_name_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "voices.db"
    tone_store(path).enroll("Ana", tone(300))
    nameless = VoiceprintStore(path)
    assert nameless.embedder_name == "FakeEmbedder"
    assert nameless.names == ("Ana",)
    with pytest.raises(WeightsError, match=r"voices\.db: its voices were made by 'FakeEmbedder'.*embedder="):
        nameless.voiceprints()


def test_an_embedder_of_no_known_threshold_needs_one() -> None:
    store = tone_store(threshold=None)
    assert store.enroll("Ana", [tone(300), tone(1500)]).warnings == ()
    with pytest.raises(ConfigError, match="No threshold is known for FakeEmbedder"):
        store.identify(tone(300))
    with pytest.raises(ConfigError, match="threshold=2"):
        tone_store(threshold=2)


def test_a_store_of_recordings_is_made_at_once(tmp_path: Path) -> None:
    for name, pitch in (("ana", 300), ("ben", 700), ("ben2", 720)):
        soundfile.write(tmp_path / f"{name}.wav", tone(pitch)[0], RATE)
    voices = {"Ana": tmp_path / "ana.wav", "Ben": [tmp_path / "ben.wav", tmp_path / "ben2.wav"]}
    store = VoiceprintStore.of(voices, embedder=FakeEmbedder(), threshold=0.5, segmenter=SlowSegmenter())
    assert [(person.name, person.clips) for person in store.people()] == [("Ana", 1), ("Ben", 2)]
    assert store.identify(tone(705)).name == "Ben"
    assert (store.place, store.threshold) == (":memory:", 0.5)


def test_the_default_file_is_the_users_own_or_the_named_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SPEAKERDIAR_VOICES", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert default_path().name == "voices.db"
    assert "speakerdiar" in default_path().parts
    monkeypatch.setenv("SPEAKERDIAR_VOICES", str(tmp_path / "deep" / "mine.db"))
    assert default_path() == tmp_path / "deep" / "mine.db"
    assert VoiceprintStore().place == os.fspath(tmp_path / "deep" / "mine.db")
    assert (tmp_path / "deep" / "mine.db").exists()


@needs_weights
def test_the_voices_of_the_conversation_are_known_by_their_later_turns(tmp_path: Path) -> None:
    [truth] = load(DATA / "conversation.rttm")
    turns = {name: [t for t in truth if t.speaker == name and t.duration > 3] for name in truth.speakers}

    def said(name: str, number: int) -> Recording:
        turn = turns[name][number]
        return Recording(name, str(DATA / "conversation.flac"), offset=turn.start, duration=turn.duration)

    with VoiceprintStore(tmp_path / "voices.db") as store:
        for name in ("ada", "ben", "cleo"):
            store.enroll(name, said(name, 0))
        people = store.people()
    assert [type(person) for person in people] == [Person] * 3
    with VoiceprintStore(tmp_path / "voices.db") as store:
        assert store.embedder_name == "ge2e"
        assert [store.identify(said(name, 1)).name for name in truth.speakers] == ["ada", "ben", "cleo", None]
        mixed = store.enroll("cleo", said("duncan", 0))
        assert "unlike the other clips of cleo" in mixed.warnings[0]
