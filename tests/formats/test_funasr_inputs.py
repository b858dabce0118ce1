"""Pairs of lists in every form that FunASR takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import kaldiio
import numpy as np
import pytest

from speakerdiar.errors import FormatError, InputError
from speakerdiar.formats import funasr_inputs
from speakerdiar.formats.kaldi_ark import MatrixPlace

PROFILES = {
    "talk-2": np.arange(8, dtype=np.float32).reshape(2, 4),
    "talk-1": np.ones((3, 4), dtype=np.float32),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two recordings and their profiles, the latter in another order."""
    monkeypatch.chdir(tmp_path)
    Path("wav.scp").write_text("talk-1 /x/talk-1.wav\ntalk-2 /x/talk-2.wav\n")
    kaldiio.save_ark("profile.ark", PROFILES, scp="profile.scp")
    kaldiio.save_ark("feats.ark", {"talk-1": np.ones((9, 80)), "talk-2": np.ones((5, 80))}, scp="feats.scp")
    return tmp_path


FORMS: list[Any] = [
    ("wav.scp,speech,sound", "profile.scp,profile,kaldi_ark"),
    ["profile.scp, profile, kaldi_ark", "wav.scp, speech, sound"],
    [("wav.scp", "speech", "sound"), ("profile.scp", "profile", "kaldi_ark")],
    (["wav.scp", "speech", "sound"], "profile.scp,profile,kaldi_ark"),
    ("wav.scp", "profile.scp"),
    (Path("wav.scp"), Path("profile.ark")),
    [(Path("wav.scp"), "speech", "sound"), Path("profile.scp")],
]


@pytest.mark.parametrize("audio", FORMS)
@pytest.mark.usefixtures("folder")
def test_every_form_gives_recordings_with_their_profiles(audio: Any) -> None:
    assert funasr_inputs.is_funasr_input(audio)
    loaded = funasr_inputs.load(audio)
    assert [(one.key, one.speech) for one in loaded] == [("talk-1", "/x/talk-1.wav"), ("talk-2", "/x/talk-2.wav")]
    for one in loaded:
        assert np.array_equal(one.profile, PROFILES[one.key])


@pytest.mark.usefixtures("folder")
def test_features_are_read_when_asked_for() -> None:
    loaded = funasr_inputs.load([("feats.scp", "speech", "kaldi_ark"), ("profile.scp", "profile", "kaldi_ark")])
    places = [one.speech for one in loaded]
    assert [place.read().shape for place in places if isinstance(place, MatrixPlace)] == [(9, 80), (5, 80)]


@pytest.mark.usefixtures("folder")
def test_a_vector_is_the_profile_of_one() -> None:
    Path("wav.scp").write_text("talk-1 /x/talk-1.wav\n")
    kaldiio.save_ark("profile.ark", {"talk-1": np.ones(4, dtype=np.float32)})
    [one] = funasr_inputs.load(("wav.scp", "profile.ark"))
    assert one.profile.tolist() == [[1.0] * 4]


@pytest.mark.parametrize("first", ["/x/talk-1.wav", "/x/talk-1.wav,speech,sound"])
@pytest.mark.usefixtures("folder")
def test_a_recording_itself(first: str) -> None:
    kaldiio.save_ark("profile.ark", {"talk-1": PROFILES["talk-1"]})
    pair = (first, "profile.ark")
    assert funasr_inputs.is_funasr_input(pair)
    assert [(one.key, one.speech) for one in funasr_inputs.load(pair)] == [("talk-1", "/x/talk-1.wav")]


@pytest.mark.usefixtures("folder")
def test_commas_in_the_name_of_a_file() -> None:
    Path("wav.scp").rename("a,b,c.scp")
    for first in ("a,b,c.scp", "a,b,c.scp,speech,sound"):
        assert len(funasr_inputs.load((first, "profile.scp"))) == 2


@pytest.mark.parametrize(
    "audio",
    [
        "wav.scp",
        ["talk.wav"],
        ["talk.wav", "ana.wav"],
        ("wav.scp", "ana.wav"),
        ["talk.wav", "ana.wav", "ben.wav"],
        ["wav.scp", "profile.scp", "more.scp"],
        (np.zeros(160), 16000),
        [np.zeros(160), np.zeros(160)],
        [{"audio_filepath": "a.wav"}, {"audio_filepath": "b.wav"}],
        [["talk.wav", "ana.wav"], ["talk2.wav", "ben.wav"]],
        [["talk.wav", "ana.wav", "ben.wav"], ["talk2.wav", "cleo.wav", "dan.wav"]],
        {"a": 1},
        None,
    ],
)
def test_recordings_are_no_pair_of_lists(audio: Any) -> None:
    assert not funasr_inputs.is_funasr_input(audio)


@pytest.mark.parametrize(
    ("audio", "says"),
    [
        (("wav.scp,speach,sound", "profile.scp"), "'speach' in .* Did you mean 'speech'.* Names: speech, profile"),
        (("wav.scp,speech,text", "profile.scp"), "Type 'text' of wav.scp: speech comes as sound or kaldi_ark"),
        (("wav.scp", "profile.scp,profile,sound"), "Type 'sound' of profile.scp: profile comes as kaldi_ark"),
        (("wav.scp", "profile.scp,speech,sound"), "one named speech and one named profile"),
        (("wav.scp", "profile.scp", "more.scp"), "give two items"),
        ((("wav.scp", "speech"), "profile.scp"), "give a path, or a path, a name and a type"),
        (("none.scp", "profile.scp"), r"none\.scp: No such file"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_pairs_that_cannot_be(audio: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        funasr_inputs.load(audio)


@pytest.mark.usefixtures("folder")
def test_keys_that_one_list_lacks() -> None:
    lines = Path("wav.scp").read_text()
    Path("wav.scp").write_text(lines + "".join(f"more-{number} /x/more.wav\n" for number in range(7)))
    says = r"^profile\.scp: no profile for 'more-0', .* 'more-4' and 2 more of wav\.scp: both files"
    with pytest.raises(FormatError, match=says):
        funasr_inputs.load(("wav.scp", "profile.scp"))
    Path("wav.scp").write_text(lines.splitlines()[0])
    with pytest.raises(FormatError, match=r"^wav\.scp: no speech for 'talk-2' of profile\.scp"):
        funasr_inputs.load(("wav.scp", "profile.scp"))


@pytest.mark.parametrize("name", ["wav.scp", "profile.scp"])
@pytest.mark.usefixtures("folder")
def test_no_command_is_run(name: str) -> None:
    Path(name).write_text("talk-1 touch ran |\ntalk-2 touch ran |\n")
    with pytest.raises(FormatError, match=rf"^{name}:1: .*commands aren't run"):
        funasr_inputs.load(("wav.scp", "profile.scp"))
    assert not Path("ran").exists()
