from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from speakerdiar.errors import InputError, SpeakerCountError
from speakerdiar.recording import RATE_MISSING, Recording, as_recordings, id_of_path, with_unique_ids

NOISE = np.linspace(-1, 1, 160, dtype=np.float32)


class Named(io.BytesIO):
    name = "/x/voice.wav"


@pytest.mark.parametrize(
    ("audio", "rate", "expected"),
    [
        ("a.wav", None, ["a"]),
        (Path("x/a.b.wav"), None, ["a.b"]),
        (["a.wav", Path("b.flac")], None, ["a", "b"]),
        (("a.wav", "b.wav"), None, ["a", "b"]),
        ({"audio_filepath": "a.wav"}, None, ["a"]),
        ({"audio_filepath": "a.wav", "uniq_id": 5}, None, ["5"]),
        ({"audio": NOISE, "sample_rate": 8000}, None, ["audio_0000"]),
        ([{"audio": NOISE}, {"audio": NOISE, "uniq_id": "n"}], 8000, ["audio_0000", "n"]),
        (NOISE, 16000, ["audio_0000"]),
        (torch.zeros(2, 160, requires_grad=True), 16000, ["audio_0000"]),
        ([NOISE, NOISE], 16000, ["audio_0000", "audio_0001"]),
        ((NOISE, 8000), None, ["audio_0000"]),
        ([(NOISE, 8000), "a.wav"], None, ["audio_0000", "a"]),
        (io.BytesIO(b""), None, ["audio_0000"]),
        (Named(), None, ["voice"]),
        (Recording("mine", "a.wav"), None, ["mine"]),
        ((name for name in ["a.wav", "b.wav"]), None, ["a", "b"]),
    ],
)
def test_every_kind_of_input(audio: Any, rate: int | None, expected: list[str]) -> None:
    assert [recording.id for recording in as_recordings(audio, rate)] == expected


def test_samples_keep_their_values_and_rate() -> None:
    tensor, array, pair = as_recordings([torch.from_numpy(NOISE), NOISE, (NOISE, 8000)], 16000)
    for recording in (tensor, array, pair):
        assert isinstance(recording.source, np.ndarray)
        np.testing.assert_array_equal(recording.source, NOISE)
        assert recording.path is None
        assert not recording.is_whole_file
    assert [tensor.sample_rate, array.sample_rate, pair.sample_rate] == [16000, 16000, 8000]


def test_a_dict_is_an_entry_of_a_manifest() -> None:
    entry = {
        "audio_filepath": "x/a.wav",
        "offset": "1.5",
        "duration": 2,
        "channel": 1,
        "num_speakers": 3,
        "rttm_filepath": "a.rttm",
        "uem_filepath": None,
        "text": "-",
        "label": "infer",
        "room": "big",
    }
    (recording,) = as_recordings(entry)
    assert (recording.offset, recording.duration, recording.channel, recording.num_speakers) == (1.5, 2.0, 1, 3)
    assert (recording.rttm_filepath, recording.uem_filepath) == ("a.rttm", None)
    assert recording.extra == {"room": "big"}
    assert not recording.is_whole_file
    again = recording.manifest_entry()
    assert (again["audio_filepath"], again["offset"], again["duration"]) == ("x/a.wav", 1.5, 2.0)
    assert (again["uniq_id"], again["num_speakers"]) == ("a", 3)


def test_a_path_alone_is_a_whole_file() -> None:
    (recording,) = as_recordings("a.wav")
    assert recording.is_whole_file
    assert recording.path == "a.wav"


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: as_recordings([]), "`audio` is empty: give at least one recording"),
        (lambda: as_recordings(()), "`audio` is empty"),
        (lambda: as_recordings(None), "`audio` is empty: it is None"),
        (lambda: as_recordings(3), "Can't take int as audio"),
        (lambda: as_recordings(b"RIFF"), "Can't take bytes as audio"),
        (lambda: as_recordings(["a.wav", 3]), "Item 1 of `audio` is int"),
        (lambda: as_recordings([None]), "Item 0 of `audio` is NoneType"),
        (lambda: as_recordings(NOISE), RATE_MISSING),
        (lambda: as_recordings(["a.wav", NOISE]), RATE_MISSING),
        (lambda: as_recordings({"audio": NOISE}), RATE_MISSING),
        (lambda: as_recordings((NOISE, None)), RATE_MISSING),
        (lambda: as_recordings(NOISE, 0), "sample_rate=0: give a rate in Hz"),
        (lambda: as_recordings((NOISE, 1.5)), r"sample_rate=1\.5"),
        (lambda: as_recordings(np.zeros((2, 3, 4)), 8000), r"shape \(2, 3, 4\)"),
        (lambda: as_recordings(np.float32(3), 8000), r"shape \(\)"),
        (lambda: as_recordings({"offset": 1}), "an entry needs audio_filepath"),
        (lambda: as_recordings({"audio_filepath": "a.wav", "offset": -1}), r"a: offset=-1\.0: give seconds"),
        (lambda: as_recordings({"audio_filepath": "a.wav", "offset": "x"}), "a: .*'x'"),
        (lambda: as_recordings({"audio_filepath": "a.wav", "duration": 0}), r"a: duration=0\.0: give seconds above 0"),
        (lambda: as_recordings({"audio_filepath": "a.wav", "duration": [1]}), "a: "),
        (lambda: as_recordings({"audio_filepath": "a.wav", "channel": -1}), "a: channel=-1: give an index"),
        (lambda: as_recordings({"audio_filepath": "a.wav", "channel": "left"}), "a: channel='left'"),
        (lambda: as_recordings({"audio_filepath": "a.wav", "num_speakers": 0}), "a: num_speakers=0"),
        (lambda: Recording("a", "a.wav", offset=float("inf")), "a: offset=inf"),
        (lambda: Recording("a", "a.wav", duration=float("nan")), "a: duration=nan"),
    ],
)
def test_errors_name_the_value_and_the_remedy(make: Callable[[], object], says: str) -> None:
    with pytest.raises(InputError, match=says):
        make()


