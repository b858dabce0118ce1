"""Settings of a diarizer in a file."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speakerdiar.errors import ConfigError, FormatError, UnknownModelError, UnknownOptionError
from speakerdiar.models.diarizers.clustering import ClusteringDiarizer
from speakerdiar.models.settings import DiarizerSettings

PLAIN = st.one_of(st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=8))
NAMED = st.dictionaries(st.text(min_size=1, max_size=8), PLAIN, max_size=3)


@given(st.builds(DiarizerSettings, st.none() | st.text(min_size=1), NAMED, NAMED, NAMED), st.text(max_size=20))
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, settings: object, comment: str) -> None:
    assert isinstance(settings, DiarizerSettings)
    path = tmp_path_factory.mktemp("settings") / "a.yaml"
    printable = "".join(letter for letter in comment if letter.isprintable())
    assert DiarizerSettings.read(settings.write(path, printable)) == settings


def test_parts_that_are_empty_stay_out() -> None:
    assert DiarizerSettings("embedded", diarize={"max_speakers": 3}).text("Ours.\nToo.") == (
        "# Ours.\n# Too.\nmodel: embedded\ndiarize:\n  max_speakers: 3\n"
    )


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("modell: embedded\n", UnknownOptionError, "Did you mean 'model'"),
        ("model: [embedded]\n", FormatError, "model: .*give a name or a path"),
        ("thresholds: 3\n", FormatError, "thresholds: 3: give names with their values"),
        ("- a\n", FormatError, "doesn't map names to values"),
        ("a: [\n", FormatError, "can't be read as YAML"),
        ("", FormatError, "is empty"),
    ],
)
def test_a_file_that_is_something_else_is_refused(tmp_path: Path, text: str, error: type, said: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(error, match=said):
        DiarizerSettings.read(path)


def test_a_file_must_be_there() -> None:
    with pytest.raises(ConfigError, match="no such file"):
        DiarizerSettings.read("absent.yaml")


@pytest.fixture
def fake_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model by name that needs no weights."""
    from fakes_roles import FakeEmbedder

    from speakerdiar import models

    def made(name: str, clusterer: str = "ahc", segmenter: str = "energy") -> ClusteringDiarizer:
        if name != "embedded":
            raise UnknownModelError(f"There is no model {name!r}.")
        return ClusteringDiarizer(segmenter, FakeEmbedder(), clusterer)

    monkeypatch.setattr("speakerdiar.models.settings.load_model", made)
    assert models.DEFAULT_MODEL == "embedded"


@pytest.mark.usefixtures("fake_rows")
def test_the_model_is_loaded_with_options_and_thresholds() -> None:
    settings = DiarizerSettings(options={"clusterer": "nmesc"}, thresholds={"clusterer.max_rp_threshold": 0.2})
    loaded = settings.load()
    assert loaded.part_thresholds()["clusterer.max_rp_threshold"] == 0.2
    assert DiarizerSettings(options={"clusterer": "nmesc"}).load(clusterer="ahc").part_thresholds()
    with pytest.raises(UnknownModelError, match="other"):
        settings.load("other")


@pytest.mark.usefixtures("fake_rows")
@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (DiarizerSettings(thresholds={"clusterer.treshold": 1}), "Did you mean 'clusterer.threshold'"),
        (DiarizerSettings(diarize={"max_speaker": 1}), "Did you mean 'max_speakers'"),
    ],
)
def test_a_typo_is_an_error_before_any_audio(settings: DiarizerSettings, said: str) -> None:
    with pytest.raises(UnknownOptionError, match=said):
        settings.load()