def test_an_impossible_count_of_speakers() -> None:
    with pytest.raises(SpeakerCountError, match=r"num_speakers=1\.5"):
        Recording("a", "a.wav", num_speakers=1.5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["a/x.wav", "b/x.wav", "b/y.wav"], ["a/x", "b/x", "y"]),
        (["/r/a/x.wav", "/r/b/x.wav", "/r/c/a/x.wav"], ["r/a/x", "r/b/x", "c/a/x"]),
        (["x.wav", "x.wav", "x.wav"], ["x", "x#2", "x#3"]),
        (["/d/x.wav", "/d/x.flac"], ["x", "x#2"]),
        (["a/x.wav", "a/x.wav", "b/x.wav"], ["a/x", "a/x#2", "b/x"]),
        (["x.wav", "x.wav", "x#2.wav"], ["x", "x#3", "x#2"]),
        (["x.wav", "a/x.wav"], ["x", "a/x"]),
        (["/x.wav", "../x.wav", "../a/x.wav"], ["x", "x#2", "a/x"]),
        (["a/x.wav", "b/x.wav", "b/x", "c/b/x"], ["a/x", "b/x", "b/x#2", "c/b/x"]),
    ],
)
def test_ids_of_paths(paths: list[str], expected: list[str]) -> None:
    assert [recording.id for recording in as_recordings(paths)] == expected


def test_ids_of_the_callers_choice_are_numbered_only() -> None:
    chosen = [Recording("call", "a/x.wav"), Recording("call", "b/x.wav"), Recording("x", "c/x.wav")]
    assert [recording.id for recording in with_unique_ids(chosen)] == ["call", "call#2", "x"]


def test_an_id_that_was_given_stays_where_a_lengthened_one_meets_it() -> None:
    met = [Recording("x", "a/x.wav"), Recording("x", "b/x.wav"), Recording("a/x", NOISE, 8000)]
    assert [recording.id for recording in with_unique_ids(met)] == ["a/x#2", "b/x", "a/x"]


ids = st.sampled_from(["x", "y", "x#2", "x#3", "a/x"])
folders = st.sampled_from(["", "a/", "b/", "/r/a/", "./"])
recordings = st.one_of(
    st.builds(
        lambda folder, name, end: f"{folder}{name}{end}", folders, ids, st.sampled_from([".wav", ".ogg", ""])
    ).map(lambda path: Recording(id_of_path(path), path)),
    ids.map(lambda id: Recording(id, "fixed.wav")),
    ids.map(lambda id: Recording(id, NOISE, 8000)),
)


@given(st.lists(recordings, max_size=12))
def test_ids_are_always_unique_and_stable(listed: list[Recording]) -> None:
    made = [recording.id for recording in with_unique_ids(listed)]
    assert len(set(made)) == len(made)
    assert [recording.id for recording in with_unique_ids(listed)] == made
    assert [recording.id for recording in with_unique_ids(with_unique_ids(listed))] == made
    given_ids = [recording.id for recording in listed]
    assert all(new == old for new, old in zip(made, given_ids, strict=True) if given_ids.count(old) == 1)


@given(st.lists(recordings, max_size=12))
def test_only_ids_change(listed: list[Recording]) -> None:
    for before, after in zip(listed, with_unique_ids(listed), strict=True):
        assert (before.source is after.source, before.sample_rate) == (True, after.sample_rate)


@pytest.mark.parametrize(
    ("path", "id"), [("a/b.wav", "b"), ("b.tar.gz", "b.tar"), (".hidden", ".hidden"), ("/", "/"), ("", "")]
)
def test_the_id_that_a_path_gives(path: str, id: str) -> None:
    assert id_of_path(path) == id


def test_a_manifest_may_say_in_source_where_its_audio_is_from() -> None:
    for entry in ({"audio": "a.wav", "source": "a corpus"}, {"source": "a corpus", "audio_filepath": "a.wav"}):
        [recording] = as_recordings(entry)
        assert (recording.path, recording.id, dict(recording.extra)) == ("a.wav", "a", {})
